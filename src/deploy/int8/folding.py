"""The graph of an ONNX file as it is quantised: normalisations folded into the convolutions before them."""

from pathlib import Path
from typing import Any

import openvino

from src.deploy.int8.sensitivity import layers_of


def read_folded(model: Path, named: openvino.Model) -> openvino.Model:
    """Return the graph of an ONNX file, whose convolutions have taken up what normalises their results, under their names of before.

    NNCF would round between a convolution and its normalisation, too, and could not correct a bias there. OpenVINO folds by itself, but
    names what comes out after the last multiplication; convolutions and products keep their order in that.

    Args:
        model: the file.
        named: its graph as it is, whose names count.
    """
    graph = openvino.convert_model(model)
    before, after = (list(layers_of(each).values()) for each in (named, graph))
    if [_kind(node) for node in before] == [_kind(node) for node in after]:
        for node, node_before in zip(after, before, strict=True):
            node.set_friendly_name(node_before.get_friendly_name())
    return graph


def _kind(node: Any) -> tuple[Any, ...]:
    """Return what folding leaves of a layer: its type, and the shape of its weights."""
    shape = node.input(1).get_partial_shape()
    return node.get_type_name(), tuple(shape.to_shape()) if shape.is_static and node.get_type_name() != "MatMul" else ()
