"""Where the time of an evaluation goes."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from src.data.loader import EvalSample
from src.engine.evaluator import LabelPredictor

READING, PREDICTING, REPORTING = "reading", "predicting", "reporting"


class Stopwatch:
    """Add up the seconds of each phase.

    Args:
        clock: seconds since some moment.

    Attributes:
        seconds: of each phase. Reading is what the evaluation waits for: pictures are decoded ahead, while the one before is predicted.
        pictures: how many were predicted.
        first_seconds: of the first batch's prediction, in which the network is compiled; part of PREDICTING.
        first_pictures: pictures in it.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.seconds = dict.fromkeys((READING, PREDICTING, REPORTING), 0.0)
        self.pictures = 0
        self.first_seconds = 0.0
        self.first_pictures = 0

    @contextmanager
    def measure(self, phase: str) -> Iterator[None]:
        """Add the time of the block to a phase."""
        start = self._clock()
        yield
        self.seconds[phase] += self._clock() - start

    def samples(self, samples: Iterable[EvalSample]) -> Iterator[EvalSample]:
        """Yield the samples; waiting for them is reading."""
        iterator = iter(samples)
        while True:
            with self.measure(READING):
                sample = next(iterator, None)
            if sample is None:
                return
            yield sample

    def predict(self, predictor: LabelPredictor, images: list[np.ndarray]) -> np.ndarray:
        """Return the predictor's labels."""
        with self.measure(PREDICTING):
            labels = predictor.predict(images)
        self.pictures += len(images)
        if not self.first_pictures:
            self.first_pictures, self.first_seconds = len(images), self.seconds[PREDICTING]
        return labels


class TimedPredictor:
    """A predictor whose time is taken."""

    def __init__(self, predictor: LabelPredictor, stopwatch: Stopwatch) -> None:
        self._predictor, self._stopwatch = predictor, stopwatch

    @property
    def protocol(self) -> dict[str, Any]:
        """That of the predictor."""
        return self._predictor.protocol

    def predict(self, images: list[np.ndarray]) -> np.ndarray:
        """Return the predictor's labels."""
        return self._stopwatch.predict(self._predictor, images)
