"""A small evaluation with its report, without a network."""

from pathlib import Path

import numpy as np

from src.data.basedataset import DatasetInfo
from src.data.loader import EvalSample
from src.engine.evaluator import EvalResult, evaluate
from src.report.collector import Collector
from src.report.page import write_report

IGNORED = 255
SETTINGS = [("date", "2026-01-02 03:04:05 +0000"), ("weights", "/a/best & <last>.ckpt")]


class RedChannelPredictor:
    """The class of a pixel is its red value."""

    protocol = {"flip": False, "scales": [1.0]}

    def predict(self, images):
        return np.stack([image[..., 0] for image in images])


def info_of(num_classes):
    rng = np.random.default_rng(1)
    return DatasetInfo("toy", tuple(f"class {k}" for k in range(num_classes)), rng.integers(0, 256, (num_classes, 3)).astype(np.uint8))


def samples(count, num_classes, size_hw=(60, 90)):
    """Yield samples of patches, the later ones with more errors; the last class has no label, and a corner is ignored."""
    rng = np.random.default_rng(0)
    for index in range(count):
        patches = rng.integers(0, max(1, num_classes - 1), (size_hw[0] // 10, size_hw[1] // 10))
        label = patches.repeat(10, axis=0).repeat(10, axis=1).astype(np.uint8)
        prediction = label.copy()
        wrong = rng.random(size_hw) < 0.02 * index
        prediction[wrong] = rng.integers(0, num_classes, wrong.sum())
        label[:8, :12] = IGNORED
        image = np.stack([prediction, *rng.integers(0, 256, (2, *size_hw), dtype=np.uint8)], axis=2)
        yield EvalSample(index, f"picture <{index}>", image, label)


def evaluated(count=5, num_classes=3, info=None, output_dir: Path | None = None) -> tuple[EvalResult, Collector]:
    """Return the result of an evaluation that a collector looked at."""
    info = info or info_of(num_classes)
    collector = Collector(info, IGNORED)
    pictures = samples(count, len(info.class_names))
    result = evaluate(
        RedChannelPredictor(), pictures, info=info, ignore_label=IGNORED, batch_size=2, output_dir=output_dir, observer=collector
    )
    return result, collector


def write_page(folder: Path, **options) -> tuple[Path, EvalResult, Collector]:
    """Evaluate into a folder and write the page there."""
    result, collector = evaluated(output_dir=folder, **options)
    return write_report(folder, result, collector, SETTINGS, "lr: 0.1 # <b>\n", "net <x> on toy & co"), result, collector
