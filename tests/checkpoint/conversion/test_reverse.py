"""The way back: bit for bit where the names can say it all, and told where they cannot."""

import functools
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

import convert_from_torch
from src.checkpoint.weights import read_checkpoint
from src.runtime.entry import run
from tests.checkpoint.conversion import foreign_networks as foreign
from tests.checkpoint.conversion.foreign_files import command, prefixed, save_paddle, save_torch, small_disk
from tests.checkpoint.conversion.foreign_networks import PADDLE_NORM, counters, random_weights

torch = pytest.importorskip("torch", reason="writing .pth files needs torch")


def back(checkpoint: Path, target: Path, *more: str) -> int:
    return run(convert_from_torch.main, ["--reverse", "--mindspore_path", str(checkpoint), "--torch_path", str(target), *more])


def read(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    return {name: value.numpy() for name, value in torch.load(path, weights_only=True).items()}


def assert_equal_bits(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert (found[name].shape, found[name].dtype, found[name].tobytes()) == (value.shape, value.dtype, value.tobytes()), name


Weights = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def converted_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Weights, Weights, Path]]:
    """Return the random weights of a source by its names and by ours, and their conversion; each is made once."""

    @functools.cache
    def convert(source: str) -> tuple[Weights, Weights, Path]:
        folder, layers = tmp_path_factory.mktemp(source), getattr(foreign, source)()
        prefix = "model." if source.startswith("official") else ""
        there, here = random_weights(layers)
        there = prefixed(there, prefix)
        save_torch(folder / "in.pth", there | prefixed(counters(layers), prefix))
        assert command(folder / "in.pth", folder / "w.ckpt") == 0
        return there, here, folder / "w.ckpt"

    return convert


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("source", ["official", "official_plain", "mmseg", "mmseg_plain"])
def test_round_trip(source: str, suffix: str, converted_of: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, _, checkpoint = converted_of(source)
    capsys.readouterr()
    assert back(checkpoint, tmp_path / f"back{suffix}", "--source", source.split("_")[0]) == 0
    out = capsys.readouterr().out
    assert f"{len(there)} parameters" in out and "warning" not in out and "bias" not in out
    assert_equal_bits(read(tmp_path / f"back{suffix}"), there)
    assert (tmp_path / f"back{suffix}").stat().st_mode & 0o777 == 0o644


def test_round_trip_of_a_backbone(tmp_path: Path) -> None:
    there, _ = random_weights(foreign.official_backbone())
    save_torch(tmp_path / "in.pth", there)
    assert command(tmp_path / "in.pth", tmp_path / "w.ckpt") == 0
    assert back(tmp_path / "w.ckpt", tmp_path / "back.pth") == 0
    assert_equal_bits(read(tmp_path / "back.pth"), prefixed(there, "model."))
    assert back(tmp_path / "w.ckpt", tmp_path / "mmseg.pth", "--source", "mmseg") == 0
    assert_equal_bits(read(tmp_path / "mmseg.pth"), prefixed(there, "backbone."))
    assert command(tmp_path / "mmseg.pth", tmp_path / "again.ckpt") == 0
    assert (tmp_path / "again.ckpt").read_bytes() == (tmp_path / "w.ckpt").read_bytes()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_full_disk(suffix: str, converted_of: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, _, checkpoint = converted_of("official")
    capsys.readouterr()
    with small_disk():
        status = back(checkpoint, tmp_path / f"back{suffix}")
    refused(status, tmp_path, capsys, f"back{suffix}: cannot be written")


def test_there_and_back_again(converted_of: Callable, tmp_path: Path) -> None:
    _, here, checkpoint = converted_of("mmseg")
    assert back(checkpoint, tmp_path / "b.pth", "--source", "mmseg") == 0
    assert command(tmp_path / "b.pth", tmp_path / "b.ckpt") == 0
    assert_equal_bits(read_checkpoint(tmp_path / "b.ckpt"), here)


def test_biases_that_mmseg_lacks_go_into_the_means(converted_of: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, here, checkpoint = converted_of("official")
    capsys.readouterr()
    assert back(checkpoint, tmp_path / "back.pth", "--source", "mmseg") == 0
    out = capsys.readouterr().out
    assert "2 biases went into the mean" in out
    assert "warning: these weights want model.align_corners=True, where mmseg's program has False" in out
    found = read(tmp_path / "back.pth")
    assert found.keys() == random_weights(foreign.mmseg())[0].keys()
    for conv, norm, name in (("aux_head.0", "aux_head.1", "0.convs.0"), ("conv3x3_ocr.0", "conv3x3_ocr.1", "1.bottleneck")):
        expected = here[f"{norm}.moving_mean"] - here[f"{conv}.bias"]
        np.testing.assert_array_equal(found[f"decode_head.{name}.bn.running_mean"], expected)
        # What the batch norm then gives is the same, to the last bits of float32.
        x = np.float32(0.7)
        before = x + here[f"{conv}.bias"] - here[f"{norm}.moving_mean"]
        np.testing.assert_allclose(x - expected, before, rtol=0, atol=1e-6)


def test_biases_between_paddleseg_and_official(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, here = random_weights(foreign.paddleseg(), PADDLE_NORM)
    save_paddle(tmp_path / "in.pdparams", there)
    assert command(tmp_path / "in.pdparams", tmp_path / "w.ckpt") == 0
    capsys.readouterr()
    assert back(tmp_path / "w.ckpt", tmp_path / "back.pth") == 0
    out = capsys.readouterr().out
    assert "7 biases went into the mean" in out
    for key in ("model.align_corners=False", "model.stride2_padding=same", "dataset.mean=[0.5, 0.5, 0.5]"):
        assert key in out
    found = read(tmp_path / "back.pth")
    assert found.keys() == prefixed(random_weights(foreign.official())[0], "model.").keys()
    np.testing.assert_array_equal(found["model.aux_head.0.bias"], here["aux_head.0.bias"])


def test_biases_that_official_has_are_zero(converted_of: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, here, checkpoint = converted_of("mmseg")
    capsys.readouterr()
    assert back(checkpoint, tmp_path / "back.pth") == 0
    assert "2 biases of zero were added" in capsys.readouterr().out
    found = read(tmp_path / "back.pth")
    assert found.keys() == prefixed(random_weights(foreign.official())[0], "model.").keys()
    assert not found["model.aux_head.0.bias"].any() and not found["model.conv3x3_ocr.0.bias"].any()
    assert found["model.conv3x3_ocr.1.running_mean"].tobytes() == here["conv3x3_ocr.1.moving_mean"].tobytes()


def refused(status: int, folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> None:
    out, err = capsys.readouterr()
    assert status == 2 and out == "" and len(err.strip().splitlines()) == 1
    for word in words:
        assert word in err
    assert not list(folder.glob("*back*"))


def test_a_head_that_the_target_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, _ = random_weights(foreign.openseg())
    save_torch(tmp_path / "in.pth", there)
    assert command(tmp_path / "in.pth", tmp_path / "w.ckpt") == 0
    capsys.readouterr()
    for source in ("official", "mmseg"):
        refused(back(tmp_path / "w.ckpt", tmp_path / "back.pth", "--source", source), tmp_path, capsys, "aux_head.0", "3x3", source)


def test_a_large_last_kernel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there, _ = random_weights(foreign.official_plain(kernel=3))
    save_torch(tmp_path / "in.pth", prefixed(there, "model."))
    assert command(tmp_path / "in.pth", tmp_path / "w.ckpt") == 0
    capsys.readouterr()
    refused(back(tmp_path / "w.ckpt", tmp_path / "back.pth", "--source", "mmseg"), tmp_path, capsys, "last_layer.3", "3x3")
    assert back(tmp_path / "w.ckpt", tmp_path / "back.pth") == 0
    assert_equal_bits(read(tmp_path / "back.pth"), prefixed(there, "model."))


def test_wrong_flags_and_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, here = random_weights(foreign.official())
    checkpoint = tmp_path / "w.ckpt"
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in here.items()], str(checkpoint))
    refused(back(checkpoint, tmp_path / "back.pth", "--source", "paddleseg"), tmp_path, capsys, "official or mmseg", "paddleseg")
    refused(back(checkpoint, tmp_path / "back.pth", "--num_classes", "3"), tmp_path, capsys, "--num_classes", "--reverse")
    refused(back(checkpoint, tmp_path / "back.onnx"), tmp_path, capsys, ".safetensors")
    refused(back(checkpoint, tmp_path / "no" / "back.pth"), tmp_path, capsys, "is not a folder")
    refused(back(tmp_path / "no.ckpt", tmp_path / "back.pth"), tmp_path, capsys, "no such file")
    (tmp_path / "old.pth").write_bytes(b"mine")
    refused(back(checkpoint, tmp_path / "old.pth"), tmp_path, capsys, "there already")
    assert back(checkpoint, tmp_path / "there.pth") == 0
    assert "without w.yaml" in capsys.readouterr().out


def test_a_checkpoint_of_another_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, here = random_weights(foreign.official())
    del here["stage3.1.branches.2.0.conv1.weight"]
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in here.items()], str(tmp_path / "w.ckpt"))
    refused(back(tmp_path / "w.ckpt", tmp_path / "back.pth"), tmp_path, capsys, "stage3.1.branches.2.0.conv1.weight")
