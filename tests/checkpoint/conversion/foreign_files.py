"""Weight files of a tiny network, as each source would write them, and the command that converts them."""

import pickle
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import yaml

import convert_from_torch
from src.runtime.entry import run
from tests.checkpoint.conversion import foreign_networks as networks
from tests.checkpoint.conversion.foreign_networks import MINDSPORE_NORM, PADDLE_NORM, TORCH_NORM, Layer, counters, random_weights


def save_torch(path: Path, arrays: dict[str, np.ndarray], container: str | None = "state_dict") -> Path:
    import torch

    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    torch.save({container: tensors, "epoch": 3} if container else tensors, path)
    return path


def command(torch_path: Path, mindspore_path: Path, *more: str) -> int:
    return run(convert_from_torch.main, ["--torch_path", str(torch_path), "--mindspore_path", str(mindspore_path), *more])


@contextmanager
def small_disk(num_bytes: int = 20_000) -> Iterator[None]:
    """Let no file grow beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def save_paddle(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    path.write_bytes(pickle.dumps({**arrays, "StructuredToParameterName@@": {name: name for name in arrays}}, protocol=4))
    return path


def save_mindspore(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in arrays.items()], str(path))
    return path


def prefixed(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {prefix + name: array for name, array in arrays.items()}


def write_source(
    name: str, folder: Path, classes: int = 19, more: dict[str, np.ndarray] | None = None
) -> tuple[Path, dict[str, np.ndarray]]:
    """Write a file as the source would, with `more` in it; return it with the values by official names."""
    makers: dict[str, Callable[[int], list[Layer]]] = {
        "official": networks.official,
        "official_plain": networks.official_plain,
        "openseg": networks.openseg,
        "openseg_inplace": lambda k: networks.openseg(k, inplace=True),
        "mmseg": networks.mmseg,
        "mmseg_plain": networks.mmseg_plain,
        "paddleseg": networks.paddleseg,
        "paddleseg_plain": networks.paddleseg_plain,
        "modelzoo": networks.modelzoo,
    }
    layers = makers[name](classes)
    if name.startswith("paddleseg"):
        there, here = random_weights(layers, PADDLE_NORM)
        there |= more or {}
        return save_paddle(folder / "in.pdparams", there), here
    if name == "modelzoo":
        there, here = random_weights(layers, MINDSPORE_NORM)
        state = {f"accum.{layer}": value for layer, value in there.items()} | {"momentum": np.ones(1, np.float32)}
        return save_mindspore(folder / "in.ckpt", prefixed(there, "network.") | state), here
    there, here = random_weights(layers, TORCH_NORM)
    there |= counters(layers) | (more or {})
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


def preset(tmp_path: Path, **changes: Any) -> str:
    """Write the tiny network as a configuration of its own, which plays the part of a preset."""
    ocr = {"mid_channels": networks.MID, "key_channels": networks.KEY, "dropout": 0.0}
    tree = {"preset": "hrnetv2_w18", "model": {"extra": networks.EXTRA, "ocr": ocr}} | changes
    (tmp_path / "preset.yaml").write_text(yaml.safe_dump(tree))
    return str(tmp_path / "preset.yaml")
