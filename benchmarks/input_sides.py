"""One side of benchmarks/input_pipeline.py: training samples in a process of its own, as many as are asked for.

    python benchmarks/input_sides.py SIDE FOLDER

For each line "FIRST NUMBER" on stdin it makes the samples FIRST .. FIRST+NUMBER-1 and prints the seconds that took: of the clock, and of
the processor. FOLDER/files holds Cityscapes' layout, FOLDER/packed the same packed.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from src.config import load_config  # noqa: E402
from src.data.cityscapes import LABELS, Cityscapes  # noqa: E402
from src.data.loader import TrainSource, build_dataset  # noqa: E402

BATCHSIZE = 2
PLAIN, CROP_ONLY, FILES, PACKED, MMSEG = "straightforward", "straightforward, normalising the crop only", "files", "packed", "mmseg"


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


def open_source(side: str, folder: Path, num_samples: int) -> Any:
    """Return the samples of a side by position, all but mmsegmentation's, with the augmentation of preset hrnetv2_w48."""
    packed = side == PACKED
    flags = {
        "data_path": str(folder / (side if packed else "files")),
        "data_format": "mindrecord" if packed else "files",
        "batchsize": BATCHSIZE,
    }
    config = load_config("hrnetv2_w48", flags)
    dataset = build_dataset(config, "train")
    if side in (PLAIN, CROP_ONLY):
        return StraightforwardSource(dataset, config, num_samples, normalize_all=side == PLAIN)
    return TrainSource(dataset, config, rank=0, world=1, first_step=0, last_step=num_samples // BATCHSIZE)


def mmseg_sampler(folder: Path) -> Callable[[int], Any]:
    """Return a function that makes mmsegmentation's sample of a position: its transforms for the same recipe, then its normalisation.

    Its picture backend is OpenCV, its label backend Pillow, as they are by default. Labels are taken for trainIds, which users make once.
    """
    from tests.parity.references.stand_ins import stand_in

    stand_in("mmcv._ext", "mmcv.ops")
    import torch
    from mmcv.transforms import LoadImageFromFile, RandomFlip, RandomResize
    from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs, RandomCrop
    from mmseg.models import SegDataPreProcessor

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    steps = [
        *(LoadImageFromFile(), LoadAnnotations(), RandomResize(scale=(2048, 1024), ratio_range=(0.5, 2.1), keep_ratio=True)),
        *(RandomCrop(crop_size=(512, 1024)), RandomFlip(prob=0.5), PackSegInputs()),
    ]
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    normalize = SegDataPreProcessor(mean=mean, std=std, bgr_to_rgb=True, size=(512, 1024), pad_val=0, seg_pad_val=255)
    dataset = Cityscapes(folder / "files", "train.lst", "train")

    def sample(position: int) -> Any:
        index = position % len(dataset)
        np.random.seed(position)
        results: Any = {"img_path": str(dataset.image_path(index)), "seg_map_path": str(dataset.label_path(index))}
        results.update(seg_fields=[], reduce_zero_label=False, label_map=None)
        for step in steps:
            results = step(results)
        return normalize({"inputs": [results["inputs"]], "data_samples": [results["data_samples"]]}, True)

    return sample


def main() -> None:
    """Serve."""
    side, folder = sys.argv[1], Path(sys.argv[2])
    sample = mmseg_sampler(folder) if side == MMSEG else open_source(side, folder, 1_000_000).__getitem__
    sample(0)
    print("ready", flush=True)
    for line in sys.stdin:
        first, number = map(int, line.split())
        start, start_cpu = time.perf_counter(), time.process_time()
        for position in range(first, first + number):
            sample(position)
        print(time.perf_counter() - start, time.process_time() - start_cpu, flush=True)


if __name__ == "__main__":
    main()
