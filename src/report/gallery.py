"""The worst and the best pictures of an evaluation; no more of them are kept than are shown."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from src.metrics.confusion import ConfusionMatrix

MAX_SHOWN = 12  # of the worst, and of the best
NUM_HISTOGRAM_BINS = 20


@dataclass(frozen=True)
class PictureScore:
    """How well one picture is predicted.

    Attributes:
        name: of the sample.
        miou: mean IoU over the classes that its label holds, 0..1.
        num_classes: how many those are.
        worst_class: the class of the lowest IoU, which costs the mean most; of several, the one with most pixels.
        worst_iou: its IoU.
        taken_for: the class that most of its missed pixels are predicted as; None if none is missed.
    """

    name: str
    miou: float
    num_classes: int
    worst_class: int
    worst_iou: float
    taken_for: int | None


@dataclass(frozen=True)
class Panel:
    """A picture that is shown: its score, and truth, prediction and errors as JPEG files."""

    score: PictureScore
    pictures: tuple[bytes, ...]


def score_picture(name: str, prediction: np.ndarray, label: np.ndarray, num_classes: int, ignore_label: int) -> PictureScore | None:
    """Return a picture's score; None if nothing in it counts.

    Args:
        name: of the sample.
        prediction: (H, W) uint8, 0..K-1.
        label: (H, W) uint8, 0..K-1 or `ignore_label`.
        num_classes: K.
        ignore_label: label value that is not counted.
    """
    confusion = ConfusionMatrix(num_classes, ignore_label)
    confusion.update(prediction, label)
    scores = confusion.compute()
    present = np.flatnonzero(scores.pixels)
    if not present.size:
        return None
    worst = int(min(present, key=lambda k: (scores.iou[k], -scores.pixels[k])))
    missed = confusion.matrix[worst].copy()
    missed[worst] = 0
    taken_for = int(missed.argmax()) if missed.any() else None
    return PictureScore(name, scores.miou, present.size, worst, float(scores.iou[worst]), taken_for)


class Gallery:
    """Keep the panels of the worst and the best pictures.

    Args:
        max_shown: most panels of either kind.

    Attributes:
        max_shown: likewise.
        histogram: (NUM_HISTOGRAM_BINS,) int64, pictures by their mean IoU.
    """

    def __init__(self, max_shown: int = MAX_SHOWN) -> None:
        self.max_shown = max_shown
        # Heaps of (rank, place, panel), the first to be dropped in front. Of equals the first ones count as better, so that one order of
        # all pictures has the worst at one end and the best at the other: places grow among the worst, and fall among the best.
        self._worst: list[tuple[float, int, Panel]] = []
        self._best: list[tuple[float, int, Panel]] = []
        self._next_number = 0
        self.histogram = np.zeros(NUM_HISTOGRAM_BINS, np.int64)

    @property
    def num_pictures(self) -> int:
        """How many pictures were added."""
        return int(self.histogram.sum())

    def add(self, score: PictureScore, draw: Callable[[], tuple[bytes, ...]]) -> None:
        """Add a picture; it is drawn only if it is among the worst or the best so far."""
        self.histogram[min(int(score.miou * NUM_HISTOGRAM_BINS), NUM_HISTOGRAM_BINS - 1)] += 1
        if any(self._has_room(heap, order) for heap, order in self._ordered(score)):
            self.keep(Panel(score, draw()))

    def keep(self, panel: Panel) -> None:
        """Keep a panel where it is among the worst or the best so far, without counting its picture."""
        for heap, order in self._ordered(panel.score):
            if self._has_room(heap, order):
                (heapq.heappush if len(heap) < self.max_shown else heapq.heapreplace)(heap, (*order, panel))
        self._next_number += 1

    def _ordered(self, score: PictureScore) -> tuple[tuple[list[tuple[float, int, Panel]], tuple[float, int]], ...]:
        """Return both heaps, each with the next picture's rank and place in it."""
        return (self._worst, (-score.miou, self._next_number)), (self._best, (score.miou, -self._next_number))

    def _has_room(self, heap: list[tuple[float, int, Panel]], order: tuple[float, int]) -> bool:
        return len(heap) < self.max_shown or order > heap[0][:2]

    def panels(self) -> list[Panel]:
        """Return all panels that are kept, each once, in the order in which they came."""
        by_number = {abs(place): panel for _, place, panel in (*self._worst, *self._best)}
        return [by_number[number] for number in sorted(by_number)]

    def worst(self) -> list[Panel]:
        """Return the worst pictures, the worst one first; where there are few, half of them, so that none is among the best too."""
        return self._sorted(self._worst)[: (self.num_pictures + 1) // 2]

    def best(self) -> list[Panel]:
        """Return the best pictures, the best one first."""
        return self._sorted(self._best)[: self.num_pictures // 2]

    @staticmethod
    def _sorted(heap: list[tuple[float, int, Panel]]) -> list[Panel]:
        return [panel for _, _, panel in sorted(heap, key=lambda entry: entry[:2], reverse=True)]
