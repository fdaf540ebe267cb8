"""Each rule against its definition in numpy, and its gradient against the transpose of a linear map."""

from collections.abc import Callable

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.models.conventions import Conventions
from src.models.resizing import NearestResize, Resize, StepwiseResize, fuse_resize

SIZES = (((3, 5), (7, 9)), ((8, 6), (3, 4)), ((4, 4), (4, 4)), ((1, 3), (5, 2)), ((5, 7), (1, 1)))


def source_positions(before: int, after: int, rule: str) -> np.ndarray:
    """Return where each new pixel lies in the old row."""
    if rule == "corners":
        return np.arange(after) * ((before - 1) / (after - 1) if after > 1 else 0.0)
    if rule == "centres":
        return np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, None)
    return np.arange(after) * before / after  # "upper left"


def linear_axis(x: np.ndarray, size: int, axis: int, rule: str) -> np.ndarray:
    length = x.shape[axis]
    source = source_positions(length, size, rule)
    low = np.clip(np.floor(source).astype(int), 0, length - 1)
    high = np.minimum(low + 1, length - 1)
    shape = [1] * x.ndim
    shape[axis] = size
    part = np.clip(source - low, 0, 1).reshape(shape)
    return np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part


def linear(x: np.ndarray, size_hw: tuple[int, int], rule: str) -> np.ndarray:
    return linear_axis(linear_axis(x, size_hw[0], 2, rule), size_hw[1], 3, rule)


def stepwise(x: np.ndarray, size_hw: tuple[int, int], factor: int) -> np.ndarray:
    return linear(linear(x, (x.shape[2] * factor, x.shape[3] * factor), "centres"), size_hw, "centres")


def nearest(x: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    rows, columns = (np.arange(after) * before // after for before, after in zip(x.shape[2:], size_hw, strict=True))
    return x[:, :, rows][:, :, :, columns]


RULES: dict[str, tuple[Callable[[], nn.Cell], Callable[[np.ndarray, tuple[int, int]], np.ndarray]]] = {
    "corners": (lambda: Resize(True), lambda x, size_hw: linear(x, size_hw, "corners")),
    "centres": (lambda: Resize(False), lambda x, size_hw: linear(x, size_hw, "centres")),
    "upper left": (lambda: Resize(False, False), lambda x, size_hw: linear(x, size_hw, "upper left")),
    "stepwise by 2": (lambda: StepwiseResize(1), lambda x, size_hw: stepwise(x, size_hw, 2)),
    "stepwise by 4": (lambda: StepwiseResize(2), lambda x, size_hw: stepwise(x, size_hw, 4)),
    "nearest": (NearestResize, nearest),
}


def of_size(*size_hw: int) -> Tensor:
    return Tensor(np.zeros((1, 1, *size_hw), np.float32))


@pytest.mark.parametrize("rule", RULES)
def test_values_equal_the_definition_up_and_down_at_changing_sizes(mode, rule):
    build, definition = RULES[rule]
    resize = build()
    resize.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32), Tensor(shape=[1, 1, None, None], dtype=ms.float32))
    rng = np.random.default_rng(0)
    for before, after in SIZES:
        x = rng.normal(size=(2, 3, *before)).astype(np.float32)
        np.testing.assert_allclose(resize(Tensor(x), of_size(*after)).asnumpy(), definition(x, after), atol=1e-5)


@pytest.mark.parametrize("rule", RULES)
def test_the_gradient_is_the_transposed_map(mode, rule):
    build, definition = RULES[rule]
    resize = build()
    rng = np.random.default_rng(0)
    x, other = rng.normal(size=(2, 2, 3, 4, 5)).astype(np.float32)
    weight = rng.normal(size=(2, 3, 7, 9)).astype(np.float32)

    def weighted_sum(x):
        return (resize(x, Tensor(weight)) * Tensor(weight)).sum()

    gradient = ms.grad(weighted_sum)(Tensor(x)).asnumpy()
    np.testing.assert_allclose((gradient * other).sum(), (definition(other, (7, 9)) * weight).sum(), rtol=1e-4)


def test_a_ramp_by_hand():
    ramp = Tensor(np.array([[[[0.0, 3.0]]]], np.float32))
    expected = {
        "corners": [0, 1, 2, 3],
        "centres": [0, 0.75, 2.25, 3],
        "upper left": [0, 1.5, 3, 3],
        "stepwise by 2": [0, 0.75, 2.25, 3],
        "nearest": [0, 0, 3, 3],
    }
    for rule, values in expected.items():
        np.testing.assert_allclose(RULES[rule][0]()(ramp, of_size(1, 4)).asnumpy().ravel(), values, atol=1e-6, err_msg=rule)


def test_stepwise_differs_from_one_step_on_odd_sizes_alone():
    x = Tensor(np.random.default_rng(0).normal(size=(1, 1, 3, 4)).astype(np.float32))
    one_step, stepwise = Resize(False), StepwiseResize(1)
    np.testing.assert_array_equal(stepwise(x, of_size(6, 8)).asnumpy(), one_step(x, of_size(6, 8)).asnumpy())
    assert np.abs(stepwise(x, of_size(5, 7)).asnumpy() - one_step(x, of_size(5, 7)).asnumpy()).max() > 0.01


def test_conventions_choose_the_rule_of_a_fuse_layer():
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype(np.float32)
    chosen = {
        Conventions(): linear(x, (9, 13), "corners"),
        Conventions(align_corners=False): linear(x, (9, 13), "centres"),
        Conventions(align_corners=False, half_pixel_centers=False): linear(x, (9, 13), "upper left"),
        Conventions(fuse_resize="stepwise"): stepwise(x, (9, 13), 4),  # whatever align_corners is, as in mmseg
        Conventions(fuse_resize="nearest"): nearest(x, (9, 13)),
    }
    for conventions, expected in chosen.items():
        y = fuse_resize(conventions, doublings=2)(Tensor(x), of_size(9, 13))
        np.testing.assert_allclose(y.asnumpy(), expected, atol=1e-5, err_msg=str(conventions))
