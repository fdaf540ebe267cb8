"""Which value a label file holds for an annotation's name or a mask's colour: Cityscapes, CamVid, or a YAML file of one's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.config.classes import IGNORED, NUM_VALUES, Color, parse_classes, read_classes
from src.config.errors import UserError
from src.data import camvid, cityscapes

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
    """Return the table of a file of one's own classes (src/config/classes.py); labels are written with the first of a class's `values`.

    Raises:
        UserError: if it is missing or malformed, or a colour or value stands for two things.
    """
    source = str(path)
    classes = parse_classes(read_classes(path), source)
    values: dict[str, int] = {}
    colors: dict[Color, int] = {}
    color_names: dict[Color, str] = {}
    palette = np.zeros((NUM_VALUES, 3), np.uint8)
    for entry in (*classes.entries, classes.ignored):
        if not entry.values:
            continue  # nothing is ignored in masks of 0 and 255 that are both classes
        values |= dict.fromkeys((entry.name, *entry.labels), entry.values[0])
        for color in entry.colors:
            if color in colors:
                raise UserError(f"{source}: the colour {list(color)} of {entry.name} is also one of {color_names[color]}")
            colors[color], color_names[color] = entry.values[0], entry.name
        palette[list(entry.values)] = entry.color
    if classes.background not in values:
        raise UserError(
            f"{source}: no value is left for what is {IGNORED}: give it one, as in {IGNORED}: {{values: [254]}}, or a background"
        )
    return ClassTable(values, colors, color_names, palette, values[classes.background])


def _color(color: Sequence[int]) -> Color:
    red, green, blue = color
    return red, green, blue
