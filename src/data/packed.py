"""Data sets packed into MindRecord files by `python -m src.data.pack`: the same pictures, labels and names as from the files they were.

A packed folder is complete in itself: `packed.json` says what it holds, `train-000.mindrecord` and the like hold pictures and labels as
strips (src/data/strips.py). Labels are stored as their files have them, so that the configuration decides what values mean, as ever.
"""

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from src.config.errors import UserError
from src.data.basedataset import BaseDataset, DatasetInfo
from src.data.class_pixels import NUM_VALUES
from src.data.lists import Pair
from src.data.packed_manifest import COMMAND, MANIFEST, Manifest, PackedFile, PackedSplit
from src.data.pictures import Box
from src.data.record_file import RecordFile
from src.data.strips import decode_strips

IMAGE, LABEL = "image", "label"  # fields of a row


class PackedDataset(BaseDataset):
    """Pictures and labels of a split in a packed folder.

    Args:
        root: the packed folder.
        list_file: `train.train_list` or `eval.eval_list`, which must be that of the packing.
        split: "train" or "val".
        ignore_label: value given to pixels that nothing counts, 0..255.
        num_samples: use only the first pictures; 0 uses all.
        info: of the data set that the configuration names.

    Raises:
        UserError: if the folder holds no packed data, not what the configuration names, or a damaged file.
    """

    def __init__(self, root: str | Path, list_file: str, split: str, ignore_label: int, num_samples: int, info: DatasetInfo):
        folder = Path(root)
        manifest = Manifest.read(folder)
        _check_dataset(folder, manifest, info)
        self._part = _part(folder, manifest, split, list_file, num_samples)
        files = [_open(folder, entry) for entry in self._part.files]
        self._places = [(file, row) for file in files for row in range(len(file))]
        super().__init__(root, list_file, split, ignore_label, num_samples, info)

    def _all_pairs(self, list_file: str) -> list[Pair]:
        return [
            Pair(self.root / sample.image, self.root / sample.label, f"{file.path}:{row}")
            for sample, (file, row) in zip(self._part.samples, self._places, strict=True)
        ]

    def label_ids(self) -> Mapping[int, int | None]:
        """Return the train id of each stored value: as the configuration's classes say, else as the data set had it."""
        if self.info.label_ids is not None:
            return self.info.label_ids
        return {int(value): train_id for value, train_id in self._part.label_ids.items()}

    def refuse_missing_files(self) -> None:
        """Do nothing: all files were looked at when the folder was opened."""

    def check_image_end(self, index: int) -> None:
        """Do nothing: strips have a checksum each."""

    def size_hw(self, index: int) -> tuple[int, int]:
        """Return the height and width of picture and label, pixels."""
        return self._part.samples[index].size_hw

    def read_image(self, index: int, box: Box | None = None) -> np.ndarray:
        """Return a picture, or a rectangle (top, left, bottom, right) of it; HWC uint8 RGB."""
        return self._decode(index, IMAGE, box)

    def read_values(self, index: int, box: Box | None = None) -> np.ndarray:
        """Return a label, or a rectangle of it, as stored; HW uint8."""
        return self._decode(index, LABEL, box)

    def read_label(self, index: int, box: Box | None = None) -> np.ndarray:
        """Return a label, or a rectangle of it; HW uint8 train ids. What its values mean is checked by those of the whole label.

        Raises:
            UserError: if the label holds values of no class, or is damaged.
        """
        wrong = self.describe_wrong(self.value_pixels(index))
        if wrong:
            raise UserError(self.pairs[index].named(f"{self.label_path(index)}: {wrong}"))
        return cv2.LUT(self.read_values(index, box), self.values.table)

    def value_pixels(self, index: int) -> np.ndarray:
        """Return how many pixels of a label hold each stored value, (256,) int64, as counted when it was packed."""
        pixels = np.zeros(NUM_VALUES, np.int64)
        for value, number in self._part.samples[index].pixels.items():
            pixels[int(value)] = number
        return pixels

    def image_digests(self) -> list[str]:
        """Return what tells the files that the pictures were from each other."""
        return [sample.digest for sample in self._part.samples[: len(self)]]

    def _decode(self, index: int, field: str, box: Box | None) -> np.ndarray:
        file, row = self._places[index]
        try:
            return decode_strips(file.reader(row, field), box)
        except (ValueError, OSError) as error:
            raise UserError(f"{file.path}:{row}: the {field} is damaged: {error}; pack the data set again: {COMMAND}") from None


def _check_dataset(folder: Path, manifest: Manifest, info: DatasetInfo) -> None:
    if manifest.dataset != info.name:
        raise UserError(f"{folder}: holds {manifest.dataset}, not {info.name}; set dataset.name={manifest.dataset}, or name another folder")
    if list(info.class_names) != manifest.classes:
        names = ("the packed data's classes", manifest.classes), ("the configuration's", info.class_names)
        shown = " and ".join(f"{whose} {', '.join(classes[:3])}, ... ({len(classes)})" for whose, classes in names)
        raise UserError(f"{folder}: {shown} differ; take the classes that it was packed with, or pack it again: {COMMAND}")


def _part(folder: Path, manifest: Manifest, split: str, list_file: str, num_samples: int) -> PackedSplit:
    """Return the split of a manifest, which must be the list that the configuration names."""
    key = "train.train_list" if split == "train" else "eval.eval_list"
    part = manifest.splits.get(split)
    if part is None:
        raise UserError(f"{folder}: was packed without its {split} split; pack it with --splits {' '.join([*manifest.splits, split])}")
    if part.list_file != list_file:
        raise UserError(
            f"{folder}: holds {part.list_file} as its {split} split, but {key} is {list_file}; set it so, or pack the list you want"
        )
    if part.num_samples and not 0 < num_samples <= part.num_samples:
        section = key.split(".")[0]
        raise UserError(
            f"{folder}: holds the first {part.num_samples} pictures of {list_file}, but {section}.num_samples is {num_samples}; "
            f"set {section}.num_samples={part.num_samples}, or pack them all"
        )
    return part


def _open(folder: Path, entry: PackedFile) -> RecordFile:
    file = RecordFile(folder / entry.name)
    size = file.path.stat().st_size
    if size != entry.bytes or len(file) != entry.rows:
        raise UserError(
            f"{file.path}: is damaged: it has {size} bytes and {len(file)} samples, {MANIFEST} says {entry.bytes} and {entry.rows}; "
            f"pack the data set again: {COMMAND}"
        )
    return file
