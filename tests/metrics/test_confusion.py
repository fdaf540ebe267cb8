"""The confusion matrix and its scores."""

import math
from collections import Counter

import numpy as np
import pytest

import src.metrics.confusion
from src.metrics.confusion import ConfusionMatrix


def counted(prediction, label, num_classes, ignore_label=255):
    confusion = ConfusionMatrix(num_classes, ignore_label)
    confusion.update(np.asarray(prediction, np.uint8), np.asarray(label, np.uint8))
    return confusion


def oracle_iou(prediction, label, num_classes, ignore_label):
    """IoU of each class from sets of pixel positions; None for a class without labels."""
    counts = [position for position, value in enumerate(label.ravel().tolist()) if value != ignore_label]
    ious = []
    for k in range(num_classes):
        labelled = {p for p in counts if label.ravel()[p] == k}
        predicted = {p for p in counts if prediction.ravel()[p] == k}
        ious.append(len(labelled & predicted) / len(labelled | predicted) if labelled else None)
    return ious


def test_rows_are_labels_and_columns_predictions():
    confusion = counted([[0, 1, 1], [2, 2, 0]], [[0, 0, 1], [2, 1, 255]], 3)
    assert confusion.matrix.dtype == np.int64
    assert confusion.matrix.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_hand_computed_scores():
    confusion = ConfusionMatrix(3)
    confusion.merge(np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]))
    scores = confusion.compute()
    assert scores.iou[:2].tolist() == [6 / 9, 3 / 6]
    assert scores.miou == pytest.approx((6 / 9 + 3 / 6) / 2)
    assert scores.accuracy == pytest.approx(9 / 12)
    assert scores.class_accuracy[:2].tolist() == [6 / 8, 3 / 4]
    assert scores.mean_accuracy == pytest.approx((6 / 8 + 3 / 4) / 2)
    assert scores.frequency_weighted_iou == pytest.approx((8 * 6 / 9 + 4 * 3 / 6) / 12)
    assert scores.pixels.tolist() == [8, 4, 0]
    assert scores.predicted.tolist() == [7, 5, 0]


@pytest.mark.parametrize(("num_classes", "ignore_label"), [(2, 255), (19, 255), (150, 0), (256, 255), (5, 3)])
def test_equals_an_oracle_of_sets(num_classes, ignore_label):
    rng = np.random.default_rng(num_classes)
    label = rng.integers(0, num_classes, (13, 17)).astype(np.uint8)
    label[rng.random(label.shape) < 0.2] = ignore_label
    prediction = np.where(rng.random(label.shape) < 0.5, label, rng.integers(0, num_classes, label.shape)).astype(np.uint8)
    prediction[prediction >= num_classes] = 0
    scores = counted(prediction, label, num_classes, ignore_label).compute()
    expected = oracle_iou(prediction, label, num_classes, ignore_label)
    assert [None if math.isnan(value) else value for value in scores.iou] == pytest.approx(expected)
    assert scores.miou == pytest.approx(np.mean([value for value in expected if value is not None]))


def test_matrix_equals_counted_pairs_over_several_updates_and_batches():
    rng = np.random.default_rng(0)
    confusion, pairs = ConfusionMatrix(7), Counter()
    for shape in ((5, 9), (2, 4, 6), (1, 1)):
        label, prediction = rng.integers(0, 7, shape), rng.integers(0, 7, shape)
        confusion.update(prediction, label)
        pairs.update(zip(label.ravel().tolist(), prediction.ravel().tolist(), strict=True))
    assert {(r, c): confusion.matrix[r, c] for r in range(7) for c in range(7) if confusion.matrix[r, c]} == dict(pairs)


def test_counts_stay_exact_over_chunks(monkeypatch):
    monkeypatch.setattr(src.metrics.confusion, "MAX_EXACT_COUNT", 100)
    assert counted(np.zeros((30, 11)), np.ones((30, 11)), 2).matrix.tolist() == [[0, 0], [330, 0]]


def test_count_of_a_full_chunk_is_exact():
    side = 4096  # 2**24 pixels of one pair, the last count that float32 tells from its neighbours
    assert counted(np.zeros((side, side + 1)), np.zeros((side, side + 1)), 1).matrix[0, 0] == side * (side + 1)


def test_a_view_with_strides_is_counted_as_it_looks():
    rng = np.random.default_rng(0)
    wide_label, wide_prediction = rng.integers(0, 4, (2, 6, 20)).astype(np.uint8)
    view = counted(wide_prediction[::2, 3:17:2], wide_label[::2, 3:17:2], 4)
    assert np.array_equal(view.matrix, counted(wide_prediction[::2, 3:17:2].copy(), wide_label[::2, 3:17:2].copy(), 4).matrix)


def test_absent_class_is_left_out_of_the_mean():
    scores = counted([[0, 0, 1, 1]], [[0, 0, 1, 0]], 3).compute()
    assert scores.is_absent.tolist() == [False, False, True]
    assert np.isnan(scores.iou[2])
    assert scores.miou == scores.miou_cityscapes == pytest.approx((2 / 3 + 1 / 2) / 2)


def test_predicted_but_never_labelled_is_absent_here_and_zero_for_cityscapes():
    scores = counted([[0, 0, 2, 1]], [[0, 0, 0, 1]], 3).compute()
    assert np.isnan(scores.iou[2])
    assert scores.predicted.tolist() == [2, 1, 1]
    assert scores.miou == pytest.approx((2 / 3 + 1) / 2)
    assert scores.miou_cityscapes == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_labelled_but_never_predicted_is_zero_and_counts():
    scores = counted([[0, 0]], [[0, 1]], 2).compute()
    assert scores.iou.tolist() == [0.5, 0.0]
    assert scores.miou == 0.25


def test_all_ignored_gives_nan_without_a_warning():
    with np.errstate(all="raise"):
        scores = counted([[0, 1]], [[255, 255]], 2).compute()
    assert math.isnan(scores.miou) and math.isnan(scores.miou_cityscapes) and math.isnan(scores.accuracy)
    assert math.isnan(scores.mean_accuracy) and math.isnan(scores.frequency_weighted_iou)


def test_merge_adds_the_parts():
    rng = np.random.default_rng(0)
    label, prediction = rng.integers(0, 3, (2, 8, 8)).astype(np.uint8)
    parts = counted(prediction[:4], label[:4], 3)
    parts.merge(counted(prediction[4:], label[4:], 3).matrix)
    assert np.array_equal(parts.matrix, counted(prediction, label, 3).matrix)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_label_outside_the_classes_is_refused_and_nothing_counted(dtype):
    confusion = ConfusionMatrix(3)
    with pytest.raises(ValueError, match=r"label holds 3 \(2 pixels\), 34 \(1 pixels\); expected 0..2 and 255"):
        confusion.update(np.zeros((1, 5), dtype), np.array([[0, 3, 34, 3, 255]], dtype))
    assert confusion.matrix.sum() == 0


def test_prediction_outside_the_classes_is_refused_even_where_ignored():
    with pytest.raises(ValueError, match=r"prediction holds 3 \(1 pixels\); expected 0..2$"):
        counted([[0, 3]], [[0, 255]], 3)
    with pytest.raises(ValueError, match=r"prediction holds 255"):
        counted([[0, 255]], [[0, 1]], 3)


@pytest.mark.parametrize("bad", [-1, 256, 256 + 1])
def test_values_that_would_wrap_around_in_uint8_are_refused(bad):
    with pytest.raises(ValueError, match="label holds values"):
        ConfusionMatrix(3).update(np.zeros((1, 2), np.int64), np.array([[0, bad]]))
    with pytest.raises(ValueError, match="prediction holds values"):
        ConfusionMatrix(3).update(np.array([[0, bad]]), np.zeros((1, 2), np.int64))


def test_wrong_shapes_types_and_arguments_are_refused():
    confusion = ConfusionMatrix(3)
    with pytest.raises(ValueError, match=r"\(2, 2\) but label \(2, 3\)"):
        confusion.update(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
    with pytest.raises(ValueError, match="float64; expected integers"):
        confusion.update(np.zeros((2, 2)), np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"shape \(2, 2\), expected \(3, 3\)"):
        confusion.merge(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="num_classes is 257"):
        ConfusionMatrix(257)
    with pytest.raises(ValueError, match="ignore_label is -1"):
        ConfusionMatrix(3, -1)
