"""MindIR files: reading one safely, and what its protobuf calls a value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto, TensorProto

from src.config.errors import UserError

REFERENCE = "REF::"  # in front of a primitive's name, where a node says what it computes
CONSTANT = "Constant"  # the other thing that a node can be

_KINDS = AttributeProto.AttributeType
_NO_VALUE = ("NONE", "UMONAD", "IOMONAD")  # the latter two keep the order of side effects
_FLOAT32 = TensorProto.DataType.Value("FLOAT")


def read_mindir(path: Path) -> ModelProto:
    """Return the content of a MindIR file.

    Raises:
        UserError: if it is missing, is none, or is cut off.
    """
    model = ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; export.py writes MindIR files") from None
    except IsADirectoryError:
        raise UserError(f"{path}: a folder; give the .mindir file in it") from None
    except (DecodeError, UnicodeDecodeError):
        raise UserError(f"{path}: no MindIR file, or one that is cut off; export the model anew") from None
    # The version is written last: without it the rest may be missing too.
    if not model.graph.node or not model.primitives or not model.HasField("mind_ir_version"):
        raise UserError(f"{path}: no MindIR file, or one that is cut off; export the model anew")
    return model


def value_of(attribute: AttributeProto) -> Any:
    """Return the Python value of an attribute or constant: bool, int, float, str, None, TensorProto, or a tuple of such.

    Raises:
        ValueError: if it is of another kind.
    """
    kind = _KINDS.Name(attribute.type)
    if kind in ("TUPLE", "LIST"):
        return tuple(value_of(value) for value in attribute.values)
    if kind == "INT64":
        return attribute.ints[0] if attribute.ints else attribute.i  # the former within a tuple
    if kind == "STRING":
        return (attribute.strings[0] if attribute.strings else attribute.s).decode()
    if kind == "BOOL":
        return bool(attribute.i)
    if kind == "FLOAT":
        return attribute.f
    if kind == "TENSORS":
        return attribute.tensors[0]
    if kind in _NO_VALUE:
        return None
    raise ValueError(f"a constant of the kind {kind}")


def attribute_of(name: str, value: Any) -> AttributeProto:
    """Return the attribute of a name with a bool, int, float, str, or a sequence of ints, strings or such sequences.

    Raises:
        ValueError: if it is something else.
    """
    if isinstance(value, tuple | list):
        return AttributeProto(name=name, type="LIST", values=[_element(item) for item in value])
    if isinstance(value, bool):
        return AttributeProto(name=name, type="BOOL", i=int(value))
    if isinstance(value, int):
        return AttributeProto(name=name, type="INT64", i=value)
    if isinstance(value, float):
        return AttributeProto(name=name, type="FLOAT", f=value)
    if isinstance(value, str):
        return AttributeProto(name=name, type="STRING", s=value.encode())
    raise ValueError(f"{name} is {value!r}")


def _element(value: Any) -> AttributeProto:
    if isinstance(value, tuple | list):
        return AttributeProto(type="LIST", values=[_element(item) for item in value])
    if isinstance(value, str):
        return AttributeProto(type="STRING", strings=[value.encode()])
    return AttributeProto(type="INT64", ints=[value])


def attributes_of(values: Mapping[str, Any]) -> list[AttributeProto]:
    """Return the attributes of names with values."""
    return [attribute_of(name, value) for name, value in values.items()]


def array_of(tensor: TensorProto) -> np.ndarray:
    """Return a float32 tensor's values.

    Raises:
        ValueError: if it is of another type, or its size is not what its shape says.
    """
    if tensor.data_type != _FLOAT32:
        raise ValueError(f"{tensor.name} is no float32 tensor")
    return np.frombuffer(tensor.raw_data, "<f4").reshape(tuple(tensor.dims))


def tensor_of(name: str, array: np.ndarray) -> TensorProto:
    """Return a float32 tensor of a name."""
    return TensorProto(name=name, dims=array.shape, data_type=_FLOAT32, raw_data=array.astype("<f4").tobytes())
