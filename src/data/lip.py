"""LIP (Look into Person): 20 classes of one person's parts, background among them; left and right parts swap in a mirrored picture."""

from pathlib import Path

from src.data.basedataset import BaseDataset, DatasetInfo, named_colors
from src.data.folders import files_by_stem, find_pairs, pairs_of_ids
from src.data.lists import Pair, read_ids

# Source of numbers and names: the data set's README; of colours: mmsegmentation, mmseg/datasets/lip.py.
CLASSES = """
background 000000, hat 800000, hair ff0000, glove 005500, sunglasses aa0033, upper clothes ff5500, dress 000055, coat 0077dd,
socks 555500, pants 005555, jumpsuits 553300, scarf 345680, skirt 008000, face 0000ff, left arm 33aadd, right arm 00ffff,
left leg 55ffaa, right leg aaff55, left shoe ffff00, right shoe ffaa00
"""
NAMES, PALETTE = named_colors(CLASSES)
INFO = DatasetInfo(name="LIP", class_names=NAMES, palette=PALETTE, flip_pairs=((14, 15), (16, 17), (18, 19)))
PARTS = ("train", "val")
IMAGES, LABELS = "TrainVal_images", "TrainVal_parsing_annotations"
LAYOUT = f"LIP holds {IMAGES}/train_images, {IMAGES}/val_images, {LABELS}/train_segmentations and {LABELS}/val_segmentations"


class Lip(BaseDataset):
    """LIP's single persons. Where train_id.txt and val_id.txt are, they say which pictures count; else all that have a label do."""

    info = INFO

    def _find_pairs(self, path: Path) -> list[Pair]:
        ids = read_ids(path) if path.is_file() else None
        return super()._find_pairs(path) if ids is None else self._pairs(ids)

    def _scan(self, part: str, path: Path) -> list[Pair]:
        lists = [folder / f"{part}_id.txt" for folder in (self.root, self.root / IMAGES)]
        ids = next((read_ids(each) for each in lists if each.is_file()), None)
        return find_pairs(self.root, *self._folders(part), LAYOUT) if ids is None else self._pairs(ids)

    def _pairs(self, ids: dict[str, str]) -> list[Pair]:
        folders = [self._folders(part) for part in PARTS]
        pictures, labels = ({k: v for pair in folders for k, v in self._files(pair[kind]).items()} for kind in (0, 1))
        return pairs_of_ids(ids, pictures, labels, (self.root / IMAGES, self.root / LABELS))

    def _files(self, name: str) -> dict[str, Path]:
        return files_by_stem(self.root / name, LAYOUT) if (self.root / name).is_dir() else {}

    def _folders(self, part: str) -> tuple[str, str]:
        return self._place(IMAGES, f"{part}_images"), self._place(LABELS, f"{part}_segmentations")

    def _place(self, top: str, name: str) -> str:
        """Return where a folder is: the archives hold the top folder once more, and some unpack them without it."""
        places = (f"{top}/{name}", f"{top}/{top}/{name}", name)
        return next((place for place in places if (self.root / place).is_dir()), places[0])

    def _hint(self, wrong: set[int]) -> str:
        return f"values must be LIP's parts, 0..19, from {LABELS}"
