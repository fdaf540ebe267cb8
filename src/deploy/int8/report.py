"""What quantisation gains and costs: mIoU on validation pictures, time per picture, size; each before and after."""

import statistics
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.data.basedataset import DatasetInfo
from src.deploy.int8.sensitivity import Pair
from src.deploy.manifest import Manifest
from src.deploy.mindir_predictor import MindirLabels, MindirPredictor, Run
from src.metrics.confusion import ConfusionMatrix

ROUNDS = 5  # of timing; the sides take turns


@dataclass(frozen=True)
class Side:
    """One precision's figures.

    Attributes:
        miou: over all pictures, 0..1.
        milliseconds: of one inference, the median, on this machine's cores.
        mebibytes: of the file or files.
    """

    miou: float
    milliseconds: float
    mebibytes: float


class Scorer:
    """Mean IoU and labels of a graph, by the protocol of eval.py with one pass over the whole picture.

    Args:
        manifest: what the graph takes and gives, and its classes.
        evaluation: `eval` of the configuration.
        info: the classes.
    """

    def __init__(self, manifest: Manifest, evaluation: Any, info: DatasetInfo) -> None:
        self._manifest, self._evaluation, self._info = manifest, evaluation, info

    def miou(self, run: Run, pairs: Iterable[Pair]) -> float:
        """Return the mean IoU over all pictures.

        Args:
            run: from the graph's input to its output.
            pairs: pictures, HWC uint8 RGB, and labels, HW uint8 train ids.
        """
        predictor, matrix = self._predictor(run), ConfusionMatrix(len(self._manifest.class_names), self._manifest.ignore_label)
        for image, label in pairs:
            matrix.update(predictor.predict([image])[0], label)
        return matrix.compute().miou

    def labels(self, run: Run, image: np.ndarray) -> np.ndarray:
        """Return the labels, HW, of a picture, HWC uint8 RGB."""
        return self._predictor(run).predict([image])[0]

    def _predictor(self, run: Run) -> "MindirPredictor | MindirLabels":
        if self._manifest.output.kind == "labels":
            return MindirLabels(run, self._manifest)
        return MindirPredictor(run, self._manifest, self._evaluation, self._info)


def time_in_turns(runs: Mapping[str, Run], image: np.ndarray, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the median milliseconds of one inference of each side; what else the machine does falls on all of them."""
    milliseconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(image)  # not timed: memory is made
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run(image)
            milliseconds[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in milliseconds.items()}


def mebibytes(files: Iterable[Path]) -> float:
    """Return the size of files together."""
    return sum(path.stat().st_size for path in files) / 2**20


def table(sides: Mapping[str, Side]) -> list[str]:
    """Return the lines of a table, a precision each."""
    lines = [f"{'precision':<10} {'mIoU':>8} {'ms per inference':>17} {'MiB':>8}"]
    return lines + [f"{name:<10} {side.miou:>8.4f} {side.milliseconds:>17.1f} {side.mebibytes:>8.1f}" for name, side in sides.items()]


def as_json(sides: Mapping[str, Side]) -> dict[str, dict[str, float]]:
    """Return the figures for a manifest."""
    return {name: {key: round(value, 6) for key, value in asdict(side).items()} for name, side in sides.items()}
