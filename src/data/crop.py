"""Where a training sample lies in its picture, and cutting it out: only what it needs is decoded and resized."""

from dataclasses import dataclass

import cv2
import numpy as np

from src.data.pictures import Box


@dataclass(frozen=True)
class Crop:
    """Where a training sample lies in its scaled picture.

    Attributes:
        source_hw: height and width of the picture, pixels.
        scaled_hw: its height and width after scaling, pixels.
        top: first row of the crop in the scaled picture.
        left: first column.
        valid_hw: height and width of the part of the crop that lies inside the scaled picture.
    """

    source_hw: tuple[int, int]
    scaled_hw: tuple[int, int]
    top: int
    left: int
    valid_hw: tuple[int, int]

    def source_positions(self, axis: int) -> np.ndarray:
        """Return where the centres of the crop's rows (axis 0) or columns (1) lie in the picture, in pixels, half-pixel centres."""
        start = (self.top, self.left)[axis]
        positions = np.arange(start, start + self.valid_hw[axis], dtype=np.float64)
        return (positions + 0.5) * (self.source_hw[axis] / self.scaled_hw[axis]) - 0.5

    def source_box(self) -> Box:
        """Return the rectangle of the picture that the crop is made of, with the neighbours that bilinear resizing looks at."""
        bounds = []
        for axis in (0, 1):
            positions = self.source_positions(axis)
            bounds.append((max(0, int(np.floor(positions[0]))), min(self.source_hw[axis], int(np.floor(positions[-1])) + 2)))
        (top, bottom), (left, right) = bounds
        return top, left, bottom, right


def crop_image(region: np.ndarray, crop: Crop) -> np.ndarray:
    """Return the crop, bilinear, of the rectangle `crop.source_box()` of a picture; equal to cropping the resized picture.

    Args:
        region: HWC uint8.
        crop: where the crop lies.

    Returns:
        HWC uint8 of `crop.valid_hw`.
    """
    top, left, _, _ = crop.source_box()
    height, width = crop.valid_hw
    scale_y, scale_x = (crop.source_hw[axis] / crop.scaled_hw[axis] for axis in (0, 1))
    start_y, start_x = crop.source_positions(0)[0] - top, crop.source_positions(1)[0] - left
    if scale_y == scale_x == 1.0:
        return region[:height, :width]
    matrix = np.array([[scale_x, 0.0, start_x], [0.0, scale_y, start_y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(region, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def crop_label(region: np.ndarray, crop: Crop) -> np.ndarray:
    """Return the crop, nearest, of the rectangle `crop.source_box()` of a label; HW uint8 of `crop.valid_hw`."""
    top, left, _, _ = crop.source_box()
    rows, columns = (np.floor(crop.source_positions(axis) + 0.5).astype(np.intp) for axis in (0, 1))
    return region[rows - top].take(columns - left, axis=1)
