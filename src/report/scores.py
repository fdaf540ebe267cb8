"""The sections of the report that hold scores."""

from collections.abc import Sequence

import numpy as np

from src.engine.evaluator import EvalResult, mean_lines
from src.metrics.binned import BinnedCounts
from src.metrics.boundary import DISTANCE_LIMITS, BoundaryCounts
from src.metrics.object_size import SIZE_LIMITS
from src.report.collector import Collector
from src.report.markup import Cell, bars, count_cell, number, score_cell, table, tiles

MAX_CONFUSIONS = 12  # pairs of classes in the list
TO = "\N{EN DASH}"
SIZE_NAMES = ("tiny", "small", "medium", "large")


def headline(result: EvalResult, boundary: BoundaryCounts) -> str:
    """Return the means, each on a tile, and what they are over."""
    scores = result.scores
    return tiles(
        (
            ("mIoU", number(scores.miou)),
            ("Boundary IoU, mean", number(boundary.mean_iou())),
            ("pixel accuracy", number(scores.accuracy)),
            ("mean accuracy", number(scores.mean_accuracy)),
            ("frequency-weighted IoU", number(scores.frequency_weighted_iou)),
            ("pictures", f"{result.images:,d}"),
        )
    )


def remarks(result: EvalResult) -> list[str]:
    """Return what the log says of the means: over which classes they are, and what is predicted as absent ones."""
    first, _, *others = mean_lines(result.scores)
    return [first, *others]


def class_section(result: EvalResult, collector: Collector) -> str:
    """Return the table of the classes."""
    scores, palette = result.scores, collector.info.palette
    boundary = collector.boundary.iou()
    total = max(1, int(scores.pixels.sum()))
    rows = []
    for k, name in enumerate(result.class_names):
        label = Cell(name, swatch=palette[k], note="absent" if scores.is_absent[k] else "")
        share = Cell(f"{100 * scores.pixels[k] / total:.2f} %", float(scores.pixels[k]))
        values = (score_cell(float(value[k])) for value in (scores.iou, scores.class_accuracy, boundary))
        rows.append([label, *values, count_cell(int(scores.pixels[k])), share, count_cell(int(scores.predicted[k]))])
    heads = ["class", "IoU", "accuracy", "Boundary IoU", "pixels", "share", "predicted pixels"]
    return table(heads, rows, identifier="classes")


def confusion_list(result: EvalResult) -> str:
    """Return the pairs of classes that are confused most, by pixels."""
    wrong = result.matrix.copy()
    np.fill_diagonal(wrong, 0)
    pixels = np.maximum(result.matrix.sum(axis=1), 1)
    rows = []
    for place in np.argsort(wrong, axis=None, kind="stable")[::-1][:MAX_CONFUSIONS]:
        label, predicted = np.unravel_index(place, wrong.shape)
        if wrong[label, predicted]:
            part = float(wrong[label, predicted] / pixels[label])
            names = (Cell(result.class_names[label]), Cell(result.class_names[predicted]))
            rows.append([*names, count_cell(int(wrong[label, predicted])), Cell(f"{100 * part:.1f} %", part, part)])
    return table(["label", "predicted as", "pixels", "share of label"], rows, identifier="confusions")


def size_section(collector: Collector) -> str:
    """Return means and classes by the size of the objects."""
    counts = collector.object_size
    height, width = collector.sizes_hw[-1] if collector.sizes_hw else (0, 0)
    limits = [f"{100 * limit:g}" for limit in SIZE_LIMITS]
    sides = [f"{round((limit * height * width) ** 0.5)}²" for limit in SIZE_LIMITS]
    ranges = [
        f"under {limits[0]} % ({sides[0]} px)",
        *(f"{limits[k]}{TO}{limits[k + 1]} % ({sides[k]}{TO}{sides[k + 1]} px)" for k in range(len(limits) - 1)),
        f"from {limits[-1]} % ({sides[-1]} px)",
    ]
    entries = [
        (name, float(value), f"{part}, {objects:,d} objects")
        for name, value, part, objects in zip(SIZE_NAMES, counts.mean_iou(), ranges, counts.num_objects.sum(axis=0), strict=True)
    ]
    return _pair(bars(entries), _binned_table(collector, counts, SIZE_NAMES, "sizes", counts.num_objects))


def distance_section(collector: Collector) -> str:
    """Return means and classes by the distance from a border."""
    counts = collector.distance
    lows = [1, *(limit + 1 for limit in DISTANCE_LIMITS[:-1])]
    names = [*(f"{low}{TO}{high} px" for low, high in zip(lows, DISTANCE_LIMITS, strict=True)), f"over {DISTANCE_LIMITS[-1]} px"]
    pixels = counts.pixels.sum(axis=0)
    total = max(1, int(pixels.sum()))
    entries = [
        (name, float(value), f"{100 * part / total:.1f} % of the pixels")
        for name, value, part in zip(names, counts.mean_iou(), pixels, strict=True)
    ]
    return _pair(bars(entries), _binned_table(collector, counts, names, "distances"))


def _pair(left: str, right: str) -> str:
    return f'<div class="pair">{left}{right}</div>'


def _binned_table(
    collector: Collector, counts: BinnedCounts, bin_names: Sequence[str], identifier: str, num_objects: np.ndarray | None = None
) -> str:
    """Return the IoU of each class that has labels in each bin."""
    iou, pixels = counts.iou(), counts.pixels
    rows = []
    for k in np.flatnonzero(pixels.sum(axis=1)):
        cells = [Cell(collector.info.class_names[k], swatch=collector.info.palette[k])]
        for b in range(len(bin_names)):
            objects = f" in {num_objects[k, b]:,d} objects" if num_objects is not None else ""
            cells.append(score_cell(float(iou[k, b]), f"{pixels[k, b]:,d} pixels{objects}", digits=3))
        rows.append(cells)
    return table(["class", *bin_names], rows, kind="heat", identifier=identifier)
