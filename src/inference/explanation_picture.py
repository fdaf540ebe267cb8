"""Draw an explanation: the object regions of the classes in a picture, and where the context of some of its pixels comes from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from src.checkpoint.atomic import atomic_path
from src.data.basedataset import DatasetInfo
from src.inference.explain import Explanation, PointXY
from src.inference.palette import fitted_size, overlay, resized_picture

COLUMNS = 4
TILE_INCHES = 3.9  # width of a picture, of a tall one less
MAX_TILE_HEIGHT = 780  # of a picture, pixels
DPI = 100
MAX_REGIONS = 12  # classes shown, the largest first
MAX_BARS = 6  # regions named beside a pixel's context
FONT_SIZE = 12
HEAT = "inferno"
BRIGHTEST = 99.5  # percent of a map's pixels are at most as bright as the brightest shown: a peak of few pixels does not darken the others
TOP = 20  # rows of a tile in which a number behind its mark would reach into the title, pixels


def draw_explanation(
    path: Path, picture: np.ndarray, labels: np.ndarray, explanation: Explanation, points: Sequence[PointXY], info: DatasetInfo
) -> None:
    """Write the explanation of a picture as a PNG; the file is complete or absent.

    Maps are shown by their square root, each up to a value that 0.5 % of its pixels exceed. "on its pixels": the part of a region's weight
    that lies on pixels of the class in `labels`.

    Args:
        path: ends with .png.
        picture: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8, what was predicted.
        explanation: of this picture.
        points: pixels whose context is shown.
        info: names and colours of the classes.

    Raises:
        UserError: if the picture has no such pixel.
    """
    classes = _occurring_classes(labels, len(info.class_names))[:MAX_REGIONS]
    small, small_labels = _tiles(picture, labels)
    rows = _num_rows(2) + _num_rows(len(classes)) + _num_rows(2 * len(points))
    tile_height = small.shape[0] / DPI + 0.34
    figure = Figure(figsize=(COLUMNS * TILE_INCHES, rows * tile_height + 0.3), layout="compressed")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    _draw_picture(grid[0], small, small_labels, points, labels.shape, info)
    _draw_regions(grid[1:].flat, small, labels, explanation, classes, info)
    first = 1 + _num_rows(len(classes))
    _draw_contexts(grid[first:].flat, small, labels, explanation, points, info)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png", bbox_inches="tight", pad_inches=0.12)


def _num_rows(tiles: int) -> int:
    return -(-tiles // COLUMNS)


def _occurring_classes(labels: np.ndarray, num_classes: int) -> list[int]:
    """Return the classes in a label, the largest first."""
    pixels = np.bincount(labels.ravel(), minlength=num_classes)[:num_classes]
    return [int(k) for k in np.argsort(-pixels, kind="stable") if pixels[k]]


def _tiles(picture: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return picture and labels at the size at which they are shown."""
    size = fitted_size(picture, (round(TILE_INCHES * DPI), MAX_TILE_HEIGHT))
    return resized_picture(picture, size), cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)


def _draw_picture(
    row: Any, small: np.ndarray, labels: np.ndarray, points: Sequence[PointXY], size_hw: tuple[int, ...], info: DatasetInfo
) -> None:
    _show(row[0], small, "picture")
    _show(row[1], overlay(small, labels, info.palette), "prediction")
    for number, point in enumerate(points, 1):
        _mark(row[0], _shown_at(point, size_hw, small), str(number))
    occurring = _occurring_classes(labels, len(info.class_names))
    handles = [row[2].scatter([], [], marker="s", s=90, color=info.palette[k] / 255.0, edgecolors="0.2") for k in occurring]
    names = [info.class_names[k] for k in occurring]
    row[2].legend(handles, names, loc="upper left", ncols=2 + len(names) // 20, frameon=False, fontsize=FONT_SIZE - 1)


def _draw_regions(
    tiles: Any, small: np.ndarray, labels: np.ndarray, explanation: Explanation, classes: Sequence[int], info: DatasetInfo
) -> None:
    for axes, k in zip(tiles, classes, strict=False):
        region = explanation.regions[k]
        own = cv2.resize((labels == k).astype(np.float32), region.shape[::-1], interpolation=cv2.INTER_AREA)
        share = float((region * own).sum())
        _show(axes, _heated(small, region), f"region of {info.class_names[k]}, {share:.0%} on its pixels")


def _draw_contexts(
    tiles: Any, small: np.ndarray, labels: np.ndarray, explanation: Explanation, points: Sequence[PointXY], info: DatasetInfo
) -> None:
    for number, point in enumerate(points, 1):
        axes, bars, heat = next(tiles), next(tiles), _heated(small, explanation.context(point))
        _show(axes, heat, f"context of pixel {number}, {info.class_names[labels[point[1], point[0]]]}")
        _mark(axes, _shown_at(point, labels.shape, small), str(number))
        _draw_bars(bars, explanation.weights(point), info)


def _draw_bars(axes: Any, weights: np.ndarray, info: DatasetInfo) -> None:
    """Show the regions that give most, each with its part in percent."""
    order = np.argsort(-weights, kind="stable")
    order, others = order[:MAX_BARS], weights[order[MAX_BARS:]]
    axes.barh(range(len(order)), weights[order], color=info.palette[order] / 255.0, edgecolor="0.2", height=0.7)
    axes.set_xlim(0, 1.5)  # room for the names
    axes.set_ylim(MAX_BARS + 0.5, -0.5)
    for place, k in enumerate(order):
        axes.text(weights[k] + 0.02, place, f"{weights[k]:.0%} {info.class_names[k]}", va="center", fontsize=FONT_SIZE)
    if others.size:
        axes.text(0.02, MAX_BARS, f"{others.sum():.0%} of {others.size} more", va="center", fontsize=FONT_SIZE)
    axes.set_title("from the regions of", fontsize=FONT_SIZE, loc="left")


def _heated(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return a grey picture with a map laid over it, (H, W, 3) uint8: the square root, from 0 to what few pixels exceed (`BRIGHTEST`)."""
    how = cv2.INTER_AREA if heat.shape[1] > picture.shape[1] else cv2.INTER_LINEAR
    sized = cv2.resize(heat / max(float(heat.max()), 1e-30), picture.shape[1::-1], interpolation=how)
    scaled = np.sqrt(np.minimum(sized / max(float(np.percentile(sized, BRIGHTEST)), 1e-30), 1))
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None] * 0.6
    opacity = 0.35 + 0.6 * scaled[..., None]
    return (colormaps[HEAT](scaled)[..., :3] * 255 * opacity + grey * (1 - opacity)).astype(np.uint8)


def _show(axes: Any, picture: np.ndarray, title: str) -> None:
    axes.imshow(picture)
    axes.set_xlim(-0.5, max(picture.shape[1], TILE_INCHES * DPI) - 0.5)  # titles of narrow pictures need room
    axes.set_title(title, fontsize=FONT_SIZE, loc="left")


def _shown_at(point: PointXY, size_hw: tuple[int, ...], small: np.ndarray) -> tuple[float, float]:
    """Return where a pixel of a picture lies in a smaller one, column and row."""
    return (point[0] + 0.5) * small.shape[1] / size_hw[1] - 0.5, (point[1] + 0.5) * small.shape[0] / size_hw[0] - 0.5


def _mark(axes: Any, place: tuple[float, float], name: str) -> None:
    outline = [withStroke(linewidth=3, foreground="black")]
    axes.plot(*place, marker="+", markersize=13, markeredgewidth=2, color="white", path_effects=outline)
    below = -16 if place[1] < TOP else 5
    axes.annotate(name, place, (6, below), textcoords="offset points", color="white", fontsize=12, weight="bold", path_effects=outline)
