"""A predictor that runs an exported MindIR file: pictures at the model's size, results at their own."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import Tensor

from src.config.errors import UserError
from src.data.basedataset import DatasetInfo
from src.deploy.manifest import InputSpec, Manifest
from src.deploy.mindir import read_mindir
from src.deploy.native_model import NativeModel
from src.inference.protocol import Images, ProtocolPredictor, check_images
from src.inference.sliding import SizeHW

# From a batch as the graph takes it to its output.
Run = Callable[[np.ndarray], np.ndarray]


def load_mindir_predictor(path: Path, manifest: Manifest, config: Any, info: DatasetInfo) -> "MindirPredictor | MindirLabels":
    """Return what runs a model file.

    Args:
        path: the file.
        manifest: its own.
        config: `eval` says how; `mindir_source.check_protocol` has accepted it.
        info: its classes.

    Raises:
        UserError: if it is no MindIR file.
        WorkError: if it does not run here.
    """
    read_mindir(path)
    run = NativeModel(path)
    return MindirLabels(run, manifest) if manifest.output.kind == "labels" else MindirPredictor(run, manifest, config.eval, info)


class MindirPredictor(ProtocolPredictor):
    """Predict by a model that gives logits: whole pictures at the model's size, or windows of it; also mirrored.

    Args:
        run: the graph.
        manifest: what it takes and gives.
        evaluation: `flip`, `fusion`, `slide` and `stride` of the configuration.
        info: how its classes look in a mirror.
    """

    def __init__(self, run: Run, manifest: Manifest, evaluation: Any, info: DatasetInfo) -> None:
        spec, output = manifest.input, manifest.output
        super().__init__(
            num_classes=len(manifest.class_names),
            mean=spec.mean,
            std=spec.std,
            align_corners=output.align_corners,
            half_pixel_centers=output.half_pixel_centers,
            color_order=spec.color_order,
            input_dtype=spec.dtype,
            image_size=None if evaluation.slide else spec.size_hw,
            flip=evaluation.flip,
            mirrored_classes=info.mirrored_classes,
            fusion=evaluation.fusion,
            window=spec.size_hw if evaluation.slide else None,
            stride=tuple(evaluation.stride) if evaluation.slide else None,
            batch_size=spec.shape[0],
        )
        self._run, self._spec = run, spec

    def _computing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _whole_logits(self, image: np.ndarray, size_hw: SizeHW) -> Tensor:
        return self._resize(Tensor(_run_in_batches(self._run, image, self._spec)), size_hw)


class MindirLabels:
    """Predict by a model that gives labels, which get the picture's size by their nearest neighbours, as in the C++ program.

    Args:
        run: the graph.
        manifest: what it takes and gives.
    """

    def __init__(self, run: Run, manifest: Manifest) -> None:
        self._run, self._manifest = run, manifest

    @property
    def protocol(self) -> dict[str, Any]:
        """What decides the numbers, JSON types; the resizing is that inside the graph."""
        output = self._manifest.output
        rule = {"align_corners": output.align_corners, "half_pixel_centers": output.half_pixel_centers}
        return {"image_size": list(self._manifest.input.size_hw), **rule, "flip": False, "scales": [1.0], "window": None, "stride": None}

    def predict(self, images: Images) -> np.ndarray:
        """Return the class of each pixel, (B, H, W) uint8, of B pictures (H, W, 3) uint8 RGB.

        Raises:
            ValueError: if there is no picture, or they differ in size or are no uint8 RGB pictures.
        """
        check_images(images)
        spec = self._manifest.input
        labels = _run_in_batches(self._run, np.stack([spec.prepare(image) for image in images]), spec)
        rows, columns = (_nearest(before, after) for before, after in zip(spec.size_hw, images[0].shape, strict=False))
        return labels[:, rows[:, None], columns]

    def labels_and_probabilities(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Refuse: there are none.

        Raises:
            UserError: always.
        """
        raise UserError(f"{self._manifest.model_file} gives labels and no probabilities; export it with --outputs logits")


def _run_in_batches(run: Run, image: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Return the outputs for any number of pictures; the graph's last batch is filled with the last one."""
    batch = spec.shape[0]
    filled = np.concatenate([image, np.repeat(image[-1:], -len(image) % batch, axis=0)])
    outputs = [run(np.ascontiguousarray(filled[first : first + batch])) for first in range(0, len(filled), batch)]
    return np.concatenate(outputs)[: len(image)]


def _nearest(before: int, after: int) -> np.ndarray:
    """Return which of `before` pixels each of `after` is: floor((i + 0.5) * before / after) in whole numbers."""
    return (2 * np.arange(after) + 1) * before // (2 * after)
