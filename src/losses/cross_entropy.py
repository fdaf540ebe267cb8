"""Pixel-wise cross entropy, over all counted pixels or the hard ones alone. Everything is computed in float32.

The log-softmax is written out: along the channel axis of (B, K, H, W), MindSpore 2.8's LogSoftmax is 4 times slower on the CPU.
"""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops


class PixelLosses(nn.Cell):
    """Negative log likelihood and class weight of each pixel.

    Args:
        num_classes: K.
        ignore_label: label value of pixels that do not count.
        class_weights: a weight per class; None weighs all alike.

    Inputs:
        logits: (B, K, H, W) float.
        label: (B, H, W) int32, 0..K-1 or ignore_label.

    Outputs:
        tuple of (B, H, W) float32: losses in nats, 0 or larger; weights, 0 where the label is ignore_label.

    Raises:
        ValueError: if there is not one weight per class.
    """

    def __init__(self, num_classes: int, ignore_label: int, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        weights = np.ones(num_classes) if class_weights is None else np.array(class_weights, np.float64)
        if weights.shape != (num_classes,):
            raise ValueError(f"class_weights needs {num_classes} values, one per class; got {list(weights)}")
        if ignore_label < num_classes:
            weights = np.where(np.arange(num_classes) == ignore_label, 0, weights)
        self.weights = Tensor(weights.reshape(1, -1, 1, 1), ms.float32)
        self.classes = Tensor(np.arange(num_classes).reshape(1, -1, 1, 1), ms.int32)

    def construct(self, logits: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return losses and weights of all pixels."""
        logits = logits.astype(ms.float32)
        shifted = logits - ops.stop_gradient(logits.max(1, keepdims=True))
        # Comparing cannot index out of range, whatever ignore_label is.
        one_hot = (ops.expand_dims(label, 1) == self.classes).astype(ms.float32)  # (B, K, H, W)
        losses = ops.log(ops.exp(shifted).sum(1)) - (shifted * one_hot).sum(1)
        return losses, (one_hot * self.weights).sum(1)


class CrossEntropy(nn.Cell):
    """The weighted mean of the pixels' losses: sum(w * loss) / sum(w), 0 if no pixel counts.

    Args:
        num_classes: K.
        ignore_label: label value of pixels that do not count.
        class_weights: a weight per class; None weighs all alike.

    Inputs:
        logits: (B, K, H, W) float.
        label: (B, H, W) int32, 0..K-1 or ignore_label.

    Outputs:
        scalar float32.

    Source: torch.nn.CrossEntropyLoss(weight, ignore_index), but for the case without counted pixels.
    """

    def __init__(self, num_classes: int, ignore_label: int, class_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.pixel_losses = PixelLosses(num_classes, ignore_label, class_weights)

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the weighted mean."""
        losses, weights = self.pixel_losses(logits, label)
        total = weights.sum()
        # A divisor of 1 for an all-ignored batch: 0 / 1 instead of the NaN of 0 / 0, in the gradient too.
        return (losses * weights).sum() / ops.select(total > 0, total, ops.ones_like(total))


class OhemCrossEntropy(nn.Cell):
    """The plain mean of the weighted losses of the hard pixels: online hard example mining.

    A pixel is hard while its true class has a probability under `threshold`. If fewer than `keep` pixels of the batch are,
    the limit rises to the probability of pixel number `keep` (from 0, in ascending order), or of the last counted pixel.

    Args:
        num_classes: K.
        ignore_label: label value of pixels that do not count.
        class_weights: a weight per class; None weighs all alike.
        threshold: probability, 0..1.
        keep: number of pixels in a batch of one device.

    Inputs:
        logits: (B, K, H, W) float.
        label: (B, H, W) int32, 0..K-1 or ignore_label.

    Outputs:
        scalar float32, 0 if no pixel is kept.

    Source: Shrivastava et al., arXiv 1604.03540; the rule for the limit is that of the official HRNet-OCR's OhemCrossEntropy.
    """

    def __init__(
        self, num_classes: int, ignore_label: int, class_weights: Sequence[float] | None = None, threshold: float = 0.9, keep: int = 131072
    ) -> None:
        super().__init__()
        self.pixel_losses = PixelLosses(num_classes, ignore_label, class_weights)
        self.ignore_label = ignore_label
        self.threshold = threshold
        self.keep = keep

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the mean over the hard pixels."""
        losses, weights = self.pixel_losses(logits, label)
        counted = label != self.ignore_label
        probabilities = ops.stop_gradient(ops.exp(-losses))
        limit = ops.stop_gradient(self._limit(probabilities, counted))
        kept = ops.logical_and(counted, probabilities < limit).astype(ms.float32)
        return (losses * weights * kept).sum() / ops.maximum(kept.sum(), 1.0)

    def _limit(self, probabilities: Tensor, counted: Tensor) -> Tensor:
        flat = ops.select(counted, probabilities, ops.full_like(probabilities, 2.0)).reshape((-1,))  # (BHW,), not counted ones last
        hardest = -ops.topk(-flat, min(self.keep + 1, flat.shape[0]))[0]  # ascending
        last_counted = counted.astype(ms.int32).sum() - 1
        index = ops.clip_by_value(last_counted, 0, hardest.shape[0] - 1)
        return ops.maximum(ops.gather(hardest, index, 0), self.threshold)
