"""Loss and every gradient in training mode against torch in float64, for every kind of loss."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from src.engine.train_step import NetworkWithLoss
from tests.parity.converted import largest_difference, mindspore_names
from tests.parity.references.official_loss import OfficialLoss
from tests.parity.references.official_torch import OfficialOCRNet
from tests.parity.training import WITHOUT_GRADIENT, Batch, batches, trained, twins

CLASS_WEIGHTS = [0.8, 1.3, 0.5, 2.0, 1.1]
LOSSES = {
    "plain": OfficialLoss(),
    "weights": OfficialLoss(class_weights=CLASS_WEIGHTS),
    "ohem": OfficialLoss(ohem_keep=100, ohem_threshold=0.6),  # more pixels than that are hard: the threshold decides
    "ohem_keep": OfficialLoss(ohem_keep=15000, ohem_threshold=0.1),  # fewer are: their number decides
    "ohem_weights": OfficialLoss(class_weights=CLASS_WEIGHTS, ohem_keep=100, ohem_threshold=0.6),
}

ROUNDING = 1e-4  # that is left of a gradient of 0, as a part of the largest gradient of the same convolution's weight


def words(loss: OfficialLoss) -> tuple[str, ...]:
    weights = "null" if loss.class_weights is None else str(list(loss.class_weights)).replace(" ", "")
    return (
        f"loss.use_weights={loss.class_weights is not None}",
        f"loss.class_weights={weights}",
        f"loss.use_ohem={loss.ohem_keep > 0}",
        f"loss.ohem_keep={loss.ohem_keep or 1}",
        f"loss.ohem_threshold={loss.ohem_threshold}",
    )


class Compared:
    """The loss and gradients of one batch, ours beside torch's."""

    def __init__(self, model: OfficialOCRNet, official_loss: OfficialLoss, ours: NetworkWithLoss, batch: Batch) -> None:
        image, label = batch.of_torch()
        model.zero_grad()
        loss = official_loss(model(image), label)
        loss.backward()
        names = mindspore_names(model)
        self.expected = {names[name]: parameter.grad.numpy().copy() for name, parameter in model.named_parameters()}

        parameters = ours.trainable_params()
        value, gradients = ms.value_and_grad(ours, None, parameters)(*batch.of_mindspore())
        self.actual = {parameter.name: gradient.asnumpy() for parameter, gradient in zip(parameters, gradients, strict=True)}
        self.loss_difference = abs(float(value.asnumpy()) / loss.item() - 1)

    def gradient_differences(self) -> dict[str, float]:
        """Return each gradient's largest difference as a part of its largest value."""
        assert self.actual.keys() == self.expected.keys()
        return {name: largest_difference(self.actual[name], self.expected[name]) for name in self.expected if name not in WITHOUT_GRADIENT}

    def check_zeros(self) -> None:
        """Demand that gradients that are 0 in theory are nothing but rounding, on both sides."""
        for name in WITHOUT_GRADIENT:
            limit = ROUNDING * np.abs(self.expected[name.replace("bias", "weight")]).max()
            assert np.abs(self.actual[name]).max() <= limit
            assert np.abs(self.expected[name]).max() <= limit


@pytest.mark.parametrize(
    ("network_name", "loss_name"),
    [*(("tiny", name) for name in LOSSES), pytest.param("w18_small", "ohem_weights", marks=pytest.mark.slow)],
)
def test_loss_and_gradients(
    network_name: str, loss_name: str, tmp_path: Path, pynative: None, record_property: Callable[[str, object], None]
) -> None:
    model, network, loss, _ = twins(trained(network_name), tmp_path, *words(LOSSES[loss_name]))
    ours = NetworkWithLoss(network, loss)
    compared = [Compared(model, LOSSES[loss_name], ours, batch) for batch in islice(batches(4), 2)]
    # A ReLU whose input lies within rounding of 0 has two right gradients, which shows in few parameters of few batches; what is wrong
    # shows in every batch. So a gradient must agree in one of two.
    first, second = (one.gradient_differences() for one in compared)
    differences = {name: min(first[name], second[name]) for name in first}

    record_property("loss_difference", f"{max(one.loss_difference for one in compared):.1e}")
    record_property("gradient_difference", f"{max(differences.values()):.1e}")
    assert all(one.loss_difference <= 1e-5 for one in compared)
    assert {name: value for name, value in differences.items() if value > 1e-3} == {}
    for one in compared:
        one.check_zeros()
