"""Which parts of a quantised network cost labels, and the graph in which some of them compute in higher precision again."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import openvino
from openvino import opset13 as ops

from src.deploy.mindir_predictor import Run
from src.deploy.openvino_model import OpenVinoModel, precision_beside_int8

logger = logging.getLogger("ocrnet")

LAYERS = ("Convolution", "GroupConvolution", "MatMul")  # OpenVINO's names of what is worth quantising
RANKING_PICTURES = 10  # what tells parts apart are labels, some hundred thousand a picture
# Of a name such as backbone/stage3/0/branches/1/0/conv1/Conv: modules of stages, blocks of a ResNet, pieces of the head.
_PART_DEPTH = 3
_BEHIND_BIASES = "/WithoutBiases"  # what OpenVINO adds to the name of a convolution with a bias
_QUANTIZER = "FakeQuantize"
# What passes its first input's values on, or those of all, so that a quantiser may stand in front of it.
_PASSING = ("MaxPool", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "StridedSlice", "Slice", "Pad", "Relu")
_PASSING_ALL = ("Concat",)
_UNPACKING = ("Convert", "Subtract", "Multiply", "Reshape")  # what makes numbers of weights that are kept in 8 bits

Pair = tuple[np.ndarray, np.ndarray]  # picture, HWC uint8 RGB, and label, HW uint8 train ids


class Judge(Protocol):
    """What tells how good a graph is."""

    def miou(self, run: Run, pairs: Iterable[Pair]) -> float:
        """Return the mean IoU (0..1) over all pictures."""

    def labels(self, run: Run, image: np.ndarray) -> np.ndarray:
        """Return the labels of a picture."""


def layers_of(graph: openvino.Model) -> dict[str, Any]:
    """Return the nodes of LAYERS by name, in the graph's order."""
    return {node.get_friendly_name(): node for node in graph.get_ordered_ops() if node.get_type_name() in LAYERS}


def quantized_layers(graph: openvino.Model) -> list[str]:
    """Return the names of the layers of a graph all of whose activations are quantised, in the graph's order."""
    return [name for name, node in layers_of(graph).items() if all(map(_is_quantizer, _sources(node)))]


def parts_of(graph: openvino.Model) -> dict[str, list[str]]:
    """Return the quantised layers of each part of the network, as the names of an exported file say what belongs together."""
    parts: dict[str, list[str]] = {}
    for name in quantized_layers(graph):
        place = name.removesuffix(_BEHIND_BIASES).split("/")[:-1][:_PART_DEPTH]
        parts.setdefault("/".join(place) or name, []).append(name)
    return parts


def put_back(quantized: openvino.Model, original: openvino.Model, names: Iterable[str]) -> openvino.Model:
    """Return a copy of a quantised graph in which these layers compute in higher precision, with the weights and biases of the original.

    Layers that take activations from the same quantisers are put back, too: half quantised they would be neither fast nor exact.
    """
    graph = quantized.clone()
    now, before = layers_of(graph), layers_of(original)
    quantizers = {name: {node.get_friendly_name(): node for node in _sources(layer) if _is_quantizer(node)} for name, layer in now.items()}
    back = _with_those_that_share(set(names), quantizers)
    needed = {quantizer for name in quantizers.keys() - back for quantizer in quantizers[name]}
    for name in back:
        for node in (*quantizers[name].values(), *_behind(now[name])):
            if _is_quantizer(node) and node.get_friendly_name() not in needed:
                node.output(0).replace(node.input(0).get_source_output())
        _restore_constants(now[name], before[name])
        biases_before = {node.get_friendly_name(): node for node in _behind(before[name])}
        for node in _behind(now[name]):
            if node.get_friendly_name() in biases_before:  # NNCF corrects them by what rounding the weights shifts
                _restore_constants(node, biases_before[node.get_friendly_name()])
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
    """Return what share of a picture's labels (0..1, the mean) each part gives back in higher precision; first what most for each layer.

    Args:
        quantized: the graph with all of its parts in int8.
        original: the one that it was made of.
        parts: names of their layers.
        shape: (B, 3, H, W) that the graphs are compiled for.
        judge: of whose labels.
        images: a few pictures, HWC uint8 RGB.
    """
    run_original = OpenVinoModel(original, shape)
    expected = [judge.labels(run_original, image) for image in images]

    def changed(graph: openvino.Model) -> float:
        run = OpenVinoModel(graph, shape, precision_beside_int8())
        return float(np.mean([(judge.labels(run, image) != labels).mean() for image, labels in zip(images, expected, strict=True)]))

    everything = changed(quantized)
    numbers = len(parts), len(images), 100 * everything
    logger.info("sensitivity run: %d parts of the network, %d pictures; int8 changes %.3f %% of the labels", *numbers)
    gains, costs, num_layers = {}, {}, len(quantized_layers(quantized))
    for part, names in parts.items():
        candidate = put_back(quantized, original, names)
        gains[part] = everything - changed(candidate)
        costs[part] = num_layers - len(quantized_layers(candidate))
        logger.info("without int8 in %s: %+.3f %%", part, -100 * gains[part])
    return dict(sorted(gains.items(), key=lambda item: -item[1] / costs[item[0]]))


def _with_those_that_share(names: set[str], quantizers: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return these layers and all that take activations from a quantiser of one of them."""
    while True:
        gone = {quantizer for name in names for quantizer in quantizers[name]}
        found = {name for name, own in quantizers.items() if not gone.isdisjoint(own)} | names
        if found == names:
            return names
        names = found


def _sources(layer: Any) -> Iterator[Any]:
    """Yield the nodes from which the activations of a layer come, behind what only passes them on."""
    to_look_at = [entry.get_source_output().get_node() for entry in layer.inputs()]
    while to_look_at:
        node = to_look_at.pop()
        if node.get_type_name() in (*_PASSING, *_PASSING_ALL):
            entries = node.inputs() if node.get_type_name() in _PASSING_ALL else node.inputs()[:1]
            to_look_at += [entry.get_source_output().get_node() for entry in entries]
        elif not _is_constant(node):
            yield node


def _behind(layer: Any) -> list[Any]:
    """Return the nodes that take a layer's output, and those behind the addition of its bias."""
    nodes = [target.get_node() for target in layer.output(0).get_target_inputs()]
    biases = [node for node in nodes if node.get_type_name() == "Add"]
    return nodes + [target.get_node() for node in biases for target in node.output(0).get_target_inputs()]


def _restore_constants(node: Any, original: Any) -> None:
    for number, entry in enumerate(original.inputs()):
        source = entry.get_source_output().get_node()
        if source.get_type_name() == "Constant":
            node.input(number).replace_source_output(ops.constant(source.data).output(0))


def _is_quantizer(node: Any) -> bool:
    return node.get_type_name() == _QUANTIZER


def _is_constant(node: Any) -> bool:
    """Whether a node computes from constants alone, as weights that are kept in 8 bits are."""
    if node.get_type_name() in _UNPACKING:
        return all(_is_constant(entry.get_source_output().get_node()) for entry in node.inputs())
    return node.get_type_name() == "Constant"
