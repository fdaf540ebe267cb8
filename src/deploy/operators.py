"""The operators that the networks need, and how MindSpore Lite 2.0.0 knows each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_FORMATS = ("NCHW",)  # by MindSpore's number


@dataclass(frozen=True)
class Operator:
    """How an operator of a native file is written for MindSpore Lite 2.0.0.

    Attributes:
        name: the operator's name there.
        inputs: names of the inputs that stay inputs, the first ones; of a tuple, one name for all.
        settings: names of the constant inputs behind them, which become attributes of these names.
        translate: from the settings to the attributes, where they are not the same.
    """

    name: str
    inputs: tuple[str, ...]
    settings: tuple[str, ...] = ()
    translate: Callable[[Mapping[str, Any]], dict[str, Any]] = dict


def _without_format_number(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**settings, "format": _FORMATS[settings["format"]]}


def _sum_attributes(settings: Mapping[str, Any]) -> dict[str, Any]:
    if settings["dtype"] is not None:
        raise ValueError("a sum into another type")
    return {"keep_dims": settings["keep_dims"]}


def _bilinear(settings: Mapping[str, Any]) -> dict[str, Any]:
    aligned, half_pixel = settings["align_corners"], settings["half_pixel_centers"]
    return _resize(settings["size"], method=0, transform=1 if aligned else 2 if half_pixel else 0)


def _nearest(settings: Mapping[str, Any]) -> dict[str, Any]:
    if settings["align_corners"] or settings["half_pixel_centers"]:
        raise ValueError("nearest-neighbour resizing with align_corners or half_pixel_centers")
    return _resize(settings["size"], method=1, transform=0)


def _resize(size_hw: Sequence[int], method: int, transform: int) -> dict[str, Any]:
    """Return the attributes of the general Resize; the older ResizeBilinear ignores half_pixel_centers.

    Args:
        size_hw: height and width of the output.
        method: 0 bilinear, 1 nearest.
        transform: from output to input positions: 0 by upper left corners, 1 align_corners, 2 half_pixel_centers.
    """
    return {
        "format": 0,
        "method": method,
        "new_height": size_hw[0],
        "new_width": size_hw[1],
        "preserve_aspect_ratio": False,
        "coordinate_transform_mode": transform,
        "cubic_coeff": -0.75,
        "exclude_outside": 0,
        "extrapolation_value": 0.0,
        "nearest_mode": 0,
    }


_RESIZING = ("size", "align_corners", "half_pixel_centers")
_MASKS = ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask")
OPERATORS: dict[str, Operator] = {
    "Add": Operator("Add", ("x", "y")),
    "Argmax": Operator("Argmax", ("x",), ("axis", "output_type")),
    "BatchMatMul": Operator("BatchMatMul", ("x1", "x2"), ("transpose_a", "transpose_b")),
    "BatchNorm": Operator(
        "BatchNorm",
        ("x", "scale", "offset", "mean", "variance"),
        ("is_training", "epsilon", "momentum", "format"),
        _without_format_number,
    ),
    "BiasAdd": Operator("BiasAdd", ("x", "b"), ("format",), _without_format_number),
    "Cast": Operator("Cast", ("x", "dst_type")),
    "Concat": Operator("Concat", ("x",), ("axis",)),
    "Conv2D": Operator("Conv2D", ("x", "w")),
    "Div": Operator("Div", ("x", "y")),
    "ExpandDims": Operator("ExpandDims", ("x", "axis")),
    "MakeTuple": Operator("MakeTuple", ("x",)),
    "MaxPool": Operator("MaxPool", ("x",)),
    "Maximum": Operator("Maximum", ("x", "y")),
    "Mul": Operator("Mul", ("x", "y")),
    "Pad": Operator("Pad", ("x",)),
    "ReLU": Operator("ReLU", ("x",)),
    "Reshape": Operator("Reshape", ("x", "shape")),
    "ResizeBilinearV2": Operator("Resize", ("x",), _RESIZING, _bilinear),
    "ResizeNearestNeighborV2": Operator("Resize", ("x",), _RESIZING, _nearest),
    "Softmax": Operator("Softmax", ("x",), ("axis",)),
    "StridedSlice": Operator("StridedSlice", ("x", "begin", "end", "strides"), _MASKS),
    "SumExt": Operator("ReduceSum", ("x", "axis"), ("keep_dims", "dtype"), _sum_attributes),
    "Transpose": Operator("Transpose", ("x", "perm")),
    "TupleGetItem": Operator("TupleGetItem", ("x", "index")),
}
