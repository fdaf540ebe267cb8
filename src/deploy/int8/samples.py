"""Which training pictures calibrate an int8 model, and which tell where quantising hurts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from src.config.errors import UserError
from src.data.basedataset import BaseDataset
from src.deploy.manifest import InputSpec

MASK_COLOURS = 64  # no photograph has so few colours; of masks, none has more
_LOOKED_AT = 8  # pictures


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
        UserError: if there are not so many, or they are no photographs.
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
    _check_photographs(calibration)
    return calibration, Samples(dataset, tuple(chosen[position] for position in sorted(held_out)))


def _check_photographs(calibration: Samples) -> None:
    """Refuse masks, and pictures of one colour: ranges of activations taken from them would clip those of photographs.

    One black picture among others does no harm: some are looked at, and all of them must be such.
    """
    looked_at = [calibration.indices[position] for position in evenly(len(calibration), _LOOKED_AT)]
    counts = [_num_colours(calibration.dataset.read_image(index)) for index in looked_at]
    if max(counts) <= MASK_COLOURS:
        raise UserError(
            f"{calibration.dataset.image_path(looked_at[0])}: {counts[0]} colours, as masks have and photographs have not, and likewise "
            "the others; calibrate on the pictures that the model was trained on (--data_path)"
        )


def _num_colours(picture: np.ndarray) -> int:
    """Return how many colours a picture, HWC uint8, has."""
    pixels = picture.reshape(-1, 3).astype(np.uint32)
    return len(np.unique(pixels[:, 0] << 16 | pixels[:, 1] << 8 | pixels[:, 2]))
