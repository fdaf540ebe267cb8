"""Reading other frameworks' weight files without running anything that they hold."""

import pickle
import re
import textwrap
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.checkpoint.conversion.inert import NUMPY_NAMES, TRAINER_NAMES, Inert, InertArray
from src.checkpoint.weights import read_checkpoint
from src.config.errors import UserError

# Where training programs keep the weights among other things. Of the trained and the averaged copy that timm keeps, the trained is taken.
_CONTAINERS = ("state_dict", "model_state_dict", "model", "state_dict_ema", "model_ema", "net", "network", "params")
_MAX_NESTING = 4  # containers within containers; a dict may also contain itself
_TORCH_MINIMUM = (2, 6)  # before, weights_only could be evaded (CVE-2025-32434)
_SAFETENSORS_TYPES = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"},
}


@dataclass
class ForeignFile:
    """The weights of a file.

    Attributes:
        arrays: by the names in the file, in the file's types but for bfloat16.
        bfloat16: names of those that were bfloat16, which numpy lacks; float32 holds the same values.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    bfloat16: set[str] = field(default_factory=set)


def read_foreign(path: Path) -> ForeignFile:
    """Return the weights of a file.

    Args:
        path: .pth, .pt, .pth.tar, .bin (torch), .safetensors, .pdparams (PaddlePaddle) or .ckpt (MindSpore).

    Raises:
        UserError: if the file is missing, cut off, of another kind, empty, or asks for code to be run.
    """
    if not path.is_file():
        raise UserError(f"--torch_path {path}: {'a folder, where a file is expected' if path.is_dir() else 'no such file'}")
    if path.stat().st_size == 0:
        raise UserError(f"--torch_path {path}: the file is empty")
    reader = next((reader for suffix, reader in _READERS.items() if path.name.endswith(suffix)), None)
    if reader is None:
        raise UserError(f"--torch_path {path}: unknown kind of file; expected one of {', '.join(_READERS)}")
    found = reader(path)
    if not found.arrays:
        raise UserError(f"--torch_path {path}: there are no weights in the file")
    return found


def _unreadable(path: Path, kind: str, error: BaseException) -> UserError:
    reason = textwrap.shorten(f"{type(error).__name__}: {error}", 100, placeholder=" ...")
    return UserError(f"--torch_path {path}: not a readable {kind}; it may be cut off, a text or web page, or of another format ({reason})")


def _refused(path: Path, name: str) -> UserError:
    return UserError(
        f"--torch_path {path}: refused, because reading it would call {name[:80]!a}, which weights do not need; "
        "if you trust its source, save the bare model.state_dict() there"
    )


def _unwrap(content: Any) -> Mapping[str, Any]:
    """Return the innermost dict of weights."""
    for _ in range(_MAX_NESTING):
        if not isinstance(content, Mapping):
            break
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


def _read_torch(path: Path) -> ForeignFile:
    torch = import_torch(f"--torch_path {path}")
    # One class for each name, because torch admits a class under its own name.
    admitted = [type(name.rsplit(".", 1)[1], (Inert,), {"__module__": name.rsplit(".", 1)[0]}) for name in TRAINER_NAMES]
    try:
        with torch.serialization.safe_globals(admitted), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {str(name): value for name, value in _unwrap(content).items() if isinstance(value, torch.Tensor)}
        for name, value in tensors.items():
            if value.numel() * value.element_size() > value.untyped_storage().nbytes():
                raise ValueError(f"{name} claims {value.numel()} numbers and holds fewer")
        bfloat16 = {name for name, value in tensors.items() if value.dtype == torch.bfloat16}
        arrays = {name: (value.float() if name in bfloat16 else value).detach().contiguous().numpy() for name, value in tensors.items()}
        return ForeignFile(arrays, bfloat16)
    except Exception as error:  # a file made or damaged at will may raise anything here
        asked_for = re.search(r"GLOBAL (\S+)", str(error))
        raise (_refused(path, asked_for[1]) if asked_for else _unreadable(path, "torch file", error)) from error


class _Refused(pickle.UnpicklingError):
    """A pickle asked for something else than numpy arrays and dicts."""


class _ArraysAlone(pickle._Unpickler):  # Python's own: the C one allocates as much as a file of nine bytes tells it to
    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in NUMPY_NAMES:
            raise _Refused(full)
        return NUMPY_NAMES[full]


def _read_paddle(path: Path) -> ForeignFile:
    try:
        with open(path, "rb") as stream:
            content = _unwrap(_ArraysAlone(stream).load())
        return ForeignFile({str(name): value.resolve() for name, value in content.items() if isinstance(value, InertArray)})
    except _Refused as error:
        raise _refused(path, str(error)) from error
    except Exception as error:  # a file made or damaged at will may raise anything here
        raise _unreadable(path, "PaddlePaddle file", error) from error


def _read_safetensors(path: Path) -> ForeignFile:
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(path.read_bytes())
        bfloat16 = {name for name, entry in entries if entry["dtype"] == "BF16"}
        return ForeignFile({name: _from_bytes(entry) for name, entry in entries}, bfloat16)
    except (SafetensorError, KeyError, ValueError) as error:
        raise _unreadable(path, "safetensors file", error) from error


def _from_bytes(entry: Mapping[str, Any]) -> np.ndarray:
    array = np.frombuffer(entry["data"], _SAFETENSORS_TYPES[entry["dtype"]]).reshape(entry["shape"])
    if entry["dtype"] == "BF16":  # the upper half of a float32
        return (array.astype("<u4") << 16).view("<f4")
    return array


def _read_mindspore(path: Path) -> ForeignFile:
    arrays = read_checkpoint(path, "--torch_path")
    bfloat16 = {name for name, array in arrays.items() if array.dtype.name == "bfloat16"}  # a type of MindSpore's own
    return ForeignFile({name: array.astype(np.float32) if name in bfloat16 else array for name, array in arrays.items()}, bfloat16)


_READERS: dict[str, Callable[[Path], ForeignFile]] = {
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".pth.tar": _read_torch,
    ".bin": _read_torch,
    ".safetensors": _read_safetensors,
    ".pdparams": _read_paddle,
    ".ckpt": _read_mindspore,
}
