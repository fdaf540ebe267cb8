"""Augmentation: random scale, crop, mirror and colour, and the normalisation that training and evaluation share."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from omegaconf import DictConfig

from src.data.basedataset import BaseDataset
from src.data.color import ColorJitter
from src.data.crop import Crop, crop_image, crop_label
from src.data.pictures import Box
from src.data.rare_classes import WantedClass
from src.data.registry import dataset_info

CROP_TRIES = 10


def normalize(image: np.ndarray, mean: Sequence[float], std: Sequence[float], color_order: str = "RGB") -> np.ndarray:
    """Return (image / 255 - mean) / std.

    Args:
        image: HWC uint8 RGB, 0..255.
        mean: of each channel in color_order, of values 0..1.
        std: likewise.
        color_order: order of the channels of the result, "RGB" or "BGR".

    Returns:
        CHW float32.
    """
    out = np.empty((3, *image.shape[:2]), np.float32)
    return _normalize_into(out, image, normalization_table(mean, std), color_order)


def network_input(
    image: np.ndarray,
    size_hw: tuple[int, int],
    mean: Sequence[float],
    std: Sequence[float],
    color_order: str = "RGB",
    dtype: str = "float32",
) -> np.ndarray:
    """Return a picture as a network takes it: resized (bilinear, of the uint8 picture), then normalised unless the graph does that itself.

    Args:
        image: HWC uint8 RGB, 0..255.
        size_hw: height and width that the network sees, pixels.
        mean: of each channel in color_order, of values 0..1.
        std: likewise.
        color_order: order of the channels of the result, "RGB" or "BGR".
        dtype: "float32" for normalised values, "uint8" for values 0..255.

    Returns:
        (3, *size_hw) of the dtype.
    """
    resized = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    if dtype == "uint8":
        return np.stack([cv2.extractChannel(resized, "RGB".index(name)) for name in color_order])
    return normalize(resized, mean, std, color_order)


def normalization_table(mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Return (3, 256) float32: what each value of each channel becomes. A pixel has only 256 values, so no float arithmetic is needed."""
    values = np.arange(256, dtype=np.float64) / 255.0
    return ((values - np.reshape(mean, (3, 1))) / np.reshape(std, (3, 1))).astype(np.float32)


def _normalize_into(out: np.ndarray, image: np.ndarray, table: np.ndarray, color_order: str) -> np.ndarray:
    for channel, name in enumerate(color_order):
        cv2.LUT(cv2.extractChannel(image, "RGB".index(name)), table[channel], dst=out[channel])
    return out


class TrainTransform:
    """Make training samples: random scale, crop, mirror and colour, normalised.

    The rectangle that a crop needs is cut out before it is resized, and only its rows are decoded: what is thrown away costs nothing.

    Args:
        config: reads `train.image_size`, `base_size`, `multi_scale`, `scale_range`, `scale_step`, `flip`, `crop_max_class_ratio`,
            `color`, `downsample_rate`; `dataset.color_order`, `mean`, `std`, `ignore_label` and classes.
    """

    def __init__(self, config: DictConfig):
        train = config.train
        self.crop_hw = tuple(train.image_size)
        self.base_size = train.base_size
        self.scales = _scale_grid(train.scale_range, train.scale_step) if train.multi_scale else [1.0]
        self.scale_range = tuple(train.scale_range) if train.multi_scale and train.scale_step == 0 else None
        self.flip = train.flip
        self.max_class_ratio = train.crop_max_class_ratio
        self.color = ColorJitter(train.color)
        self.downsample_rate = train.downsample_rate
        self.ignore_label = config.dataset.ignore_label
        self.table = normalization_table(config.dataset.mean, config.dataset.std)
        self.color_order = config.dataset.color_order
        self.mirrored_label = _mirror_table(dataset_info(config).mirrored_classes)

    def __call__(self, image: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return a random training sample of a picture.

        Args:
            image: HWC uint8 RGB.
            label: HW uint8 train ids.
            rng: the only source of randomness.

        Returns:
            image CHW float32 of `train.image_size` in `dataset.color_order`, 0 (the mean colour) outside the picture; label HW int32 of
            that size divided by `downsample_rate`, `ignore_label` outside the picture.
        """
        return self._sample(label.shape, lambda box: _cut(image, box), lambda box: _cut(label, box), rng)

    def read(
        self, dataset: BaseDataset, index: int, rng: np.random.Generator, wanted: WantedClass | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the same as `self(*dataset.read(index), rng)`, decoding no more than is needed.

        Args:
            dataset: pictures and labels.
            index: of the sample.
            rng: the only source of randomness.
            wanted: what the crop should hold, as far as some tries find it.

        Raises:
            UserError: as `dataset.read` does.
        """
        size_hw = dataset.size_hw(index)
        return self._sample(size_hw, lambda box: dataset.read_image(index, box), lambda box: dataset.read_label(index, box), rng, wanted)

    def _sample(
        self,
        size_hw: tuple[int, ...],
        image_of: Callable[[Box], np.ndarray],
        label_of: Callable[[Box], np.ndarray],
        rng: np.random.Generator,
        wanted: WantedClass | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        height, width = size_hw
        scale = rng.uniform(*self.scale_range) if self.scale_range else self.scales[rng.integers(len(self.scales))]
        mirrored = self.flip and rng.random() < 0.5
        crop, label = self._choose_crop((height, width), scale, label_of, rng, wanted)
        image = self.color(crop_image(image_of(crop.source_box()), crop), rng)
        if mirrored:
            image, label = cv2.flip(image, 1), cv2.LUT(cv2.flip(label, 1), self.mirrored_label)
        return self._finish(image, label, mirrored)

    def _choose_crop(
        self,
        size_hw: tuple[int, int],
        scale: float,
        label_of: Callable[[Box], np.ndarray],
        rng: np.random.Generator,
        wanted: WantedClass | None,
    ) -> tuple[Crop, np.ndarray]:
        """Return a random crop (no class too large, the wanted one large enough, as far as some tries find one) and its label."""
        factor = scale * (self.base_size / max(size_hw) if self.base_size else 1.0)
        scaled_hw = (max(1, round(size_hw[0] * factor)), max(1, round(size_hw[1] * factor)))
        if self.max_class_ratio >= 1.0 and wanted is None:
            crop = self._random_crop(size_hw, scaled_hw, rng)
            return crop, crop_label(label_of(crop.source_box()), crop)
        whole = label_of((0, 0, *size_hw))
        for _ in range(CROP_TRIES):
            crop = self._random_crop(size_hw, scaled_hw, rng)
            label = crop_label(_cut(whole, crop.source_box()), crop)
            if self._is_accepted(label, wanted, scaled_hw[0] * scaled_hw[1] / (size_hw[0] * size_hw[1])):
                break
        return crop, label

    def _is_accepted(self, label: np.ndarray, wanted: WantedClass | None, area: float) -> bool:
        """Whether a crop's label keeps both conditions; `area` is how many pixels scaling has made of one."""
        if self.max_class_ratio < 1.0 and _largest_class_ratio(label, self.ignore_label) > self.max_class_ratio:
            return False
        return wanted is None or np.count_nonzero(label == wanted.train_id) >= wanted.pixels * area

    def _random_crop(self, size_hw: tuple[int, int], scaled_hw: tuple[int, int], rng: np.random.Generator) -> Crop:
        top, left = (int(rng.integers(max(0, scaled - side) + 1)) for scaled, side in zip(scaled_hw, self.crop_hw, strict=True))
        valid_hw = (min(self.crop_hw[0], scaled_hw[0]), min(self.crop_hw[1], scaled_hw[1]))
        return Crop(size_hw, scaled_hw, top, left, valid_hw)

    def _finish(self, image: np.ndarray, label: np.ndarray, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
        """Normalise, and pad what is smaller than the crop: at the bottom and at the right, or the left of a mirrored one."""
        height, width = label.shape
        left = self.crop_hw[1] - width if mirrored else 0
        sample = (np.empty if (height, width) == self.crop_hw else np.zeros)((3, *self.crop_hw), np.float32)
        _normalize_into(sample[:, :height, left : left + width], image, self.table, self.color_order)
        padded = np.full(self.crop_hw, self.ignore_label, np.int32)
        padded[:height, left : left + width] = label
        return sample, _downsample(padded, self.downsample_rate)


def _scale_grid(scale_range: Sequence[float], step: float) -> list[float]:
    low, high = scale_range
    # 1e-6: a range that is a whole number of steps keeps its end, whatever the rounding.
    return [low + step * k for k in range(int((high - low) / step + 1e-6) + 1)] if step else [low]


def _mirror_table(mirrored_classes: np.ndarray) -> np.ndarray:
    """Return (256,) uint8: what each label is in a mirrored picture; the ignore label stays."""
    table = np.arange(256, dtype=np.uint8)
    table[: len(mirrored_classes)] = mirrored_classes
    return table


def _cut(array: np.ndarray, box: Box) -> np.ndarray:
    top, left, bottom, right = box
    return array[top:bottom, left:right]


def _largest_class_ratio(label: np.ndarray, ignore_label: int) -> float:
    """Return the part of the pixels with a class that the largest class has; 1 where no pixel has a class."""
    pixels = cv2.calcHist([label], [0], None, [256], [0, 256])[:, 0]
    pixels[ignore_label] = 0
    return float(pixels.max() / pixels.sum()) if pixels.any() else 1.0


def _downsample(label: np.ndarray, rate: int) -> np.ndarray:
    """Return every `rate`-th pixel, nearest with half-pixel centres."""
    if rate == 1:
        return label
    height, width = (side // rate for side in label.shape)
    return np.ascontiguousarray(label[rate // 2 :: rate, rate // 2 :: rate][:height, :width])
