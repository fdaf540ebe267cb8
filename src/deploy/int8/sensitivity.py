"""Which parts of a quantised network cost labels, and the graph in which some of them compute in higher precision again."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import openvino
from openvino import opset13 as ops

from src.deploy.openvino_model import OpenVinoModel, precision_beside_int8

logger = logging.getLogger("ocrnet")

LAYERS = ("Convolution", "GroupConvolution", "MatMul")  # OpenVINO's names of what is worth quantising
RANKING_PICTURES = 10  # what tells parts apart are labels, some hundred thousand a picture
_PART_DEPTH = (
    3  # of a name such as backbone/stage3/0/branches/1/0/conv1/Conv: a module of a stage, a block of a ResNet, a piece of the head
)
_QUANTIZER = "FakeQuantize"
# What passes its input's values on, so that a quantiser may stand in front of it.
_PASSING = ("MaxPool", "Reshape", "Transpose", "Concat", "Squeeze", "Unsqueeze", "StridedSlice", "Slice", "Pad", "Relu")

Pair = tuple[np.ndarray, np.ndarray]  # picture, HWC uint8 RGB, and label, HW uint8 train ids
Run = Callable[[np.ndarray], np.ndarray]  # from the graph's input to its output


class Judge(Protocol):
    """What tells how good a graph is."""

    def miou(self, run: Run, pairs: Iterable[Pair]) -> float:
        """Return the mean IoU (0..1) over all pictures."""

    def labels(self, run: Run, image: np.ndarray) -> np.ndarray:
        """Return the labels of a picture."""


def quantized_layers(graph: openvino.Model) -> list[str]:
    """Return the names of the layers of a graph that take quantised activations, in the graph's order."""
    return [name for name, node in layers_of(graph).items() if _quantizers(node)]


def layers_of(graph: openvino.Model) -> dict[str, Any]:
    """Return the nodes of LAYERS by name, in the graph's order."""
    return {node.get_friendly_name(): node for node in graph.get_ordered_ops() if node.get_type_name() in LAYERS}


def parts_of(graph: openvino.Model) -> dict[str, list[str]]:
    """Return the quantised layers of each part of the network, as the names of an exported file say what belongs together."""
    parts: dict[str, list[str]] = {}
    for name in quantized_layers(graph):
        place = name.split("/")[:-1][:_PART_DEPTH]
        parts.setdefault("/".join(place) or name, []).append(name)
    return parts


def put_back(quantized: openvino.Model, original: openvino.Model, names: Iterable[str]) -> openvino.Model:
    """Return a copy of a quantised graph in which these layers compute in higher precision, with the weights and biases of the original.

    Other layers that take their input from the same quantiser are no longer quantised, either.
    """
    graph = quantized.clone()
    now, before = layers_of(graph), layers_of(original)
    for name in names:
        for quantizer in _quantizers(now[name]):
            quantizer.output(0).replace(quantizer.input(0).get_source_output())
        _restore_constants(now[name], before[name])
        biases_before = _biases(before[name])
        for bias, node in _biases(now[name]).items():
            if bias in biases_before:
                _restore_constants(node, biases_before[bias])
            else:  # NNCF's own, where normalisation follows and there was none
                node.output(0).replace(now[name].output(0))
    graph.validate_nodes_and_infer_types()
    return graph


def rank_parts(
    quantized: openvino.Model,
    original: openvino.Model,
    parts: Mapping[str, Sequence[str]],
    shape: tuple[int, ...],
    judge: Judge,
    images: Sequence[np.ndarray],
) -> dict[str, float]:
    """Return what share of all labels (0..1) equals the original's again where a part computes in higher precision, the largest first.

    Args:
        quantized: the graph with all of its parts in int8.
        original: the one that it was made of.
        parts: names of their layers.
        shape: (B, 3, H, W) that the graphs are compiled for.
        judge: of whose labels.
        images: a few pictures, HWC uint8 RGB.
    """
    expected = [judge.labels(OpenVinoModel(original, shape), image) for image in images]

    def changed(graph: openvino.Model) -> float:
        run = OpenVinoModel(graph, shape, precision_beside_int8())
        return float(np.mean([(judge.labels(run, image) != labels).mean() for image, labels in zip(images, expected, strict=True)]))

    everything = changed(quantized)
    numbers = len(parts), len(images), 100 * everything
    logger.info("sensitivity run: %d parts of the network, %d pictures; int8 changes %.3f %% of the labels", *numbers)
    gains = {}
    for part, names in parts.items():
        gains[part] = everything - changed(put_back(quantized, original, names))
        logger.info("without int8 in %s: %+.3f %%", part, -100 * gains[part])
    return dict(sorted(gains.items(), key=lambda item: -item[1]))


def _quantizers(layer: Any) -> list[Any]:
    """Return the nodes that quantise the activations which a layer takes."""
    found, to_look_at = [], [entry.get_source_output().get_node() for entry in layer.inputs()]
    while to_look_at:
        node = to_look_at.pop()
        if node.get_type_name() == _QUANTIZER:
            found.append(node)
        elif node.get_type_name() in _PASSING:
            to_look_at += [entry.get_source_output().get_node() for entry in node.inputs()]
    return found


def _biases(layer: Any) -> dict[str, Any]:
    """Return the additions of constants behind a layer by name: quantisation corrects them by what rounding the weights shifts."""
    nodes = [target.get_node() for target in layer.output(0).get_target_inputs()]
    return {node.get_friendly_name(): node for node in nodes if node.get_type_name() == "Add" and any(map(_is_constant, node.inputs()))}


def _restore_constants(node: Any, original: Any) -> None:
    for number, entry in enumerate(original.inputs()):
        if _is_constant(entry):
            constant = ops.constant(entry.get_source_output().get_node().data)
            node.input(number).replace_source_output(constant.output(0))


def _is_constant(entry: Any) -> bool:
    return entry.get_source_output().get_node().get_type_name() == "Constant"
