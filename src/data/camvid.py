"""CamVid: 11 classes of a street, 480x360, as in the SegNet tutorial."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from src.data.basedataset import BaseDataset, DatasetInfo
from src.data.lists import Pair, read_pairs

VOID = 11

INFO = DatasetInfo(
    name="CamVid",
    class_names=("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist"),
    palette=np.array(
        [
            (128, 128, 128),
            (128, 0, 0),
            (192, 192, 128),
            (128, 64, 128),
            (60, 40, 222),
            (128, 128, 0),
            (192, 128, 128),
            (64, 64, 128),
            (64, 0, 128),
            (64, 64, 0),
            (0, 128, 192),
        ],
        np.uint8,
    ),
    # Median frequency balancing. Source: SegNet tutorial, segnet_train.prototxt.
    class_weights=(0.2595, 0.1826, 4.5640, 0.1417, 0.9051, 0.3826, 9.6446, 1.8418, 0.6823, 6.2478, 7.3614),
    picture_size_hw=(360, 480),
)


class CamVid(BaseDataset):
    """CamVid with labels of values 0..10 and 11 for void."""

    info = INFO

    def _scan(self, part: str, path: Path) -> list[Pair]:
        return read_pairs(self.root, self.root / f"{part}.txt")  # as the SegNet tutorial calls them

    def label_ids(self) -> Mapping[int, int | None]:
        """Return the train id of each stored value; void (11) and 255 are ignored."""
        return {**super().label_ids(), VOID: None}
