"""Pascal VOC, and folders of one's own laid out as it is: 21 classes with background, or those of a file; borders (255) are ignored."""

from pathlib import Path

import numpy as np

from src.config.classes import voc_color
from src.config.errors import UserError
from src.data.basedataset import BaseDataset, DatasetInfo
from src.data.folders import elsewhere, files_by_stem, pairs_of_ids
from src.data.lists import Pair, read_ids

# Source: the PASCAL VOC devkit (VOCinit), whose classes are numbered in the order of the alphabet.
NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
INFO = DatasetInfo(name="VOC", class_names=NAMES, palette=np.array([voc_color(number) for number in range(len(NAMES))], np.uint8))
IMAGES = "JPEGImages"
LABELS = ("SegmentationClass", "SegmentationClassAug")  # the latter, of SBD, for pictures that the former lacks
LISTS = "ImageSets/Segmentation"
LAYOUT = f"a VOC folder holds {IMAGES}, {LABELS[0]} and {LISTS}/train.txt, val.txt, as VOCdevkit/VOC2012 does"


class Voc(BaseDataset):
    """Pictures and labels by the ids of ImageSets/Segmentation."""

    info = INFO
    COLOR_HINT = f"{LABELS[0]} holds palette PNGs; colour-coded masks become labels by python -m src.data.colours"

    def _find_pairs(self, path: Path) -> list[Pair]:
        ids = read_ids(path) if path.is_file() else None
        return super()._find_pairs(path) if ids is None else self._pairs(ids)

    def _scan(self, part: str, path: Path) -> list[Pair]:
        path = self.root / LISTS / f"{part}.txt"
        if not path.is_file():
            raise UserError(f"{path}: no such list; {LAYOUT}{elsewhere(self.root, LISTS)}")
        return self._find_pairs(path)

    def _pairs(self, ids: dict[str, str]) -> list[Pair]:
        labels = {
            stem: path for name in reversed(LABELS) if (self.root / name).is_dir() for stem, path in files_by_stem(self.root / name).items()
        }
        return pairs_of_ids(ids, files_by_stem(self.root / IMAGES, LAYOUT), labels, (self.root / IMAGES, self.root / LABELS[0]))

    def _hint(self, wrong: set[int]) -> str:
        return f"values must be those of {LABELS[0]}, not of SegmentationObject; dataset.classes_file names other classes"
