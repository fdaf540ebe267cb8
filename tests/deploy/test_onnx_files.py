"""export.py --file_format ONNX and to_onnx on the tiny network: files, manifests, what they compute, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np
import onnx
import pytest
from mindspore import Tensor, nn

import eval as evaluation
import export
import predict
from src.checkpoint.weights import save_weights
from src.config.errors import UserError
from src.deploy import mindir_to_onnx, to_onnx
from src.deploy.lowering import lower_file
from src.deploy.manifest import file_sha256, manifest_path, read_manifest
from src.deploy.mindir_source import open_mindir
from src.deploy.native_model import NativeModel
from src.deploy.onnx import checking, requirements
from src.deploy.onnx.checking import OnnxModel
from src.deploy.onnx_source import open_onnx
from src.deploy.options import OLDEST_OPSET, OPSET, ExportOptions, model_path
from src.deploy.verification import example_image
from src.models.builder import build_network
from src.runtime.entry import run
from tests.deploy.test_lowering import export as export_mindir
from tests.random_weights import randomize
from tests.tiny import tiny_config

SIZE = ("--image_size", "38", "54")
ONNX = ("--file_format", "ONNX")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = tiny_config(None, "device_target=CPU", "dataset.color_order=BGR", "model.name=seg_hrnet", "loss.balance_weights=[1.0]")
    ms.set_seed(1)
    path = tmp_path_factory.mktemp("run") / "best.ckpt"
    save_weights(build_network(config), path, config)
    return path


class Small(nn.Cell):
    """A network in a second's time: logits at stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 11, 3, 2, pad_mode="pad", padding=1, has_bias=True), nn.BatchNorm2d(11)
        randomize(self, seed=2)
        self.set_train(False)

    def construct(self, image: Tensor) -> Tensor:
        return self.norm(self.convolution(image))


def call(checkpoint: Path, target: Path | str, *more: str) -> int:
    return run(export.main, ["--checkpoint_file", str(checkpoint), "--file_name", str(target), *more])


@pytest.fixture(scope="module")
def folder(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ONNX of any batch and width of the weights, and a small MindIR with its manifest, its lowered form and its ONNX."""
    folder = tmp_path_factory.mktemp("out")
    more = ("--dynamic", "width", "batch", "--outputs", "labels", "--input", "uint8", "--opset", "17")
    assert call(checkpoint, folder / "labels.v1", *SIZE, *ONNX, *more) == 0
    native = export_mindir(Small(), folder / "native.mindir", np.zeros((1, 3, 38, 54), np.float32))
    described = read_manifest(folder / "labels.v1.json")
    spec = replace(described.input, dtype="float32", dynamic=())
    output = replace(described.output, kind="logits", dtype="float32", shape=(1, 11, 19, 27))
    of_native = replace(described, model_file=native.name, sha256=file_sha256(native), kind="native", input=spec, output=output)
    replace(of_native, versions={"mindspore": ms.__version__}).write(native)
    lower_file(native, folder / "native_lite2.mindir")
    native.chmod(0o644)
    assert run(to_onnx.main, [str(folder / "native.mindir"), str(folder / "fixed.onnx")]) == 0
    return folder


def test_files_and_manifests(folder: Path, checkpoint: Path) -> None:
    names = [f"{name}{suffix}" for name in ("fixed", "labels.v1") for suffix in (".json", ".onnx")]
    natives = ("native.json", "native.mindir", "native_lite2.json", "native_lite2.mindir")
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, *natives])
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}
    labels, fixed, native = (read_manifest(folder / f"{name}.json") for name in ("labels.v1", "fixed", "native"))
    assert (labels.kind, labels.precision, labels.model_file) == ("onnx", "fp32", "labels.v1.onnx")
    assert (labels.input.shape, labels.input.dynamic, labels.input.dtype) == ((1, 3, 38, 54), ("batch", "width"), "uint8")
    assert (labels.output.kind, labels.output.shape) == ("labels", (1, 38, 54))
    assert labels.checkpoint == {"file": "best.ckpt", "sha256": file_sha256(checkpoint)}
    assert (fixed.kind, fixed.input, fixed.output, fixed.checkpoint) == ("onnx", native.input, native.output, native.checkpoint)
    assert fixed.versions == {"mindspore": ms.__version__, "onnx": onnx.__version__, "opset": str(OPSET)}
    for manifest in (labels, fixed):
        assert open_onnx(folder / manifest.model_file, "MODEL") == manifest
    model = onnx.load(folder / "labels.v1.onnx")
    sides = [
        [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    ]
    assert sides == [["batch", 3, 38, "width"], ["batch", 38, "width"]] and model.opset_import[0].version == 17


def test_the_fixed_file_computes_what_the_mindir_does(folder: Path) -> None:
    image = example_image(read_manifest(folder / "fixed.json").input)
    expected, given = NativeModel(folder / "native.mindir")(image), OnnxModel(folder / "fixed.onnx")(image)
    assert expected.shape == given.shape and np.abs(expected - given).max() <= 1e-5 * np.abs(expected).max()


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def without_manifest(path: Path) -> None:
    manifest_path(path).unlink()


def with_the_manifest_of(other: str) -> Callable[[Path], None]:
    return lambda path: (path.parent / "x.json").write_bytes((path.parent / other).read_bytes()) and None


def damaged_before_it_was_described(path: Path) -> None:
    path.write_bytes(b"\x0a\xff" * 40)
    content = json.loads(manifest_path(path).read_text())
    content["model"]["sha256"] = file_sha256(path)
    manifest_path(path).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_off, r"not the file that .*x\.json describes \(SHA-256 differs\); export it anew"),
        (without_manifest, r"x\.json: no such manifest; export\.py writes it beside the model"),
        (with_the_manifest_of("native.json"), r"its manifest .*x\.json is of a model of the kind native"),
        (with_the_manifest_of("labels.v1.json"), "SHA-256 differs"),
        (damaged_before_it_was_described, "no ONNX file, or a damaged one; export it anew"),
        (Path.unlink, "no such file; export.py --file_format ONNX writes it"),
    ],
)
def test_an_onnx_file_and_a_manifest_that_do_not_belong_together(
    damage: Callable[[Path], None], message: str, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for suffix in (".onnx", ".json"):
        (tmp_path / f"fixed{suffix}").rename(tmp_path / f"x{suffix}")
    damage(tmp_path / "x.onnx")
    with pytest.raises(UserError, match=message) as caught:
        open_onnx(tmp_path / "x.onnx", "--model")
    assert str(tmp_path / "x.") in str(caught.value) and "\n" not in str(caught.value)


def test_what_cannot_be_converted_is_one_line(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    for name, damage in (("cut", cut_off), ("alone", without_manifest)):
        for suffix in (".mindir", ".json"):
            shutil.copy(tmp_path / f"native{suffix}", tmp_path / f"{name}{suffix}")
        damage(tmp_path / f"{name}.mindir")
    (tmp_path / "eval.json").write_text("{}")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    cases: dict[str, tuple[str, ...]] = {
        "native_lite2.mindir: a model of the kind lite2; give the native .mindir": ("native_lite2.mindir", "x.onnx"),
        "cut.json belongs to another file than": ("cut.mindir", "x.onnx"),
        "alone.json: no such manifest": ("alone.mindir", "x.onnx"),
        "absent.mindir: no such file": ("absent.mindir", "x.onnx"),
        "fixed.onnx: a model of the kind onnx": ("fixed.onnx", "x.onnx"),
        "would replace that of IN; give OUT another name before its ending": ("native.mindir", "native.onnx"),
        "eval.json is no manifest of a model": ("native.mindir", "eval.onnx"),
        "native_lite2.json is the manifest of native_lite2.mindir": ("native.mindir", "native_lite2.onnx"),
        "give OUT the ending .onnx": ("native.mindir", "x.mindir"),
        f"--opset 12: expected {OLDEST_OPSET}..{OPSET}": ("native.mindir", "x.onnx", "--opset", "12"),
        f"--opset {OPSET + 1}: expected": ("native.mindir", "x.onnx", "--opset", str(OPSET + 1)),
    }
    for message, (source, target, *more) in cases.items():
        assert run(to_onnx.main, [str(tmp_path / source), str(tmp_path / target), *more]) == 2, message
        error = capfd.readouterr().err.strip()
        assert message in error and "\n" not in error, error
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_wrong_flags(checkpoint: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out" / "m"
    options: dict[str, tuple[str, tuple[str, ...], int | None]] = {
        "--dynamic is for ONNX files; add --file_format ONNX": ("MINDIR", ("batch",), None),
        "--opset is for ONNX files": ("AIR", (), 17),
        f"--opset 12: expected {OLDEST_OPSET}..{OPSET}": ("ONNX", (), 12),
    }
    for message, (file_format, dynamic, opset) in options.items():
        with pytest.raises(UserError, match=message):
            ExportOptions(target, file_format, dynamic=dynamic, opset=opset)
    for name, file_format in (("m.mindir", "ONNX"), ("m.onnx", "MINDIR")):
        with pytest.raises(UserError, match=f"the ending of another format than --file_format {file_format}"):
            model_path(name, file_format)
    assert model_path("a/m", "ONNX") == model_path("a/m.onnx", "ONNX") == Path("a/m.onnx")
    spec = ExportOptions(target, "ONNX", dynamic=("width", "batch", "batch")).input_spec(tiny_config(None))
    assert spec.dynamic == ("batch", "width")
    for name, more, kept in (("native", ONNX, "native.mindir"), ("fixed", (), "fixed.onnx")):
        assert call(checkpoint, folder / name, *SIZE, *more) == 2
        error = capfd.readouterr().err.strip()
        assert f"{name}.json is the manifest of {kept} and would be replaced" in error and "\n" not in error, error
    with pytest.raises(SystemExit, match="2"):
        call(checkpoint, target, *ONNX, "--dynamic", "depth")
    assert not target.parent.exists()


def test_without_the_packages(
    checkpoint: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    absent = {"onnxruntime"}
    monkeypatch.setattr(requirements, "find_spec", lambda name: None if name in absent else object())
    source = str(folder / "native.mindir")
    assert run(to_onnx.main, [source, str(tmp_path / "m.onnx")]) == 0
    captured = capfd.readouterr()
    assert "m.onnx was not run: no ONNX Runtime here; pip install -r requirements-deploy.txt" in captured.out + captured.err
    absent.add("onnx")
    install = "needs the package onnx: pip install -r requirements-deploy.txt"
    for status in (call(checkpoint, tmp_path / "n", *SIZE, *ONNX), run(to_onnx.main, [source, str(tmp_path / "n.onnx")])):
        assert status == 2
    error = capfd.readouterr().err.strip()
    assert error.count(install) == 2 and error.count("\n") == 1
    with pytest.raises(UserError, match=install):
        open_onnx(folder / "fixed.onnx", "MODEL")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.json", "m.onnx"]


def test_a_model_that_computes_something_else_is_not_left_behind(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"earlier")
    monkeypatch.setattr(mindir_to_onnx, "NativeModel", lambda source: lambda image: np.ones((1, 11, 19, 27), np.float32))
    monkeypatch.setattr(checking, "OnnxModel", lambda model: lambda image: np.full((1, 11, 19, 27), 1.0002, np.float32))
    assert run(to_onnx.main, [str(folder / "native.mindir"), str(tmp_path / "m.onnx")]) == 1
    error = capfd.readouterr().err.strip()
    assert "m.onnx in ONNX Runtime at 1x3x38x54 is not native.mindir: largest difference 2.0e-04" in error and "\n" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"] and (tmp_path / "m.onnx").read_bytes() == b"earlier"


def test_programs_that_do_not_run_onnx_say_so(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = str(folder / "fixed.onnx")
    assert run(predict.main, [str(tmp_path), "--checkpoint_path", model]) == 2
    assert f"{model}: an ONNX file, which other programs run (docs/DEPLOY.md)" in capfd.readouterr().err
    assert run(evaluation.main, ["--data_path", str(tmp_path), "--checkpoint_path", model]) == 2
    assert f"{model}: expected a MindSpore .ckpt file" in capfd.readouterr().err
    shutil.copy(folder / "native.mindir", tmp_path / "fixed.mindir")
    shutil.copy(folder / "fixed.json", tmp_path / "fixed.json")
    with pytest.raises(UserError, match=r"its manifest .*fixed\.json is of fixed\.onnx, of the kind onnx"):
        open_mindir(tmp_path / "fixed.mindir")
