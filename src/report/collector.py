"""What the report needs of each picture; memory does not grow with their number."""

from collections.abc import Iterable

import numpy as np

from src.data.basedataset import DatasetInfo
from src.data.loader import EvalSample
from src.engine.evaluator import LabelPredictor
from src.metrics.boundary import BorderDistanceCounts, BoundaryCounts
from src.metrics.object_size import ObjectSizeCounts
from src.report.drawing import draw_pictures
from src.report.gallery import Gallery, score_picture
from src.report.stopwatch import REPORTING, Stopwatch, TimedPredictor


class Collector:
    """Look on while pictures are evaluated: the observer of `src.engine.evaluator.evaluate`.

    Args:
        info: names and colours of the classes.
        ignore_label: label value that is not counted.

    Attributes:
        object_size: pixels by class and size of their object.
        distance: pixels by class and distance from a border.
        boundary: what Boundary IoU is made of.
        gallery: the worst and the best pictures.
        stopwatch: where the time goes.
        sizes_hw: height and width of the smallest and of the largest picture by area, pixels; empty before the first one.
    """

    def __init__(self, info: DatasetInfo, ignore_label: int) -> None:
        num_classes = len(info.class_names)
        self.info = info
        self._ignore_label = ignore_label
        self.object_size = ObjectSizeCounts(num_classes)
        self.distance = BorderDistanceCounts(num_classes)
        self.boundary = BoundaryCounts(num_classes)
        self.gallery = Gallery()
        self.stopwatch = Stopwatch()
        self.sizes_hw: list[tuple[int, int]] = []

    def attach(self, samples: Iterable[EvalSample], predictor: LabelPredictor) -> tuple[Iterable[EvalSample], LabelPredictor]:
        """Return both with their time taken."""
        return self.stopwatch.samples(samples), TimedPredictor(predictor, self.stopwatch)

    def observe(self, sample: EvalSample, prediction: np.ndarray) -> None:
        """Take in a picture.

        Args:
            sample: with a label whose values are classes or the ignored one.
            prediction: (H, W) uint8 classes.
        """
        with self.stopwatch.measure(REPORTING):
            ignored = sample.label == self._ignore_label
            for counts in (self.object_size, self.distance, self.boundary):
                counts.add(prediction, sample.label, ignored)
            self.note_sizes([(prediction.shape[0], prediction.shape[1])])
            score = score_picture(sample.name, prediction, sample.label, len(self.info.class_names), self._ignore_label)
            if score:
                self.gallery.add(score, lambda: draw_pictures(sample, prediction, ignored, self.info))

    def note_sizes(self, sizes_hw: Iterable[tuple[int, int]]) -> None:
        """Keep the smallest and the largest of these heights and widths and those before."""
        by_area = sorted([*self.sizes_hw, *sizes_hw], key=lambda size: (size[0] * size[1], size))
        self.sizes_hw = [by_area[0], by_area[-1]] if by_area else []

    @property
    def counts(self) -> list[np.ndarray]:
        """All counts of pixels and objects, int64, to be summed over ranks."""
        binned = [array for counts in (self.object_size, self.distance) for array in (counts.hits, counts.misses, counts.false_alarms)]
        return [*binned, self.object_size.num_objects, self.boundary.both, self.boundary.label, self.boundary.prediction]
