"""The observer: the evaluation's numbers stay, its sums agree with theirs, its memory is bounded, its time is taken."""

import json
import tracemalloc

import cv2
import numpy as np
import pytest

from src.config import load_config
from src.data.registry import dataset_info
from src.engine.evaluator import evaluate
from src.report.collector import Collector
from src.report.drawing import MAX_WIDTH, STRIPES, WRONG, draw_pictures, error_map
from src.report.stopwatch import PREDICTING, READING, REPORTING, Stopwatch, TimedPredictor
from tests.report.evaluated import IGNORED, RedChannelPredictor, evaluated, info_of, samples


def test_the_numbers_are_those_without_a_report(tmp_path):
    contents = []
    for observer in (None, Collector(info_of(3), IGNORED)):
        evaluate(RedChannelPredictor(), samples(4, 3), info=info_of(3), ignore_label=IGNORED, output_dir=tmp_path, observer=observer)
        content = json.loads((tmp_path / "eval.json").read_text())
        del content["seconds"]
        contents.append(content)
    assert contents[0] == contents[1]


def test_sums_are_those_of_the_evaluation():
    result, collector = evaluated()
    right = np.diag(result.matrix)
    for counts in (collector.object_size, collector.distance):
        assert np.array_equal(counts.hits.sum(axis=1), right)
        assert np.array_equal(counts.pixels.sum(axis=1), result.scores.pixels)
        assert np.array_equal(counts.hits.sum(axis=1) + counts.false_alarms.sum(axis=1), result.scores.predicted)
    assert (collector.boundary.both <= right).all()
    assert collector.gallery.num_pictures == result.images == 5


def test_worst_and_best_are_what_was_made_so():
    _, collector = evaluated(count=30)
    assert [panel.score.name for panel in collector.gallery.best()][:2] == ["picture <0>", "picture <1>"]
    assert collector.gallery.worst()[0].score.name in {"picture <28>", "picture <29>"}
    assert len(collector.gallery.worst()) == len(collector.gallery.best()) == 12


def test_memory_does_not_grow_with_the_number_of_pictures():
    def peak(count):
        tracemalloc.start()
        try:
            _, collector = evaluated(count)
            assert collector.gallery.num_pictures == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    few, many = peak(30), peak(120)
    assert many < few + 60 * 90 * 4  # one picture and its label


def test_sizes_of_pictures():
    collector = Collector(info_of(3), IGNORED)
    for size_hw in ((40, 60), (90, 30), (20, 30)):
        sample = next(samples(1, 3, size_hw))
        collector.observe(sample, sample.image[..., 0])
    assert collector.sizes_hw == [(20, 30), (90, 30)]


def test_time_by_a_clock_by_hand():
    now = iter(range(100))
    stopwatch = Stopwatch(lambda: float(next(now)))
    pictures = list(stopwatch.samples(samples(2, 3)))  # a second for each picture and for the end
    predictor = TimedPredictor(RedChannelPredictor(), stopwatch)
    for sample in pictures:
        predictor.predict([sample.image])
    with stopwatch.measure(REPORTING):
        next(now)
    assert stopwatch.seconds == {READING: 3, PREDICTING: 2, REPORTING: 2}
    assert (stopwatch.first_seconds, stopwatch.first_pictures) == (1, 1)
    assert predictor.protocol == RedChannelPredictor.protocol


def test_the_colour_of_errors_is_no_class_of_cityscapes():
    colors = np.concatenate([[WRONG], dataset_info(load_config("hrnetv2_w48", {}, [])).palette]).astype(np.float32) / 255
    lab = cv2.cvtColor(colors[None], cv2.COLOR_RGB2Lab)[0]
    assert np.linalg.norm(lab[1:] - lab[0], axis=1).min() > 35  # CIE 1976; a just noticeable difference is 2.3


def test_error_map():
    picture = np.full((20, 20, 3), (10, 200, 90), np.uint8)
    wrong, ignored = np.zeros((20, 20), np.float32), np.zeros((20, 20), bool)
    wrong[0, :2], wrong[1, 0], ignored[10:] = 1, 0.5, True
    drawn = error_map(picture, wrong, ignored)
    assert drawn[0, :2].tolist() == [list(WRONG)] * 2
    right = drawn[5, 5]
    assert right[0] == right[1] == right[2]
    assert drawn[1, 0].astype(int) == pytest.approx((np.array(WRONG) + right) / 2, abs=1)
    assert {tuple(color) for color in drawn[10:].reshape(-1, 3).tolist()} == set(STRIPES)


def test_pictures_are_drawn_small_and_show_thin_errors():
    label = np.zeros((300, 3 * MAX_WIDTH), np.uint8)
    prediction = label.copy()
    prediction[151] = 1  # one row of 300, of which nearest neighbours would take those that 3 divides
    image = np.full((*label.shape, 3), 120, np.uint8)
    sample = next(samples(1, 3))
    sample = type(sample)(0, "wide", image, label)
    drawn = [
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in draw_pictures(sample, prediction, label > 9, info_of(3))
    ]
    assert [picture.shape for picture in drawn] == [(100, MAX_WIDTH, 3)] * 3
    _, green, red = drawn[2][50].mean(axis=0)
    assert red > green + 20 and abs(int(drawn[2][20, 20, 2]) - int(drawn[2][20, 20, 0])) < 5
