"""Cityscapes: the table of its labels, lists made from its folders, and both kinds of label files."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.data.basedataset import BaseDataset, DatasetInfo
from src.data.lists import Pair
from src.data.pictures import read_index_label

LOG = logging.getLogger("ocrnet")
# Part of the data -> folder of leftImg8bit and of the annotations that belongs to it, and which annotations.
PARTS = {
    "train": ("train", "gtFine"),
    "val": ("val", "gtFine"),
    "train_extra": ("train_extra", "gtCoarse"),
    "train_coarse": ("train", "gtCoarse"),
    "val_coarse": ("val", "gtCoarse"),
}
ARCHIVES = {"gtFine": "gtFine_trainvaltest.zip", "gtCoarse": "gtCoarse.zip"}
LABEL_KINDS = ("labelIds", "labelTrainIds")


class Label(NamedTuple):
    """One label: its id in labelIds files, its train id (255 is not trained) and its RGB colour."""

    name: str
    id: int
    train_id: int
    color: tuple[int, int, int]


# Source: the label table of cityscapesScripts (helpers/labels.py). "license plate" has id -1, which no label file holds.
LABELS = (
    Label("unlabeled", 0, 255, (0, 0, 0)),
    Label("ego vehicle", 1, 255, (0, 0, 0)),
    Label("rectification border", 2, 255, (0, 0, 0)),
    Label("out of roi", 3, 255, (0, 0, 0)),
    Label("static", 4, 255, (0, 0, 0)),
    Label("dynamic", 5, 255, (111, 74, 0)),
    Label("ground", 6, 255, (81, 0, 81)),
    Label("road", 7, 0, (128, 64, 128)),
    Label("sidewalk", 8, 1, (244, 35, 232)),
    Label("parking", 9, 255, (250, 170, 160)),
    Label("rail track", 10, 255, (230, 150, 140)),
    Label("building", 11, 2, (70, 70, 70)),
    Label("wall", 12, 3, (102, 102, 156)),
    Label("fence", 13, 4, (190, 153, 153)),
    Label("guard rail", 14, 255, (180, 165, 180)),
    Label("bridge", 15, 255, (150, 100, 100)),
    Label("tunnel", 16, 255, (150, 120, 90)),
    Label("pole", 17, 5, (153, 153, 153)),
    Label("polegroup", 18, 255, (153, 153, 153)),
    Label("traffic light", 19, 6, (250, 170, 30)),
    Label("traffic sign", 20, 7, (220, 220, 0)),
    Label("vegetation", 21, 8, (107, 142, 35)),
    Label("terrain", 22, 9, (152, 251, 152)),
    Label("sky", 23, 10, (70, 130, 180)),
    Label("person", 24, 11, (220, 20, 60)),
    Label("rider", 25, 12, (255, 0, 0)),
    Label("car", 26, 13, (0, 0, 142)),
    Label("truck", 27, 14, (0, 0, 70)),
    Label("bus", 28, 15, (0, 60, 100)),
    Label("caravan", 29, 255, (0, 0, 90)),
    Label("trailer", 30, 255, (0, 0, 110)),
    Label("train", 31, 16, (0, 80, 100)),
    Label("motorcycle", 32, 17, (0, 0, 230)),
    Label("bicycle", 33, 18, (119, 11, 32)),
    Label("license plate", -1, 255, (0, 0, 142)),
)
TRAINED = tuple(sorted((label for label in LABELS if label.train_id != 255), key=lambda label: label.train_id))
LABEL_BY_NAME = {label.name: label for label in LABELS}

INFO = DatasetInfo(
    name="Cityscapes",
    class_names=tuple(label.name for label in TRAINED),
    palette=np.array([label.color for label in TRAINED], np.uint8),
    # Source: official HRNet-OCR, lib/datasets/cityscapes.py.
    class_weights=(
        *(0.8373, 0.918, 0.866, 1.0345, 1.0166, 0.9969, 0.9754, 1.0489, 0.8786, 1.0023),
        *(0.9539, 0.9843, 1.1116, 0.9037, 1.0865, 1.0955, 1.0865, 1.1529, 1.0507),
    ),
    picture_size_hw=(1024, 2048),
)


class Cityscapes(BaseDataset):
    """Cityscapes with labelIds or labelTrainIds files.

    Attributes:
        label_kind: "labelIds" or "labelTrainIds", from the files' names, else from their values.
    """

    info = INFO
    SCANNED = {f"{part}.lst": part for part in PARTS}
    label_kind = ""

    def _find_pairs(self, path: Path) -> list[Pair]:
        pairs = super()._find_pairs(path)
        kind, why = detect_label_kind(pairs)
        if self.label_kind not in ("", kind):
            raise UserError(
                f"{path}: its labels are {kind}, those of the lists before it {self.label_kind}; lists joined by + need one kind"
            )
        self.label_kind = kind
        LOG.info("Cityscapes %s: %d pictures, labels are %s (%s)", path.stem, len(pairs), kind, why)
        return pairs

    def _scan(self, part: str, path: Path) -> list[Pair]:
        pairs = scan_folders(self.root, part)
        if all(pair.label.is_file() for pair in pairs):
            _write_list(self.root, path, pairs)
        return pairs

    def _where_from(self, path: Path) -> str:
        return next((f"{archive} holds it" for annotations, archive in ARCHIVES.items() if annotations in path.parts), "")

    def label_ids(self) -> Mapping[int, int | None]:
        """Return the train id of each stored value, for the kind of files that was found."""
        if self.label_kind == "labelTrainIds":
            return super().label_ids()
        return {label.id: None if label.train_id == 255 else label.train_id for label in LABELS if label.id >= 0}

    def _hint(self, wrong: set[int]) -> str:
        if self.label_kind == "labelIds" and wrong == {255}:
            return "labelIds files have no 255: trainIds? then name them *_labelTrainIds.png; a 0/255 mask? then map 255 to 1"
        if self.label_kind == "labelTrainIds" and max(wrong) <= 33:
            return "these look like labelIds: name the files *_labelIds.png"
        return "values must be labelIds (0..33) or trainIds (0..18, 255)"

    def describe_doubtful(self, pixels: np.ndarray) -> str:
        """Return that labelIds files hold no more than trainIds would; "" where they do."""
        present = np.flatnonzero(pixels)
        if self.label_kind != "labelIds" or len(present) <= 3 or present[-1] >= len(INFO.class_names):
            return ""
        return "the labels are read as labelIds, but hold nothing above 18: these look like trainIds; name the files *_labelTrainIds.png"


def scan_folders(root: Path, part: str) -> list[Pair]:
    """Return the pictures of a part of `PARTS` with their labels, in order of city and name.

    Labels that are missing are named as the others are called: `refuse_missing`.

    Raises:
        UserError: if there are no pictures.
    """
    name, annotations = PARTS[part]
    folder = root / "leftImg8bit" / name
    images = sorted(folder.glob("*/*_leftImg8bit.png"))
    if not images:
        raise UserError(
            f"{root}: neither {part}.lst nor pictures in leftImg8bit/{name}/<city>/*_leftImg8bit.png; is it a Cityscapes folder?"
        )
    candidates = [_labels_of(image, root / annotations / name, annotations) for image in images]
    found = [next((kind for kind, path in each.items() if path.is_file()), None) for each in candidates]
    usual = next((kind for kind in found if kind), LABEL_KINDS[0])
    return [Pair(image, each[kind or usual], f"{folder}") for image, each, kind in zip(images, candidates, found, strict=True)]


def _labels_of(image: Path, folder: Path, annotations: str) -> dict[str, Path]:
    """Return where the label of a picture would be, by its kind."""
    stem = image.name.removesuffix("_leftImg8bit.png")
    return {kind: folder / image.parent.name / f"{stem}_{annotations}_{kind}.png" for kind in LABEL_KINDS}


def _write_list(root: Path, path: Path, pairs: list[Pair]) -> None:
    """Keep the scan for the next run, where the folder is writable."""
    text = "".join(f"{pair.image.relative_to(root)}\t{pair.label.relative_to(root)}\n" for pair in pairs)
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        LOG.info("%s is not kept: %s", path, error.strerror)


def detect_label_kind(pairs: list[Pair]) -> tuple[str, str]:
    """Return the kind of the label files and how it was found out; files that are missing or cannot be read say nothing.

    Raises:
        UserError: if the names are of both kinds.
    """
    named = {kind for pair in pairs for kind in LABEL_KINDS if pair.label.stem.endswith(f"_{kind}")}
    if len(named) > 1:
        raise UserError(f"{pairs[0].where}: this list names both labelIds and labelTrainIds files; use one kind")
    if named:
        return named.pop(), "by their names"
    labels = [pair.label for pair in pairs if pair.label.is_file()]
    values: set[int] = set()
    for index in np.unique(np.linspace(0, len(labels) - 1, 8).astype(int)) if labels else ():
        with suppress(UserError):
            values.update(np.unique(read_index_label(labels[index])).tolist())
    is_label_ids = any(len(INFO.class_names) <= value <= 33 for value in values)
    return ("labelIds" if is_label_ids else "labelTrainIds"), "by their values"
