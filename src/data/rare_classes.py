"""Draw training pictures by class, so that rare classes come more often."""

from typing import Any, NamedTuple

import numpy as np

from src.config.errors import UserError

# A crop is a part of its picture, so half of what the picture must hold is enough. Source: DAFormer's code, min_crop_ratio 0.5.
CROP_SHARE = 0.5


class WantedClass(NamedTuple):
    """What a crop should hold: so many pixels of a class, counted at the picture's own resolution."""

    train_id: int
    pixels: float


class RareClasses:
    """Draw a class, then a picture that holds it.

    A class c of the training labels is drawn with probability proportional to exp((1 - f_c) / T), where f_c is its share of all labelled
    pixels; then one of the pictures with at least `min_pixels` of it, or of all that hold it where none has so many.

    Source: Hoyer et al., "DAFormer", arXiv 2111.14887, section 3.3.

    Args:
        class_pixels: (N, K) int64, pixels of each class in each training picture; at least one is not 0.
        temperature: T above 0; the smaller, the more the rarest classes prevail.
        min_pixels: of the class in a picture that is drawn for it.

    Attributes:
        probabilities: (K,) float64; 0 for classes without a pixel.
    """

    def __init__(self, class_pixels: np.ndarray, temperature: float, min_pixels: int) -> None:
        of_class = class_pixels.sum(axis=0)
        share = of_class / of_class.sum()
        # The least share in place of the 1 of the formula: the quotients are the same, and nothing overflows for small T.
        exponents = np.where(of_class > 0, share[of_class > 0].min() - share, -np.inf) / temperature
        self.probabilities = np.exp(exponents) / np.exp(exponents).sum()
        self._pixels = class_pixels
        self._min_pixels = min_pixels
        self._pictures = [_holders(pixels, min_pixels) for pixels in class_pixels.T]

    @classmethod
    def from_config(cls, config: Any, class_pixels: np.ndarray) -> "RareClasses | None":
        """Return what `train.rare_class_temperature` and `train.rare_class_min_pixels` ask for; None for temperature 0.

        Raises:
            UserError: if the labels hold no class at all.
        """
        train = config.train
        if train.rare_class_temperature == 0:
            return None
        if not class_pixels.any():
            raise UserError("train.rare_class_temperature: every pixel of the training labels is ignored; there is no class to draw")
        return cls(class_pixels, train.rare_class_temperature, train.rare_class_min_pixels)

    def draw(self, rng: np.random.Generator) -> tuple[int, WantedClass]:
        """Return the index of a picture, and what its crop should hold."""
        train_id = int(rng.choice(len(self.probabilities), p=self.probabilities))
        index = int(rng.choice(self._pictures[train_id]))
        return index, WantedClass(train_id, CROP_SHARE * min(self._min_pixels, int(self._pixels[index, train_id])))


def _holders(pixels: np.ndarray, min_pixels: int) -> np.ndarray:
    """Return the pictures that hold at least so many pixels of a class, or any where none does."""
    enough = np.flatnonzero(pixels >= min_pixels)
    return enough if enough.size else np.flatnonzero(pixels)
