"""The lowered form of every convention's network computes what the network does; what cannot be lowered is named."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from src.config.errors import UserError
from src.deploy import lower
from src.deploy.lite_runner import run_in_cpp
from src.deploy.lowering import lower_file, lower_model
from src.deploy.manifest import InputSpec, Manifest, OutputSpec, file_sha256, read_manifest
from src.deploy.mindir import read_mindir
from src.deploy.model_graph import Labels, ModelGraph, Normalize
from src.deploy.operators import OPERATORS
from src.models.builder import assemble_network
from src.runtime.entry import run
from tests.deploy import lite_interpreter
from tests.family import random_family
from tests.random_weights import randomize
from tests.tiny import tiny_config

PROJECT = Path(__file__).resolve().parents[2]
SIZE_HW = (38, 54)  # odd halves

# Together they use every operator of the table.
CONVENTIONS: dict[str, tuple[str, ...]] = {
    "OCR by other frameworks' habits": (
        "model.align_corners=True",
        "model.fuse_resize=stepwise",
        "model.stride2_padding=same",
        "model.head_bias=False",
        "model.ocr.transform_bias=True",
        "model.ocr.negative_slope=0.01",
        "model.ocr.scale=2",
    ),
    "plain, to labels": (
        "model.name=seg_hrnet",
        "loss.balance_weights=[1.0]",
        "model.half_pixel_centers=False",
        "model.fuse_resize=nearest",
        "model.extra.FINAL_CONV_KERNEL=3",
    ),
}
FAMILY = "every head on ResNet"


def graph_of(name: str) -> tuple[ModelGraph, np.ndarray]:
    """Return the network of a convention and an input; to labels it is one of bytes."""
    if name == FAMILY:
        return ModelGraph(random_family()), np.random.default_rng(3).normal(size=(1, 3, 65, 49)).astype(np.float32)
    config: Any = tiny_config(None, *CONVENTIONS[name])
    network = assemble_network(config)
    randomize(network, seed=2)
    rng = np.random.default_rng(3)
    if "labels" in name:
        prepare = Normalize(config.dataset.mean, config.dataset.std)
        graph = ModelGraph(network, prepare, Labels(config.model.align_corners, config.model.half_pixel_centers))
        image: np.ndarray = rng.integers(0, 256, (2, 3, *SIZE_HW)).astype(np.uint8)
    else:
        graph, image = ModelGraph(network), rng.normal(size=(1, 3, *SIZE_HW)).astype(np.float32)
    graph.set_train(False)
    return graph, image


def export(cell: nn.Cell, path: Path, *inputs: np.ndarray) -> Path:
    ms.export(cell, *map(Tensor, inputs), file_name=str(path), file_format="MINDIR")
    return path


@dataclass(frozen=True)
class Exported:
    """A network's native file, an input and what the network makes of it."""

    native: Path
    image: np.ndarray
    expected: np.ndarray


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    files, before = {}, ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    for name in (*CONVENTIONS, FAMILY):
        graph, image = graph_of(name)
        native = export(graph, tmp_path_factory.mktemp("native") / "m.mindir", image)
        files[name] = Exported(native, image, graph(Tensor(image)).asnumpy())
    ms.set_context(mode=before)
    return files


@pytest.mark.parametrize("name", [*CONVENTIONS, FAMILY])
def test_the_lowered_graph_computes_what_the_network_does(name: str, exported: dict[str, Exported], tmp_path: Path) -> None:
    image, expected = exported[name].image, exported[name].expected
    lower_file(exported[name].native, tmp_path / "low.mindir")
    lowered = lite_interpreter.load(tmp_path / "low.mindir")
    given = lite_interpreter.compute(lowered, image)
    assert lowered.mind_ir_version == 1
    assert expected.shape == given.shape and expected.dtype == given.dtype
    if expected.dtype == np.uint8:
        assert len(np.unique(expected)) > 2 and (expected == given).mean() > 0.999
    else:
        assert np.abs(expected - given).max() <= 1e-5 * np.abs(expected).max()
    written = {op for op, _ in lite_interpreter.attributes(lowered).values()}
    assert not written & {"BatchNorm", "Load", "Depend", "UpdateState", "TupleGetItem"}, "folded or left out"


def test_every_head_computes_the_same_in_cpp(exported: dict[str, Exported], tmp_path: Path) -> None:
    image, expected = exported[FAMILY].image, exported[FAMILY].expected
    manifest = Manifest(
        model_file="low.mindir",
        sha256="",
        kind="lite2",
        input=InputSpec(image.shape, "float32", "RGB", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        output=OutputSpec("logits", expected.shape, "float32", True, False),
        class_names=tuple(f"class {index}" for index in range(expected.shape[1])),
        palette=tuple((index, index, index) for index in range(expected.shape[1])),
        ignore_label=255,
        versions={},
        checkpoint={"file": "", "sha256": ""},
        config={},
    )
    model = tmp_path / "low.mindir"
    lower_file(exported[FAMILY].native, model)
    replace(manifest, sha256=file_sha256(model)).write(model)
    fetch = subprocess.run(["bash", str(PROJECT / "scripts/fetch_mindspore_lite.sh")], capture_output=True, text=True, check=True)
    given = run_in_cpp(Path(fetch.stdout.strip()), model, manifest, image)
    assert given is not None, "the runner cannot be built"
    assert np.abs(expected - given).max() <= 1e-4 * np.abs(expected).max()


def test_the_table_has_just_the_operators_of_the_networks(exported: dict[str, Exported]) -> None:
    used = {primitive.op_type for each in exported.values() for primitive in read_mindir(each.native).primitives}
    assert used == set(OPERATORS) | {"Load", "Depend", "UpdateState"}


class Loose(nn.Cell):
    """A batch norm without a convolution in front, and one whose convolution has another use."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.convolution = nn.Conv2d(3, 3, 3, pad_mode="pad", padding=1, has_bias=False)

    def construct(self, x: Tensor) -> Tensor:
        x = self.convolution(self.first(x))
        return self.second(x) + x


def test_batch_norms_that_cannot_be_folded_stay(tmp_path: Path, pynative: None) -> None:
    cell, image = Loose(), np.random.default_rng(1).normal(size=(2, 3, 5, 7)).astype(np.float32)
    randomize(cell, seed=2)
    cell.set_train(False)
    lowered = lower_model(read_mindir(export(cell, tmp_path / "m.mindir", image)))
    names = [op for op, _ in lite_interpreter.attributes(lowered).values()]
    assert "BatchNorm" in names and "TupleGetItem" in names
    assert np.allclose(lite_interpreter.compute(lowered, image), cell(Tensor(image)).asnumpy(), atol=1e-5)


def test_attributes_that_lite_takes_other_names_for() -> None:
    """Source: MindSpore Lite 2.0.0's Resize: coordinate_transform_mode 0 asymmetric, 1 align corners, 2 half pixel; method 1 nearest."""
    modes = {(True, False): 1, (False, True): 2, (False, False): 0}
    for (aligned, half_pixel), mode in modes.items():
        attributes = OPERATORS["ResizeBilinearV2"].translate({"size": (5, 7), "align_corners": aligned, "half_pixel_centers": half_pixel})
        sizes = (attributes["method"], attributes["new_height"], attributes["new_width"], attributes["coordinate_transform_mode"])
        assert sizes == (0, 5, 7, mode)
    nearest = OPERATORS["ResizeNearestNeighborV2"].translate({"size": (5, 7), "align_corners": False, "half_pixel_centers": False})
    assert (nearest["method"], nearest["coordinate_transform_mode"]) == (1, 0)
    with pytest.raises(ValueError, match="nearest-neighbour"):
        OPERATORS["ResizeNearestNeighborV2"].translate({"size": (5, 7), "align_corners": True, "half_pixel_centers": False})
    with pytest.raises(ValueError, match="another type"):
        OPERATORS["SumExt"].translate({"keep_dims": True, "dtype": 43})
    assert OPERATORS["BiasAdd"].translate({"format": 0}) == {"format": "NCHW"}


class Unknown(nn.Cell):
    def construct(self, x: Tensor) -> Tensor:
        return ops.tanh(x)


class SumOfAll(nn.Cell):
    def construct(self, x: Tensor) -> Tensor:
        return x.sum()


class TwoOutputs(nn.Cell):
    def construct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return ops.relu(x), x


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def no_model(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 4)


def no_text(path: Path) -> None:
    path.write_bytes(b"\x0a\x03\xff\xfe\xfd" + path.read_bytes())  # a field of text that is none, as in a .ckpt


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_what_cannot_be_lowered_is_named_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.ones((1, 2, 3, 3), np.float32)
    relu = export(nn.ReLU(), tmp_path / "relu.mindir", image)
    assert run(lower.main, [str(relu), str(tmp_path / "deep" / "low.mindir")]) == 0
    assert (tmp_path / "deep" / "low.mindir").stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "deep" / "low.json").exists()
    capsys.readouterr()
    damages: dict[str, Callable[[Path], None]] = {"cut": cut_off, "none": no_model, "text": no_text, "empty": empty}
    for name, damage in damages.items():
        (tmp_path / name).write_bytes(relu.read_bytes())
        damage(tmp_path / name)
    cases = {
        "operator Tanh": export(Unknown(), tmp_path / "unknown.mindir", image),
        "is None": export(SumOfAll(), tmp_path / "sum.mindir", image),
        "2 outputs": export(TwoOutputs(), tmp_path / "two.mindir", image),
        "nothing to lower": tmp_path / "deep" / "low.mindir",
        "no such file": tmp_path / "absent.mindir",
        "a folder": tmp_path / "deep",
        **{f"{name}: no MindIR file, or one that is cut off": tmp_path / name for name in damages},
    }
    for message, source in cases.items():
        assert run(lower.main, [str(source), str(tmp_path / "out" / "x.mindir")]) == 2, message
        error = capsys.readouterr().err.strip()
        assert message in error and str(source) in error and "\n" not in error, error
    assert not (tmp_path / "out").exists()
    assert run(lower.main, [str(relu), str(tmp_path / "deep" / ".." / "relu.mindir")]) == 2
    assert "the same file as IN" in capsys.readouterr().err


def test_a_manifest_goes_with_the_file_it_belongs_to(tmp_path: Path) -> None:
    source, target = export(nn.ReLU(), tmp_path / "m.v1.mindir", np.ones((1, 3, 32, 32), np.float32)), tmp_path / "low.mindir"
    manifest = Manifest(
        model_file=source.name,
        sha256=file_sha256(source),
        kind="native",
        input=InputSpec((1, 3, 32, 32), "float32", "BGR", (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),
        output=OutputSpec("logits", (1, 2, 8, 8), "float32", False, True),
        class_names=("road", "sky"),
        palette=((1, 2, 3), (4, 5, 6)),
        ignore_label=255,
        versions={"mindspore": "x"},
        checkpoint={"file": "a.ckpt", "sha256": "b"},
        config={"seed": 1},
    )
    assert manifest.write(source) == tmp_path / "m.v1.json"
    lower_file(source, target)
    written = read_manifest(tmp_path / "low.json")
    assert (written.model_file, written.sha256, written.kind) == ("low.mindir", file_sha256(target), "lite2")
    assert (written.input, written.output, written.palette) == (manifest.input, manifest.output, manifest.palette)
    (tmp_path / "eval.json").write_text("{}")
    os.mkfifo(tmp_path / "device")  # as /dev/null is, nothing to replace by a file
    before = sorted(tmp_path.iterdir())
    for name, message in (
        ("m.v1.lite2", "m.v1.json would replace that of IN"),
        ("eval.mindir", "eval.json is no manifest of a model"),
        ("device", "device is no regular file"),
    ):
        with pytest.raises(UserError, match=message):
            lower_file(source, tmp_path / name)
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "device").is_fifo()
    assert read_manifest(tmp_path / "m.v1.json") == manifest and (tmp_path / "eval.json").read_text() == "{}"
    (tmp_path / "m.v1.json").write_text(json.dumps(manifest.as_json()).replace(manifest.sha256, "0" * 64))
    with pytest.raises(UserError, match="belongs to another file"):
        lower_file(source, tmp_path / "again.mindir")
    assert not (tmp_path / "again.mindir").exists()
