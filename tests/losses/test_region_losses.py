"""Focal, Dice, Lovasz-softmax and RMI against float64 oracles, and what they have in common."""

from collections.abc import Callable
from dataclasses import dataclass

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.losses.dice import Dice
from src.losses.focal import Focal
from src.losses.lovasz import LovaszSoftmax
from src.losses.rmi import RegionMutualInformation
from tests.losses.oracles import dice, focal, lovasz, rmi

pytestmark = pytest.mark.usefixtures("pynative")

WEIGHTS = np.array([0.5, 1.0, 2.5, 4.0])
Oracle = Callable[[np.ndarray, np.ndarray, int], float]


@dataclass(frozen=True)
class Case:
    """A loss of 4 classes, of which 255 or the given label is ignored, and what it should be."""

    build: Callable[[int], nn.Cell]
    oracle: Oracle
    size: tuple[int, int] = (3, 4)
    rounding: float = 1e-5  # of the gradient's largest value
    places: int = 60  # of the gradient to compare


CASES = {
    "focal": Case(lambda ignore: Focal(4, ignore, WEIGHTS.tolist()), lambda *batch: focal(*batch, WEIGHTS, 2.0)),
    "dice": Case(lambda ignore: Dice(4, ignore), dice),
    "lovasz": Case(lambda ignore: LovaszSoftmax(4, ignore), lovasz),
    "rmi": Case(lambda ignore: RegionMutualInformation(4, ignore), rmi, (23, 20), 1e-3, 12),
}
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def sample(case: Case, ignore: int = 255) -> tuple[np.ndarray, np.ndarray]:
    """Random logits, and labels of three classes: the last is absent."""
    rng = np.random.default_rng(0)
    shape = (2, *case.size)
    label = rng.integers(0, 3, shape).astype(np.int32)
    label[:, 0, :2] = ignore
    return rng.normal(0, 2, (2, 4, *case.size)).astype(np.float32), label


def value_and_gradient(step: Callable, logits: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value, gradient = step(Tensor(logits), Tensor(label))
    return value.asnumpy(), gradient.asnumpy()


def slope(function: Callable[[np.ndarray], float], place: np.ndarray, direction: np.ndarray, step: float = 1e-6) -> float:
    return (function(place + step * direction) - function(place - step * direction)) / (2 * step)


@each_case
def test_value_and_gradient_equal_the_oracle_and_are_zero_if_all_is_ignored(mode, case):
    logits, label = sample(case)
    step = ms.value_and_grad(case.build(255))
    value, gradient = value_and_gradient(step, logits, np.full_like(label, 255))
    assert value == 0
    assert (gradient == 0).all()
    value, gradient = value_and_gradient(step, logits, label)
    assert value.dtype == np.float32
    assert value == pytest.approx(case.oracle(logits, label, 255), rel=2e-5)
    rng = np.random.default_rng(1)
    for index in rng.permutation(logits.size)[: case.places]:
        direction = np.zeros(logits.shape)
        direction.flat[index] = 1
        expected = slope(lambda x: case.oracle(x, label, 255), logits.astype(np.float64), direction)
        assert gradient.flat[index] == pytest.approx(expected, abs=case.rounding * np.abs(gradient).max())


@each_case
@pytest.mark.parametrize("ignore", [2, -1, 70000])
def test_any_label_can_be_ignored(case, ignore):
    logits, label = sample(case, ignore)
    value, gradient = value_and_gradient(ms.value_and_grad(case.build(ignore)), logits, label)
    assert value == pytest.approx(case.oracle(logits, label, ignore), rel=2e-5)
    ignored = np.broadcast_to((label == ignore)[:, None], gradient.shape)
    assert (gradient[ignored] == 0).all() and (gradient[~ignored] != 0).any()


@each_case
def test_logits_of_ignored_pixels_do_not_count(case):
    logits, label = sample(case)
    changed = np.where((label == 255)[:, None], 50 * logits, logits)
    cell = case.build(255)
    assert cell(Tensor(changed), Tensor(label)).asnumpy() == cell(Tensor(logits), Tensor(label)).asnumpy()


@each_case
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_certain_predictions_stay_finite(case, size):
    logits, label = sample(case)
    certain = np.where(label[:, None] == np.arange(4).reshape(1, 4, 1, 1), size, -size).astype(np.float32)
    value, gradient = value_and_gradient(ms.value_and_grad(case.build(255)), certain, label)
    assert np.isfinite(value) and np.isfinite(gradient).all()


@each_case
def test_float16_logits_are_computed_in_float32(case):
    logits, label = sample(case)
    half = logits.astype(np.float16)
    loss = case.build(255)(Tensor(half), Tensor(label))
    assert loss.dtype == ms.float32
    assert loss.asnumpy() == pytest.approx(case.oracle(half, label, 255), rel=2e-5)
