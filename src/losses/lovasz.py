"""Lovasz-softmax: a convex stand-in for 1 - IoU, class by class."""

from mindspore import Tensor, nn, ops

from src.losses.probabilities import ClassMaps, mean_over_present, softmax


class LovaszSoftmax(nn.Cell):
    """The Lovasz extension of 1 - IoU of the batch, averaged over the classes that its labels hold.

    Every class counts once, however few pixels it has: class weights are for losses of single pixels.

    Args:
        num_classes: K.
        ignore_label: label value of pixels that do not count.

    Inputs:
        logits: (B, K, H, W) float; B H W up to 2^24, to which float32 counts exactly.
        label: (B, H, W) int32, 0..K-1 or ignore_label.

    Outputs:
        scalar float32, 0..1; 0 if no pixel counts.

    Source: Berman et al., CVPR 2018 (arXiv 1705.08790), equations 8, 9 and 11; over the batch and the present classes, as its authors'
    code does by default.
    """

    def __init__(self, num_classes: int, ignore_label: int) -> None:
        super().__init__()
        self.class_maps = ClassMaps(num_classes, ignore_label)

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the mean over the classes."""
        truth, counted = self.class_maps(label)
        truth = _rows(truth)
        errors = ops.abs(truth - _rows(softmax(logits) * counted))  # (K, BHW), 0 where a pixel does not count
        # Pixels that do not count come behind all others, among which they would raise the union.
        keys = ops.stop_gradient(errors) - (1.0 - _rows(counted))
        _, order = ops.topk(keys, keys.shape[1])
        slopes = _slopes(ops.gather_elements(truth, 1, order))
        present = (truth.sum(1) > 0).astype(truth.dtype)
        return mean_over_present((ops.gather_elements(errors, 1, order) * slopes).sum(1), present)


def _rows(maps: Tensor) -> Tensor:
    """Return (B, K, H, W) as (K, BHW)."""
    return maps.transpose(1, 0, 2, 3).reshape(maps.shape[1], -1)


def _slopes(truth: Tensor) -> Tensor:
    """Return how much 1 - IoU grows when the next pixel is predicted wrongly too, of (K, P) labels in the order of falling errors.

    A pixel of the class leaves the intersection: 1 / union. Another one joins the union: intersection / (union (union - 1)). The source
    takes differences of 1 - IoU instead, which for a million pixels lose most of float32's digits.
    """
    missed = ops.cumsum(truth, 1)
    intersection = truth.sum(1, keepdims=True) - missed
    union = truth.sum(1, keepdims=True) + ops.cumsum(1.0 - truth, 1)
    union = ops.maximum(union, 1.0)
    return truth / union + (1.0 - truth) * intersection / (union * ops.maximum(union - 1.0, 1.0))
