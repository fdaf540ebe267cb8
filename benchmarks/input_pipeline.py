"""Samples per second of the training input at 2048x1024, against a straightforward version of the same sample.

    python benchmarks/input_pipeline.py [--image FRAME.png] [--samples 48] [--workers 1 2]

Both versions run in one process group after another, through the same MindSpore dataset, with the augmentation of preset hrnetv2_w48
(scale 0.5-2.1 of 2048x1024, crop 512x1024, mirror). Without --image the pictures are synthetic street scenes of that size.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from src.config import load_config
from src.data.cityscapes import LABELS, Cityscapes
from src.data.loader import TrainSource, batches
from src.data.synthetic import write_street_scenes

SIZE_HW = (1024, 2048)
BATCHSIZE = 2


class StraightforwardSource:
    """The same samples in the obvious way: decode all, map labels by masks, normalise and resize the whole picture, then crop."""

    def __init__(self, dataset: Cityscapes, config: Any, num_samples: int, normalize_all: bool):
        self.dataset, self.num_samples, self.normalize_all = dataset, num_samples, normalize_all
        self.crop_hw = tuple(config.train.image_size)
        self.mean = np.array(config.dataset.mean, np.float32)
        self.std = np.array(config.dataset.std, np.float32)

    def __len__(self) -> int:
        return self.num_samples

    def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return image (CHW float32) and label (HW int32)."""
        cv2.setNumThreads(0)
        index = int(position) % len(self.dataset)
        rng = np.random.default_rng((1, int(position)))
        image = cv2.cvtColor(cv2.imread(str(self.dataset.image_path(index))), cv2.COLOR_BGR2RGB)
        label = self._convert_label(cv2.imread(str(self.dataset.label_path(index)), cv2.IMREAD_GRAYSCALE))
        scale = 0.5 + 0.1 * rng.integers(17)
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
        label = cv2.resize(label, size, interpolation=cv2.INTER_NEAREST)
        if self.normalize_all:
            image, label = self._crop(self._normalize(image), label, rng)
        else:
            image, label = self._crop(image, label, rng)
            image = self._normalize(image)
        image = image.transpose(2, 0, 1)
        if rng.random() < 0.5:
            image, label = image[:, :, ::-1], label[:, ::-1]
        return np.ascontiguousarray(image), label.astype(np.int32)

    def _convert_label(self, label: np.ndarray) -> np.ndarray:
        converted = label.copy()
        for entry in LABELS:
            converted[label == entry.id % 256] = entry.train_id
        return converted

    def _normalize(self, image: np.ndarray) -> np.ndarray:
        return (image.astype(np.float32) / 255.0 - self.mean) / self.std

    def _crop(self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        height, width = self.crop_hw
        pad = (0, max(0, height - label.shape[0]), 0, max(0, width - label.shape[1]))
        if any(pad):
            image = cv2.copyMakeBorder(image, *pad, cv2.BORDER_CONSTANT, value=(0, 0, 0))
            label = cv2.copyMakeBorder(label, *pad, cv2.BORDER_CONSTANT, value=255)
        top, left = rng.integers(label.shape[0] - height + 1), rng.integers(label.shape[1] - width + 1)
        return image[top : top + height, left : left + width], label[top : top + height, left : left + width]


def make_data(folder: Path, image: Path | None) -> None:
    """Write 6 synthetic scenes, or 6 links to the given picture with synthetic labels."""
    write_street_scenes(folder, 6, 1, SIZE_HW)
    if image is not None:
        with Image.open(image) as picture:
            if picture.size != SIZE_HW[::-1] or picture.format != "PNG":
                raise SystemExit(f"error: {image}: expected a PNG of {SIZE_HW[1]}x{SIZE_HW[0]} pixels, got {picture.format} {picture.size}")
        for path in sorted((folder / "leftImg8bit" / "train").glob("*/*.png")):
            path.unlink()
            os.symlink(image.resolve(), path)


def samples_per_second(source: Any, workers: int) -> float:
    """Return the rate of a warm pipeline: the time from the first batch to the last, over the samples between."""
    times = [time.perf_counter() for _ in batches(source, BATCHSIZE, workers).create_tuple_iterator(num_epochs=1, output_numpy=True)]
    warm = len(times) // 3  # worker processes start, queues fill, files enter the page cache
    return (len(times) - 1 - warm) * BATCHSIZE / (times[-1] - times[warm])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the comparison and print a table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a real 2048x1024 PNG in place of synthetic pictures")
    parser.add_argument("--samples", type=int, default=48, help="samples per measurement (default 48)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="worker counts (default 1 2)")
    parser.add_argument("--repeats", type=int, default=3, help="measurements, of which the median counts (default 3)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        make_data(Path(folder), args.image)
        config = load_config("hrnetv2_w48", {"data_path": folder, "batchsize": BATCHSIZE})
        dataset = Cityscapes(folder, "train.lst", "train")
        sources = {
            "straightforward": StraightforwardSource(dataset, config, args.samples, normalize_all=True),
            "straightforward, normalising the crop only": StraightforwardSource(dataset, config, args.samples, normalize_all=False),
            "this pipeline": TrainSource(dataset, config, rank=0, world=1, first_step=0, last_step=args.samples // BATCHSIZE),
        }
        cores = os.cpu_count()
        print(f"crop {list(config.train.image_size)} of {list(SIZE_HW)}, {cores} cores, median of {args.repeats}")
        print("| sample | workers | samples/s | ms per sample and worker | speed-up |\n| --- | --- | --- | --- | --- |")
        for workers in args.workers:
            base = 0.0
            for name, source in sources.items():
                rate = statistics.median(samples_per_second(source, workers) for _ in range(args.repeats))
                base = base or rate
                print(f"| {name} | {workers} | {rate:.1f} | {1000 * workers / rate:.0f} | {rate / base:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
