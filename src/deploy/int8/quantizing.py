"""Quantise a graph by NNCF: ranges from calibration pictures, and layers left as they are where quantising them costs too much."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import openvino
from nncf.quantization.advanced_parameters import AdvancedAccuracyRestorerParameters, AdvancedQuantizationParameters, OverflowFix

from src.config.errors import UserError
from src.deploy.int8.samples import CalibrationInputs, Samples
from src.deploy.openvino_model import OpenVinoModel, first_line, leave_signal_stack, precision_beside_int8, read_openvino
from src.runtime.entry import WorkError

TOOL = f"NNCF {nncf.__version__}"
# Half the range of weights: without it, sums of two products of 8 bits overflow the 16 bits of processors without VNNI.
OVERFLOW_FIX = "enable"
LAYERS = ("Convolution", "GroupConvolution", "MatMul")  # OpenVINO's names of what is worth quantising
_QUANTIZER = "FakeQuantize"
# What passes its input's values on, so that a quantiser may stand in front of it.
_PASSING = ("MaxPool", "Reshape", "Transpose", "Concat", "Squeeze", "Unsqueeze", "StridedSlice", "Slice", "Pad", "Relu")

# From what runs a graph and (picture, label) pairs to the mean IoU over all and that of each picture.
Score = Callable[[Callable[[np.ndarray], np.ndarray], Iterable[Any]], tuple[float, list[float]]]


@dataclass(frozen=True)
class Quantized:
    """What quantisation made.

    Attributes:
        graph: with 8-bit weights, and ranges for the activations.
        layers: how many of LAYERS compute in 8 bits.
        kept: names of those that the sensitivity run put back into higher precision.
        others: names of those that NNCF does not quantise, such as some products of activations.
        drop: of the mIoU on the pictures of the sensitivity run; below 0 where it rose.
    """

    graph: openvino.Model
    layers: int
    kept: tuple[str, ...]
    others: tuple[str, ...]
    drop: float


def quantize(graph: openvino.Model, calibration: CalibrationInputs, sensitivity: Samples, score: Score, max_drop: float) -> Quantized:
    """Return an int8 graph whose mIoU on the pictures of the sensitivity run is at most `max_drop` below that of the given one.

    Weights: symmetric, by channel. Activations: symmetric behind ReLU, one range for a tensor. Where the loss is larger, each group of
    layers is tried in higher precision, and those that help most stay in it (nncf.quantize_with_accuracy_control).

    Args:
        graph: float32, compiled for nothing yet, whose shape is that of the calibration batches; is not changed.
        calibration: batches as the graph takes them.
        sensitivity: pictures with labels, other ones.
        score: how the mIoU is worked out.
        max_drop: of the mean IoU, 0..1.

    Raises:
        WorkError: if no choice of layers keeps the mIoU, or NNCF cannot quantise the graph.
    """

    def validate(compiled: Callable[..., Any], pairs: Iterable[Any]) -> tuple[float, list[float]]:
        leave_signal_stack()  # NNCF makes plugins for each graph
        return score(lambda image: next(iter(compiled(image).values())), pairs)

    miou = score(OpenVinoModel(graph, calibration.shape), sensitivity)[0]

    with tempfile.TemporaryDirectory() as folder, _quiet(), _failures_told():
        result = nncf.quantize_with_accuracy_control(
            graph,
            nncf.Dataset(calibration),
            nncf.Dataset(sensitivity),
            validate,
            max_drop=max_drop,
            drop_type=nncf.DropType.ABSOLUTE,
            preset=nncf.QuantizationPreset.PERFORMANCE,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(calibration),
            advanced_quantization_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix(OVERFLOW_FIX)),
            advanced_accuracy_restorer_parameters=AdvancedAccuracyRestorerParameters(
                intermediate_model_dir=folder, ranking_subset_size=len(sensitivity), num_ranking_workers=1
            ),
        )
        before = quantized_layers(read_openvino(Path(folder) / "intermediate_model.xml"))
    after = quantized_layers(result)
    drop = miou - score(OpenVinoModel(result, calibration.shape, precision_beside_int8()), sensitivity)[0]
    if not after or drop > max_drop:
        raise WorkError(
            f"int8 loses {drop:.4f} mIoU on training pictures whichever layers stay in higher precision; --max_drop is {max_drop}"
        )
    kept = tuple(name for name in before if name not in after)
    return Quantized(result, len(after), kept, tuple(name for name in _layers(result) if name not in (*after, *kept)), drop)


def quantized_layers(graph: openvino.Model) -> list[str]:
    """Return the names of the layers of a graph that take quantised activations, in the graph's order."""
    return [name for name, node in _layers(graph).items() if _is_quantized(node.input_value(0).get_node())]


def _layers(graph: openvino.Model) -> dict[str, Any]:
    return {node.get_friendly_name(): node for node in graph.get_ordered_ops() if node.get_type_name() in LAYERS}


def _is_quantized(node: Any) -> bool:
    while node.get_type_name() in _PASSING:
        node = node.input_value(0).get_node()
    return node.get_type_name() == _QUANTIZER


@contextmanager
def _failures_told() -> Iterator[None]:
    """NNCF's own exceptions, and what OpenVINO raises inside it, as failed work; ours pass. Signals can be handled as before."""
    try:
        yield
    except (UserError, WorkError, OSError):
        raise
    except Exception as error:  # NNCF's classes are bound to nothing but Exception
        raise WorkError(f"{TOOL} cannot quantise the model: {first_line(error)}") from error
    finally:
        leave_signal_stack()


@contextmanager
def _quiet() -> Iterator[None]:
    """NNCF prints bars and paragraphs; what matters of them is told by ours."""
    log = logging.getLogger("nncf")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            yield
    finally:
        log.setLevel(level)
