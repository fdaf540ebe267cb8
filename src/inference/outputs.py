"""What is written of a predicted picture: class numbers, colours, overlays, the test server's label ids."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.checking import nearest
from src.config.errors import UserError
from src.data import cityscapes
from src.data.basedataset import DatasetInfo
from src.data.statistics import shortened
from src.inference.inputs import InputPicture
from src.inference.palette import overlay, write_index, write_mask, write_picture

SUMMARY_FILE = "predictions.json"
LABEL_IDS = np.array([label.id for label in cityscapes.TRAINED], np.uint8)  # by train id

# path, picture (H, W, 3) uint8 RGB, labels (H, W) uint8 train ids, names and colours
Writer = Callable[[Path, np.ndarray, np.ndarray, DatasetInfo], None]

WRITERS: dict[str, Writer] = {
    "index": lambda path, picture, labels, info: write_index(path, labels),
    "palette": lambda path, picture, labels, info: write_mask(path, labels, info.palette),
    "overlay": lambda path, picture, labels, info: write_picture(path, overlay(picture, labels, info.palette)),
    "labelIds": lambda path, picture, labels, info: write_index(path, LABEL_IDS[labels]),
}


def parse_kinds(text: str, info: DatasetInfo) -> tuple[str, ...]:
    """Return what to write, each kind once.

    Args:
        text: kinds separated by commas.
        info: the classes that the weights tell apart.

    Raises:
        UserError: if one is unknown, or has no meaning for these classes.
    """
    kinds = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for kind in kinds:
        if kind not in WRITERS:
            raise UserError(f"--save {text}: '{kind}' is none of {', '.join(WRITERS)}{nearest(kind, list(WRITERS))}")
    if "labelIds" in kinds and info.class_names != cityscapes.INFO.class_names:
        named = shortened(info.class_names)
        raise UserError(f"--save labelIds: these are numbers of Cityscapes' classes, and the weights have others ({named}); use index")
    return kinds


@dataclass(frozen=True)
class ResultFolder:
    """Where results go: FOLDER/KIND/NAME.png and FOLDER/predictions.json; each file is complete or absent.

    Attributes:
        folder: of all results; made with the first of them.
        kinds: keys of `WRITERS`.
    """

    folder: Path
    kinds: tuple[str, ...]

    @property
    def picture_folders(self) -> list[Path]:
        """The folders of all kinds, also of those that are not written now."""
        return [self.folder / kind for kind in WRITERS]

    def path(self, kind: str, name: str) -> Path:
        """Return the file of a result."""
        return self.folder / kind / f"{name}.png"

    def refuse_overwriting(self, pictures: Sequence[InputPicture]) -> None:
        """Check that no result takes an input's place.

        Raises:
            UserError: naming the first that would.
        """
        inputs = {picture.path.resolve() for picture in pictures}
        for picture in pictures:
            for kind in self.kinds:
                if self.path(kind, picture.name).resolve() in inputs:
                    raise UserError(f"{self.path(kind, picture.name)} is an input and would be overwritten; choose another --output_path")

    def write(self, name: str, picture: np.ndarray, labels: np.ndarray, info: DatasetInfo) -> None:
        """Write all kinds of a picture.

        Args:
            name: of the picture.
            picture: (H, W, 3) uint8 RGB.
            labels: (H, W) uint8 train ids.
            info: names and colours.

        Raises:
            UserError: if a folder cannot be made.
        """
        for kind in self.kinds:
            path = self.path(kind, name)
            _make_folder(path.parent)
            WRITERS[kind](path, picture, labels, info)

    def write_summary(self, content: dict[str, Any]) -> None:
        """Write predictions.json."""
        _make_folder(self.folder)
        with atomic_path(self.folder / SUMMARY_FILE) as path:
            path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def class_shares(labels: np.ndarray, class_names: Sequence[str]) -> dict[str, float]:
    """Return the part of the pixels that each class has, the largest first, without classes that have none.

    Args:
        labels: (H, W) uint8 train ids.
        class_names: K names.
    """
    pixels = np.bincount(labels.ravel(), minlength=len(class_names))
    order = np.argsort(-pixels, kind="stable")
    return {class_names[k]: float(f"{pixels[k] / labels.size:.6g}") for k in order if pixels[k]}


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another --output_path") from error
