"""Focal, Dice, Lovasz-softmax and RMI on pictures of a few pixels."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from src.losses.cross_entropy import CrossEntropy
from src.losses.dice import Dice
from src.losses.focal import Focal
from src.losses.lovasz import LovaszSoftmax
from src.losses.rmi import FLOOR, MIN_SIZE, RegionMutualInformation, _log_det_of_rest

pytestmark = pytest.mark.usefixtures("pynative")


def row(of_first_class: list[float], labels: list[int]) -> tuple[Tensor, Tensor]:
    """One row of pixels of two classes, by their probability of class 0."""
    p = np.array(of_first_class)
    return Tensor(np.log(np.stack([p, 1 - p])).astype(np.float32)[None, :, None]), Tensor(np.array(labels, np.int32)[None, None])


def test_focal_by_hand():
    # True classes at 1/2 and 3/4; (1/2)^2 log 2 and (1/4)^2 log(4/3), weighted 1 and 3.
    expected = (math.log(2) / 4 + 3 * math.log(4 / 3) / 16) / 4
    assert Focal(2, 255, [1.0, 3.0])(*row([0.5, 0.25], [0, 1])).asnumpy() == pytest.approx(expected, rel=1e-5)


def test_focal_without_discount_is_cross_entropy():
    batch = row([0.5, 0.25, 0.9], [0, 1, 1])
    assert Focal(2, 255, [1.0, 3.0], gamma=0.0)(*batch).asnumpy() == CrossEntropy(2, 255, [1.0, 3.0])(*batch).asnumpy()


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_a_gradient_of_zero_where_all_is_right(gamma):
    logits = Tensor(np.array([[[[100.0]], [[-100.0]]]], np.float32))
    assert (ms.grad(Focal(2, 255, gamma=gamma))(logits, Tensor([[[0]]], ms.int32)).asnumpy() == 0).all()


def test_dice_by_hand():
    # Class 0: 2 * 0.5 / (0.5^2 + 0.25^2 + 1); class 1: 2 * 0.75 / (0.5^2 + 0.75^2 + 1). The third pixel does not count.
    expected = 1 - (1 / 1.3125 + 1.5 / 1.8125) / 2
    assert Dice(2, 255)(*row([0.5, 0.25, 0.9], [0, 1, 255])).asnumpy() == pytest.approx(expected, rel=1e-6)


def test_dice_leaves_out_absent_classes():
    assert Dice(2, 255)(*row([0.5, 0.25], [0, 0])).asnumpy() == pytest.approx(1 - 1.5 / (0.3125 + 2), rel=1e-6)


def test_lovasz_by_hand():
    # Errors of class 0: 0.3 (of the class), 0.6 (not of it). Wrong in the second alone 1 - IoU is 1/2, in both 1: 0.6 / 2 + 0.3 / 2.
    # Class 1 has the same errors, of which 0.6 is of the class: alone 1, in both 1: 0.6. The third pixel does not count.
    expected = (0.45 + 0.6) / 2
    assert LovaszSoftmax(2, 255)(*row([0.7, 0.6, 0.01], [0, 1, 255])).asnumpy() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("labels", "expected"), [([0, 0, 1, 1], 1 - (2 / 3 + 1 / 2) / 2), ([0, 0, 0, 1], 0)])
def test_lovasz_of_certain_predictions_is_one_minus_the_mean_iou(labels, expected):
    sure = 1 - 1e-7
    assert LovaszSoftmax(2, 255)(*row([sure, sure, sure, 1 - sure], labels)).asnumpy() == pytest.approx(expected, abs=1e-6)


def test_lovasz_counts_a_million_pixels():
    # All errors are 1/2 or just below: the Lovasz extension of equal errors is that error, whatever their order.
    shape = (1, 1, 1000, 1200)
    label = (np.arange(shape[2] * shape[3]) % 3 == 0).astype(np.int32).reshape(1, *shape[2:])
    logits = np.zeros((1, 2, *shape[2:]), np.float32)
    assert LovaszSoftmax(2, 255)(Tensor(logits), Tensor(label)).asnumpy() == pytest.approx(0.5, rel=1e-5)


def test_log_determinant_of_what_is_left():
    # Known 3, wanted 5, together 2: 5 - 4/3 is left. Of two independent ones all is left.
    one = np.array([[3.0, 2.0], [2.0, 5.0]]) - FLOOR * np.eye(2)
    two = np.diag([3.0, 2.0, 5.0, 7.0])
    for matrix, left in ((one, 5 - 4 / 3), (two, 35 / FLOOR)):
        assert _log_det_of_rest(Tensor(matrix[None, None], ms.float32)).asnumpy() == pytest.approx(math.log(left / FLOOR), rel=1e-5)


def blob(height: int = 30, width: int = 36) -> tuple[np.ndarray, np.ndarray]:
    """A round region, and logits that show it moved by a pixel."""
    y, x = np.mgrid[:height, :width]
    inside = (y - 14) ** 2 + (x - 17) ** 2 < 80
    moved = np.where(np.roll(inside, 1, axis=1), 3.0, -3.0)
    return np.stack([-moved, moved])[None].astype(np.float32), inside[None].astype(np.int32)


def test_rmi_falls_as_the_prediction_nears_the_labels():
    logits, label = blob()
    at_place = np.where(label == 1, 20.0, -20.0)
    exact = np.stack([-at_place, at_place], 1).astype(np.float32)
    cell = RegionMutualInformation(2, 255)
    near, far, none = (float(cell(Tensor(x), Tensor(label)).asnumpy()) for x in (exact, logits, 0 * logits))
    assert 0 <= near <= 2 * math.log(2) / 2 + 1e-3
    assert near + 0.5 < far < none - 0.5


def test_rmi_of_a_single_square_knows_nothing():
    logits = np.ones((1, 2, MIN_SIZE, MIN_SIZE), np.float32)
    label = np.eye(MIN_SIZE, dtype=np.int32)[None]
    assert RegionMutualInformation(2, 255)(Tensor(logits), Tensor(label)).asnumpy() == 0
    with pytest.raises(ValueError, match="pictures of 7 pixels or more"):
        RegionMutualInformation(2, 255)(Tensor(logits[:, :, 1:]), Tensor(label[:, 1:]))
