"""Scoring result folders: hand-computed counts from labels and logits of every kind, and what is refused."""

import json

import numpy as np
import pytest
from PIL import Image

from src.config.errors import UserError
from src.data.loader import EvalSample
from src.deploy.manifest import InputSpec
from src.deploy.result_folder import ResizeRule, read_results, score
from src.deploy.sample_folder import open_folder, read_index, write_samples

CORNERS = ResizeRule(align_corners=True, half_pixel_centers=False)
LABELS = {"a": [[0, 0, 1, 2], [255, 1, 1, 2]], "b": [[1, 1, 1]]}
PREDICTED = {"a": [[0, 1, 1, 2], [2, 1, 1, 2]], "b": [[1, 1, 0]]}
# Rows are labels: of class 0 one of two is right, of class 1 five of six, of class 2 both.
MATRIX = [[1, 1, 0], [1, 5, 0], [0, 0, 2]]
# Two classes at stride 4 of a 4x8 input; the first has 0 and 3 in each row, the second a constant.
LOGITS = np.array([[[0, 3]], [[0.9, 0.9]]], np.float32), np.array([[[0, 3]], [[2.1, 2.1]]], np.float32)


def array(rows):
    return np.array(rows, np.uint8)


@pytest.fixture
def index(tmp_path):
    return write_labels(tmp_path / "labelled", {name: array(rows) for name, rows in LABELS.items()}, ("x", "y", "z"))


def write_labels(folder, labels, class_names, input_hw=(4, 8)):
    open_folder(folder)
    samples = (EvalSample(0, name, np.zeros((*label.shape, 3), np.uint8), label) for name, label in labels.items())
    write_samples(folder, samples, InputSpec((1, 3, *input_hw), "uint8", "RGB", (0, 0, 0), (1, 1, 1)), class_names, 255)
    return read_index(folder)


def write_results(folder, arrays, suffix=".bin"):
    folder.mkdir()
    for name, values in arrays.items():
        (folder / f"{name}{suffix}").write_bytes(np.ascontiguousarray(values).tobytes())
    return folder


def result_json(folder, sizes_hw, **changes):
    content = {
        "format": 1,
        "model": {"file": "m.mindir", "sha256": "0"},
        "output": {"kind": "labels", "dtype": "uint8", "align_corners": True, "half_pixel_centers": False},
        "num_classes": 3,
        "samples": [{"name": n, "file": f"{n}.bin", "height": h, "width": w} for n, (h, w) in sizes_hw.items()],
        "skipped": [],
        **changes,
    }
    (folder / "result.json").write_text(json.dumps(content))


SIZES = {"a": (2, 4), "b": (1, 3)}


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_labels_by_name_without_a_result_json(dtype, index, tmp_path):
    folder = write_results(tmp_path / "results", {name: array(rows).astype(dtype) for name, rows in PREDICTED.items()}, "_0.bin")
    assert score(read_results(folder, index, CORNERS), index).matrix.tolist() == MATRIX


def test_labels_with_a_result_json_and_progress(index, tmp_path):
    folder = write_results(tmp_path / "results", {name: array(rows) for name, rows in PREDICTED.items()})
    result_json(folder, SIZES)
    calls = []
    assert score(read_results(folder, index, CORNERS), index, calls.append).matrix.tolist() == MATRIX
    assert calls == [1, 1]


def test_palette_masks(index, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    for name, rows in PREDICTED.items():
        mask = Image.fromarray(array(rows), mode="P")
        mask.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0])
        mask.save(folder / f"{name}.png")
    result_json(folder, SIZES, samples=[{"name": n, "file": f"{n}.png", "height": h, "width": w} for n, (h, w) in SIZES.items()])
    assert score(read_results(folder, index, CORNERS), index).matrix.tolist() == MATRIX


@pytest.mark.parametrize(
    ("rule", "rows"),
    [
        # The first class becomes 0 1 2 3; 0 0.75 2.25 3; 0 1.5 3 3.
        ((True, False), ([1, 0, 0, 0], [1, 1, 1, 0])),
        ((False, True), ([1, 1, 0, 0], [1, 1, 0, 0])),
        ((False, False), ([1, 0, 0, 0], [1, 1, 0, 0])),
    ],
)
@pytest.mark.parametrize("with_json", [True, False])
def test_logits_are_resized_by_the_rule_to_the_labels_size(rule, rows, with_json, tmp_path):
    index = write_labels(tmp_path / "labelled", dict.fromkeys(("a", "b"), np.zeros((3, 4), np.uint8)), ("x", "y"))
    suffix = ".bin" if with_json else "_0.bin"
    folder = write_results(tmp_path / "results", dict(zip(("a", "b"), LOGITS, strict=True)), suffix)
    if with_json:
        output = {"kind": "logits", "dtype": "float32", "shape": [2, 1, 2], "align_corners": rule[0], "half_pixel_centers": rule[1]}
        result_json(folder, {"a": (3, 4), "b": (3, 4)}, num_classes=2, output=output)
    given = CORNERS if with_json else ResizeRule(*rule)
    ones = 3 * (sum(rows[0]) + sum(rows[1]))
    assert score(read_results(folder, index, given), index).matrix.tolist() == [[24 - ones, ones], [0, 0]]


def test_the_first_of_equal_logits_wins_and_all_may_be_negative(tmp_path):
    index = write_labels(tmp_path / "labelled", {"a": np.zeros((2, 2), np.uint8)}, ("x", "y", "z"))
    folder = write_results(tmp_path / "results", {"a": np.array([[[-9, -1]], [[-3, -1]], [[-3, -2]]], np.float32)}, "_0.bin")
    # Left: classes 1 and 2 are equal; right: 0 and 1.
    assert score(read_results(folder, index, CORNERS), index).matrix[0].tolist() == [2, 2, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"skipped": [{"name": "b", "reason": "truncated"}]}, r"1 of 3 samples were skipped: b \(truncated\)"),
        ({"num_classes": 19}, "the model has 19 classes, the labels in .* have 3"),
        ({"samples": []}, r"is of another set than the 2 samples .*: it lacks 2 of them \(a, b\)"),
        ({"format": 7}, "format 7, expected 1"),
        ({"output": {"kind": "logits", "align_corners": True, "half_pixel_centers": False}}, "no result of the runner, or a damaged one"),
        (
            {"output": {"kind": "logits", "shape": [2, 1, 2], "align_corners": True, "half_pixel_centers": False}},
            "logits of 2 classes, not 3",
        ),
        ({"samples": [{"name": "a", "file": "../a.bin", "height": 1, "width": 1}]}, "file name '../a.bin'"),
    ],
)
def test_a_result_json_that_does_not_fit(changes, message, index, tmp_path):
    folder = write_results(tmp_path / "results", {name: array(rows) for name, rows in PREDICTED.items()})
    result_json(folder, SIZES, **changes)
    with pytest.raises(UserError, match=message):
        read_results(folder, index, CORNERS)


def test_results_of_other_samples_or_sizes(index, tmp_path):
    folder = write_results(tmp_path / "results", {name: array(rows) for name, rows in PREDICTED.items()})
    result_json(folder, {**SIZES, "c": (1, 1)})
    with pytest.raises(UserError, match=r"it has others too \(c\)"):
        read_results(folder, index, CORNERS)
    result_json(folder, {**SIZES, "b": (3, 1)})
    with pytest.raises(UserError, match="b is 1x3, its label 3x1"):
        read_results(folder, index, CORNERS)


def test_missing_results(index, tmp_path):
    with pytest.raises(UserError, match="no such folder; run the model first"):
        read_results(tmp_path / "nowhere", index, CORNERS)
    folder = write_results(tmp_path / "results", {"a": array(PREDICTED["a"])}, "_0.bin")
    with pytest.raises(UserError, match=r"neither a result.json, .* nor NAME_0.bin of 1 of the 2 samples .* \(b\)"):
        read_results(folder, index, CORNERS)
    (folder / "a_0.bin").rename(folder / "a.bin")
    result_json(folder, SIZES)
    with pytest.raises(UserError, match=r"b\.bin: the result cannot be read"):
        score(read_results(folder, index, CORNERS), index)


def test_several_outputs_of_a_sample(index, tmp_path):
    folder = write_results(tmp_path / "results", {name: array(rows) for name, rows in PREDICTED.items()}, "_0.bin")
    (folder / "a_1.bin").write_bytes(bytes(8))
    with pytest.raises(UserError, match="several outputs of a"):
        read_results(folder, index, CORNERS)


@pytest.mark.parametrize("names", [("a.bin", "b.bin"), ("b.bin",), ("a_0.bin", "b_0.bin", "b.bin")])
def test_the_runners_files_without_its_result_json_are_of_an_interrupted_run(names, index, tmp_path):
    folder = write_results(tmp_path / "results", {name: array(PREDICTED[name[0]]) for name in names}, "")
    with pytest.raises(UserError, match=r"holds [ab]\.bin but no result\.json: an interrupted run; run the model again"):
        read_results(folder, index, CORNERS)


@pytest.mark.parametrize("kind", ["labels", "logits"])
def test_four_classes_at_stride_4_take_as_many_bytes_as_labels(kind, tmp_path):
    index = write_labels(tmp_path / "labelled", {"a": np.full((4, 8), 3, np.uint8)}, "wxyz")
    files = {"labels": np.full((4, 8), 3, np.uint8), "logits": np.array([[[-2, 0]], [[-3, 0]], [[0, 1]], [[1, 2]]], np.float32)}
    folder = write_results(tmp_path / "results", {"a": files[kind]}, "_0.bin")
    assert files["labels"].nbytes == files["logits"].nbytes
    results = read_results(folder, index, CORNERS)
    assert results.logits_shape == (None if kind == "labels" else (4, 1, 2))
    assert score(results, index).matrix.tolist() == [[0] * 4] * 3 + [[0, 0, 0, 32]]


def test_sizes_and_values_that_do_not_fit(index, tmp_path):
    folder = write_results(tmp_path / "results", {"a": np.zeros(7, np.uint8), "b": np.zeros(3, np.uint8)}, "_0.bin")
    with pytest.raises(UserError, match="7 bytes fit neither labels of 4x2 nor logits of 3 classes of a 8x4 input"):
        read_results(folder, index, CORNERS)
    (folder / "a_0.bin").write_bytes(bytes(8))
    (folder / "b_0.bin").write_bytes(bytes(5))
    with pytest.raises(UserError, match=r"b_0\.bin: 5 bytes; labels of 3x1 have 3"):
        score(read_results(folder, index, CORNERS), index)
    (folder / "b_0.bin").write_bytes(bytes([0, 1, 7]))
    with pytest.raises(UserError, match=r"b_0\.bin: prediction holds 7 \(1 pixels\)"):
        score(read_results(folder, index, CORNERS), index)


def test_logits_cut_off(tmp_path):
    index = write_labels(tmp_path / "labelled", dict.fromkeys(("a", "b"), np.zeros((3, 4), np.uint8)), ("x", "y"))
    folder = write_results(tmp_path / "results", {"a": LOGITS[0], "b": LOGITS[1].reshape(-1)[:3]}, "_0.bin")
    with pytest.raises(UserError, match=r"b_0\.bin: 12 bytes; logits of shape \(2, 1, 2\) have 16"):
        score(read_results(folder, index, CORNERS), index)
