"""Quantise a graph by NNCF: ranges from calibration pictures, and layers left as they are where quantising them costs too much."""

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

import nncf
import openvino
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

from src.config.errors import UserError
from src.deploy.int8.samples import CalibrationInputs, Samples, evenly
from src.deploy.int8.sensitivity import RANKING_PICTURES, Judge, layers_of, parts_of, put_back, quantized_layers, rank_parts
from src.deploy.openvino_model import OpenVinoModel, first_line, precision_beside_int8
from src.deploy.signal_stack import leave_signal_stack
from src.runtime.entry import WorkError

logger = logging.getLogger("ocrnet")

TOOL = f"NNCF {nncf.__version__}"
# Half the range of weights: without it, sums of two products of 8 bits overflow the 16 bits of processors without VNNI.
OVERFLOW_FIX = "enable"


@dataclass(frozen=True)
class Quantized:
    """What quantisation made.

    Attributes:
        graph: with 8-bit weights, and ranges for the activations.
        layers: how many convolutions and products compute in 8 bits.
        kept: names of those that the sensitivity run put back into higher precision.
        others: names of those that NNCF does not quantise, such as some products of activations.
        drop: of the mIoU on the pictures of the sensitivity run; below 0 where it rose.
        gains: what share of all labels (0..1) each part of the network gives back in higher precision; empty where nothing had to be.
    """

    graph: openvino.Model
    layers: int
    kept: tuple[str, ...]
    others: tuple[str, ...]
    drop: float
    gains: dict[str, float]


def quantize(graph: openvino.Model, calibration: CalibrationInputs, sensitivity: Samples, judge: Judge, max_drop: float) -> Quantized:
    """Return an int8 graph whose mIoU on the pictures of the sensitivity run is at most `max_drop` below that of the given one.

    Weights: symmetric, by channel. Activations: symmetric behind ReLU, one range for a tensor. Where the loss is larger, each part of the
    network is tried in higher precision on a few pictures, and those that give most labels back stay in it, one after another, until the
    mIoU on all pictures holds.

    Args:
        graph: float32, compiled for nothing yet, whose shape is that of the calibration batches; is not changed.
        calibration: batches as the graph takes them.
        sensitivity: pictures with labels, other ones.
        judge: of mIoU and labels.
        max_drop: of the mean IoU, 0..1.

    Raises:
        UserError: if the pictures of the sensitivity run have no labels.
        WorkError: if no choice of parts keeps the mIoU, or NNCF cannot quantise the graph.
    """
    shape = calibration.shape
    miou = judge.miou(OpenVinoModel(graph, shape), sensitivity)
    if not math.isfinite(miou):
        raise UserError("the pictures of the sensitivity run have no labels of any class: there is no mIoU to keep")

    def drop_of(candidate: openvino.Model) -> float:
        return miou - judge.miou(OpenVinoModel(candidate, shape, precision_beside_int8()), sensitivity)

    everything = best = _quantize(graph, calibration)
    drop = drop_of(everything)
    gains: dict[str, float] = {}
    if drop > max_drop:
        logger.info("int8 loses %.4f mIoU on the training pictures of the sensitivity run; --max_drop is %s", drop, max_drop)
        parts = parts_of(everything)
        images = [sensitivity[position][0] for position in evenly(len(sensitivity), RANKING_PICTURES)]
        gains = rank_parts(everything, graph, parts, shape, judge, images)
        ranked = {part: parts[part] for part in gains}
        best, drop = _put_back_until(lambda names: put_back(everything, graph, names), ranked, drop_of, drop, max_drop)
    if drop > max_drop:
        raise WorkError(
            f"int8 loses {drop:.4f} mIoU on training pictures whichever parts stay in higher precision; --max_drop is {max_drop}"
        )
    before, after = quantized_layers(everything), quantized_layers(best)
    if not after:
        raise WorkError(f"the mIoU holds within --max_drop {max_drop} only with no layer in int8")
    kept = tuple(name for name in before if name not in after)
    others = tuple(name for name in layers_of(best) if name not in before)
    return Quantized(best, len(after), kept, others, drop, gains)


def _put_back_until(
    mend: Callable[[list[str]], openvino.Model],
    parts: Mapping[str, list[str]],
    drop_of: Callable[[openvino.Model], float],
    drop: float,
    max_drop: float,
) -> tuple[openvino.Model, float]:
    """Return the first graph whose drop is allowed, or the best one, of those with one part after another in higher precision."""
    back: list[str] = []
    for part, names in parts.items():
        candidate_drop = drop_of(mend([*back, *names]))
        logger.info("mIoU with %s in higher precision%s: %+.4f", part, ", too" if back else "", -candidate_drop)
        if candidate_drop < drop:
            drop, back = candidate_drop, [*back, *names]
        if drop <= max_drop:
            break
    return mend(back), drop


def _quantize(graph: openvino.Model, calibration: CalibrationInputs) -> openvino.Model:
    """Return the graph with all in int8 that NNCF quantises."""
    with _quiet(), _failures_told():
        return nncf.quantize(
            graph,
            nncf.Dataset(calibration),
            preset=nncf.QuantizationPreset.PERFORMANCE,
            target_device=nncf.TargetDevice.CPU,
            subset_size=len(calibration),
            advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix(OVERFLOW_FIX)),
        )


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
