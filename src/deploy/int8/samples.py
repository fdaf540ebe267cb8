"""Which training pictures calibrate an int8 model, and which tell where quantising hurts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from src.config.errors import UserError
from src.data.basedataset import BaseDataset
from src.deploy.manifest import InputSpec

MASK_MODES = ("P", "1")  # Pillow's, of what no camera writes


@dataclass(frozen=True)
class Samples:
    """Some pictures of a data set, read one at a time.

    Attributes:
        dataset: pictures and labels.
        indices: which of them, in the order in which they are given.
    """

    dataset: BaseDataset
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """Return picture (HWC uint8 RGB) and label (HW uint8 train ids)."""
        return self.dataset.read(self.indices[position])

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        return (self[position] for position in range(len(self)))


class CalibrationInputs:
    """Batches as a graph takes them, made of pictures of a data set; labels are not read.

    Args:
        samples: pictures; the last batch begins anew with the first ones where they do not fill it.
        spec: what the graph takes.
    """

    def __init__(self, samples: Samples, spec: InputSpec) -> None:
        self.samples, self._spec = samples, spec

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(B, 3, H, W) of a batch."""
        return self._spec.shape

    def __len__(self) -> int:
        return -(-len(self.samples) // self._spec.shape[0])

    def __getitem__(self, position: int) -> np.ndarray:
        """Return a batch, of the graph's shape and type."""
        batch = self._spec.shape[0]
        if position >= len(self):
            raise IndexError(position)
        indices = [self.samples.indices[k % len(self.samples)] for k in range(position * batch, (position + 1) * batch)]
        return np.stack([self._spec.prepare(self.samples.dataset.read_image(index)) for index in indices])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[position] for position in range(len(self)))


def evenly(length: int, count: int) -> tuple[int, ...]:
    """Return `count` positions spread evenly over 0..length-1; all of them where there are no more."""
    return tuple(map(int, np.linspace(0, length - 1, min(count, length)).round()))


def split_training_pictures(dataset: BaseDataset, num_calibration: int, num_sensitivity: int) -> tuple[Samples, Samples]:
    """Return training pictures for calibration and others for the sensitivity run, each spread evenly over the list.

    Raises:
        UserError: if there are not so many, or one of the first is no photograph.
    """
    wanted = num_calibration + num_sensitivity
    if wanted > len(dataset):
        raise UserError(
            f"--samples {num_calibration} and --sensitivity_samples {num_sensitivity}: the training list has {len(dataset)} pictures, and "
            "none serves for both; ask for fewer"
        )
    chosen = evenly(len(dataset), wanted)
    held_out = set(evenly(wanted, num_sensitivity))
    calibration = Samples(dataset, tuple(index for position, index in enumerate(chosen) if position not in held_out))
    for index in calibration.indices:
        _check_photograph(dataset, index)
    return calibration, Samples(dataset, tuple(chosen[position] for position in sorted(held_out)))


def _check_photograph(dataset: BaseDataset, index: int) -> None:
    """Refuse masks among the pictures: ranges of activations taken from them would clip those of photographs."""
    path = dataset.image_path(index)
    if not path.is_file():
        return  # of packed data, or missing: reading it says so
    try:
        with Image.open(path) as picture:
            mode = picture.mode
    except OSError:
        return  # reading it says so
    if mode in MASK_MODES:
        raise UserError(
            f"{path}: a picture of the mode {mode}, as masks have and photographs have not; calibrate on the pictures that the model was "
            "trained on (--data_path)"
        )


def check_contrast(calibration: CalibrationInputs) -> None:
    """Refuse pictures of one colour each, from which no range of activations can be told.

    Raises:
        UserError: if all of the first batches are such.
    """
    shown = [calibration[position] for position in range(min(len(calibration), 4))]
    if all(float(np.ptp(batch.reshape(*batch.shape[:2], -1), axis=2).max()) == 0 for batch in shown):
        raise UserError("--data_path: the first training pictures are of one colour each; calibrate on the pictures of the training")
