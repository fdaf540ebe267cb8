"""Predict pictures, several of one size at once, and videos frame by frame; those that cannot be are left out."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from src.config.errors import InputError, UserError
from src.data.read_ahead import read_ahead
from src.inference.batching import equal_sized_batches
from src.inference.inputs import Input, read_picture
from src.inference.outputs import PROBABILITIES, Prediction, ResultFolder
from src.inference.segmenter import Segmenter
from src.inference.video import read_frames, video_header

_READERS = 4  # threads; a picture each is held in memory


@dataclass(frozen=True)
class LoadedPicture:
    """An input that could be read, or a frame of one: image (H, W, 3) uint8 RGB, upright."""

    source: Input
    image: np.ndarray


@dataclass(frozen=True)
class UnreadablePicture:
    """An input that could not be read, and why."""

    source: Input
    reason: str


@dataclass
class Report:
    """What became of the inputs.

    Attributes:
        class_names: K names.
        pictures: name -> (K,) int64, how many pixels each class has.
        videos: name -> what the frames of a video have, as `pictures` of one, their number, and their rate per second.
        failures: path -> why it could not be predicted, or not to its end.
        num_done: pictures and frames.
        seconds: from the first picture read to the last result written.
        first_seconds: of these, until the first results were written; compiling falls into them.
        first_done: how many pictures and frames those were.
    """

    class_names: Sequence[str]
    pictures: dict[str, np.ndarray] = field(default_factory=dict)
    videos: dict[str, tuple[np.ndarray, int, float]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    num_done: int = 0
    seconds: float = 0.0
    first_seconds: float = 0.0
    first_done: int = 0
    _start: float = field(default_factory=time.perf_counter)

    def add(self, number: int) -> None:
        """Count pictures or frames whose results are written."""
        self.num_done += number
        self.seconds = time.perf_counter() - self._start
        if not self.first_done:
            self.first_done, self.first_seconds = number, self.seconds

    @property
    def speed(self) -> str:
        """How many pictures there were, and how fast."""
        more, seconds = self.num_done - self.first_done, self.seconds - self.first_seconds
        noun = "frame" if self.videos and not self.pictures else "picture"
        rate = f", {more / seconds:.2f} {noun}s/s after the first, which waits for compiling" if more else ""
        counted = f"{self.num_done} {'pictures and frames' if self.videos and self.pictures else noun + 's' * (self.num_done > 1)}"
        return f"{counted} in {self.seconds:.1f} s{rate}"

    def as_json(self) -> dict[str, Any]:
        """Return what predictions.json says of the inputs."""
        return {
            "pictures": {name: class_shares(pixels, self.class_names) for name, pixels in self.pictures.items()},
            "pixels": {name: class_pixels(pixels, self.class_names) for name, pixels in self.pictures.items()},
            "videos": {
                name: {"frames": frames, "frames_per_second": rate, "shares": class_shares(pixels, self.class_names)}
                for name, (pixels, frames, rate) in self.videos.items()
            },
            "failures": self.failures,
        }


def class_pixels(pixels: np.ndarray, class_names: Sequence[str]) -> dict[str, int]:
    """Return how many pixels each class has, the most first, without classes that have none.

    Args:
        pixels: (K,) int64.
        class_names: K names.
    """
    return {class_names[k]: int(pixels[k]) for k in np.argsort(-pixels, kind="stable") if pixels[k]}


def class_shares(pixels: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """Return which part of the pixels each class has, as `class_pixels`."""
    return {name: float(f"{count / pixels.sum():.6g}") for name, count in class_pixels(pixels, class_names).items()}


@dataclass(frozen=True)
class InputPredictor:
    """Writes the results of pictures and videos; memory does not grow with their number or length.

    Where an input cannot be predicted, the others can.

    Attributes:
        segmenter: gives labels.
        results: where results go, and which.
        batch_size: most neighbours of one size that are predicted at once.
        workers: threads that read pictures ahead, at most 4.
        progress: called with the number of pictures and frames that are done with.
        on_failure: called with one line for each input that cannot be predicted.
        on_picture: called with the name and the prediction of each picture, no frames, before its results are written; an InputError leaves
            the picture out.
    """

    segmenter: Segmenter
    results: ResultFolder
    batch_size: int = 1
    workers: int = 1
    progress: Callable[[int], object] = lambda _: None
    on_failure: Callable[[str], object] = lambda _: None
    on_picture: Callable[[str, Prediction], object] = lambda name, prediction: None

    def __call__(self, inputs: Sequence[Input]) -> Report:
        """Predict pictures, then videos.

        Raises:
            UserError: if none can be predicted, or results cannot be written.
        """
        report = Report(self.segmenter.info.class_names)
        for picture, prediction in self._predictions(self._pictures(inputs, report), report):
            try:
                self.on_picture(picture.name, prediction)
                self.results.write(picture.name, prediction)
            except InputError as error:
                self._fail(report, picture, f"{picture.path}: {error}")
            else:
                report.pictures[picture.name] = self._class_pixels(prediction)
        for item in inputs:
            if item.is_video:
                self._predict_video(item, report)
        if not report.num_done:
            raise UserError(f"nothing could be predicted: {next(iter(report.failures.values()))}")
        return report

    def _predict_video(self, video: Input, report: Report) -> None:
        """Write the results of a video; of one that breaks off, those of the frames before that."""
        pixels, num_frames = np.zeros(len(report.class_names), np.int64), 0
        try:
            rate = video_header(video.path).rate
        except UserError as error:
            self._fail(report, video, str(error))
            return
        with self.results.writing_video(video.name, rate) as write:
            for _, prediction in self._predictions(self._frames(video, report), report):
                try:
                    write(num_frames, prediction)
                except InputError as error:
                    self._fail(report, video, f"{video.path}: {error}")
                    break
                pixels += self._class_pixels(prediction)
                num_frames += 1
        if num_frames:
            report.videos[video.name] = pixels, num_frames, rate

    def _predictions(self, pictures: Iterator[LoadedPicture], report: Report) -> Iterator[tuple[Input, Prediction]]:
        """Yield the input and the prediction of each picture or frame; once all of a batch are taken, those that are well count as done."""
        for batch in equal_sized_batches(pictures, self.batch_size):
            try:
                predictions = self._predict([loaded.image for loaded in batch])
            except UserError as error:
                for source in dict.fromkeys(loaded.source for loaded in batch):
                    self._fail(report, source, f"{source.path}: {error}")
                continue
            num_failed = len(report.failures)
            for loaded, prediction in zip(batch, predictions, strict=True):
                yield loaded.source, prediction
            num_done = len(batch) - (len(report.failures) - num_failed)
            report.add(num_done)
            self.progress(num_done)

    def _predict(self, images: list[np.ndarray]) -> list[Prediction]:
        probabilities: Any = [None] * len(images)
        if PROBABILITIES in self.results.kinds:
            labels, probabilities = self.segmenter.predictor.labels_and_probabilities(images)
        else:
            labels = self.segmenter.predictor.predict(images)
        return [Prediction(*of_picture) for of_picture in zip(images, labels, probabilities, strict=True)]

    def _pictures(self, inputs: Sequence[Input], report: Report) -> Iterator[LoadedPicture]:
        for loaded in read_ahead(_load, [item for item in inputs if not item.is_video], min(self.workers, _READERS)):
            if isinstance(loaded, LoadedPicture):
                yield loaded
            else:
                self._fail(report, loaded.source, loaded.reason)

    def _frames(self, video: Input, report: Report) -> Iterator[LoadedPicture]:
        try:
            for frame in read_frames(video.path):
                yield LoadedPicture(video, frame)
                if str(video.path) in report.failures:
                    return
        except UserError as error:
            self._fail(report, video, str(error))

    def _fail(self, report: Report, source: Input, reason: str) -> None:
        if str(source.path) in report.failures:  # more frames of a video
            return
        report.failures[str(source.path)] = reason
        self.on_failure(reason)
        self.progress(1)

    def _class_pixels(self, prediction: Prediction) -> np.ndarray:
        return np.bincount(prediction.labels.ravel(), minlength=len(self.segmenter.info.class_names))


def _load(picture: Input) -> LoadedPicture | UnreadablePicture:
    try:
        return LoadedPicture(picture, read_picture(picture.path))
    except UserError as error:
        return UnreadablePicture(picture, str(error))
