"""Focal loss: cross entropy in which well classified pixels count little."""

from collections.abc import Sequence

from mindspore import Tensor, nn, ops

from src.losses.cross_entropy import PixelLosses


class Focal(nn.Cell):
    """The weighted mean of the pixels' -(1 - p)^gamma log(p), p the softmax probability of the true class; 0 if no pixel counts.

    Args:
        num_classes: K.
        ignore_label: label value of pixels that do not count.
        class_weights: a weight per class (the source's alpha); None weighs all alike.
        gamma: 0 or larger; 0 is CrossEntropy.

    Inputs:
        logits: (B, K, H, W) float.
        label: (B, H, W) int32, 0..K-1 or ignore_label.

    Outputs:
        scalar float32, sum(w * loss) / sum(w).

    Source: Lin et al., ICCV 2017 (arXiv 1708.02002), equation 5, with the softmax instead of its sigmoid, and the mean over counted pixels
    instead of its division by the boxes that hold an object.
    """

    def __init__(self, num_classes: int, ignore_label: int, class_weights: Sequence[float] | None = None, gamma: float = 2.0) -> None:
        super().__init__()
        self.pixel_losses = PixelLosses(num_classes, ignore_label, class_weights)
        self.gamma = gamma

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the weighted mean."""
        losses, weights = self.pixel_losses(logits, label)
        # Bounded, because the power's slope at 0 is infinite for gamma below 1; there the loss itself is 0.
        wrong = ops.maximum(1.0 - ops.exp(-losses), 1e-12)
        losses = ops.exp(self.gamma * ops.log(wrong)) * losses
        total = weights.sum()
        return (losses * weights).sum() / ops.select(total > 0, total, ops.ones_like(total))
