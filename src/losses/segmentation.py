"""The training loss of a configuration: weighted sums over the network's outputs, and over the terms of the main one."""

from collections.abc import Sequence
from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.losses.cross_entropy import CrossEntropy, OhemCrossEntropy
from src.losses.dice import Dice
from src.losses.focal import Focal
from src.losses.lovasz import LovaszSoftmax
from src.losses.rmi import RegionMutualInformation
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


class WeightedTerms(nn.Cell):
    """A weighted sum of criteria of the same logits.

    Args:
        terms: Cells from (logits, label) to a scalar.
        weights: factor of each.

    Inputs:
        logits: (B, K, H, W) float.
        label: (B, H, W) int32.

    Outputs:
        scalar float32.

    Raises:
        ValueError: if terms and weights differ in number.
    """

    def __init__(self, terms: Sequence[nn.Cell], weights: Sequence[float]) -> None:
        super().__init__()
        if len(terms) != len(weights):
            raise ValueError(f"weights needs {len(terms)} values, one per term; got {list(weights)}")
        self.terms = nn.CellList(list(terms))
        self.weights = tuple(float(weight) for weight in weights)

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the weighted sum over the terms."""
        total = 0.0
        for index, term in enumerate(self.terms):
            total = total + self.weights[index] * term(logits, label)
        return total


def build_loss(config: Any, class_weights: Sequence[float] | None = None) -> SegmentationLoss:
    """Return the loss of a configuration.

    Args:
        config: the complete configuration; `loss`, `dataset.num_classes`, `dataset.ignore_label` and the resizing of `model` are read.
        class_weights: the data set's table; used if `loss.use_weights` is on and `loss.class_weights` is not given.

    Returns:
        A Cell from (outputs, label) to the loss. `loss.terms` and hard example mining are for the main output alone; auxiliary outputs
        have the plain cross entropy, as in NVIDIA's OCRNet with RMI (`LOSS.OCR_AUX_RMI` is off).
    """
    loss = config.loss
    weights = (loss.class_weights or class_weights) if loss.use_weights else None
    terms = [_term(name, config, weights) for name in loss.terms]
    main = terms[0] if list(loss.term_weights) == [1.0] else WeightedTerms(terms, loss.term_weights)
    auxiliary = [CrossEntropy(config.dataset.num_classes, config.dataset.ignore_label, weights) for _ in loss.balance_weights[:-1]]
    model = config.model
    return SegmentationLoss([*auxiliary, main], loss.balance_weights, model.align_corners, model.half_pixel_centers)


def _term(name: str, config: Any, class_weights: Sequence[float] | None) -> nn.Cell:
    loss, classes = config.loss, (config.dataset.num_classes, config.dataset.ignore_label)
    if name == "cross_entropy" and loss.use_ohem:
        return OhemCrossEntropy(*classes, class_weights, threshold=loss.ohem_threshold, keep=loss.ohem_keep)
    if name == "cross_entropy":
        return CrossEntropy(*classes, class_weights)
    if name == "focal":
        return Focal(*classes, class_weights, gamma=loss.focal_gamma)
    regions = {"dice": Dice, "lovasz": LovaszSoftmax, "rmi": RegionMutualInformation}
    return regions[name](*classes)
