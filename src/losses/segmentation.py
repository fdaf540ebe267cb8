"""The training loss of a configuration: a weighted sum over the network's outputs."""

from collections.abc import Sequence
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.losses.cross_entropy import CrossEntropy, OhemCrossEntropy
from src.models.resizing import bilinear


class SegmentationLoss(nn.Cell):
    """Resize each output to the label, and sum what its criterion makes of it.

    Args:
        criteria: for each output a Cell from (logits, label) to a scalar.
        balance_weights: factor of each criterion.
        align_corners: bilinear resizing maps corner pixels onto each other; as in the network.
        half_pixel_centers: without align_corners, it scales pixel centres; likewise.

    Inputs:
        outputs: tuple of logits (B, K, h, w) float, one for each criterion.
        label: (B, H, W) int32.

    Outputs:
        scalar float32.

    Raises:
        ValueError: if criteria and balance_weights differ in number.
    """

    def __init__(
        self, criteria: Sequence[nn.Cell], balance_weights: Sequence[float], align_corners: bool, half_pixel_centers: bool = True
    ) -> None:
        super().__init__()
        if len(criteria) != len(balance_weights):
            raise ValueError(f"balance_weights needs {len(criteria)} values, one per output; got {list(balance_weights)}")
        self.criteria = nn.CellList(list(criteria))
        self.balance_weights = tuple(float(weight) for weight in balance_weights)
        self.resize = bilinear(align_corners, half_pixel_centers)

    def construct(self, outputs: tuple[Tensor, ...], label: Tensor) -> Tensor:
        """Return the weighted sum over the outputs."""
        size = ops.shape(label)[-2:]
        total = 0.0
        for index, criterion in enumerate(self.criteria):
            logits = self.resize(outputs[index].astype(ms.float32), size)
            total = total + self.balance_weights[index] * criterion(logits, label)
        return total


def build_loss(config: Any, class_weights: Sequence[float] | None = None) -> SegmentationLoss:
    """Return the loss of a configuration.

    Args:
        config: the complete configuration; `loss`, `dataset.num_classes`, `dataset.ignore_label` and the resizing of `model` are read.
        class_weights: the data set's table; used if `loss.use_weights` is on and `loss.class_weights` is not given.

    Returns:
        A Cell from (outputs, label) to the loss; hard example mining, if configured, is for the main output alone.
    """
    loss = config.loss
    weights = (loss.class_weights or class_weights) if loss.use_weights else None
    common = (config.dataset.num_classes, config.dataset.ignore_label, weights)
    main = OhemCrossEntropy(*common, threshold=loss.ohem_threshold, keep=loss.ohem_keep) if loss.use_ohem else CrossEntropy(*common)
    auxiliary = [CrossEntropy(*common) for _ in loss.balance_weights[:-1]]
    model = config.model
    return SegmentationLoss([*auxiliary, main], loss.balance_weights, model.align_corners, model.half_pixel_centers)
