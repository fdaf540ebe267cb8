"""Random changes of brightness, contrast, saturation and hue."""

import cv2
import numpy as np
from omegaconf import DictConfig


class ColorJitter:
    """Change the colours of a picture at random; each change happens with `probability`.

    All changes are tables of 256 entries: brightness and contrast on RGB, saturation and hue on HSV.

    Args:
        config: the section `train.color`.
    """

    def __init__(self, config: DictConfig):
        self.probability = config.probability
        self.brightness_delta = config.brightness_delta
        self.brightness = config.brightness
        self.contrast = config.contrast
        self.saturation = config.saturation
        self.hue = config.hue

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the changed picture, HWC uint8 RGB; the same object where nothing changes."""
        if self.probability == 0:
            return image
        delta, brightness, contrast, saturation, hue = (
            self._draw(rng, limit) for limit in (self.brightness_delta, self.brightness, self.contrast, self.saturation, self.hue)
        )
        if delta or brightness or contrast:
            image = cv2.LUT(image, _light_table(image, delta, 1.0 + brightness, 1.0 + contrast))
        if saturation or hue:
            hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_RGB2HSV), _hsv_table(1.0 + saturation, hue))
            image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
        return image

    def _draw(self, rng: np.random.Generator, limit: float) -> float:
        """Return an amount in [-limit, limit], or 0 where this change does not happen."""
        if limit == 0:
            return 0.0
        happens, amount = rng.random() < self.probability, rng.uniform(-limit, limit)
        return amount if happens else 0.0


def _light_table(image: np.ndarray, delta: float, brightness: float, contrast: float) -> np.ndarray:
    """Return (256,) uint8: (value + delta) * brightness, then contrast around the picture's mean grey."""
    values = (np.arange(256) + delta) * brightness
    if contrast != 1.0:
        grey = cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0]
        pivot = (grey + delta) * brightness
        values = (values - pivot) * contrast + pivot
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _hsv_table(saturation: float, hue_degrees: float) -> np.ndarray:
    """Return (1, 256, 3) uint8 for hue (OpenCV's unit: 2 degrees), saturation and value."""
    values = np.arange(256)
    hue = (values + round(hue_degrees / 2)) % 180
    return np.stack([hue, np.clip(np.rint(values * saturation), 0, 255), values], axis=-1).astype(np.uint8)[None]
