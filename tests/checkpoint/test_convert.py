"""Conversion of each source: exact names, shapes and values, facts beside, other numbers of classes, and every wrong input."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
import yaml

import convert_from_torch
from src.checkpoint.weights import load_weights, read_checkpoint
from src.config import load_config
from src.models.builder import build_network
from src.runtime.entry import run
from tests.checkpoint import foreign_files as foreign
from tests.checkpoint.foreign_files import MINDSPORE_NORM, PADDLE_NORM, TORCH_NORM, Layer, counters, random_weights, save_torch

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


def command(torch_path: Path, mindspore_path: Path, *more: str) -> int:
    return run(convert_from_torch.main, ["--torch_path", str(torch_path), "--mindspore_path", str(mindspore_path), *more])


def save_paddle(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    import pickle

    path.write_bytes(pickle.dumps({**arrays, "StructuredToParameterName@@": {name: name for name in arrays}}, protocol=4))
    return path


def save_mindspore(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in arrays.items()], str(path))
    return path


def prefixed(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {prefix + name: array for name, array in arrays.items()}


def write_source(name: str, folder: Path, classes: int = 19) -> tuple[Path, dict[str, np.ndarray]]:
    """Write a file as the source would; return it with the values by official names."""
    makers: dict[str, Callable[[int], list[Layer]]] = {
        "official": foreign.official,
        "official_plain": foreign.official_plain,
        "openseg": foreign.openseg,
        "openseg_inplace": lambda k: foreign.openseg(k, inplace=True),
        "mmseg": foreign.mmseg,
        "mmseg_plain": foreign.mmseg_plain,
        "paddleseg": foreign.paddleseg,
        "paddleseg_plain": foreign.paddleseg_plain,
        "modelzoo": foreign.modelzoo,
    }
    layers = makers[name](classes)
    if name.startswith("paddleseg"):
        there, here = random_weights(layers, PADDLE_NORM)
        return save_paddle(folder / "in.pdparams", there), here
    if name == "modelzoo":
        there, here = random_weights(layers, MINDSPORE_NORM)
        state = {f"accum.{layer}": value for layer, value in there.items()} | {"momentum": np.ones(1, np.float32)}
        return save_mindspore(folder / "in.ckpt", prefixed(there, "network.") | state), here
    there, here = random_weights(layers, TORCH_NORM)
    there |= counters(layers)
    if name.startswith("official"):
        return save_torch(
            folder / "in.pth", prefixed(there, "model.") | {"loss.criterion.weight": np.ones(classes, np.float32)}, None
        ), here
    if name == "openseg_inplace":
        here = {key: np.abs(value) + np.float32(1e-5) if key.endswith(".gamma") else value for key, value in here.items()}
    if name.startswith("openseg"):
        return save_torch(folder / "in.pth.tar", prefixed(there, "module.")), here
    there |= {"auxiliary_head.conv_seg.bias": np.zeros(classes, np.float32)}
    return save_torch(folder / "in.pth", there), here


SEGMENTATION = (
    "official",
    "official_plain",
    "openseg",
    "openseg_inplace",
    "mmseg",
    "mmseg_plain",
    "paddleseg",
    "paddleseg_plain",
    "modelzoo",
)


@pytest.mark.parametrize("source", SEGMENTATION)
def test_names_shapes_and_values_of_each_source(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, expected = write_source(source, tmp_path)
    out = tmp_path / "out.ckpt"
    assert command(path, out) == 0
    assert f"{source.split('_')[0]} (recognised by its names)" in capsys.readouterr().out
    written = read_checkpoint(out)
    assert {name: value.shape for name, value in written.items()} == {name: value.shape for name, value in expected.items()}
    for name, value in expected.items():
        assert written[name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize("source", SEGMENTATION)
def test_the_side_file_builds_the_network(source: str, tmp_path: Path) -> None:
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
    assert sorted(file.name for file in tmp_path.iterdir() if file != path) == ["out.ckpt", "out.yaml"]
    assert {file.stat().st_mode & 0o777 for file in (out, out.with_suffix(".yaml"))} == {0o644}


@pytest.mark.parametrize("source", FACTS)
def test_facts_beside_the_weights(source: str, tmp_path: Path) -> None:
    path, _ = write_source(source, tmp_path)
    assert command(path, tmp_path / "out.ckpt") == 0
    side = yaml.safe_load((tmp_path / "out.yaml").read_text())
    config = load_config(str(tmp_path / "out.yaml"))
    model, data = config.model, config.dataset
    assert (
        *(model.align_corners, model.half_pixel_centers, model.fuse_resize, model.stride2_padding, data.color_order, (data.mean, data.std)),
        *(model.head_bias, model.ocr.transform_bias, model.ocr.aux_kernel, model.ocr.negative_slope, config.eval.fusion),
    ) == FACTS[source]
    # Written even where the preset says the same, which may change.
    assert {"align_corners", "half_pixel_centers", "fuse_resize", "stride2_padding", "head_bias", "ocr"} <= set(side["model"])
    assert {"color_order", "mean", "std", "num_classes"} == set(side["dataset"])


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
    assert f"reinitialised {len(changed):>5}: " in out and all(name in out for name in changed)
    first, second = read_checkpoint(tmp_path / "a.ckpt"), read_checkpoint(tmp_path / "b.ckpt")
    assert first.keys() == expected.keys()
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes()
        if name in changed:
            assert value.shape == (5, *expected[name].shape[1:]) and value.std() > 0
        else:
            assert value.tobytes() == expected[name].tobytes()
    assert load_config(str(tmp_path / "a.yaml")).dataset.num_classes == 5


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


def preset(tmp_path: Path, **changes: Any) -> str:
    """Write the tiny network as a configuration of its own, which plays the part of a preset."""
    ocr = {"mid_channels": foreign.MID, "key_channels": foreign.KEY, "dropout": 0.0}
    tree = {"preset": "hrnetv2_w18", "model": {"extra": foreign.EXTRA, "ocr": ocr}} | changes
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(tree))
    return str(tmp_path / "preset.yaml")


def test_a_given_configuration_gets_the_facts(tmp_path: Path) -> None:
    path, _ = write_source("paddleseg", tmp_path)
    assert command(path, tmp_path / "out.ckpt", "--config", preset(tmp_path, eval={"fusion": "exp"})) == 0
    config = load_config(str(tmp_path / "out.yaml"))
    assert config.preset == "hrnetv2_w18"
    assert (config.model.stride2_padding, config.model.ocr.transform_bias, config.dataset.mean) == ("same", True, [0.5] * 3)
    assert config.eval.fusion == "exp"  # how to evaluate is the configuration's choice
    assert config.model.ocr.dropout == 0.0
    load_weights(build_network(config), tmp_path / "out.ckpt", complete=True)


def assert_refused(status: int, folder: Path, capsys: pytest.CaptureFixture[str], *words: str, kept: set[str]) -> None:
    out, err = capsys.readouterr()
    assert status == 2
    assert len(err.strip().splitlines()) == 1 and out == ""
    for word in words:
        assert word in err
    assert {file.name for file in folder.iterdir()} == kept


def test_other_shapes_than_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source("mmseg", tmp_path)
    status = command(path, tmp_path / "out.ckpt", "--config", "hrnetv2_w18")
    assert_refused(status, tmp_path, capsys, "(4, 64, 1, 1) in the file", "(64, 64, 1, 1) in the network", kept={"in.pth"})


def test_a_larger_network_than_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extra = foreign.EXTRA | {"STAGE3": foreign.EXTRA["STAGE3"] | {"NUM_MODULES": 1}}
    config = preset(tmp_path, model={"extra": extra, "ocr": {"mid_channels": foreign.MID, "key_channels": foreign.KEY}})
    path, _ = write_source("mmseg", tmp_path)
    status = command(path, tmp_path / "out.ckpt", "--config", config)
    assert_refused(status, tmp_path, capsys, "the file has stage3.1.", "another network", kept={"in.pth", "preset.yaml"})


def test_other_classes_than_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = preset(tmp_path, dataset={"num_classes": 11})
    path, _ = write_source("mmseg", tmp_path)
    status = command(path, tmp_path / "out.ckpt", "--config", config)
    words = ("19 classes in the file", "11 in --config", "--num_classes 11")
    assert_refused(status, tmp_path, capsys, *words, kept={"in.pth", "preset.yaml"})
    assert command(path, tmp_path / "out.ckpt", "--config", config, "--num_classes", "11") == 0


@pytest.mark.parametrize(
    ("wanted", "source"), [("official", "mmseg"), ("paddleseg", "official"), ("imagenet", "openseg"), ("ocnet", "mmseg")]
)
def test_a_wrong_source(wanted: str, source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source(source, tmp_path)
    status = command(path, tmp_path / "out.ckpt", "--source", wanted)
    assert_refused(status, tmp_path, capsys, f"--source {wanted}", f"are those of {source}", kept={path.name})


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["layer1.0.conv1.weight", "layer4.0.conv1.weight", "fc.weight"], "ResNet"),
        (["module.backbone.layer4.0.conv1.weight", "module.cls.weight"], "ResNet"),
        (["features.0.weight", "classifier.0.weight"], "features.0.weight"),
    ],
)
def test_another_architecture(names: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_torch(tmp_path / "in.pth", {name: np.ones((2, 2, 1, 1), np.float32) for name in names})
    words = (reason, "HRNet networks alone", "in.pth")
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, *words, kept={"in.pth"})


def test_too_little_of_the_backbone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, _ = random_weights(foreign.official_backbone())
    names = [name for name in there if not (name.startswith("stage4") and "fuse_layers" in name)]
    path = save_torch(tmp_path / "in.pth", {name: there[name] for name in names})
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, "backbone parameters are in the file", kept={"in.pth"})


def test_a_backbone_nearly_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, here = random_weights(foreign.official_backbone())
    path = save_torch(tmp_path / "in.pth", {name: value for name, value in there.items() if name != "bn2.bias"})
    assert command(path, tmp_path / "out.ckpt") == 0
    assert "missing     1: bn2.beta" in capsys.readouterr().out
    assert read_checkpoint(tmp_path / "out.ckpt").keys() == here.keys() - {"bn2.beta"}


@pytest.mark.parametrize("lost", ["aux_head.0.weight", "stage4.0.branches.0.0.conv1.weight", "bn1.running_var"])
def test_a_segmentation_network_must_be_complete(lost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, _ = random_weights(foreign.official())
    path = save_torch(tmp_path / "in.pth", {name: value for name, value in there.items() if name != lost})
    lost_here = lost.replace("running_var", "moving_variance")
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, lost_here, kept={"in.pth"})


def test_values_that_are_not_finite_or_no_floats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, _ = random_weights(foreign.official())
    there["conv1.weight"][0, 0, 0, 0] = np.nan
    path = save_torch(tmp_path / "in.pth", there)
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, "conv1.weight", "not finite", kept={"in.pth"})
    there["conv1.weight"] = np.ones((64, 3, 3, 3), np.int8)
    save_torch(path, there)
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, "conv1.weight", "int8", kept={"in.pth"})


def test_two_networks_in_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, _ = random_weights(foreign.official())
    path = save_torch(tmp_path / "in.pth", there | prefixed(there, "module."))
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, "two networks", kept={"in.pth"})


def test_its_own_checkpoints_are_no_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source("mmseg", tmp_path)
    assert command(path, tmp_path / "a.ckpt") == 0
    capsys.readouterr()
    status = command(tmp_path / "a.ckpt", tmp_path / "b.ckpt")
    assert_refused(status, tmp_path, capsys, "this project's own", kept={"in.pth", "a.ckpt", "a.yaml"})


def test_output_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source("mmseg", tmp_path)
    assert_refused(command(path, tmp_path / "no" / "out.ckpt"), tmp_path, capsys, "is not a folder", kept={"in.pth"})
    assert_refused(command(path, tmp_path / "out.pth"), tmp_path, capsys, "must end in .ckpt", kept={"in.pth"})
    (tmp_path / "out.yaml").write_text("mine")
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, "out.yaml is there already", kept={"in.pth", "out.yaml"})
    assert (tmp_path / "out.yaml").read_text() == "mine"


@pytest.mark.parametrize("fails", ["weights", "side file"])
def test_both_files_or_none(fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source("mmseg", tmp_path)

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((ms, "save_checkpoint") if fails == "weights" else (Path, "write_text")), fail)
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, "No space left", kept={"in.pth"})


def test_flags(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--torch_path", "a.pth"], ["--torch_path", "a", "--mindspore_path", "b", "--source", "keras"]):
        with pytest.raises(SystemExit) as caught:
            run(convert_from_torch.main, arguments)
        assert caught.value.code == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


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
