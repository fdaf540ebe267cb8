"""Reading other frameworks' weight files without running anything that they hold."""

import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from src.checkpoint.inert import NUMPY_NAMES, TRAINER_NAMES, Inert, InertArray
from src.checkpoint.weights import read_checkpoint
from src.config.errors import UserError

# Where training programs keep the weights among other things. Of the trained and the averaged copy that timm keeps, the trained is taken.
_CONTAINERS = ("state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema", "net", "network", "params")
_TORCH_MINIMUM = (2, 6)  # before, weights_only could be evaded (CVE-2025-32434)
_SAFETENSORS_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1"}


def read_foreign(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a weight file by name, as they are in the file but for bfloat16, which numpy lacks and float32 holds.

    Args:
        path: .pth, .pt, .pth.tar, .bin (torch), .safetensors, .pdparams (PaddlePaddle) or .ckpt (MindSpore).

    Raises:
        UserError: if the file is missing, cut off, of another kind, empty, or asks for code to be run.
    """
    if not path.is_file():
        raise UserError(f"--torch_path {path}: no such file")
    if path.stat().st_size == 0:
        raise UserError(f"--torch_path {path}: the file is empty")
    reader = next((reader for suffix, reader in _READERS.items() if path.name.endswith(suffix)), None)
    if reader is None:
        raise UserError(f"--torch_path {path}: unknown kind of file; expected one of {', '.join(_READERS)}")
    arrays = reader(path)
    if not arrays:
        raise UserError(f"--torch_path {path}: there are no weights in the file")
    return arrays


def _unreadable(path: Path, kind: str, error: BaseException) -> UserError:
    reason = " ".join(str(error).split())[:100] or type(error).__name__
    return UserError(f"--torch_path {path}: not a readable {kind}; it may be cut off or of another format ({reason})")


def _refused(path: Path, name: str) -> UserError:
    return UserError(
        f"--torch_path {path}: refused, because reading it would call {name}, which weights do not need; "
        "if you trust its source, save the bare state dict there (torch.save(model.state_dict(), FILE))"
    )


def _unwrap(content: Any) -> Mapping[str, Any]:
    """Return the innermost dict of weights."""
    while isinstance(content, Mapping):
        inner = next((content[name] for name in _CONTAINERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            return content
        content = inner
    return {}


def import_torch(where: str) -> Any:
    """Return the module torch, which nothing but files of its own kind needs.

    Raises:
        UserError: if it is missing, or a version that does not read files safely.
    """
    try:
        import torch
    except ImportError:
        raise UserError(f"{where}: this kind of file needs PyTorch: pip install torch") from None
    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < _TORCH_MINIMUM:
        raise UserError(f"{where}: torch {torch.__version__} does not read files safely: pip install 'torch>=2.6'")
    return torch


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    torch = import_torch(f"--torch_path {path}")
    # One class for each name, because torch admits a class under its own name.
    admitted = [type(name.rsplit(".", 1)[1], (Inert,), {"__module__": name.rsplit(".", 1)[0]}) for name in TRAINER_NAMES]
    try:
        with torch.serialization.safe_globals(admitted):
            content = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {str(name): value for name, value in _unwrap(content).items() if isinstance(value, torch.Tensor)}
        return {name: _to_numpy(value.detach(), torch.bfloat16) for name, value in tensors.items()}
    except Exception as error:  # a file made or damaged at will may raise anything here
        asked_for = re.search(r"GLOBAL (\S+)", str(error))
        raise (_refused(path, asked_for[1]) if asked_for else _unreadable(path, "torch file", error)) from error


def _to_numpy(tensor: Any, bfloat16: Any) -> np.ndarray:
    return (tensor.float() if tensor.dtype == bfloat16 else tensor).contiguous().numpy()


class _Refused(pickle.UnpicklingError):
    """A pickle asked for something else than numpy arrays and dicts."""


class _ArraysAlone(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in NUMPY_NAMES:
            raise _Refused(full)
        return NUMPY_NAMES[full]


def _read_paddle(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as stream:
            content = _unwrap(_ArraysAlone(stream).load())
        return {str(name): value.resolve() for name, value in content.items() if isinstance(value, InertArray)}
    except _Refused as error:
        raise _refused(path, str(error)) from error
    except Exception as error:  # a file made or damaged at will may raise anything here
        raise _unreadable(path, "PaddlePaddle file", error) from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(path.read_bytes())
        return {name: _from_bytes(entry) for name, entry in entries}
    except (SafetensorError, KeyError, ValueError) as error:
        raise _unreadable(path, "safetensors file", error) from error


def _from_bytes(entry: Mapping[str, Any]) -> np.ndarray:
    array = np.frombuffer(entry["data"], _SAFETENSORS_TYPES[entry["dtype"]]).reshape(entry["shape"])
    if entry["dtype"] == "BF16":  # the upper half of a float32
        return (array.astype("<u4") << 16).view("<f4")
    return array


def _read_mindspore(path: Path) -> dict[str, np.ndarray]:
    return read_checkpoint(path, "--torch_path")


_READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".pth.tar": _read_torch,
    ".bin": _read_torch,
    ".safetensors": _read_safetensors,
    ".pdparams": _read_paddle,
    ".ckpt": _read_mindspore,
}
