"""A picture beside its prediction, with a bar and a legend of how much of it each class has."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from src.data.basedataset import DatasetInfo
from src.inference.palette import BACKGROUND, GAP, INK, overlay, panel_font, panel_width, resized_picture, tile_size, titled_row

MAX_PLACES = 24  # of a video's legend


class Entry(NamedTuple):
    """A class: its name, its colour, and which part of the pixels it has."""

    name: str
    color: tuple[int, ...]
    share: float

    @property
    def text(self) -> str:
        """What the legend says."""
        percent = 100 * self.share
        return f"{self.name} {'< 0.1' if 0 < percent < 0.05 else f'{percent:.1f}'} %"


def comparison(image: np.ndarray, labels: np.ndarray, info: DatasetInfo, is_frame: bool = False) -> np.ndarray:
    """Return a picture beside the prediction over it, above a bar and a legend of the classes that occur, with their parts of the pixels.

    Args:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 classes.
        info: names and colours.
        is_frame: of a video: the size does not depend on the labels, and classes keep their order. Otherwise the largest comes first.

    Returns:
        (H', W', 3) uint8 RGB.
    """
    size = tile_size(image)
    # Labels are resized by nearest neighbour and coloured after that, so that no colour between two classes appears.
    picture, small_labels = resized_picture(image, size), cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    width, font = panel_width(size), panel_font(size[0])
    tiles = titled_row({"picture": picture, "prediction over picture": overlay(picture, small_labels, info.palette)}, width, font)
    entries = _entries(labels, info)
    widest = entries
    if is_frame:
        places = _fixed_places(entries)
    else:
        entries = sorted((entry for entry in entries if entry.share), key=lambda entry: -entry.share)
        widest, places = entries, list(entries)
    cell_width = max(round(font.getlength(entry._replace(share=1.0).text)) for entry in widest) + round(font.size) + 2 * GAP
    return np.concatenate([tiles, _bar(entries, width, round(font.size)), _grid(places, width, cell_width, font)])


def _entries(labels: np.ndarray, info: DatasetInfo) -> list[Entry]:
    """Return all classes in their order."""
    pixels = np.bincount(labels.ravel(), minlength=len(info.class_names))
    return [Entry(name, tuple(info.palette[k].tolist()), float(pixels[k] / labels.size)) for k, name in enumerate(info.class_names)]


def _fixed_places(entries: Sequence[Entry]) -> list[Entry | None]:
    """Return a place for each class, empty where it does not occur; of many classes the largest, in their order."""
    if len(entries) <= MAX_PLACES:
        return [entry if entry.share else None for entry in entries]
    largest = sorted(entries, key=lambda entry: -entry.share)[:MAX_PLACES]
    chosen = [entry for entry in entries if entry.share and entry in largest]
    return [*chosen, *[None] * (MAX_PLACES - len(chosen))]


def _bar(entries: Sequence[Entry], width: int, height: int) -> np.ndarray:
    """Return a bar that is parted as the pixels are, (height + GAP, width, 3) uint8."""
    bar = np.full((height + GAP, width, 3), BACKGROUND, np.uint8)
    ends = np.rint(np.cumsum([entry.share for entry in entries]) * (width - 2 * GAP)).astype(int)
    for entry, first, end in zip(entries, [0, *ends], ends, strict=False):
        bar[:height, GAP + first : GAP + end] = entry.color
    return bar


def _grid(places: Sequence[Entry | None], width: int, cell_width: int, font: ImageFont.FreeTypeFont) -> np.ndarray:
    """Return coloured squares with names in columns, row by row, (height, width, 3) uint8."""
    square, line_height = round(font.size), round(font.size * 1.7)
    columns = max(1, (width - GAP) // cell_width)
    height = -(-len(places) // columns) * line_height + GAP // 2
    grid = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(grid)
    for number, entry in enumerate(places):
        if entry:
            x, y = GAP + number % columns * cell_width, number // columns * line_height
            draw.rectangle((x, y, x + square, y + square), fill=entry.color, outline=INK)
            draw.text((x + square + GAP // 2, y + square / 2), entry.text, INK, font, anchor="lm")
    return np.asarray(grid)
