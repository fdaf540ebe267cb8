import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.losses.cross_entropy import CrossEntropy, OhemCrossEntropy, PixelLosses

pytestmark = pytest.mark.usefixtures("pynative")


def pixel_losses(logits: np.ndarray, label: np.ndarray, ignore: int) -> tuple[np.ndarray, np.ndarray]:
    """Losses of the counted pixels and their labels, in float64, one row per pixel."""
    rows = logits.astype(np.float64).transpose(0, 2, 3, 1).reshape(-1, logits.shape[1])
    labels = label.reshape(-1)
    rows, labels = rows[labels != ignore], labels[labels != ignore]
    return np.array([math.log(np.exp(row - row[y]).sum()) for row, y in zip(rows, labels, strict=True)]), labels


def cross_entropy(logits: np.ndarray, label: np.ndarray, ignore: int, weights: np.ndarray) -> float:
    losses, labels = pixel_losses(logits, label, ignore)
    return float((weights[labels] * losses).sum() / weights[labels].sum())


def ohem(logits: np.ndarray, label: np.ndarray, ignore: int, weights: np.ndarray, threshold: float, keep: int) -> float:
    losses, labels = pixel_losses(logits, label, ignore)
    probabilities = np.exp(-losses)
    limit = max(np.sort(probabilities)[min(keep, len(losses) - 1)], threshold)
    return float((weights[labels] * losses)[probabilities < limit].mean())


def gradient_of(criterion: nn.Cell, logits: np.ndarray, label: np.ndarray) -> np.ndarray:
    return ms.grad(criterion)(Tensor(logits), Tensor(label)).asnumpy()


def assert_finite_differences(function, logits: np.ndarray, gradient: np.ndarray) -> None:
    step = 1e-5
    for place in np.ndindex(logits.shape):
        around = []
        for sign in (1, -1):
            moved = logits.astype(np.float64)
            moved[place] += sign * step
            around.append(function(moved))
        assert gradient[place] == pytest.approx((around[0] - around[1]) / (2 * step), abs=2e-6)


def sample(ignore: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, classes, (2, 3, 4)).astype(np.int32)
    label[:, 0, :2] = ignore
    return rng.normal(0, 2, (2, classes, 3, 4)).astype(np.float32), label


def test_cross_entropy_by_hand():
    # Probabilities 1/4 and 3/4 of the true class; weights 1 and 3.
    logits = np.log(np.array([[[[1.0, 1.0]], [[3.0, 3.0]]]], np.float32))
    label = np.array([[[0, 1]]], np.int32)
    expected = (math.log(4) + 3 * math.log(4 / 3)) / 4
    assert CrossEntropy(2, 255, [1.0, 3.0])(Tensor(logits), Tensor(label)).asnumpy() == pytest.approx(expected, rel=1e-6)


WEIGHTS = [0.5, 1.0, 2.5]


@pytest.mark.parametrize(("ignore", "weights"), [(255, None), (255, WEIGHTS), (2, WEIGHTS), (3, None), (-1, WEIGHTS), (70000, WEIGHTS)])
def test_cross_entropy_and_its_gradient_equal_the_oracle(mode, ignore, weights):
    logits, label = sample(ignore)
    table = np.array(weights or [1.0, 1.0, 1.0])
    criterion = CrossEntropy(3, ignore, weights)
    assert criterion(Tensor(logits), Tensor(label)).asnumpy() == pytest.approx(cross_entropy(logits, label, ignore, table), rel=1e-6)
    if ignore in (255, 2):
        assert_finite_differences(lambda x: cross_entropy(x, label, ignore, table), logits, gradient_of(criterion, logits, label))


def test_255_is_ignored_beside_19_classes():
    rng = np.random.default_rng(1)
    logits, label = rng.normal(size=(1, 19, 2, 2)).astype(np.float32), np.array([[[255, 18], [0, 255]]], np.int32)
    expected = cross_entropy(logits, label, 255, np.ones(19))
    assert CrossEntropy(19, 255)(Tensor(logits), Tensor(label)).asnumpy() == pytest.approx(expected, rel=1e-6)
    assert (gradient_of(CrossEntropy(19, 255), logits, label)[:, :, label[0] == 255] == 0).all()


@pytest.mark.parametrize("criterion", [CrossEntropy, OhemCrossEntropy])
def test_an_all_ignored_batch_gives_zero_and_zero_gradients(mode, criterion):
    logits, label = sample(255)
    label[:] = 255
    cell = criterion(3, 255, [0.5, 1.0, 2.0])
    assert cell(Tensor(logits), Tensor(label)).asnumpy() == 0
    assert (gradient_of(cell, logits, label) == 0).all()


@pytest.mark.parametrize("criterion", [CrossEntropy, OhemCrossEntropy])
def test_large_logits_stay_finite(criterion):
    logits = np.array([[[[1e4]], [[-1e4]]]], np.float32)
    label = np.array([[[1]]], np.int32)
    if criterion is CrossEntropy:
        assert criterion(2, 255)(Tensor(logits), Tensor(label)).asnumpy() == pytest.approx(2e4)
    assert np.isfinite(gradient_of(criterion(2, 255), logits, label)).all()


def test_float16_logits_are_computed_in_float32():
    logits, label = sample(255)
    half = logits.astype(np.float16)
    loss = CrossEntropy(3, 255)(Tensor(half), Tensor(label))
    assert loss.dtype == ms.float32
    assert loss.asnumpy() == pytest.approx(cross_entropy(half, label, 255, np.ones(3)), rel=1e-6)


def two_classes(probabilities: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """One row of pixels whose true class 0 has these probabilities."""
    p = np.array(probabilities)
    return np.log(np.stack([p, 1 - p])).astype(np.float32)[None, :, None], np.zeros((1, 1, len(probabilities)), np.int32)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (1, [0.2, 0.5, 0.8]),  # the threshold of 0.9 already keeps more
        (3, [0.2, 0.5, 0.8]),  # limit: the probability at index 3, 0.93
        (4, [0.2, 0.5, 0.8, 0.93]),  # limit: 0.95
        (100, [0.2, 0.5, 0.8, 0.93]),  # limit: the last counted pixel
    ],
)
def test_ohem_keeps_hard_pixels_by_hand(keep, kept):
    logits, label = two_classes([0.95, 0.2, 0.93, 0.8, 0.5, 0.01])
    label[0, 0, 5] = 255
    expected = np.mean([-math.log(p) for p in kept])
    assert OhemCrossEntropy(2, 255, threshold=0.9, keep=keep)(Tensor(logits), Tensor(label)).asnumpy() == pytest.approx(expected, rel=1e-5)


def test_ohem_takes_the_plain_mean_of_weighted_losses():
    logits, label = two_classes([0.2, 0.5])
    expected = 3 * (math.log(5) + math.log(2)) / 2
    assert OhemCrossEntropy(2, 255, [3.0, 1.0])(Tensor(logits), Tensor(label)).asnumpy() == pytest.approx(expected, rel=1e-6)


def test_ohem_without_hard_pixels_is_zero():
    logits, label = two_classes([0.95])
    cell = OhemCrossEntropy(2, 255)
    assert cell(Tensor(logits), Tensor(label)).asnumpy() == 0
    assert (gradient_of(cell, logits, label) == 0).all()


# Each compiles anew: one of them shows that GRAPH gives the same.
@pytest.mark.parametrize(
    ("mode", "threshold", "keep"),
    [("GRAPH", 0.3, 12), *(("PYNATIVE", *case) for case in [(0.9, 4), (0.3, 1), (0.3, 12), (0.1, 1000)])],
    indirect=["mode"],
)
def test_ohem_and_its_gradient_equal_the_oracle(mode, threshold, keep):
    logits, label = sample(255)
    weights = np.array([0.5, 1.0, 2.5])
    criterion = OhemCrossEntropy(3, 255, weights.tolist(), threshold, keep)
    expected = ohem(logits, label, 255, weights, threshold, keep)
    assert criterion(Tensor(logits), Tensor(label)).asnumpy() == pytest.approx(expected, rel=1e-5)
    assert_finite_differences(lambda x: ohem(x, label, 255, weights, threshold, keep), logits, gradient_of(criterion, logits, label))


def test_class_weights_of_the_wrong_number_are_refused():
    with pytest.raises(ValueError, match="needs 3 values"):
        PixelLosses(3, 255, [1.0, 2.0])
