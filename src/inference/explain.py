"""Where an OCR head's answer for a picture comes from: the soft object regions, and what each region gives to a pixel's context."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import mindspore as ms
import numpy as np
from mindspore import Tensor

from src.config.errors import UserError
from src.inference.predictor import Predictor, evaluating
from src.models.heads import OCRHead
from src.models.ocr_maps import OCRMaps

PointXY = tuple[int, int]  # column and row of a pixel

_SMALLEST_PART = 0.002  # of the picture, that a component must have to be chosen


@dataclass(frozen=True)
class Explanation:
    """What an OCR head made of one picture.

    Attributes:
        size_hw: of the picture, pixels.
        regions: (K, h, w) float32, how much of each class's object region each pixel is; each sums to 1 over the picture.
        relation: (K, h', w') float32, how much of a pixel's context each region gives; sums to 1 over the K regions.
    """

    size_hw: tuple[int, int]
    regions: np.ndarray
    relation: np.ndarray

    def weights(self, point: PointXY) -> np.ndarray:
        """Return how much of a pixel's context each of the K regions gives, (K,) float32 with the sum 1.

        Raises:
            UserError: if the picture has no such pixel.
        """
        self.check(point)
        return self.relation[(slice(None), *_cell(point, self.size_hw, self.relation.shape[1:]))]

    def context(self, point: PointXY) -> np.ndarray:
        """Return which pixels a pixel's context comes from, (h, w) float32 with the sum 1: the regions, weighted by `weights`.

        Raises:
            UserError: if the picture has no such pixel.
        """
        return np.tensordot(self.weights(point), self.regions, 1)

    def check(self, point: PointXY) -> None:
        """Refuse a pixel that the picture does not have.

        Raises:
            UserError: if it has no such pixel.
        """
        height, width = self.size_hw
        if not (0 <= point[0] < width and 0 <= point[1] < height):
            raise UserError(f"--explain_at {point[0]} {point[1]}: the picture has columns 0..{width - 1} and rows 0..{height - 1}")


def _cell(point: PointXY, size_hw: tuple[int, int], map_hw: Sequence[int]) -> tuple[int, int]:
    """Return row and column of a map's value at a pixel."""
    return point[1] * map_hw[0] // size_hw[0], point[0] * map_hw[1] // size_hw[1]


class Explainer:
    """Explain pictures with a predictor's network, which is run on the whole picture once, whatever else the protocol does.

    Args:
        predictor: its network has an OCR head.

    Raises:
        UserError: if it has another.
    """

    def __init__(self, predictor: Predictor) -> None:
        head = getattr(predictor.network, "head", None)
        if not isinstance(head, OCRHead):
            name = type(head or predictor.network).__name__
            raise UserError(f"--explain shows the object regions of an OCR head, and this network has none ({name}); leave --explain out")
        self._predictor = predictor
        self._maps = OCRMaps(predictor.network)

    def __call__(self, picture: np.ndarray) -> Explanation:
        """Return what the head made of a picture, (H, W, 3) uint8 RGB.

        Raises:
            ValueError: if it is no such picture.
        """
        image = self._predictor.network_images([picture])
        with evaluating(self._predictor.network):
            _, regions, relation = self._maps(Tensor(np.ascontiguousarray(image), ms.float32))
        return Explanation((picture.shape[0], picture.shape[1]), regions.asnumpy()[0], relation.asnumpy()[0])


def choose_points(labels: np.ndarray, most: int = 6) -> list[PointXY]:
    """Return a pixel inside the largest connected part of each class, farthest from its border; the largest parts come first.

    Args:
        labels: (H, W) uint8 classes.
        most: number of pixels.
    """
    parts = []
    for k in np.unique(labels):
        count, components, statistics, _ = cv2.connectedComponentsWithStats((labels == k).astype(np.uint8))
        areas = statistics[1:count, cv2.CC_STAT_AREA]
        largest = int(areas.argmax())
        parts.append((int(areas[largest]), _innermost(components == largest + 1)))
    parts.sort(key=lambda part: -part[0])
    return [point for area, point in parts[:most] if area >= _SMALLEST_PART * labels.size] or [parts[0][1]]


def _innermost(mask: np.ndarray) -> PointXY:
    """Return a pixel of a mask, (H, W) bool, farthest from the mask's and the picture's border."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    return int(column), int(row)
