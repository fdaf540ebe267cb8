"""Scores near borders: small pictures by hand, the definitions pixel by pixel, and sums that must be those of the confusion matrix."""

import numpy as np
import pytest

from src.metrics.boundary import (
    DISTANCE_LIMITS,
    NUM_BANDS,
    BorderDistanceCounts,
    BoundaryCounts,
    border_bands,
    boundary_width,
    is_near_boundary,
)
from tests.metrics.brute_force import IGNORED, NUM_CLASSES, binned, border_distance, check_sums, near_its_end, random_pair


def counted(kind, *pairs, num_classes=NUM_CLASSES):
    counts = kind(num_classes)
    for label, prediction in pairs:
        counts.add(prediction, label, label == IGNORED)
    return counts


def halves(height, width, left):
    """Return a label whose left columns are of class 0 and whose others are of class 1."""
    label = np.ones((height, width), np.uint8)
    label[:, :left] = 0
    return label


def test_bands_beside_a_straight_border():
    bands = border_bands(halves(3, 60, 30), np.zeros((3, 60), bool))
    by_distance = [0] * 2 + [1] * 3 + [2] * 5 + [3] * 10 + [4] * 10
    assert bands[1].tolist() == by_distance[::-1] + by_distance


def test_iou_in_bands_by_hand():
    label = halves(1, 60, 30)
    prediction = halves(1, 60, 33)  # three columns of class 1 are taken for class 0: two at distance 1-2, one at 3-5
    counts = counted(BorderDistanceCounts, (label, prediction), num_classes=2)
    assert counts.misses[1].tolist() == counts.false_alarms[0].tolist() == [2, 1, 0, 0, 0]
    assert counts.iou()[0].tolist() == pytest.approx([2 / 4, 3 / 4, 1, 1, 1])
    assert counts.mean_iou().tolist() == pytest.approx([(2 / 4 + 0 / 2) / 2, (3 / 4 + 2 / 3) / 2, 1, 1, 1])


def test_beside_ignored_pixels_is_no_border():
    label = halves(5, 40, 20)
    label[:, 18:22] = IGNORED
    assert (border_bands(label, label == IGNORED) == NUM_BANDS - 1).all()
    near = is_near_boundary(label, label == IGNORED, 1)
    assert not near[2, 5:18].any() and not near[2, 22:35].any()


def test_boundary_iou_by_hand():
    # A diagonal of 50 pixels makes boundaries of one pixel. Class 1 is a square of 10 x 10, predicted one column to the right.
    label, prediction = np.zeros((30, 40), np.uint8), np.zeros((30, 40), np.uint8)
    label[10:20, 10:20] = 1
    prediction[10:20, 11:21] = 1
    assert boundary_width((30, 40)) == 1
    counts = counted(BoundaryCounts, (label, prediction), num_classes=2)
    # Rings of 36 pixels; they share 9 pixels of the upper and 9 of the lower side.
    assert (counts.label[1], counts.prediction[1], counts.both[1]) == (36, 36, 18)
    assert counts.iou()[1] == pytest.approx(18 / 54)
    # Of class 0: the edge of the picture, 136 pixels, and a ring of 44 with the corners around each square, of which 22 are shared
    # (the 11 + 11 pixels above and below, of which none is inside either square).
    assert (counts.label[0], counts.prediction[0], counts.both[0]) == (136 + 44, 136 + 44, 136 + 22)


def test_the_width_follows_the_diagonal():
    assert boundary_width((1024, 2048)) == 46  # 2 % of 2289.7
    assert boundary_width((10, 10)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_bands_equal_the_definition(seed):
    label, prediction = random_pair(seed)
    label[:25, 50:] = 1  # somewhere that is far from all borders
    label[30:, 40:] = 2
    ignored = label == IGNORED
    counts = counted(BorderDistanceCounts, (label, prediction))
    distance = border_distance(label, ignored)
    bands = sum(distance > limit for limit in DISTANCE_LIMITS)
    assert np.array_equal(border_bands(label, ignored), bands)
    assert set(np.unique(bands)) >= {0, 1, 2, 3}
    expected = binned(label, prediction, ignored, bands, bands, NUM_BANDS)
    assert np.array_equal([counts.hits, counts.misses, counts.false_alarms], expected)


@pytest.mark.parametrize("seed", range(3))
def test_boundary_iou_equals_the_definition(seed):
    label, prediction = random_pair(seed)
    ignored = label == IGNORED
    counts = counted(BoundaryCounts, (label, prediction))
    width = boundary_width(label.shape)
    assert width == 2
    for value in range(NUM_CLASSES):
        near_label, near_prediction = (near_its_end(classes, ignored, value, width) for classes in (label, prediction))
        assert (counts.label[value], counts.prediction[value]) == (near_label.sum(), near_prediction.sum())
        assert counts.both[value] == (near_label & near_prediction).sum()
        assert counts.iou()[value] == (near_label & near_prediction).sum() / (near_label | near_prediction).sum()
    assert counts.mean_iou() == pytest.approx(counts.iou().mean())


def test_sums_over_bands_are_those_of_the_confusion_matrix():
    pairs = [random_pair(seed, (30 + seed, 50)) for seed in range(5)]
    check_sums(counted(BorderDistanceCounts, *pairs), pairs)


def test_a_picture_of_one_class_has_no_border_but_its_edge():
    label = np.zeros((30, 40), np.uint8)
    assert (border_bands(label, label == IGNORED) == NUM_BANDS - 1).all()
    counts = counted(BoundaryCounts, (label, label))
    assert counts.label.tolist() == [136, 0, 0, 0]
    assert counts.iou() == pytest.approx([1, np.nan, np.nan, np.nan], nan_ok=True)
    assert counts.mean_iou() == 1


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 9), (7, 1)])
def test_pictures_of_one_row_or_column(size_hw):
    label = np.zeros(size_hw, np.uint8)
    assert counted(BoundaryCounts, (label, label)).iou()[0] == 1
    assert counted(BorderDistanceCounts, (label, label)).hits[0, -1] == label.size


def test_nothing_that_counts():
    label = np.full((4, 5), IGNORED, np.uint8)
    counts = counted(BoundaryCounts, (label, np.zeros_like(label)))
    assert counts.label.sum() == counts.prediction.sum() == 0
    assert np.isnan(counts.mean_iou())


def test_256_classes():
    label = np.arange(256, dtype=np.uint8).reshape(16, 16)
    none = np.zeros((16, 16), bool)
    counts = BoundaryCounts(256)
    counts.add(label, label, none)
    assert counts.iou().tolist() == [1.0] * 256
    assert (border_bands(label, none) == 0).all()
