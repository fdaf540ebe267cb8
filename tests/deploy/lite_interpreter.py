"""A lowered file's graph computed with torch, by what MindSpore Lite 2.0.0 takes the attributes for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from mindspore.train.mind_ir_pb2 import AttributeProto, ModelProto, TensorProto

_TENSOR_TYPES = {1: "<f4", 2: "u1", 6: "<i4"}
_CAST = {43: torch.float32, 37: torch.uint8}


def load(path: Path) -> ModelProto:
    model = ModelProto()
    model.ParseFromString(path.read_bytes())
    return model


def value(attribute: AttributeProto) -> Any:
    kind = AttributeProto.AttributeType.Name(attribute.type)
    if kind == "LIST":
        return [value(item) if item.values else item.strings[0].decode() if item.strings else item.ints[0] for item in attribute.values]
    if kind == "TENSORS":
        return tensor(attribute.tensors[0])
    return {"INT64": attribute.i, "BOOL": bool(attribute.i), "FLOAT": attribute.f, "STRING": attribute.s.decode()}[kind]


def tensor(proto: TensorProto) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(proto.raw_data, _TENSOR_TYPES[proto.data_type]).reshape(tuple(proto.dims)).copy())


def attributes(model: ModelProto) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return REF::name -> (operator, attributes)."""
    assert all(primitive.prim_type == 1 for primitive in model.primitives)
    return {f"REF::{p.name}": (p.op_type, {a.name: value(a) for a in p.attribute}) for p in model.primitives}


def compute(model: ModelProto, image: np.ndarray) -> np.ndarray:
    primitives = attributes(model)
    values: dict[str, Any] = {parameter.name: tensor(parameter) for parameter in model.graph.parameter}
    values[model.graph.input[0].name] = torch.from_numpy(image)
    for node in model.graph.node:
        if node.op_type == "Constant":
            values[node.output[0]] = value(node.attribute[0])
            continue
        assert node.attribute[0].name == "shape", "Lite needs each node's shape"
        op, settings = primitives[node.op_type]
        values[node.output[0]] = OPERATORS[op](settings, *(values[name] for name in node.input))
    return values[model.graph.output[0].name].numpy()


def convolution(settings: dict[str, Any], x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    assert settings["format"] == "NCHW" and settings["group"] == 1
    stride, dilation = settings["stride"][2], settings["dilation"][2]
    if settings["pad_mode"] == "same":  # the odd row of zeros behind
        pads = [max(0, (-(-side // stride) - 1) * stride + weight.shape[2] - side) for side in x.shape[2:]]
        x = F.pad(x, (pads[1] // 2, pads[1] - pads[1] // 2, pads[0] // 2, pads[0] - pads[0] // 2))
    else:
        top, bottom, left, right = settings["pad_list"]
        x = F.pad(x, (left, right, top, bottom))
    return F.conv2d(x, weight, stride=stride, dilation=dilation)


def pad(settings: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
    return F.pad(x, [side for pair in reversed(settings["paddings"]) for side in pair])


def strided_slice(settings: dict[str, Any], x: torch.Tensor, begin: list[int], end: list[int], strides: list[int]) -> torch.Tensor:
    assert not any(settings[f"{name}_mask"] for name in ("ellipsis", "new_axis", "shrink_axis")) and set(strides) == {1}
    for axis, (first, last) in enumerate(zip(begin, end, strict=True)):
        # Lite has no slices beyond the end.
        last = x.shape[axis] if settings["end_mask"] >> axis & 1 else last
        first = 0 if settings["begin_mask"] >> axis & 1 else first
        assert 0 <= first < last <= x.shape[axis]
        x = x.narrow(axis, first, last - first)
    return x


def resize(settings: dict[str, Any], x: torch.Tensor) -> torch.Tensor:
    size, mode = (settings["new_height"], settings["new_width"]), settings["coordinate_transform_mode"]
    if settings["method"] == 1:
        assert mode == 0
        return F.interpolate(x, size, mode="nearest")
    if mode:
        return F.interpolate(x, size, mode="bilinear", align_corners=mode == 1)
    for axis in (2, 3):  # corners: position i * before / after
        before, after = x.shape[axis], size[axis - 2]
        position = torch.arange(after, dtype=torch.float64) * before / after
        low = position.floor().long()
        high = (low + 1).clamp(max=before - 1)
        shape = [1, 1, 1, 1]
        shape[axis] = after
        part = (position - low).float().reshape(shape)
        x = x.index_select(axis, low) * (1 - part) + x.index_select(axis, high) * part
    return x


def batch_norm(settings: dict[str, Any], x: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor]:
    assert settings["is_training"] is False and settings["format"] == "NCHW"
    gamma, beta, mean, variance = others
    return (F.batch_norm(x, mean, variance, gamma, beta, eps=settings["epsilon"]),)


def matmul(settings: dict[str, Any], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (x.mT if settings["transpose_a"] else x) @ (y.mT if settings["transpose_b"] else y)


OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": lambda settings, x, y: x + y,
    "Argmax": lambda settings, x: x.argmax(settings["axis"]).int(),
    "BatchMatMul": matmul,
    "BatchNorm": batch_norm,
    "BiasAdd": lambda settings, x, bias: x + bias.reshape(1, -1, 1, 1) if settings["format"] == "NCHW" else None,
    "Cast": lambda settings, x, kind: x.to(_CAST[kind]),
    "Concat": lambda settings, parts: torch.cat(parts, settings["axis"]),
    "Conv2D": convolution,
    "Div": lambda settings, x, y: x / y,
    "ExpandDims": lambda settings, x, axis: x.unsqueeze(axis),
    "MakeTuple": lambda settings, *parts: parts,
    "Maximum": lambda settings, x, y: torch.maximum(x, y),
    "MaxPool": lambda settings, x: F.max_pool2d(x, settings["kernel_size"][2:], settings["strides"][2:]),
    "Mul": lambda settings, x, y: x * y,
    "Pad": pad,
    "ReLU": lambda settings, x: F.relu(x),
    "ReduceSum": lambda settings, x, axes: x.sum(axes, keepdim=settings["keep_dims"]),
    "Reshape": lambda settings, x, shape: x.reshape(shape),
    "Resize": resize,
    "Softmax": lambda settings, x: x.softmax(settings["axis"][0]),
    "StridedSlice": strided_slice,
    "Transpose": lambda settings, x, order: x.permute(order),
    "TupleGetItem": lambda settings, parts, index: parts[index],
}
