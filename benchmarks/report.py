#!/usr/bin/env python3
"""CPU time that `eval.py --report` takes for each picture, by part, beside reading the picture and counting it; one thread.

python benchmarks/report.py --config demo --data_path SYNTHETIC --pictures 20

The prediction is the label moved by three pixels, with patches of other classes on 15 % of it: as many objects as a poor network's.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from src.config import load_config  # noqa: E402
from src.data.loader import EvalSample, build_dataset  # noqa: E402
from src.metrics.boundary import BorderDistanceCounts, BoundaryCounts  # noqa: E402
from src.metrics.confusion import ConfusionMatrix  # noqa: E402
from src.metrics.object_size import ObjectSizeCounts  # noqa: E402
from src.report.drawing import draw_pictures  # noqa: E402
from src.report.gallery import score_picture  # noqa: E402

PATCH = 16  # pixels


def poor_prediction(label: np.ndarray, num_classes: int, rng: np.random.Generator) -> np.ndarray:
    """Return (H, W) uint8 classes for a label: moved, with patches of other classes."""
    prediction = np.where(np.roll(label, 3, axis=1) < num_classes, np.roll(label, 3, axis=1), 0).astype(np.uint8)
    grid = (label.shape[0] // PATCH + 1, label.shape[1] // PATCH + 1)
    patches, is_there = (
        values.repeat(PATCH, axis=0).repeat(PATCH, axis=1)[: label.shape[0], : label.shape[1]]
        for values in (rng.integers(0, num_classes, grid).astype(np.uint8), rng.random(grid) < 0.15)
    )
    return np.where(is_there, patches, prediction)


def parts_of(sample: EvalSample, prediction: np.ndarray, dataset: Any) -> dict[str, Callable[[], object]]:
    """Return the work on a picture by name."""
    info, ignore = dataset.info, dataset.ignore_label
    num_classes, ignored = len(info.class_names), sample.label == ignore
    arguments = (prediction, sample.label, ignored)
    return {
        "reading picture and label": lambda: dataset.read(sample.index),
        "counting (without a report too)": lambda: ConfusionMatrix(num_classes, ignore).update(prediction, sample.label),
        "IoU by object size": lambda: ObjectSizeCounts(num_classes).add(*arguments),
        "IoU by distance from a border": lambda: BorderDistanceCounts(num_classes).add(*arguments),
        "Boundary IoU": lambda: BoundaryCounts(num_classes).add(*arguments),
        "score of the picture": lambda: score_picture("", prediction, sample.label, num_classes, ignore),
        "drawing, where it is shown": lambda: draw_pictures(sample, prediction, ignored, info),
    }


def main() -> int:
    """Measure all parts on each picture, and print their medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="demo")
    parser.add_argument("--data_path", required=True)
    parser.add_argument("--pictures", type=int, default=20)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    dataset = build_dataset(load_config(arguments.config, {"data_path": arguments.data_path}), "val")
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {}
    for index in range(min(arguments.pictures, len(dataset))):
        sample = EvalSample(index, "", *dataset.read(index))
        for name, work in parts_of(sample, poor_prediction(sample.label, len(dataset.info.class_names), rng), dataset).items():
            start = time.process_time()
            work()
            seconds.setdefault(name, []).append(time.process_time() - start)
    print(f"{len(seconds['Boundary IoU'])} pictures, the last of {sample.label.shape[1]}x{sample.label.shape[0]}")
    for name, spent in seconds.items():
        print(f"{name:32} {1000 * np.median(spent):7.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
