"""The operators that the networks need, and what each is in ONNX. From opset 13 on, all nodes mean the same."""

import operator
from collections.abc import Mapping
from typing import Any

from onnx import TensorProto, helper

from src.deploy.onnx.calls import Call, Operator, expect
from src.deploy.onnx.sizes import arithmetic, sides
from src.deploy.onnx.writer import Array, GraphWriter

END = 2**63 - 1  # of a slice that goes to the end
# MindSpore's numbers of types (mindspore/core/include/ir/dtype/type_id.h).
_TYPES = {34: TensorProto.INT32, 37: TensorProto.UINT8, 43: TensorProto.FLOAT}
_NCHW = (0, "NCHW")


def _same(op: str) -> Operator:
    """Return an operator that only has another name."""

    def translate(writer: GraphWriter, call: Call) -> Array:
        return _node(writer, call, op, *call.args)

    return Operator((op,), translate)


def _node(writer: GraphWriter, call: Call, op: str, *inputs: Array | str, **attributes: Any) -> Array:
    names = [value.name if isinstance(value, Array) else value for value in inputs]
    return Array(writer.node(op, names, **attributes), call.shape)


def _convolution(writer: GraphWriter, call: Call) -> Array:
    given = call.attributes
    expect("the layout of a convolution", given["format"], _NCHW)
    settings = {"kernel_shape": given["kernel_size"], "strides": given["stride"][2:], "dilations": given["dilation"][2:]}
    return _node(writer, call, "Conv", *call.args, **settings, group=given["group"], **_padding(given))


def _padding(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a window's padding; "same" puts the odd pixel behind, which SAME_UPPER does too."""
    pads = given.get("pad_list", (0, 0, 0, 0))
    if given["pad_mode"].lower() == "same" and min(pads) < 0:  # pixels that depend on the size at run time
        return {"auto_pad": "SAME_UPPER"}
    top, bottom, left, right = pads
    return {"pads": (top, left, bottom, right)}


def _bias(writer: GraphWriter, call: Call) -> Array:
    """Make a bias part of its convolution."""
    x, bias, layout = call.args
    expect("the layout of a bias", layout, _NCHW)
    convolution = writer.producer(x.name)
    if convolution is None or convolution.op_type != "Conv" or len(convolution.input) != 2 or not call.takes_all:
        raise ValueError("a bias that is not of a convolution")
    # A node of its own: an equal convolution without a bias may come later. The one before is left out where nothing else takes it.
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in convolution.attribute}
    return _node(writer, call, "Conv", *convolution.input, bias, **{name: _plain(value) for name, value in attributes.items()})


def _plain(value: Any) -> Any:
    """Return an attribute's value as it is given to a node: a tuple of a list, text of bytes."""
    return value.decode() if isinstance(value, bytes) else tuple(value) if isinstance(value, list) else value


def _batch_norm(writer: GraphWriter, call: Call) -> tuple[Array]:
    *arrays, is_training, epsilon, _, layout = call.args
    expect("the layout of a batch norm", layout, _NCHW)
    expect("training mode of a batch norm", is_training, (False,))
    x = arrays[0]
    return (Array(writer.node("BatchNormalization", [array.name for array in arrays], epsilon=epsilon), x.shape),)


def _max_pool(writer: GraphWriter, call: Call) -> Array:
    given = call.attributes
    expect("the layout of a pooling", given["format"], _NCHW)
    expect("the padding of a pooling", given["pad_mode"], ("VALID",))
    return _node(writer, call, "MaxPool", *call.args, kernel_shape=given["kernel_size"][2:], strides=given["strides"][2:])


def _pad(writer: GraphWriter, call: Call) -> Array:
    begins, ends = zip(*call.attributes["paddings"], strict=True)
    return _node(writer, call, "Pad", call.args[0], writer.integers((*begins, *ends)))


def _cast(writer: GraphWriter, call: Call) -> Array:
    x, number = call.args
    expect("the type of a cast", number, tuple(_TYPES))
    return _node(writer, call, "Cast", _uncast_classes(writer, x.name), to=_TYPES[number])


def _uncast_classes(writer: GraphWriter, name: str) -> str:
    """Return the classes that casts begin with, where they do: small whole numbers, which no cast changes."""
    source = name
    while (node := writer.producer(source)) is not None and node.op_type == "Cast":
        source = node.input[0]
    return source if node is not None and node.op_type == "ArgMax" else name


def _argmax(writer: GraphWriter, call: Call) -> Array:
    x, axis, number = call.args
    expect("the type of an argmax", number, tuple(_TYPES))
    classes = _node(writer, call, "ArgMax", x, axis=axis, keepdims=0)  # int64; of equal values the first wins
    return _node(writer, call, "Cast", classes, to=_TYPES[number])


def _softmax(writer: GraphWriter, call: Call) -> Array:
    x, (axis,) = call.args
    return _node(writer, call, "Softmax", x, axis=axis)


def _sum(writer: GraphWriter, call: Call) -> Array:
    x, axes, keep_dims, dtype = call.args
    expect("the type of a sum", dtype, (None,))
    return _node(writer, call, "ReduceSum", x, writer.integers(axes), keepdims=int(keep_dims))


def _matmul(writer: GraphWriter, call: Call) -> Array:
    x, y, transpose_x, transpose_y = call.args
    return _node(
        writer, call, "MatMul", _transposed(writer, x) if transpose_x else x.name, _transposed(writer, y) if transpose_y else y.name
    )


def _transposed(writer: GraphWriter, matrices: Array) -> str:
    *batch, rows, columns = range(len(matrices.shape))
    return writer.node("Transpose", [matrices.name], perm=(*batch, columns, rows))


def _transpose(writer: GraphWriter, call: Call) -> Array:
    x, order = call.args
    return _node(writer, call, "Transpose", x, perm=order)


def _expand(writer: GraphWriter, call: Call) -> Array:
    x, axis = call.args
    return _node(writer, call, "Unsqueeze", x, writer.integers((axis,)))


def _concat(writer: GraphWriter, call: Call) -> Array:
    parts, axis = call.args
    return _node(writer, call, "Concat", *parts, axis=axis)


def _reshape(writer: GraphWriter, call: Call) -> Array:
    x, shape = call.args
    if 0 in shape:  # ONNX takes it for the input's side
        raise ValueError(f"a shape of {shape}")
    return _node(writer, call, "Reshape", x, writer.vector(shape))


def _slice(writer: GraphWriter, call: Call) -> Array:
    x, begins, ends, steps, begin_mask, end_mask, *other_masks = call.args
    expect("masks of a slice", tuple(other_masks), ((0, 0, 0),))
    expect("steps of a slice", set(steps), ({1},))
    starts = [0 if begin_mask >> axis & 1 else begin for axis, begin in enumerate(begins)]
    stops = [END if end_mask >> axis & 1 else end for axis, end in enumerate(ends)]
    axes = [axis for axis in range(len(starts)) if (starts[axis], stops[axis]) != (0, END)]
    bounds = [writer.vector([values[axis] for axis in axes]) for values in (starts, stops)]
    return _node(writer, call, "Slice", x, *bounds, writer.integers(axes))


def _bilinear(writer: GraphWriter, call: Call) -> Array:
    aligned, half_pixel = call.args[2:]
    transform = "align_corners" if aligned else "half_pixel" if half_pixel else "asymmetric"
    return _resize(writer, call, mode="linear", coordinate_transformation_mode=transform)


def _nearest(writer: GraphWriter, call: Call) -> Array:
    expect("align_corners and half_pixel_centers of a nearest-neighbour resizing", call.args[2:], ((False, False),))
    return _resize(writer, call, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _resize(writer: GraphWriter, call: Call, **attributes: Any) -> Array:
    """Write a resizing by all four sides: the attribute `axes` is younger than most readers."""
    x, size_hw = call.args[:2]
    if size_hw == x.shape[2:]:
        return x
    batch, channels = sides(writer, x)[:2]
    return _node(writer, call, "Resize", x, "", "", writer.vector((batch, channels, *size_hw)), **attributes)


_NONE: tuple[str, ...] = ()
OPERATORS: dict[str, Operator] = {
    "Add": _same("Add"),
    "Argmax": Operator(("ArgMax", "Cast"), _argmax),
    "BatchMatMul": Operator(("MatMul", "Transpose"), _matmul),
    "BatchNorm": Operator(("BatchNormalization",), _batch_norm),
    "BiasAdd": Operator(("Conv",), _bias),
    "Cast": Operator(("Cast",), _cast),
    "Concat": Operator(("Concat",), _concat),
    "Conv2D": Operator(("Conv",), _convolution),
    "Div": _same("Div"),
    "ExpandDims": Operator(("Unsqueeze",), _expand),
    "MakeTuple": Operator(_NONE, lambda writer, call: call.args),
    "MaxPool": Operator(("MaxPool",), _max_pool),
    "Maximum": _same("Max"),
    "Mul": _same("Mul"),
    "Pad": Operator(("Pad",), _pad),
    "ReLU": _same("Relu"),
    "Reshape": Operator(("Reshape",), _reshape),
    "ResizeBilinearV2": Operator(("Resize",), _bilinear),
    "ResizeNearestNeighborV2": Operator(("Resize",), _nearest),
    "ScalarAdd": arithmetic("Add", operator.add, 0),
    "ScalarFloorDiv": arithmetic("Div", operator.floordiv, 1),
    "ScalarMul": arithmetic("Mul", operator.mul, 1),
    "ScalarSub": arithmetic("Sub", operator.sub, 0),
    "Shape": Operator(("Shape", "Gather"), lambda writer, call: sides(writer, call.args[0])),
    "Softmax": Operator(("Softmax",), _softmax),
    "StridedSlice": Operator(("Slice",), _slice),
    "SumExt": Operator(("ReduceSum",), _sum),
    "Transpose": Operator(("Transpose",), _transpose),
    "TupleGetItem": Operator(_NONE, lambda writer, call: call.args[0][call.args[1]]),
}
