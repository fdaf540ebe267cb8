"""Predict pictures one after the other, or several of one size at once; those that cannot be read are left out."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from src.config.errors import UserError
from src.data.pictures import read_image
from src.data.read_ahead import read_ahead
from src.inference.batching import equal_sized_batches
from src.inference.inputs import InputPicture
from src.inference.outputs import ResultFolder, class_shares
from src.inference.segmenter import Segmenter

_READERS = 4  # threads; a picture each is held in memory


@dataclass(frozen=True)
class LoadedPicture:
    """An input that could be read: image (H, W, 3) uint8 RGB, upright."""

    name: str
    image: np.ndarray


@dataclass(frozen=True)
class UnreadablePicture:
    """An input that could not be read, and why."""

    path: Path
    reason: str


@dataclass
class Report:
    """What became of the pictures.

    Attributes:
        shares: name -> class -> part of the pixels.
        failures: path -> why it could not be read.
        seconds: from the first picture read to the last result written.
        first_seconds: of these, until the first results were written; compiling falls into them.
        first_pictures: how many pictures those were.
    """

    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    first_seconds: float = 0.0
    first_pictures: int = 0

    @property
    def speed(self) -> str:
        """How many pictures there were, and how fast."""
        more, seconds = len(self.shares) - self.first_pictures, self.seconds - self.first_seconds
        rate = f", {more / seconds:.2f} pictures/s after the first, which waits for compiling" if more else ""
        return f"{len(self.shares)} {'pictures' if len(self.shares) > 1 else 'picture'} in {self.seconds:.1f} s{rate}"

    def as_json(self) -> dict[str, Any]:
        """Return what predictions.json says of the pictures."""
        return {"pictures": self.shares, "failures": self.failures}


def predict_pictures(
    segmenter: Segmenter,
    pictures: Sequence[InputPicture],
    results: ResultFolder,
    *,
    batch_size: int = 1,
    workers: int = 1,
    progress: Callable[[int], object] = lambda _: None,
    on_failure: Callable[[str], object] = lambda _: None,
) -> Report:
    """Write the results of pictures; memory does not grow with their number.

    Args:
        segmenter: gives labels.
        pictures: what to predict.
        results: where results go, and which.
        batch_size: most neighbours of one size that are predicted at once.
        workers: threads that read ahead, at most 4.
        progress: called with the number of pictures that are done with.
        on_failure: called with one line for each picture that cannot be read.

    Raises:
        UserError: if no picture can be read, or results cannot be written.
    """
    report, start = Report(), time.perf_counter()

    def readable() -> Iterator[LoadedPicture]:
        for loaded in read_ahead(_load, pictures, min(workers, _READERS)):
            if isinstance(loaded, LoadedPicture):
                yield loaded
            else:
                report.failures[str(loaded.path)] = loaded.reason
                on_failure(loaded.reason)
                progress(1)

    for batch in equal_sized_batches(readable(), batch_size):
        labels = segmenter.predictor.predict([loaded.image for loaded in batch])
        for loaded, label in zip(batch, labels, strict=True):
            results.write(loaded.name, loaded.image, label, segmenter.info)
            report.shares[loaded.name] = class_shares(label, segmenter.info.class_names)
        report.seconds = time.perf_counter() - start
        if not report.first_pictures:
            report.first_pictures, report.first_seconds = len(batch), report.seconds
        progress(len(batch))
    if not report.shares:
        raise UserError(f"no picture could be predicted: {next(iter(report.failures.values()))}")
    return report


def _load(picture: InputPicture) -> LoadedPicture | UnreadablePicture:
    try:
        return LoadedPicture(picture.name, read_image(picture.path, upright=True))
    except UserError as error:
        return UnreadablePicture(picture.path, str(error))
