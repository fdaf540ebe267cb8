"""export.py on the tiny network: files, manifests, what the files compute, and what is refused."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from mindspore import Tensor, nn

import export
from src.checkpoint.weights import load_weights, save_weights
from src.config.errors import UserError
from src.data.transforms import normalize
from src.deploy import exporting, verification
from src.deploy.manifest import file_sha256, read_manifest
from src.deploy.options import ExportOptions, class_names_and_palette
from src.models.builder import assemble_network, build_network
from src.runtime.entry import run
from tests.deploy import lite_interpreter
from tests.tiny import tiny_config, write_camvid

SIZE_HW = (38, 54)


@pytest.fixture(scope="module", autouse=True)
def no_lite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Without MindSpore Lite, whatever this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MS_LITE_HOME", raising=False)
        patch.setenv("OCRNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = tiny_config(None, "device_target=CPU", "amp_level=O2", "dataset.color_order=BGR")
    ms.set_seed(1)
    path = tmp_path_factory.mktemp("run") / "best.ckpt"
    save_weights(build_network(config), path, config)
    return path


def call(checkpoint: Path, target: Path | str, *more: str) -> int:
    return run(export.main, ["--checkpoint_file", str(checkpoint), "--file_name", str(target), *more])


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logits of float32 and labels of bytes, of the same weights and size."""
    folder = tmp_path_factory.mktemp("out") / "made" / "when absent"
    size = ("--image_size", *map(str, SIZE_HW))
    assert call(checkpoint, folder / "logits.v1", *size) == 0
    assert call(checkpoint, folder / "labels.mindir", *size, "--outputs", "labels", "--input", "uint8", "--batch", "2") == 0
    return folder


def test_files_and_manifests(folder: Path, checkpoint: Path) -> None:
    names = [f"{model}{suffix}" for model in ("labels", "labels_lite2", "logits.v1", "logits.v1_lite2") for suffix in (".json", ".mindir")]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    for name in ("logits.v1", "labels"):
        native, lowered = (read_manifest(folder / f"{name}{suffix}.json") for suffix in ("", "_lite2"))
        assert (native.kind, lowered.kind) == ("native", "lite2")
        for manifest in (native, lowered):
            assert manifest.sha256 == file_sha256(folder / manifest.model_file)
        assert native.input == lowered.input and native.output == lowered.output
        assert native.checkpoint == {"file": "best.ckpt", "sha256": file_sha256(checkpoint)}
        assert (native.versions["mindspore"], native.config["dataset"]["num_classes"]) == (ms.__version__, 11)
        assert (native.class_names[0], native.palette[0], len(native.palette), native.ignore_label) == ("sky", (128, 128, 128), 11, 255)
    written = json.loads((folder / "logits.v1.json").read_text())
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    assert written["input"] == {
        "shape": [1, 3, 38, 54],
        "dtype": "float32",
        "color_order": "BGR",
        "mean": mean,
        "std": std,
        "dynamic": [],
        "layout": "NCHW",
        "resize": "bilinear, half pixel centers",
    }
    rule = {"align_corners": False, "half_pixel_centers": True}
    assert written["output"] == {"kind": "logits", "shape": [1, 11, 10, 14], "dtype": "float32", **rule}
    written = json.loads((folder / "labels_lite2.json").read_text())
    assert (written["input"]["shape"], written["input"]["dtype"]) == ([2, 3, 38, 54], "uint8")
    assert written["output"] == {"kind": "labels", "shape": [2, 38, 54], "dtype": "uint8", **rule}


def run_native(path: Path, image: np.ndarray) -> np.ndarray:
    outputs = nn.GraphCell(ms.load(str(path)))(Tensor(image))
    assert isinstance(outputs, Tensor), "one output: the main head"
    return outputs.asnumpy()


def test_the_files_compute_what_the_checkpoint_does(folder: Path, checkpoint: Path, pynative: None) -> None:
    config = tiny_config(None)
    network = assemble_network(config)
    load_weights(network, checkpoint, complete=True)
    network.set_train(False)
    pictures = np.random.default_rng(5).integers(0, 256, (2, *SIZE_HW, 3)).astype(np.uint8)
    images = np.stack([normalize(picture, config.dataset.mean, config.dataset.std, "BGR") for picture in pictures])
    expected = network(Tensor(images))[-1].asnumpy()
    ms.set_context(mode=ms.GRAPH_MODE)
    logits = run_native(folder / "logits.v1.mindir", images[:1])
    scale = np.abs(expected).max()
    assert np.abs(logits - expected[:1]).max() <= 1e-6 * scale
    lowered = lite_interpreter.compute(lite_interpreter.load(folder / "logits.v1_lite2.mindir"), images[:1])
    assert np.abs(lowered - expected[:1]).max() <= 1e-5 * scale

    # Bytes to labels; that the native file does the same as this graph is what export.py has checked.
    given = np.ascontiguousarray(pictures[..., ::-1].transpose(0, 3, 1, 2))
    labels = lite_interpreter.compute(lite_interpreter.load(folder / "labels_lite2.mindir"), given)
    resized = F.interpolate(torch.from_numpy(expected), SIZE_HW, mode="bilinear", align_corners=False).numpy()
    assert labels.dtype == np.uint8 and labels.shape == (2, *SIZE_HW)
    assert len(np.unique(labels)) > 1 and (labels == resized.argmax(1)).mean() > 0.999


def test_the_size_is_the_evaluations_unless_given(tmp_path: Path) -> None:
    options = ExportOptions(tmp_path / "m.mindir")
    assert options.input_spec(tiny_config(None)).shape == (1, 3, 288, 384)
    data = write_camvid(tmp_path / "data", num_train=1, num_val=1)
    assert options.input_spec(tiny_config(data, "eval.image_size=null")).shape == (1, 3, 40, 56)
    assert options.input_spec(tiny_config(data)).shape == (1, 3, 288, 384)
    assert options.input_spec(tiny_config(None, "eval.image_size=null")).shape == (1, 3, 360, 480)
    assert options.input_spec(tiny_config(None, "eval.image_size=null", "dataset.name=Cityscapes")).shape == (1, 3, 1024, 2048)
    small = tiny_config(data, "eval.image_size=null", "model.name=seg_hrnet_pyramid_oc", "model.oc.grids=[12]", "train.image_size=[64,64]")
    with pytest.raises(UserError, match="the first validation picture's size 40 56: seg_hrnet_pyramid_oc needs 45 pixels"):
        options.input_spec(small)
    assert ExportOptions(tmp_path / "m.mindir", size_hw=(64, 32), batch=3).input_spec(tiny_config(None)).shape == (3, 3, 64, 32)


def test_classes_that_are_not_the_data_sets_have_numbers_and_colours() -> None:
    weights = "loss.class_weights=null"
    names, palette = class_names_and_palette(tiny_config(None, "dataset.num_classes=150", weights))
    # Source: the first entries of PASCAL VOC's colour map.
    assert (names[0], names[149], palette[:4]) == ("class 0", "class 149", ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)))
    assert len(names) == len(set(palette)) == 150


@pytest.mark.parametrize(
    ("words", "keys"),
    [((), None), (("eval.flip=True",), "eval.flip"), (("eval.multi_scale=True", "eval.slide=True"), "eval.multi_scale, eval.slide")],
)
def test_a_warning_where_evaluation_is_more_than_one_pass(
    words: tuple[str, ...],
    keys: str | None,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(exporting, "export_weights", lambda config, checkpoint, options: [])
    assert call(checkpoint, tmp_path / "m", *words) == 0
    captured = capfd.readouterr()
    lines = [line for line in (captured.out + captured.err).splitlines() if "warning:" in line]
    assert len(lines) == (keys is not None)
    assert keys is None or f"one pass over the whole picture; with {keys}, eval.py's mIoU is another" in lines[0]


def test_the_sizes_in_help_are_those_that_are_taken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        export.main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name in ("Cityscapes", "CamVid"):
        config = tiny_config(None, "eval.image_size=null", f"dataset.name={name}")
        height, width = ExportOptions(tmp_path / "m.mindir").input_spec(config).size_hw
        assert f"{name} {height} {width}" in text


def test_wrong_inputs(checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "cut.ckpt").write_bytes(checkpoint.read_bytes()[:5000])
    (tmp_path / "lone.ckpt").write_bytes(checkpoint.read_bytes())
    out = tmp_path / "out"
    target = str(out / "m")
    cases: dict[str, tuple[Path, str, tuple[str, ...]]] = {
        "--checkpoint_file " + str(tmp_path / "no.ckpt") + ": no such file": (tmp_path / "no.ckpt", target, ()),
        "--checkpoint_file " + str(tmp_path / "cut.ckpt") + ": not a readable": (tmp_path / "cut.ckpt", target, ("--config", "demo")),
        "give the one that they were trained with": (tmp_path / "lone.ckpt", target, ()),
        "another network": (checkpoint, target, ("model.extra.STAGE4.NUM_CHANNELS=[4,8,16,64]",)),
        "--image_size 16 64: height and width must lie between 32": (checkpoint, target, ("--image_size", "16", "64")),
        "eval.image_size 8 64": (checkpoint, target, ("eval.image_size=[8,64]",)),
        "--batch 0": (checkpoint, target, ("--batch", "0")),
        "AIR is written by Ascend's own back end": (checkpoint, target, ("--file_format", "AIR")),
        "a folder; give the name": (checkpoint, str(tmp_path), ()),
        "the ending of another format than --file_format MINDIR": (checkpoint, str(out / "m.air"), ()),
        "_lite2 is what the lowered file is called": (checkpoint, str(out / "m_lite2.mindir"), ()),
        "cannot be written to": (checkpoint, str(tmp_path / "file" / "m"), ("--image_size", "32", "32")),
        "unknown key": (checkpoint, target, ("modle.name=x",)),
    }
    for message, (weights, name, more) in cases.items():
        assert call(weights, name, *more) == 2, message
        error = capfd.readouterr().err.strip()
        assert message in error and "\n" not in error, error
    assert run(export.main, ["--file_name", target]) == 2
    assert "--checkpoint_file WEIGHTS.ckpt" in capfd.readouterr().err
    for wrong in (("--outputs", "masks"), ("--image_size", "32"), ("--file_format", "PB")):
        with pytest.raises(SystemExit, match="2"):
            call(checkpoint, target, *wrong)
    assert not list(out.glob("**/*"))


@pytest.mark.parametrize("name", ["eval.json", "eval_lite2.json"])
@pytest.mark.parametrize("content", ['{"miou": 0.8}', '{"format": 1, "model": {}, "output": {}, "samples": []}', "[1]", "no JSON"])
def test_a_json_that_is_no_manifest_is_not_replaced(
    name: str, content: str, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(exporting, "assemble_network", lambda config: pytest.fail("refused before anything is computed"))
    (tmp_path / name).write_text(content)
    assert call(checkpoint, tmp_path / "eval") == 2
    assert f"{name} is no manifest of a model and would be replaced; choose another name" in capfd.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, content)]


@pytest.mark.parametrize("name", ["m.mindir", "m.json", "m_lite2.mindir", "m_lite2.json"])
def test_a_folder_in_the_way(name: str, checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).mkdir()
    assert call(checkpoint, tmp_path / "m") == 2
    assert f"{name} is a folder, where a file is to be written" in capfd.readouterr().err


def test_earlier_models_and_manifests_may_be_replaced(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "again")
    exporting.check_replaceable((tmp_path / "again").iterdir(), "--file_name")


def test_a_model_that_computes_something_else_is_not_left_behind(
    checkpoint: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.mindir").write_bytes(b"earlier")
    monkeypatch.setattr(exporting, "_write", lambda graph, spec, model, form: shutil.copyfile(folder / "logits.v1.mindir", model))
    monkeypatch.setattr(verification, "NativeModel", lambda model: lambda image: np.ones((1, 11, 8, 12), np.float32))
    monkeypatch.setattr(verification, "run_network", lambda network, image: np.full((1, 11, 8, 12), 1.01, np.float32))
    assert call(checkpoint, tmp_path / "m", "--image_size", "32", "48") == 1
    error = capfd.readouterr().err.strip()
    assert "m.mindir in Python is not the checkpoint's network: largest difference 9.9e-03" in error and "\n" not in error
    assert os.listdir(tmp_path) == ["m.mindir"] and (tmp_path / "m.mindir").read_bytes() == b"earlier"
