"""What the losses over whole regions share: probabilities and labels as maps of each class, in float32."""

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops


class ClassMaps(nn.Cell):
    """Labels as one map per class, and which pixels count.

    Args:
        num_classes: K.
        ignore_label: label value of pixels that do not count.

    Inputs:
        label: (B, H, W) int32, 0..K-1 or ignore_label; any other value does not count either.

    Outputs:
        tuple of float32: (B, K, H, W), 1 where a counted pixel is of the class; (B, 1, H, W), 1 where a pixel counts.
    """

    def __init__(self, num_classes: int, ignore_label: int) -> None:
        super().__init__()
        self.ignore_label = ignore_label
        self.classes = Tensor(np.arange(num_classes).reshape(1, -1, 1, 1), ms.int32)

    def construct(self, label: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps."""
        # Comparing cannot index out of range, whatever ignore_label is.
        label = ops.expand_dims(label, 1)
        maps = ops.logical_and(label == self.classes, label != self.ignore_label).astype(ms.float32)
        return maps, maps.sum(1, keepdims=True)


def softmax(logits: Tensor) -> Tensor:
    """Return the probabilities of (B, K, H, W) logits in float32; written out, as MindSpore 2.8's Softmax along channels is slow on CPU."""
    logits = logits.astype(ms.float32)
    powers = ops.exp(logits - ops.stop_gradient(logits.max(1, keepdims=True)))
    return powers / powers.sum(1, keepdims=True)


def mean_over_present(values: Tensor, present: Tensor) -> Tensor:
    """Return the mean of (K,) values over the classes whose `present` (K,) is 1; 0 if there is none.

    Values of absent classes must be finite: they are multiplied by 0.
    """
    return (values * present).sum() / ops.maximum(present.sum(), 1.0)
