"""Random weights and batch norm statistics under which activations neither die nor explode, for networks of any depth.

A reference with such weights answers with logits that vary from pixel to pixel, so that a wrong map, padding or resizing shows.
"""

from collections.abc import Sequence

import numpy as np

CLASSIFIER_GAIN = 3.0  # the softmax over pixels and over regions is then neither flat nor a single spike


def conv_weight(rng: np.random.Generator, shape: Sequence[int], *, is_classifier: bool = False) -> np.ndarray:
    """Return He's normal initialisation of a convolution (O, I, h, w), float32."""
    deviation = np.sqrt(2 / np.prod(shape[1:])) * (CLASSIFIER_GAIN if is_classifier else 1.0)
    return rng.normal(0, deviation, shape).astype(np.float32)


def bias(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Return a bias of a convolution or a batch norm, float32."""
    return rng.normal(0, 0.1, shape).astype(np.float32)


def norm_weight(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """Return a batch norm's scale, float32."""
    return rng.uniform(0.5, 1.5, shape).astype(np.float32)


def disturbed(rng: np.random.Generator, mean: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return batch norm statistics that are near those of real activations and yet random, float32.

    Args:
        rng: source of randomness.
        mean: of each channel's activations.
        variance: likewise.
    """
    shifted = mean + rng.normal(0, 0.1, mean.shape) * np.sqrt(variance)
    return shifted.astype(np.float32), (variance * rng.uniform(0.5, 2.0, variance.shape)).astype(np.float32)
