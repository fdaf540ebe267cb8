"""int8 on the tiny network: what is written, which layers are left as they are, and what is refused."""

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import mindspore as ms
import numpy as np
import openvino
import pytest
from openvino import opset13 as ops
from PIL import Image

import export
from src.checkpoint.weights import save_weights
from src.config.errors import UserError
from src.data.loader import build_dataset
from src.deploy import openvino_model, quantize
from src.deploy.int8 import quantizing, sensitivity
from src.deploy.int8.folding import read_folded
from src.deploy.int8.report import Scorer, Side, table, time_in_turns
from src.deploy.int8.samples import CalibrationInputs, Samples, evenly, split_training_pictures
from src.deploy.int8.sensitivity import quantized_layers
from src.deploy.manifest import file_sha256, manifest_path, read_manifest
from src.deploy.mindir_source import config_of_model, info_of_model
from src.deploy.onnx.checking import OnnxModel
from src.deploy.openvino_model import OpenVinoModel, read_openvino
from src.models.builder import build_network
from src.runtime.entry import WorkError, run
from tests.random_weights import randomize
from tests.tiny import tiny_config, write_camvid

SIZE_HW = (32, 48)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("data"), num_train=8, num_val=3)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file for pictures of any size."""
    config = tiny_config(None, "device_target=CPU")
    network = build_network(config)
    randomize(network, seed=2)
    folder = tmp_path_factory.mktemp("run")
    save_weights(network, folder / "best.ckpt", config)
    ms.set_context(mode=ms.GRAPH_MODE)
    words = ["--file_format", "ONNX", "--image_size", *map(str, SIZE_HW), "--dynamic", "batch", "height", "width"]
    assert run(export.main, ["--checkpoint_file", str(folder / "best.ckpt"), "--file_name", str(folder / "m"), *words]) == 0
    return folder / "m.onnx"


def call(model: Path, data: Path, *more: str) -> int:
    numbers = ["--samples", "4", "--sensitivity_samples", "2", "--report_samples", "9", "--max_drop", "0.9"]
    return run(quantize.main, [str(model), "--data_path", str(data), *numbers, *more])


@pytest.fixture(scope="module")
def quantized(model: Path, data: Path) -> Path:
    assert call(model, data) == 0
    return model.with_name("m_int8.xml")


def picture(manifest: Any, data: Path) -> np.ndarray:
    image = cv2.imread(str(data / "val" / "0.png"))
    return manifest.input.prepare(image)[None]


def test_files_and_manifest(quantized: Path, model: Path) -> None:
    before, after = read_manifest(manifest_path(model)), read_manifest(manifest_path(quantized))
    assert (after.kind, after.precision, after.model_file) == ("openvino", "int8", "m_int8.xml")
    assert after.sha256 == file_sha256(quantized)
    assert after.weights == {"file": "m_int8.bin", "sha256": file_sha256(quantized.with_suffix(".bin"))}
    assert {path.stat().st_mode & 0o777 for path in quantized.parent.glob("m_int8.*")} == {0o644}
    assert (after.input, after.output, after.class_names) == (before.input, before.output, before.class_names)
    how = after.quantization
    assert how["source"] == {"file": "m.onnx", "sha256": before.sha256}
    assert (how["data"]["calibration"], how["data"]["sensitivity"], how["max_drop"], how["higher_precision"]) == (4, 2, 0.9, [])
    assert how["layers"] == len(quantized_layers(read_openvino(quantized))) > 20
    assert how["data"]["train_list"] == "train.txt" and how["others_computed_in"] in ("fp32", "bf16")
    layers = [node.get_friendly_name() for node in read_openvino(quantized).get_ops() if node.get_type_name() in sensitivity.LAYERS]
    assert set(layers) == {*quantized_layers(read_openvino(quantized)), *how["never_quantized"]}
    assert how["validation"]["pictures"] == 3, "as many as there are"
    assert {"fp32", "int8"} <= how["validation"].keys()


def test_it_computes_nearly_the_same_in_a_quarter_of_the_room(quantized: Path, model: Path, data: Path) -> None:
    manifest = read_manifest(manifest_path(model))
    image = picture(manifest, data)
    shape = manifest.input.shape
    expected, given = (OpenVinoModel(read_openvino(path), shape)(image) for path in (model, quantized))
    assert 1e-4 < np.abs(given - expected).max() / np.abs(expected).max() < 0.2, "rounded to 8 bits, and no more"
    assert (given.argmax(1) == expected.argmax(1)).mean() > 0.9
    weights = [node for node in read_openvino(quantized).get_ops() if node.get_type_name() == "Constant"]
    assert sum(node.get_element_type().get_type_name() == "i8" for node in weights) >= 20, "weights are stored in 8 bits"


def test_it_takes_any_size_as_before(quantized: Path) -> None:
    shape = read_openvino(quantized).input(0).get_partial_shape()
    assert [side.is_dynamic for side in shape] == [True, False, True, True]
    image = np.random.default_rng(6).normal(size=(2, 3, 64, 40)).astype(np.float32)
    given = OpenVinoModel(read_openvino(quantized), image.shape)(image)
    one_by_one = OpenVinoModel(read_openvino(quantized), (1, *image.shape[1:]))
    assert given.shape == (2, 11, 16, 10) and np.abs(given).max() > 0
    for picture, logits in zip(image, given, strict=True):
        np.testing.assert_allclose(one_by_one(picture[None])[0], logits, atol=1e-5 * np.abs(given).max())


def test_the_mean_iou_before_is_that_of_another_engine(quantized: Path, model: Path, data: Path) -> None:
    manifest = read_manifest(manifest_path(model))
    config = config_of_model(model, manifest, None, {"data_path": str(data)}, [])
    scorer = Scorer(manifest, config.eval, info_of_model(manifest, config))
    pairs = [(cv2.cvtColor(cv2.imread(str(data / "val" / f"{i}.png")), cv2.COLOR_BGR2RGB), void(data, i)) for i in range(3)]
    miou = scorer.miou(OnnxModel(model), pairs)
    assert read_manifest(manifest_path(quantized)).quantization["validation"]["fp32"]["miou"] == pytest.approx(miou, abs=1e-6)


def test_the_drop_is_that_of_the_pictures_of_the_sensitivity_run(
    quantized: Path, model: Path, data: Path, parts: tuple[CalibrationInputs, Samples]
) -> None:
    manifest = read_manifest(manifest_path(model))
    config = config_of_model(model, manifest, None, {"data_path": str(data)}, [])
    scorer = Scorer(manifest, config.eval, info_of_model(manifest, config))
    before, after = (scorer.miou(OpenVinoModel(read_openvino(path), manifest.input.shape), parts[1]) for path in (model, quantized))
    assert before != after
    assert read_manifest(manifest_path(quantized)).quantization["drop"] == pytest.approx(before - after, abs=1e-6)


def void(data: Path, index: int) -> np.ndarray:
    label = np.array(Image.open(data / "valannot" / f"{index}.png"))
    return np.where(label == 11, 255, label).astype(np.uint8)


class Batches:
    """Batches for the graph of four convolutions; the pictures of its sensitivity run."""

    shape = (1, 3, 16, 16)

    def __init__(self, count: int) -> None:
        self.all = np.random.default_rng(4).normal(size=(count, *self.shape)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.all)

    def __getitem__(self, position: int) -> np.ndarray:
        return self.all[position]


def four_convolutions() -> openvino.Model:
    """A graph whose layers lose differently by 8 bits: the ranges of weights grow from channel to channel of the input."""
    rng = np.random.default_rng(5)
    image = ops.parameter(list(Batches.shape), np.float32, name="image")
    x: Any = image
    for number, before in enumerate((3, 8, 8, 8)):
        weights = (rng.normal(size=(8, before, 3, 3)) * 4.0 ** (number * np.arange(before) / before)[:, None, None]).astype(np.float32)
        x = ops.convolution(x, weights, [1, 1], [1, 1], [1, 1], [1, 1], name=f"conv{number}")
        x = ops.relu(ops.add(x, rng.normal(size=(1, 8, 1, 1)).astype(np.float32)))
    return openvino.Model([x], [image], "four")


class Nearness:
    """A stand-in for the mIoU: 1 less the mean difference from the first graph that it sees, relative to the largest value."""

    def __init__(self, batches: Batches) -> None:
        self.image = batches[0]
        self.expected: np.ndarray | None = None

    def miou(self, run: Any, pairs: Any) -> float:
        output = run(self.image)
        if self.expected is None:
            self.expected = output.copy()  # of the first graph, which is the one before
        return 1 - float(np.abs(output - self.expected).mean() / np.abs(self.expected).max())

    def labels(self, run: Any, image: np.ndarray) -> np.ndarray:
        return run(image[None]).argmax(1)


class Falling(Nearness):
    """The mIoU falls, whatever is done."""

    def miou(self, run: Any, pairs: Any) -> float:
        first = self.expected is None
        super().miou(run, pairs)
        return 1.0 if first else 0.5


def quantize_four(judge: sensitivity.Judge, max_drop: float) -> quantizing.Quantized:
    batches: Any = Batches(3)
    return quantizing.quantize(four_convolutions(), batches, batches, judge, max_drop)


def test_layers_stay_in_higher_precision_where_the_loss_is_too_large() -> None:
    everything = quantize_four(Nearness(Batches(3)), 0.5)
    assert (everything.kept, everything.layers, everything.gains) == ((), 4, {}) and everything.drop > 0
    allowed = 0.7 * everything.drop
    result = quantize_four(Nearness(Batches(3)), allowed)
    assert result.drop <= allowed
    assert 0 < len(result.kept) < 4
    names = quantized_layers(result.graph)
    assert sorted((*names, *result.kept)) == sorted(result.gains) == [f"conv{number}" for number in range(4)]


def test_what_is_put_back_computes_as_before() -> None:
    original, image = four_convolutions(), Batches(1)[0]
    quantized = quantize_four(Nearness(Batches(3)), 0.5).graph
    expected, rounded, mended = (
        OpenVinoModel(graph, Batches.shape)(image)
        for graph in (original, quantized, sensitivity.put_back(quantized, original, quantized_layers(quantized)))
    )
    assert np.abs(rounded - expected).max() > 1e-3 * np.abs(expected).max()
    np.testing.assert_allclose(mended, expected, atol=1e-5 * np.abs(expected).max())


class Folded(NamedTuple):
    original: openvino.Model
    quantized: openvino.Model


@pytest.fixture(scope="module")
def folded(model: Path, data: Path) -> Folded:
    """The tiny network as it is quantised, before and after."""
    manifest = read_manifest(manifest_path(model))
    config = config_of_model(model, manifest, None, {"data_path": str(data)}, [])
    graph = read_folded(model, read_openvino(model))
    graph.reshape(list(manifest.input.shape))
    calibration = CalibrationInputs(split_training_pictures(build_dataset(config, "train"), 4, 2)[0], manifest.input)
    return Folded(graph, quantizing._quantize(graph, calibration))


def test_folded_convolutions_keep_their_names(folded: Folded, model: Path) -> None:
    before, after = sensitivity.layers_of(read_openvino(model)), sensitivity.layers_of(folded.original)
    assert list(before) == list(after)
    assert "BatchNormInference" not in {node.get_type_name() for node in folded.original.get_ops()}
    for name, node in before.items():
        if node.get_type_name() == "Convolution":
            weights, scaled = (each.input_value(1).get_node().data for each in (node, after[name]))
            sums = [np.einsum("oihw,oihw->o", *pair) for pair in ((weights, scaled), (weights, weights), (scaled, scaled))]
            cosines = sums[0] / np.sqrt(sums[1] * sums[2])
            np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-5, err_msg=name)


def test_what_shares_its_input_is_put_back_too_and_nothing_beside_is_rounded(folded: Folded) -> None:
    back = sensitivity.put_back(folded.quantized, folded.original, ["head/ocr_gather_head/MatMul"])
    gone = set(quantized_layers(folded.quantized)) - set(quantized_layers(back))
    assert {"head/ocr_gather_head/MatMul", "head/ocr_distri_head/object_context_block/f_pixel/0/Conv"} <= gone
    before, now = sensitivity.layers_of(folded.original), sensitivity.layers_of(back)
    for name in gone - {"head/ocr_gather_head/MatMul"}:
        weights, weights_before = (node.input_value(1).get_node() for node in (now[name], before[name]))
        np.testing.assert_array_equal(weights.data, weights_before.data)


def test_everything_put_back_computes_as_before(folded: Folded, model: Path, data: Path) -> None:
    mended = sensitivity.put_back(folded.quantized, folded.original, quantized_layers(folded.quantized))
    assert quantized_layers(mended) == []
    for node in mended.get_ops():
        if node.get_type_name() == "FakeQuantize":  # of additions, which are still rounded
            node.output(0).replace(node.input(0).get_source_output())
    image = picture(read_manifest(manifest_path(model)), data)
    expected, given = (OpenVinoModel(graph, image.shape)(image) for graph in (read_openvino(model), mended))
    np.testing.assert_allclose(given, expected, atol=1e-5 * np.abs(expected).max())


def test_parts_are_pieces_of_the_network(folded: Folded) -> None:
    parts = sensitivity.parts_of(folded.quantized)
    assert {"backbone/conv1", "backbone/stage2/0", "head/ocr_gather_head", "head/cls_head"} <= parts.keys() and len(parts) < 25
    assert parts["backbone/stage2/0"][0] == "backbone/stage2/0/branches/0/0/conv1/Conv"
    assert sorted(name for names in parts.values() for name in names) == sorted(quantized_layers(folded.quantized))


def test_a_loss_that_no_choice_of_layers_mends_is_an_error() -> None:
    with pytest.raises(WorkError, match="whichever parts"):
        quantize_four(Falling(Batches(3)), 0.01)


def test_signals_can_be_handled_afterwards() -> None:
    first, second = (openvino.Core().compile_model(four_convolutions(), "CPU") for _ in range(2))
    del first, second  # in this order: what the first has left is in place now
    assert dies_of_a_signal(), "OpenVINO mends this: leave_signal_stack is not needed any more"
    quantize_four(Nearness(Batches(3)), 0.5)
    assert not dies_of_a_signal()


def dies_of_a_signal() -> bool:
    """Whether a process that is like this one does, handling a signal."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
        os.kill(os.getpid(), signal.SIGUSR1)
        os._exit(1)
    return os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGSEGV


@pytest.fixture
def parts(model: Path, data: Path) -> tuple[CalibrationInputs, Samples]:
    """Training pictures for both uses."""
    manifest = read_manifest(manifest_path(model))
    config = config_of_model(model, manifest, None, {"data_path": str(data)}, [])
    calibration, sensitivity = split_training_pictures(build_dataset(config, "train"), 4, 2)
    return CalibrationInputs(calibration, manifest.input), sensitivity


def test_pictures_are_spread_and_none_serves_for_both(parts: tuple[CalibrationInputs, Samples]) -> None:
    calibration, sensitivity = parts
    assert evenly(9, 3) == (0, 4, 8) and evenly(2, 5) == (0, 1)
    assert not set(calibration.samples.indices) & set(sensitivity.indices)
    assert len(calibration) == 4 and calibration[0].shape == (1, 3, *SIZE_HW)


def test_the_last_batch_is_filled(parts: tuple[CalibrationInputs, Samples], model: Path) -> None:
    spec = replace(read_manifest(manifest_path(model)).input, shape=(3, 3, *SIZE_HW))
    batches = CalibrationInputs(parts[0].samples, spec)
    assert [batch.shape for batch in batches] == [(3, 3, *SIZE_HW)] * 2
    assert (batches[1][1] == batches[0][0]).all(), "the first picture again behind the fourth"


def test_sides_take_turns() -> None:
    seen: list[str] = []
    milliseconds = time_in_turns({"a": lambda x: (seen.append("a"), x)[1], "b": lambda x: (seen.append("b"), x)[1]}, np.zeros(1), 2)
    assert seen == ["a", "b", "a", "b", "a", "b"] and milliseconds.keys() == {"a", "b"}
    assert table({"fp32": Side(0.5, 12.0, 3.25)})[1].split() == ["fp32", "0.5000", "12.0", "3.2"]


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Iterator[Path]:
    """Model and manifest in a folder of their own; nothing else may appear there."""
    for path in (model, manifest_path(model)):
        shutil.copyfile(path, tmp_path / path.name)
    before = sorted(path.name for path in tmp_path.iterdir())
    yield tmp_path / model.name
    assert [path.name for path in sorted(tmp_path.iterdir()) if "int8" in path.name or ".export" in path.name] == [], before


def refused(capsys: pytest.CaptureFixture[str], status: int, *words: str) -> None:
    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 2 and len(lines) == 1, lines
    assert all(word in lines[0] for word in words), lines[0]


def test_a_manifest_of_another_file(copy: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(copy, "ab") as stream:
        stream.write(b"\0")
    refused(capsys, call(copy, data), "m.onnx", "SHA-256")


def test_a_model_that_is_int8_already(quantized: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, call(quantized, data, "--file_name", str(quantized.with_name("again"))), "m_int8.xml", "openvino")


def test_more_pictures_than_there_are(copy: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, call(copy, data, "--samples", "7"), "--samples 7", "8 pictures")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--samples", "0"), ("--samples 0",)),
        (("--max_drop", "1.5"), ("--max_drop 1.5",)),
        (("--file_name", "x.onnx"), ("x.onnx", ".xml")),
        (("--confg", "x"), ("--confg",)),
        (("dataset.num_classes=3",), ("dataset.num_classes=3",)),
    ],
)
def test_flags(flags: tuple[str, ...], words: tuple[str, ...], copy: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = call(copy, data, *flags)
    except SystemExit as stop:  # of argparse
        status = int(str(stop.code))
    refused(capsys, status, *words)


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_masks_in_place_of_photographs(mode: str, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_camvid(tmp_path / "data", num_train=8)
    for path in (root / "train").iterdir():
        mask = Image.open(root / "trainannot" / path.name)
        mask.putpalette(bytes(range(256)) * 3) if mode == "P" else None
        mask.convert(mode).save(path)
    refused(capsys, call(copy, root), ".png: 3 colours", "masks")


def test_one_black_picture_does_no_harm(data: Path, tmp_path: Path) -> None:
    root = write_camvid(tmp_path / "data", num_train=8)
    black = root / "train" / "0.png"
    Image.new("RGB", Image.open(black).size).save(black)
    config = tiny_config(root)
    assert len(split_training_pictures(build_dataset(config, "train"), 6, 2)[0]) == 6


def test_another_list(copy: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, call(copy, data, "train.train_list=val.txt"), "the training list has 3 pictures")


def test_pictures_of_one_colour(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_camvid(tmp_path / "data", num_train=8)
    for path in (root / "train").iterdir():
        Image.new("RGB", Image.open(path).size, (9, 9, 9)).save(path)
    refused(capsys, call(copy, root), ".png: 1 colours")


def test_pictures_of_another_data_set(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    refused(capsys, call(copy, tmp_path / "empty"), "empty")


def test_packages_that_are_missing(copy: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(quantize, "PACKAGES", ("no_such_package",))
    refused(capsys, call(copy, data), "no_such_package", "requirements-deploy.txt")


def test_an_openvino_that_is_too_old(copy: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(quantize.importlib.metadata, "version", lambda name: "2024.5.0")
    refused(capsys, call(copy, data), "OpenVINO 2024.5.0 is too old", "2024.6", "requirements-deploy.txt")


def test_what_nncf_says_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **settings: Any) -> None:
        raise quantizing.nncf.ValidationError("first\nsecond")

    monkeypatch.setattr(quantizing.nncf, "quantize", fail)
    with pytest.raises(WorkError, match="NNCF .* cannot quantise the model: first$"):
        quantize_four(Nearness(Batches(3)), 0.5)


def test_a_precision_that_the_processor_lacks(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_model, "supported_precisions", lambda: ["fp32"])
    with pytest.raises(UserError, match="bf16: this processor lacks it"):
        OpenVinoModel(read_openvino(model), (1, 3, *SIZE_HW), "bf16")
