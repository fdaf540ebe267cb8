"""IoU by object size: a small picture by hand, the definition pixel by pixel, and sums that must be those of the confusion matrix."""

import numpy as np
import pytest

from src.metrics.object_size import NUM_SIZES, SIZE_LIMITS, ObjectSizeCounts, object_sizes
from tests.metrics.brute_force import IGNORED, NUM_CLASSES, binned, check_sums, object_areas, random_pair


def counted(*pairs, num_classes=NUM_CLASSES):
    counts = ObjectSizeCounts(num_classes)
    for label, prediction in pairs:
        counts.add(prediction, label, label == IGNORED)
    return counts


def test_a_picture_by_hand():
    # 40 x 50 = 2000 pixels: the limits are 1, 10 and 60.
    label = np.zeros((40, 50), np.uint8)
    label[0:4, 0:4] = 1  # 16 pixels, medium; all found
    label[10, 10] = label[11, 11] = 1  # 2 pixels that touch at a corner: one object, small; one of them found
    label[20:24, 20:30] = 1  # 40 pixels, medium; missed
    label[30:38, 30:40] = 1  # 80 pixels, large; found
    prediction = label.copy()
    prediction[11, 11] = 0
    prediction[20:24, 20:30] = 0
    prediction[38, 30:40] = 1  # 10 wrong ones below the large object: with it, one predicted object of 90
    prediction[0:5, 45:50] = 1  # a predicted object of 25 where there is none
    counts = counted((label, prediction), num_classes=2)
    assert counts.hits[1].tolist() == [0, 1, 16, 80]
    assert counts.misses[1].tolist() == [0, 1, 40, 0]
    assert counts.false_alarms[1].tolist() == [0, 0, 25, 10]
    assert counts.num_objects.tolist() == [[0, 0, 0, 1], [0, 1, 2, 1]]
    assert counts.iou()[1] == pytest.approx([np.nan, 1 / 2, 16 / 81, 80 / 90], nan_ok=True)
    # Class 0 is one object of 2000 - 138 pixels: 35 of them are taken for class 1, and 41 of class 1 for it.
    assert counts.iou()[0] == pytest.approx([np.nan, np.nan, np.nan, 1827 / 1903], nan_ok=True)
    assert counts.mean_iou() == pytest.approx([np.nan, 1 / 2, 16 / 81, (80 / 90 + 1827 / 1903) / 2], nan_ok=True)


def test_an_object_ends_at_ignored_pixels():
    label = np.zeros((1, 2000), np.uint8)
    label[0, 9] = IGNORED
    sizes, num_objects = object_sizes(label, label == IGNORED)
    assert sizes[0, [0, 8, 9, 10]].tolist() == [1, 1, 0, 3]  # 9 pixels of 2000 are small; what is ignored is nothing
    assert num_objects.sum() == 2


def test_limits_belong_to_the_larger_size():
    for area, expected in ((9, 1), (10, 2), (59, 2), (60, 3)):
        label = np.zeros((1, 2000), np.uint8)
        label[0, :area] = 1
        assert object_sizes(label, label == IGNORED)[0][0, 0] == expected


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_definition(seed):
    label, prediction = random_pair(seed)
    ignored = label == IGNORED
    counts = counted((label, prediction))
    areas, parts = object_areas(label, ignored)
    predicted_areas, _ = object_areas(prediction, ignored)
    limits = [limit * label.size for limit in SIZE_LIMITS]
    bins = [sum(values >= limit for limit in limits) for values in (areas, predicted_areas)]
    expected = binned(label, prediction, ignored, *bins, NUM_SIZES)
    assert np.array_equal([counts.hits, counts.misses, counts.false_alarms], expected)
    assert (expected.sum(axis=1) > 0).all()  # every size occurs, right, missed and wrong
    objects = np.zeros((NUM_CLASSES, NUM_SIZES), int)
    for value, area in parts:
        objects[value, sum(area >= limit for limit in limits)] += 1
    assert np.array_equal(counts.num_objects, objects)


def test_sums_are_those_of_the_confusion_matrix():
    pairs = [random_pair(seed, (30 + seed, 50)) for seed in range(5)]
    check_sums(counted(*pairs), pairs)


def test_a_class_of_the_ignored_number_is_ignored():
    label = np.array([[0, 1, 1, 2]], np.uint8)
    counts = ObjectSizeCounts(3)
    counts.add(np.array([[0, 1, 2, 2]], np.uint8), label, label == 1)
    assert counts.pixels.sum(axis=1).tolist() == [1, 0, 1]
    assert counts.false_alarms.sum() == 0


def test_nothing_that_counts():
    label = np.full((4, 5), IGNORED, np.uint8)
    counts = counted((label, np.zeros_like(label)))
    assert counts.pixels.sum() == counts.false_alarms.sum() == counts.num_objects.sum() == 0
    assert np.isnan(counts.mean_iou()).all()
