"""Evaluate: predict, count, score, and write what a person looks at."""

import json
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.data.basedataset import DatasetInfo
from src.data.loader import EvalSample
from src.inference.batching import equal_sized_batches
from src.inference.palette import confusion_picture, panel, write_picture
from src.metrics.confusion import ConfusionMatrix, Scores

SumArray = Callable[[np.ndarray], np.ndarray]


class LabelPredictor(Protocol):
    """What evaluation needs of `src.inference.predictor.Predictor`."""

    @property
    def protocol(self) -> dict[str, Any]:
        """What decides the numbers, JSON types."""

    def predict(self, images: list[np.ndarray]) -> np.ndarray:
        """Return (B, H, W) uint8 classes of pictures of one size."""


class Observer(Protocol):
    """Looks on while pictures are evaluated, such as `src.report.collector.Collector`; the numbers are the same without it."""

    def attach(self, samples: Iterable[EvalSample], predictor: LabelPredictor) -> tuple[Iterable[EvalSample], LabelPredictor]:
        """Return what is evaluated in place of both, so that reading and predicting can be timed."""

    def observe(self, sample: EvalSample, prediction: np.ndarray) -> None:
        """Look at a picture that has been counted and its (H, W) uint8 classes."""


@dataclass(frozen=True)
class EvalResult:
    """An evaluation over all ranks.

    Attributes:
        scores: of the whole data set.
        matrix: (K, K) int64, rows are labels, columns predictions.
        class_names: K names.
        images: number of pictures.
        seconds: from the first picture read to the last one counted, on this rank, without what the observer took.
        protocol: scales, flip and the like, JSON types.
    """

    scores: Scores
    matrix: np.ndarray
    class_names: tuple[str, ...]
    images: int
    seconds: float
    protocol: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the content of eval.json; null stands for what an absent class does not have."""
        scores = self.scores
        content: dict[str, Any] = {"miou": _number(scores.miou)}
        if scores.miou_cityscapes != scores.miou and not math.isnan(scores.miou_cityscapes):
            content["miou_cityscapes"] = scores.miou_cityscapes
        content.update(
            accuracy=_number(scores.accuracy),
            mean_accuracy=_number(scores.mean_accuracy),
            frequency_weighted_iou=_number(scores.frequency_weighted_iou),
            iou=self._by_name([_number(value) for value in scores.iou]),
            pixels=self._by_name(scores.pixels.tolist()),
            predicted_pixels=self._by_name(scores.predicted.tolist()),
        )
        return {**content, "images": self.images, "protocol": self.protocol, "seconds": round(self.seconds, 3)}

    def _by_name(self, values: list[Any]) -> dict[str, Any]:
        return dict(zip(self.class_names, values, strict=True))


def evaluate(
    predictor: LabelPredictor,
    samples: Iterable[EvalSample],
    *,
    info: DatasetInfo,
    ignore_label: int,
    batch_size: int = 1,
    output_dir: Path | None = None,
    overlays: int = 0,
    sum_matrix: SumArray = lambda array: array,
    is_main: bool = True,
    progress: Callable[[int], None] | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
    observer: Observer | None = None,
) -> EvalResult:
    """Return the result of a predictor on pictures; memory does not grow with their number.

    Args:
        predictor: gives labels.
        samples: this rank's pictures, in any sizes; neighbours of equal size are predicted at once.
        info: names and colours of the classes.
        ignore_label: label value that is not counted.
        batch_size: most pictures predicted at once.
        output_dir: existing folder for eval.json and eval/; None writes nothing.
        overlays: number of pictures to paint into eval/, the first ones of the main rank.
        sum_matrix: sum of an int64 array over all ranks; every rank calls it equally often.
        is_main: this rank writes the files.
        progress: called after each batch with the number of its pictures.
        is_stopped: whether to leave the other pictures out; `sum_matrix` is called all the same, and may raise.
        observer: shown this rank's pictures, each after it has been counted.

    Raises:
        UserError: if there are no pictures, a label is missing or holds values of no class, or a file cannot be written.
    """
    start = time.perf_counter()
    confusion = ConfusionMatrix(len(info.class_names), ignore_label)
    pictures_dir = output_dir / "eval" if output_dir and is_main else None
    done = 0
    if observer:
        samples, predictor = observer.attach(samples, predictor)
    for batch in equal_sized_batches(samples, batch_size):
        predictions = predictor.predict([sample.image for sample in batch])
        for sample, prediction in zip(batch, predictions, strict=True):
            _count(confusion, sample, prediction)
            if observer:
                begun = time.perf_counter()
                observer.observe(sample, prediction)
                start += time.perf_counter() - begun  # the observer's time is not the evaluation's
            if pictures_dir and done < overlays:
                _write_panel(pictures_dir, sample, prediction, info)
            done += 1
        if progress:
            progress(len(batch))
        if is_stopped():
            break
    total = ConfusionMatrix(len(info.class_names), ignore_label)
    total.merge(sum_matrix(confusion.matrix))
    images = int(sum_matrix(np.array([done], np.int64))[0])
    if images == 0:
        raise UserError("no pictures to evaluate; check eval.eval_list and eval.num_samples")
    protocol = {**predictor.protocol, "batch_size": batch_size, "ignore_label": ignore_label}
    result = EvalResult(total.compute(), total.matrix, info.class_names, images, time.perf_counter() - start, protocol)
    if output_dir and is_main:
        _write_result(output_dir, result)
    return result


def _count(confusion: ConfusionMatrix, sample: EvalSample, prediction: np.ndarray) -> None:
    if sample.label is None:
        raise UserError(f"{sample.name}: evaluation needs a label")
    try:
        confusion.update(prediction, sample.label)
    except ValueError as error:
        raise UserError(f"{sample.name}: {error}") from None


def _write_panel(folder: Path, sample: EvalSample, prediction: np.ndarray, info: DatasetInfo) -> None:
    _make_folder(folder)
    write_picture(folder / f"{sample.name}.png", panel(sample.image, sample.label, prediction, info))


def _write_result(folder: Path, result: EvalResult) -> None:
    _make_folder(folder / "eval")
    confusion_picture(folder / "eval" / "confusion.png", result.matrix, result.class_names)
    with atomic_path(folder / "eval.json") as path:
        path.write_text(json.dumps(result.as_json(), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another --output_path") from error


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def format_table(result: EvalResult) -> str:
    """Return the per-class table and the lines that people grep for."""
    scores = result.scores
    lines = class_table(result.class_names, scores)
    lines += ["", "protocol: " + ", ".join(f"{name} {value}" for name, value in result.protocol.items() if value not in (None, False))]
    lines += [f"{result.images} pictures in {result.seconds:.1f} s; {mean_lines(scores)[0]}", *mean_lines(scores)[1:]]
    lines += ["=========== Validation Result ===========", f"===> mIoU: {scores.miou:.4f}", "===> IoU array:"]
    lines.append(np.array2string(scores.iou, precision=4, max_line_width=100, threshold=scores.iou.size + 1))
    return "\n".join(lines)


def class_table(class_names: Sequence[str], scores: Scores) -> list[str]:
    """Return a head line and a line for each class; absent ones are marked."""
    width = max(len("class"), *(len(name) for name in class_names))
    lines = [f"{'class':{width}}  {'IoU':>7}  {'accuracy':>8}  {'pixels':>13}  {'predicted':>13}"]
    for name, iou, accuracy, pixels, predicted in zip(
        class_names, scores.iou, scores.class_accuracy, scores.pixels, scores.predicted, strict=True
    ):
        shown = f"{'absent':>7}  {'-':>8}" if pixels == 0 else f"{iou:7.4f}  {accuracy:8.4f}"
        lines.append(f"{name:{width}}  {shown}  {pixels:13,d}  {predicted:13,d}")
    return lines


def mean_lines(scores: Scores) -> list[str]:
    """Return what is said below the table: over which classes the means are, and what they are beside mIoU."""
    num_present = int((~scores.is_absent).sum())
    lines = [
        f"means over the {num_present} of {scores.iou.size} classes that have labels",
        f"pixel accuracy {scores.accuracy:.4f}, mean accuracy {scores.mean_accuracy:.4f}, "
        f"frequency-weighted IoU {scores.frequency_weighted_iou:.4f}",
    ]
    wrong = int(scores.predicted[scores.is_absent].sum())
    if wrong:
        lines.append(
            f"{wrong:,d} pixels predicted as absent classes; cityscapesScripts counts those classes as 0: {scores.miou_cityscapes:.4f}"
        )
    return lines
