"""What cannot be converted: one line on stderr, status 2, and no output left behind."""

import os
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest

import convert_from_torch
from src.runtime.entry import run
from tests.checkpoint.conversion import foreign_networks as foreign
from tests.checkpoint.conversion.foreign_files import command, prefixed, preset, save_torch, small_disk, write_source
from tests.checkpoint.conversion.foreign_networks import random_weights

pytest.importorskip("torch", reason="conversion from .pth files needs torch")


def assert_refused(status: int, folder: Path, capsys: pytest.CaptureFixture[str], *words: str, kept: set[str]) -> None:
    out, err = capsys.readouterr()
    assert status == 2
    assert len(err.strip().splitlines()) == 1 and out == ""
    for word in words:
        assert word in err
    assert {file.name for file in folder.iterdir()} == kept


def test_other_shapes_than_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source("mmseg", tmp_path)
    # Of another width and other classes the width is told, which no --num_classes mends.
    for config in ("hrnetv2_w18", "camvid_w18_small"):
        status = command(path, tmp_path / "out.ckpt", "--config", config)
        assert_refused(status, tmp_path, capsys, "(4, 64, 1, 1) in the file", "in the network", "leave out --config", kept={"in.pth"})


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
    words = ("has 11 classes, the file 19", "--config", "--num_classes 11")
    assert_refused(status, tmp_path, capsys, *words, kept={"in.pth", "preset.yaml"})
    assert command(path, tmp_path / "out.ckpt", "--config", config, "--num_classes", "11") == 0


@pytest.mark.parametrize("number", ["-3", "0", "1", "256", "100000"])
def test_impossible_numbers_of_classes(number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source("mmseg", tmp_path)
    status = command(path, tmp_path / "out.ckpt", "--num_classes", number)
    assert_refused(status, tmp_path, capsys, f"--num_classes {number}: expected 2 to 255", kept={"in.pth"})


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
        (["layer1.0.conv1.weight", "layer4.0.conv1.weight", "fc.weight"], "layer1.0.conv1.weight"),
        (["module.backbone.layer4.0.conv1.weight", "module.cls.weight"], "cls.weight"),
        (["features.0.weight", "classifier.0.weight"], "features.0.weight"),
    ],
)
def test_another_architecture(names: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_torch(tmp_path / "in.pth", {name: np.ones((2, 2, 1, 1), np.float32) for name in names})
    words = (reason, "no HRNet or ResNet that can be converted", "in.pth")
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, *words, kept={"in.pth"})


@pytest.mark.parametrize(
    ("source", "extra"),
    [
        ("mmseg", "decode_head.1.attention.weight"),
        ("mmseg_plain", "decode_head.convs.1.conv.weight"),
        ("paddleseg", "backbone.la1.bb_layer2_1.se.squeeze.weight"),
        ("paddleseg", "head.spatial_ocr.more.weight"),
        ("openseg", "conv3x3.2.weight"),
    ],
)
def test_layers_that_the_network_lacks(source: str, extra: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source(source, tmp_path, more={extra: np.ones((2, 2), np.float32)})
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, f"the file has {extra}", kept={path.name})


@pytest.mark.parametrize("name", ["layer1." + "9" * 5000 + ".conv1.weight", "a\nb.weight", "\x1b[31m.weight"])
def test_impossible_names(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source("mmseg", tmp_path, more={name: np.ones(2, np.float32)})
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, "no network's", kept={"in.pth"})


def test_too_little_of_the_backbone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, _ = random_weights(foreign.official_backbone())
    names = [name for name in there if not (name.startswith("stage4") and "fuse_layers" in name)]
    path = save_torch(tmp_path / "in.pth", {name: there[name] for name in names})
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, "backbone parameters are in the file", kept={"in.pth"})


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


@pytest.mark.parametrize("fails", ["weights", "side file", "last step"])
def test_both_files_or_none(fails: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source("mmseg", tmp_path)

    replace = os.replace

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    def fail_last(source: Path, target: Path) -> None:
        fail() if target.suffix == ".ckpt" else replace(source, target)

    broken = {
        "weights": (ms, "save_checkpoint", fail),
        "side file": (Path, "write_text", fail),
        "last step": (os, "replace", fail_last),
    }
    monkeypatch.setattr(*broken[fails])
    assert_refused(command(path, tmp_path / "out.ckpt"), tmp_path, capsys, "No space left", kept={"in.pth"})


def test_a_full_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = write_source("mmseg", tmp_path)
    with small_disk():
        status = command(path, tmp_path / "out.ckpt")
    assert_refused(status, tmp_path, capsys, "out.ckpt: cannot be written", kept={"in.pth"})


def test_a_folder_as_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.pth").mkdir()
    assert_refused(command(tmp_path / "in.pth", tmp_path / "out.ckpt"), tmp_path, capsys, "in.pth: a folder", kept={"in.pth"})


def test_flags(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--torch_path", "a.pth"], ["--torch_path", "a", "--mindspore_path", "b", "--source", "keras"]):
        with pytest.raises(SystemExit) as caught:
            run(convert_from_torch.main, arguments)
        assert caught.value.code == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
