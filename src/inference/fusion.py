"""How the logits of several scales and of mirrored pictures are joined, one at a time."""

from abc import ABC, abstractmethod

import numpy as np


class Fusion(ABC):
    """Running sum over scales; its memory does not depend on how many there are."""

    def __init__(self) -> None:
        self._total: np.ndarray | None = None
        self._count = 0

    @abstractmethod
    def add(self, logits: np.ndarray, mirrored: np.ndarray | None) -> None:
        """Take in a scale; the arguments may be overwritten.

        Args:
            logits: (B, K, H, W) float32.
            mirrored: logits of the mirrored picture, mirrored back; None without flip.
        """

    def result(self) -> np.ndarray:
        """Return the joined scores, (B, K, H, W) float32; the largest is the predicted class."""
        assert self._total is not None, "no scale was added"
        return self._total / np.float32(self._count)

    @staticmethod
    def probabilities(scores: np.ndarray) -> np.ndarray:
        """Return joined scores as probabilities, (B, K, H, W) float32, which sum to 1 over the classes; the argument is overwritten."""
        return _softmax(scores)

    def _accumulate(self, values: np.ndarray) -> None:
        self._count += 1
        self._total = values if self._total is None else np.add(self._total, values, out=self._total)


class ExpFusion(Fusion):
    """Sum over scales of exp(logits), where a flip is averaged with the unflipped logits before exp. Scores are the logarithm of the sum.

    The sum itself overflows float32 for logits over 88; its logarithm orders the classes alike and never overflows. The official code
    takes exp at the scaled picture's size and resizes that to the label's; here as everywhere logits are resized, then joined.

    Source: HRNet/HRNet-Semantic-Segmentation, lib/datasets/cityscapes.py, multi_scale_inference.
    """

    def add(self, logits: np.ndarray, mirrored: np.ndarray | None) -> None:
        """See `Fusion.add`."""
        merged = _flip_mean(logits, mirrored)
        self._total = merged if self._total is None else np.logaddexp(self._total, merged, out=self._total)

    def result(self) -> np.ndarray:
        """Return log(sum over scales of exp(logits))."""
        assert self._total is not None, "no scale was added"
        return self._total


class LogitsFusion(Fusion):
    """Mean of the logits, as in openseg and PaddleSeg."""

    def add(self, logits: np.ndarray, mirrored: np.ndarray | None) -> None:
        """See `Fusion.add`."""
        self._accumulate(_flip_mean(logits, mirrored))


class SoftmaxFusion(Fusion):
    """Mean of the softmax over all scales and flips, as in mmseg."""

    def add(self, logits: np.ndarray, mirrored: np.ndarray | None) -> None:
        """See `Fusion.add`."""
        self._accumulate(_softmax(logits))
        if mirrored is not None:
            self._accumulate(_softmax(mirrored))

    @staticmethod
    def probabilities(scores: np.ndarray) -> np.ndarray:
        """Return the scores, which are the mean probabilities already."""
        return scores


FUSIONS: dict[str, type[Fusion]] = {"exp": ExpFusion, "logits": LogitsFusion, "softmax": SoftmaxFusion}


def _flip_mean(logits: np.ndarray, mirrored: np.ndarray | None) -> np.ndarray:
    if mirrored is None:
        return logits
    logits += mirrored
    logits *= np.float32(0.5)
    return logits


def _softmax(logits: np.ndarray) -> np.ndarray:
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits
