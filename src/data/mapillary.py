"""Mapillary Vistas, and folders of one's own laid out as it is; classes come from its config_v2.0.json or config.json, or another file."""

from pathlib import Path

from src.data.basedataset import BaseDataset
from src.data.folders import find_pairs
from src.data.lists import Pair

FOLDERS = {"train": "training", "val": "validation"}
VERSIONS = ("v1.2", "v2.0")
V1_LABELS = 66  # version 2.0 has 124
LAYOUT = "Mapillary holds training/images, validation/images, and labels in training/labels, training/v1.2/labels or training/v2.0/labels"


class Mapillary(BaseDataset):
    """Pictures of many sizes, with labels whose values are the places of the names in the configuration file."""

    COLOR_HINT = "labels are palette PNGs of 8 bits; those in instances/ and panoptic/ are others"

    def _scan(self, part: str, path: Path) -> list[Pair]:
        folder = FOLDERS[part]
        candidates = [f"{folder}/{name}" for name in self._label_folders()]
        labels = next((name for name in candidates if (self.root / name).is_dir()), candidates[0])
        return find_pairs(self.root, f"{folder}/images", labels, LAYOUT)

    def _label_folders(self) -> list[str]:
        """Return the folders that labels of these classes may lie in: of the version that their file is of, or else probably is of."""
        named = [version for version in VERSIONS if version in Path(self.info.classes_file).name]
        if named:
            return [f"{named[0]}/labels", "labels"]
        is_first = max((value for value in self.label_ids() if value < 255), default=0) < V1_LABELS
        return ["labels", *(f"{version}/labels" for version in sorted(VERSIONS, reverse=not is_first))]

    def _hint(self, wrong: set[int]) -> str:
        return "labels and classes must be of one version: dataset.classes_file names the config_v*.json of these labels"
