"""Dice loss: the overlap of predicted and true regions, class by class."""

from mindspore import Tensor, nn

from src.losses.probabilities import ClassMaps, mean_over_present, softmax


class Dice(nn.Cell):
    """1 - 2 sum(p g) / (sum(p^2) + sum(g^2)) over the batch's counted pixels, averaged over the classes that their labels hold.

    Every class counts once, however few pixels it has: class weights are for losses of single pixels.

    Args:
        num_classes: K.
        ignore_label: label value of pixels that do not count.

    Inputs:
        logits: (B, K, H, W) float.
        label: (B, H, W) int32, 0..K-1 or ignore_label.

    Outputs:
        scalar float32, 0..1; 0 if no pixel counts.

    Source: Milletari et al., 3DV 2016 (arXiv 1606.04797), section 3, for each class of a softmax. A class without labels would have a
    coefficient of 0 whatever is predicted, and no gradient: it is left out.
    """

    def __init__(self, num_classes: int, ignore_label: int) -> None:
        super().__init__()
        self.class_maps = ClassMaps(num_classes, ignore_label)

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the mean over the classes."""
        truth, counted = self.class_maps(label)
        probabilities = softmax(logits) * counted
        overlap = (probabilities * truth).sum((0, 2, 3))  # (K,)
        size = truth.sum((0, 2, 3))
        present = (size > 0).astype(size.dtype)
        # A divisor of 1 more for absent classes: without counted pixels theirs is 0.
        total = (probabilities * probabilities).sum((0, 2, 3)) + size + (1.0 - present)
        return mean_over_present(1.0 - 2.0 * overlap / total, present)
