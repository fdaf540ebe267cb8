"""Evaluation with a predictor that reads the answer from the picture."""

import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

import src.engine.evaluator
from src.config.errors import UserError
from src.data.basedataset import DatasetInfo
from src.data.loader import EvalSample
from src.engine.evaluator import evaluate, format_table
from src.metrics.confusion import ConfusionMatrix

INFO = DatasetInfo("toy", ("road", "a long name", "sky"), np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)], np.uint8))


class RedChannelPredictor:
    """The class of a pixel is its red value."""

    num_classes = 3
    protocol = {"flip": False, "scales": [1.0]}

    def __init__(self):
        self.batches = []

    def predict(self, images):
        self.batches.append([image.shape[:2] for image in images])
        return np.stack([image[..., 0] for image in images])


def sample_of(index, prediction, label):
    image = np.repeat(np.asarray(prediction, np.uint8)[..., None], 3, axis=2)
    return EvalSample(index, f"picture_{index}", image, np.asarray(label, np.uint8))


def random_samples(count, size_hw=(6, 8), num_labelled=3):
    rng = np.random.default_rng(0)
    for index in range(count):
        label = rng.integers(0, num_labelled, size_hw)
        label[rng.random(size_hw) < 0.1] = 255
        yield sample_of(index, rng.integers(0, 3, size_hw), label)


def run(samples, predictor=None, **options):
    return evaluate(predictor or RedChannelPredictor(), samples, info=INFO, ignore_label=255, **options)


def test_hand_computed_result():
    result = run([sample_of(0, [[0, 0, 1]], [[0, 1, 1]]), sample_of(1, [[1, 1]], [[1, 255]])])
    assert result.matrix.tolist() == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert result.scores.miou == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert result.images == 2
    assert result.seconds > 0
    assert result.protocol == {"flip": False, "scales": [1.0], "batch_size": 1, "ignore_label": 255}


def test_neighbours_of_equal_size_are_predicted_at_once_and_nothing_else_changes():
    def samples():
        sizes = [(4, 5), (4, 5), (4, 5), (5, 4), (4, 5), (4, 5)]
        return [next(random_samples(1, size)) for size in sizes]

    predictor = RedChannelPredictor()
    batched = run(samples(), predictor, batch_size=2)
    assert predictor.batches == [[(4, 5)] * 2, [(4, 5)], [(5, 4)], [(4, 5)] * 2]
    assert np.array_equal(batched.matrix, run(samples()).matrix)
    assert batched.images == 6


def test_seconds_are_without_the_observers_own(monkeypatch):
    now = [0.0]

    def spend(seconds):
        now[0] += seconds

    class Slow(RedChannelPredictor):
        def attach(self, samples, predictor):
            return samples, predictor

        def observe(self, sample, prediction):
            spend(100.0)

        def predict(self, images):
            spend(1.0)
            return super().predict(images)

    monkeypatch.setattr(src.engine.evaluator.time, "perf_counter", lambda: now[0])
    slow = Slow()
    assert run(random_samples(3), slow, observer=slow).seconds == 3.0


def test_progress_is_told_after_each_batch():
    told = []
    run(random_samples(5), batch_size=2, progress=told.append)
    assert told == [2, 2, 1]


def test_ranks_sum_pictures_and_matrix(tmp_path):
    samples = list(random_samples(7))
    sent = []
    run(samples[1::2], sum_matrix=lambda array: sent.append(array.copy()) or array, is_main=False)
    assert all(array.dtype == np.int64 for array in sent)
    from_other_rank = iter(sent)
    total = run(samples[0::2], sum_matrix=lambda array: array + next(from_other_rank), output_dir=tmp_path)
    alone = run(samples)
    assert np.array_equal(total.matrix, alone.matrix)
    assert total.images == alone.images == 7
    assert json.loads((tmp_path / "eval.json").read_text())["images"] == 7


def test_a_rank_without_pictures_still_takes_part():
    calls = []

    def sum_with_other_rank(array):
        calls.append(array.shape)
        return array + 1

    assert run([], sum_matrix=sum_with_other_rank, is_main=False).images == 1
    assert calls == [(3, 3), (1,)]


def test_only_the_main_rank_writes(tmp_path):
    run(random_samples(2), output_dir=tmp_path, overlays=2, is_main=False)
    assert list(tmp_path.iterdir()) == []


def test_files(tmp_path):
    result = run(random_samples(5, num_labelled=2), batch_size=2, output_dir=tmp_path, overlays=3)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["eval.json", "eval/confusion.png", "eval/picture_0.png", "eval/picture_1.png", "eval/picture_2.png"]
    assert all(Image.open(tmp_path / name).size[0] > 200 for name in files[1:])
    content = json.loads((tmp_path / "eval.json").read_text())
    assert content["miou"] == result.scores.miou
    assert content["iou"] == {"road": result.scores.iou[0], "a long name": result.scores.iou[1], "sky": None}
    assert content["pixels"] == dict(zip(INFO.class_names, result.scores.pixels.tolist(), strict=True))
    assert content["predicted_pixels"]["sky"] > 0
    assert content["miou_cityscapes"] == pytest.approx(sum(result.scores.iou[:2]) / 3)
    assert (content["accuracy"], content["images"]) == (result.scores.accuracy, 5)
    assert content["protocol"] == {"flip": False, "scales": [1.0], "batch_size": 2, "ignore_label": 255}
    assert content["seconds"] == pytest.approx(result.seconds, abs=1e-3)


def test_the_cityscapes_mean_is_written_only_where_it_differs(tmp_path):
    run(random_samples(3), output_dir=tmp_path)
    assert "miou_cityscapes" not in json.loads((tmp_path / "eval.json").read_text())


def test_nothing_counted_is_written_as_null(tmp_path):
    run([sample_of(0, [[0, 1]], [[255, 255]])], output_dir=tmp_path)
    content = json.loads((tmp_path / "eval.json").read_text())
    assert content["miou"] is None and content["accuracy"] is None


def test_an_evaluation_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "eval.json").write_text("old")
    monkeypatch.setattr(src.engine.evaluator.json, "dumps", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(random_samples(1), output_dir=tmp_path)
    assert (tmp_path / "eval.json").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["eval", "eval.json"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "eval").write_text("a file in the way")
    with pytest.raises(UserError, match="eval: cannot be made"):
        run(random_samples(1), output_dir=tmp_path, overlays=1)


def test_no_pictures():
    with pytest.raises(UserError, match="no pictures to evaluate; check eval.eval_list"):
        run([])


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (sample_of(0, [[0, 1]], [[0, 7]]), r"picture_0: label holds 7 \(1 pixels\)"),
        (sample_of(0, [[0, 1]], [[0, 1, 2]]), r"picture_0: prediction has shape \(1, 2\) but label \(1, 3\)"),
        (EvalSample(0, "picture_0", np.zeros((1, 2, 3), np.uint8), None), "picture_0: evaluation needs a label"),
    ],
)
def test_a_sample_that_does_not_fit_is_named(sample, message):
    with pytest.raises(UserError, match=message):
        run([sample])


def test_table_marks_the_absent_and_keeps_the_lines_that_people_grep_for():
    lines = format_table(run([sample_of(0, [[0, 0, 0, 1, 2]], [[0, 0, 1, 1, 255]])])).splitlines()
    assert lines[0].split() == ["class", "IoU", "accuracy", "pixels", "predicted"]
    assert lines[1].split() == ["road", "0.6667", "1.0000", "2", "3"]
    assert lines[2].split() == ["a", "long", "name", "0.5000", "0.5000", "2", "1"]
    assert lines[3].split() == ["sky", "absent", "-", "0", "0"]
    assert len({len(line) for line in lines[:4]}) == 1
    assert lines[-4:] == ["=========== Validation Result ===========", "===> mIoU: 0.5833", "===> IoU array:", "[0.6667 0.5       nan]"]
    assert "cityscapesScripts" not in "\n".join(lines)


def test_table_tells_of_pixels_predicted_as_absent_classes():
    table = format_table(run([sample_of(0, [[0, 0, 2]], [[0, 0, 0]])]))
    assert "1 pixels predicted as absent classes; cityscapesScripts counts those classes as 0: 0.3333" in table
    assert "===> mIoU: 0.6667" in table


def test_the_array_of_many_classes_is_printed_whole():
    names = tuple(f"class {k}" for k in range(150))
    info = DatasetInfo("many", names, np.zeros((150, 3), np.uint8))
    label = np.arange(150).reshape(1, 150)
    result = evaluate(RedChannelPredictor(), [sample_of(0, label, label)], info=info, ignore_label=255)
    array = format_table(result).split("===> IoU array:\n")[1]
    assert array.count("1.") == 150 and "..." not in array


def test_memory_does_not_grow_with_the_number_of_pictures():
    def peak(count):
        tracemalloc.start()
        try:
            run(random_samples(count, (150, 200)), batch_size=2)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(2)
    few, many = peak(5), peak(50)
    picture_bytes = 150 * 200 * 4  # picture and label
    assert many < few + picture_bytes


def test_the_matrix_is_the_confusion_matrix_of_all_pictures():
    confusion = ConfusionMatrix(3)
    for sample in random_samples(9):
        confusion.update(sample.image[..., 0], sample.label)
    assert np.array_equal(run(random_samples(9), batch_size=4).matrix, confusion.matrix)
