"""Run model files on a picture and compare them with the checkpoint's network."""

import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.deploy.lite_runner import run_in_cpp
from src.deploy.manifest import InputSpec, Manifest
from src.deploy.native_model import NativeModel
from src.runtime.entry import WorkError

logger = logging.getLogger("ocrnet")

MAX_DIFFERENCE = 1e-3  # of the largest logit
MIN_AGREEMENT = 0.999  # of the pixels' labels; a small picture has a thousand


@dataclass(frozen=True)
class Comparison:
    """How far two outputs of the same graph are apart.

    Attributes:
        agreement: part of the pixels that have the same class.
        difference: largest difference of two logits as a part of the largest logit; None of labels.
    """

    agreement: float
    difference: float | None = None

    @property
    def is_good(self) -> bool:
        """Tell whether it is within the limits of MindSpore and MindSpore Lite."""
        return self.is_within(MAX_DIFFERENCE)

    def is_within(self, max_difference: float) -> bool:
        """Tell whether it is within a limit. Classes of logits may differ where two are equal: their difference decides."""
        return self.agreement >= MIN_AGREEMENT if self.difference is None else self.difference <= max_difference

    def __str__(self) -> str:
        largest = f"largest difference {self.difference:.1e} of the largest logit, " if self.difference is not None else ""
        return f"{largest}{100 * self.agreement:.3f} % of the labels equal"


def compare(expected: np.ndarray, given: np.ndarray) -> Comparison:
    """Compare two outputs: (B, K, h, w) float logits, or (B, H, W) uint8 labels.

    Raises:
        WorkError: if shape or type differ.
    """
    if expected.shape != given.shape or expected.dtype != given.dtype:
        raise WorkError(f"the model gives {given.shape} {given.dtype} instead of {expected.shape} {expected.dtype}")
    if expected.dtype == np.uint8:
        return Comparison(float((expected == given).mean()))
    scale = max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
    difference = float(np.abs(expected.astype(np.float64) - given).max()) / scale
    return Comparison(float((expected.argmax(1) == given.argmax(1)).mean()), difference)


def verify(network: nn.Cell, model: Path, lowered: Path, manifest: Manifest, lite_home: Path | None) -> None:
    """Run both model files on a picture, and say how far they are from the network.

    The lowered one runs in C++ where MindSpore Lite and the runner are at hand.

    Args:
        network: the graph that was exported, in evaluation mode.
        model: the native file.
        lowered: the lowered file, with its manifest beside it.
        manifest: of the native file.
        lite_home: the unpacked MindSpore Lite; None: there is none.

    Raises:
        WorkError: if one of them differs.
    """
    image = example_image(manifest.input)
    expected = run_network(network, image)
    judge("in Python", model, compare(expected, NativeModel(model)(image)))
    if lite_home is None:
        logger.info(
            "%s was not run in C++: no MindSpore Lite here; bash scripts/fetch_mindspore_lite.sh gets it, or set MS_LITE_HOME", lowered.name
        )
        return
    given = run_in_cpp(lite_home, lowered, manifest, image)
    if given is not None:
        judge("in C++", lowered, compare(expected, given))


def judge(
    where: str, model: Path, comparison: Comparison, max_difference: float = MAX_DIFFERENCE, right: str = "the checkpoint's network"
) -> None:
    """Say how far a model file is from the network.

    Args:
        where: what ran it.
        model: the file.
        comparison: of its output with the network's.
        max_difference: as a part of the largest logit.
        right: what it was compared with.

    Raises:
        WorkError: if it is too far.
    """
    if not comparison.is_within(max_difference):
        raise WorkError(f"{model.name} {where} is not {right}: {comparison}; nothing was written")
    logger.info("%s %s against %s: %s", model.name, where, right, comparison)


def example_image(spec: InputSpec) -> np.ndarray:
    """Return pictures of coloured patches with some noise, always the same ones, as the graph takes them: `spec.shape` of `spec.dtype`."""
    batch, _, height, width = spec.shape
    rng = np.random.default_rng(1)
    pictures = []
    for _ in range(batch):
        patches = rng.integers(0, 256, (max(2, height // 32), max(2, width // 32), 3)).astype(np.uint8)
        picture = cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
        noisy = np.clip(picture + rng.normal(0, 8, picture.shape), 0, 255).astype(np.uint8)
        pictures.append(spec.prepare(noisy))
    return np.stack(pictures)


def run_network(network: nn.Cell, image: np.ndarray) -> np.ndarray:
    """Return the network's output, operator by operator: no graph that the export made can hide its own faults."""
    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        return network(Tensor(image)).asnumpy()
    finally:
        ms.set_context(mode=before)
