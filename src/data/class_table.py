"""Which value a label file holds for an annotation's name or a mask's colour: Cityscapes, CamVid, or a YAML file of one's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.config.checking import nearest
from src.config.errors import UserError
from src.config.parsing import read_yaml
from src.data import camvid, cityscapes

Color = tuple[int, int, int]
IGNORED = "ignored"
NUM_VALUES = 256  # of a uint8 label
KEYS = ("classes", IGNORED, "ignore_label", "background")
CLASS_KEYS = ("name", "color", "labels", "colors")
IGNORED_KEYS = ("labels", "colors")

# What the 32 classes of the original CamVid masks are among the 11. Source: MATLAB's example of SegNet on CamVid, camvidPixelLabelIDs.
CAMVID_GROUPS: dict[str, tuple[Color, ...]] = {
    "building": ((0, 128, 64), (64, 192, 0), (64, 0, 64), (192, 0, 128)),  # bridge, wall, tunnel, archway
    "pole": ((0, 0, 64),),  # traffic cone
    "road": ((128, 0, 192), (192, 0, 64)),  # lane markings
    "pavement": ((0, 0, 192), (64, 192, 128), (128, 128, 192)),  # sidewalk, parking block, road shoulder
    "tree": ((192, 192, 0),),  # other vegetation
    "sign": ((128, 128, 64), (0, 64, 64)),  # text, traffic light
    "car": ((64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),  # SUV or pickup, truck or bus, train, other moving
    "pedestrian": ((192, 128, 64), (64, 0, 192), (64, 128, 64)),  # child, cart or pram, animal
    "bicyclist": ((192, 0, 192),),  # motorcycle or scooter
}


@dataclass(frozen=True)
class ClassTable:
    """What a kind of label files holds.

    Attributes:
        values: name in annotations -> value; None: such a shape is not drawn.
        colors: RGB colour in masks -> value.
        color_names: RGB colour -> name, for messages.
        palette: (256, 3) uint8, RGB colour of each value.
        background: value of pixels that no shape covers.
    """

    values: Mapping[str, int | None]
    colors: Mapping[Color, int]
    color_names: Mapping[Color, str]
    palette: np.ndarray
    background: int


def cityscapes_table(kind: str) -> ClassTable:
    """Return Cityscapes' table; colours that labels share (pole, polegroup) mean the one that is trained.

    Args:
        kind: "labelIds" or "trainIds".
    """
    is_train = kind == "trainIds"
    drawn = [label for label in cityscapes.LABELS if label.id >= 0]
    palette = np.zeros((NUM_VALUES, 3), np.uint8)
    colors: dict[Color, int] = {}
    names: dict[Color, str] = {}
    for label in sorted(drawn, key=lambda label: label.train_id):  # trained ones first
        value = label.train_id if is_train else label.id
        palette[value] = (0, 0, 0) if is_train and value == 255 else label.color
        colors.setdefault(label.color, value)
        names.setdefault(label.color, label.name)
    values = {label.name: None if label.id < 0 else label.train_id if is_train else label.id for label in cityscapes.LABELS}
    return ClassTable(values, colors, names, palette, 255 if is_train else 0)


def camvid_table() -> ClassTable:
    """Return CamVid's table: the colours of SegNet's 11 classes, and the 32 original ones, grouped; void is 11."""
    info = camvid.INFO
    values = {name: value for value, name in enumerate(info.class_names)}
    colors = {_color(row): value for value, row in enumerate(info.palette.tolist())}
    for name, others in CAMVID_GROUPS.items():
        colors.update(dict.fromkeys(others, values[name]))
    colors[0, 0, 0] = camvid.VOID
    names = {color: "void" if value == camvid.VOID else info.class_names[value] for color, value in colors.items()}
    palette = np.zeros((NUM_VALUES, 3), np.uint8)
    palette[: len(info.palette)] = info.palette
    return ClassTable({**values, "void": camvid.VOID}, colors, names, palette, camvid.VOID)


def read_class_table(path: Path) -> ClassTable:
    """Return the table of a YAML file: `classes` (name, color, labels, colors), `ignored`, `ignore_label` and `background`.

    Raises:
        UserError: if it is missing or malformed, or a name or colour stands for two things.
    """
    try:
        tree = read_yaml(path, str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; it lists the classes (docs/DATASETS.md)") from None
    _known_keys(tree, KEYS, str(path))
    classes, ignored = tree.get("classes"), tree.get(IGNORED) or {}
    if not isinstance(classes, list) or not 1 <= len(classes) <= NUM_VALUES - 1:
        raise UserError(f"{path}: 'classes' must be a list of 1 to {NUM_VALUES - 1} entries such as {{name: road, color: [128, 64, 128]}}")
    ignore_label = tree.get("ignore_label", NUM_VALUES - 1)
    if type(ignore_label) is not int or not len(classes) <= ignore_label < NUM_VALUES:
        raise UserError(f"{path}: ignore_label must be a whole number from {len(classes)} (after the classes) to 255; got {ignore_label!r}")
    collector = _Collector(path)
    for value, entry in enumerate(classes):
        collector.add_class(entry, value)
    if IGNORED not in collector.values:
        collector.values[IGNORED] = ignore_label
    _known_keys(ignored, IGNORED_KEYS, f"{path}: '{IGNORED}'")
    collector.add(IGNORED, ignored, ignore_label)
    background = tree.get("background", IGNORED)
    if background not in collector.values:
        raise UserError(f"{path}: background {background!r} is no class{nearest(str(background), list(collector.values))}; or '{IGNORED}'")
    return ClassTable(collector.values, collector.colors, collector.color_names, collector.palette, collector.values[background])


class _Collector:
    """The parts of a table, class by class; a name or colour comes once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: dict[str, int] = {}
        self.colors: dict[Color, int] = {}
        self.color_names: dict[Color, str] = {}
        self.palette = np.zeros((NUM_VALUES, 3), np.uint8)

    def add_class(self, entry: Any, value: int) -> None:
        """Take an entry of `classes`."""
        where = f"{self.path}: class {value}"
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
            raise UserError(f"{where} needs a name, as in {{name: road, color: [128, 64, 128]}}; got {entry!r}")
        _known_keys(entry, CLASS_KEYS, where)
        name = entry["name"]
        self._add_name(name, value)
        if "color" in entry:
            self._add_color(name, entry["color"], value)
            self.palette[value] = entry["color"]
        else:
            self.palette[value] = _default_color(value)
        self.add(name, entry, value)

    def add(self, name: str, entry: Mapping[str, Any], value: int) -> None:
        """Take further `labels` and `colors` that mean the same."""
        for key in ("labels", "colors"):
            if not isinstance(entry.get(key, []), list):
                raise UserError(f"{self.path}: '{key}' of {name} must be a list; got {entry[key]!r}")
        for label in entry.get("labels", []):
            self._add_name(label, value)
        for color in entry.get("colors", []):
            self._add_color(name, color, value)

    def _add_name(self, name: Any, value: int) -> None:
        if not isinstance(name, str) or name in self.values:
            raise UserError(f"{self.path}: the name {name!r} {'comes twice' if isinstance(name, str) else 'must be text; quote it'}")
        self.values[name] = value

    def _add_color(self, name: str, color: Any, value: int) -> None:
        if not isinstance(color, list) or len(color) != 3 or not all(type(part) is int and 0 <= part < 256 for part in color):
            raise UserError(f"{self.path}: a colour of {name} must be [red, green, blue], each 0..255; got {color!r}")
        key = _color(color)
        if key in self.colors:
            raise UserError(f"{self.path}: the colour {list(key)} of {name} is also one of {self.color_names[key]}")
        self.colors[key], self.color_names[key] = value, name


def _known_keys(entry: Any, known: Sequence[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise UserError(f"{where} must have the keys {', '.join(known)}; got {entry!r}")
    for key in entry:
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'{nearest(str(key), list(known))}; known: {', '.join(known)}")


def _color(color: Sequence[int]) -> Color:
    red, green, blue = color
    return red, green, blue


def _default_color(value: int) -> Color:
    """Return a colour for a class that has none: Pascal VOC's rule (bits of the number spread over the channels), one number on."""
    number = value + 1
    channels = [sum((number >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8)) for channel in range(3)]
    return _color(channels)
