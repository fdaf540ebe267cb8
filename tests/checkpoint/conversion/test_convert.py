"""Conversion of each source: exact names, shapes and values, the facts beside, other precisions and numbers of classes."""

import contextlib
import functools
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml

import convert_from_torch
from src.checkpoint.weights import load_weights, read_checkpoint
from src.config import load_config
from src.models.builder import build_network
from tests.checkpoint.conversion import foreign_networks as foreign
from tests.checkpoint.conversion.foreign_files import SEGMENTATION, command, preset, save_mindspore, save_paddle, save_torch, write_source
from tests.checkpoint.conversion.foreign_networks import MINDSPORE_NORM, PADDLE_NORM, counters, random_weights

pytest.importorskip("torch", reason="conversion from .pth files needs torch")

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALF = ([0.5] * 3, [0.5] * 3)
# align_corners, half_pixel_centers, fuse_resize, stride2_padding, color_order, (mean, std),
# head_bias, transform_bias, aux_kernel, negative_slope, fusion
FACTS: dict[str, tuple] = {
    "official": (True, True, "bilinear", "symmetric", "RGB", IMAGENET, True, False, 1, 0.0, "exp"),
    "openseg": (True, True, "bilinear", "symmetric", "BGR", IMAGENET, True, True, 3, 0.0, "logits"),
    "openseg_inplace": (True, True, "bilinear", "symmetric", "BGR", IMAGENET, True, True, 3, 0.01, "logits"),
    "mmseg": (False, True, "stepwise", "symmetric", "RGB", IMAGENET, False, False, 1, 0.0, "softmax"),
    "paddleseg": (False, True, "bilinear", "same", "RGB", HALF, True, True, 1, 0.0, "logits"),
    "modelzoo": (False, False, "nearest", "symmetric", "RGB", IMAGENET, False, False, 1, 0.0, "exp"),
}


@dataclass(frozen=True)
class Conversion:
    """What a conversion read, wrote (with a .yaml beside) and printed."""

    expected: dict[str, np.ndarray]
    out: Path
    report: str


@pytest.fixture(scope="module")
def conversion_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Conversion]:
    """Return the conversion of a source's file without any option; each is done once."""

    @functools.cache
    def convert(source: str) -> Conversion:
        folder, report = tmp_path_factory.mktemp(source), io.StringIO()
        path, expected = write_source(source, folder)
        with contextlib.redirect_stdout(report):
            assert command(path, folder / "out.ckpt") == 0
        return Conversion(expected, folder / "out.ckpt", report.getvalue())

    return convert


@pytest.mark.parametrize("source", SEGMENTATION)
def test_names_shapes_and_values_of_each_source(source: str, conversion_of: Callable[[str], Conversion]) -> None:
    conversion = conversion_of(source)
    assert f"{source.split('_')[0]} (recognised by its names)" in conversion.report
    expected, written = conversion.expected, read_checkpoint(conversion.out)
    assert {name: value.shape for name, value in written.items()} == {name: value.shape for name, value in expected.items()}
    for name, value in expected.items():
        assert written[name].tobytes() == value.tobytes(), name


@pytest.fixture
def careful_umask() -> Iterator[None]:
    """New files are nobody else's to read unless a program says so."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.parametrize("source", SEGMENTATION)
def test_the_side_file_builds_the_network(source: str, tmp_path: Path, careful_umask: None) -> None:
    path, expected = write_source(source, tmp_path, classes=7)
    out = tmp_path / "out.ckpt"
    assert command(path, out) == 0
    config = load_config(str(tmp_path / "out.yaml"))
    for number, stage in foreign.EXTRA.items():
        assert {key: config.model.extra[number][key] for key in stage} == stage
    assert config.dataset.num_classes == 7
    is_ocr = "plain" not in source
    assert config.model.name == ("seg_hrnet_ocr" if is_ocr else "seg_hrnet")
    if is_ocr:
        assert (config.model.ocr.mid_channels, config.model.ocr.key_channels) == (foreign.MID, foreign.KEY)
    network = build_network(config)
    report = load_weights(network, out, complete=True)
    assert set(report.matched) == set(expected)
    fine_tuning = load_config(None, {"checkpoint_path": str(out)})  # what train.py makes of the weights alone
    assert (fine_tuning.model, fine_tuning.dataset) == (config.model, config.dataset)
    assert sorted(file.name for file in tmp_path.iterdir() if file != path) == ["out.ckpt", "out.yaml"]
    assert {file.stat().st_mode & 0o777 for file in (out, out.with_suffix(".yaml"))} == {0o644}


@pytest.mark.parametrize("source", FACTS)
def test_facts_beside_the_weights(source: str, conversion_of: Callable[[str], Conversion]) -> None:
    beside = conversion_of(source).out.with_suffix(".yaml")
    side, config = yaml.safe_load(beside.read_text()), load_config(str(beside))
    model, data = config.model, config.dataset
    assert (
        *(model.align_corners, model.half_pixel_centers, model.fuse_resize, model.stride2_padding, data.color_order, (data.mean, data.std)),
        *(model.head_bias, model.ocr.transform_bias, model.ocr.aux_kernel, model.ocr.negative_slope, config.eval.fusion),
    ) == FACTS[source]
    # Written even where the preset says the same, which may change.
    assert {"align_corners", "half_pixel_centers", "fuse_resize", "stride2_padding", "head_bias", "ocr"} <= set(side["model"])
    assert {"color_order", "mean", "std", "num_classes"} == set(side["dataset"])
    assert not {"resnet", "oc"} & set(side["model"])  # which are other networks'


@pytest.mark.parametrize("kind", ["torch", "paddle", "safetensors", "mindspore"])
def test_imagenet_backbones(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = {"incre_modules.0.0.conv1.weight": np.ones((2, 2), np.float32), "classifier.weight": np.ones((5, 2), np.float32)}
    out = tmp_path / "out.ckpt"
    if kind == "paddle":
        there, here = random_weights(foreign.paddle_backbone(""), PADDLE_NORM)
        path, head = save_paddle(tmp_path / "in.pdparams", there), {}
    elif kind == "mindspore":
        there, here = random_weights(foreign.official_backbone(), MINDSPORE_NORM)
        path = save_mindspore(tmp_path / "in.ckpt", there | head)
    else:
        there, here = random_weights(foreign.official_backbone())
        there |= head | counters(foreign.official_backbone())
        path = tmp_path / f"in.{'pth' if kind == 'torch' else kind}"
        if kind == "torch":
            save_torch(path, there, None)
        else:
            from safetensors.numpy import save_file

            save_file(there, path)
    assert command(path, out) == 0
    report = capsys.readouterr().out
    assert "imagenet" in report and ("incre_modules.*" in report or "incre_modules.0.0.conv1.weight" in report) == bool(head)
    written = read_checkpoint(out)
    assert written.keys() == here.keys()
    assert all(written[name].tobytes() == here[name].tobytes() for name in here)
    side = yaml.safe_load((tmp_path / "out.yaml").read_text())
    assert set(side) == {"preset", "model"} and set(side["model"]) == {"extra"}  # normalisation and resizing are the recipe's choice


@pytest.mark.parametrize("source", ["mmseg", "paddleseg", "official_plain"])
def test_conversion_to_other_classes(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, expected = write_source(source, tmp_path)
    assert command(path, tmp_path / "a.ckpt", "--num_classes", "5") == 0
    assert command(path, tmp_path / "b.ckpt", "--num_classes", "5") == 0
    classifiers = {"last_layer.3"} if source.endswith("plain") else {"aux_head.3", "cls_head"}
    changed = {f"{layer}.{leaf}" for layer in classifiers for leaf in ("weight", "bias")}
    out = capsys.readouterr().out
    assert f"reinitialised {len(changed):>5}: " in out and all(name in out for name in changed) and "aux_head is new" not in out
    first, second = read_checkpoint(tmp_path / "a.ckpt"), read_checkpoint(tmp_path / "b.ckpt")
    assert first.keys() == expected.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes()
        if name in changed:
            assert value.shape == (5, *expected[name].shape[1:]) and value.std() > 0
        else:
            assert value.tobytes() == expected[name].tobytes()
    assert load_config(str(tmp_path / "a.yaml")).dataset.num_classes == 5


def test_class_weights_of_other_classes_are_left_out(tmp_path: Path) -> None:
    config = preset(tmp_path, preset="demo")  # has a weight for each of its 19 classes
    path, _ = write_source("mmseg", tmp_path)
    assert command(path, tmp_path / "out.ckpt", "--config", config, "--num_classes", "5") == 0
    found = load_config(str(tmp_path / "out.yaml"))
    assert (found.preset, found.dataset.num_classes, found.loss.class_weights) == ("demo", 5, None)


def test_num_classes_as_in_the_file_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, expected = write_source("mmseg", tmp_path)
    assert command(path, tmp_path / "out.ckpt", "--num_classes", "19") == 0
    assert "reinitialised     0" in capsys.readouterr().out
    assert read_checkpoint(tmp_path / "out.ckpt")["cls_head.weight"].tobytes() == expected["cls_head.weight"].tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_become_float32_and_are_said(dtype: type, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, here = random_weights(foreign.openseg(inplace=True))
    path = save_torch(tmp_path / "in.pth", {name: value.astype(dtype) for name, value in there.items()})
    assert command(path, tmp_path / "out.ckpt") == 0
    assert f"{len(there)} arrays of {np.dtype(dtype)} became float32" in capsys.readouterr().out
    written = read_checkpoint(tmp_path / "out.ckpt")
    for name, value in here.items():
        rounded = value.astype(dtype).astype(np.float32)
        # The shift is added in float32: in half precision it would vanish.
        np.testing.assert_array_equal(written[name], np.abs(rounded) + np.float32(1e-5) if name.endswith("gamma") else rounded)


def test_bfloat16_becomes_float32_and_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    there, here = random_weights(foreign.official())
    torch.save({name: torch.from_numpy(value).bfloat16() for name, value in there.items()}, tmp_path / "in.pth")
    assert command(tmp_path / "in.pth", tmp_path / "out.ckpt") == 0
    assert f"{len(there)} arrays of bfloat16 became float32" in capsys.readouterr().out
    written = read_checkpoint(tmp_path / "out.ckpt")
    for name, value in here.items():
        np.testing.assert_array_equal(written[name], torch.from_numpy(value).bfloat16().float().numpy())


def test_a_given_configuration_gets_the_facts(tmp_path: Path) -> None:
    path, _ = write_source("paddleseg", tmp_path)
    assert command(path, tmp_path / "out.ckpt", "--config", preset(tmp_path, eval={"fusion": "exp"})) == 0
    config = load_config(str(tmp_path / "out.yaml"))
    assert config.preset == "hrnetv2_w18"
    assert (config.model.stride2_padding, config.model.ocr.transform_bias, config.dataset.mean) == ("same", True, [0.5] * 3)
    assert config.eval.fusion == "exp"  # how to evaluate is the configuration's choice
    assert config.model.ocr.dropout == 0.0
    load_weights(build_network(config), tmp_path / "out.ckpt", complete=True)


def test_a_backbone_nearly_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, here = random_weights(foreign.official_backbone())
    path = save_torch(tmp_path / "in.pth", {name: value for name, value in there.items() if name != "bn2.bias"})
    assert command(path, tmp_path / "out.ckpt") == 0
    assert "missing     1: bn2.beta" in capsys.readouterr().out
    assert read_checkpoint(tmp_path / "out.ckpt").keys() == here.keys() - {"bn2.beta"}


def test_help_needs_neither_mindspore_nor_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, convert_from_torch\ntry:\n    convert_from_torch.main(['--help'])\n"
        "except SystemExit:\n    assert not {'mindspore', 'torch'} & set(sys.modules)"
    )
    folder = Path(convert_from_torch.__file__).parent
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=True)
    assert "--reverse" in result.stdout and len(result.stdout.splitlines()) < 40
