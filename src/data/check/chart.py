"""The class histogram as a picture."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter

from src.checkpoint.atomic import atomic_path
from src.data.basedataset import DatasetInfo
from src.data.statistics import Statistics

COLORS = {"train": "#4878a8", "val": "#e49444"}
ROW_INCHES = 0.32


def draw_histogram(path: Path, info: DatasetInfo, splits: Mapping[str, Statistics]) -> None:
    """Write a PNG: for each class and split its share of the labelled pixels, on a logarithmic scale, and the part of the pictures with it.

    Args:
        path: ends with .png.
        info: names of the classes.
        splits: what "train" and "val", or one of them, hold.
    """
    num_classes = len(info.class_names)
    figure = Figure(figsize=(12, 1.6 + ROW_INCHES * num_classes), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    shares = {split: 100 * statistics.share for split, statistics in splits.items()}
    present = {split: 100 * statistics.num_pictures / max(len(statistics.sizes_hw), 1) for split, statistics in splits.items()}
    smallest = min((share[share > 0].min() for share in shares.values() if share.any()), default=0.1)
    left.set_xscale("log")
    left.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    left.set_xlim(10 ** np.floor(np.log10(smallest) - 0.1), 100)
    height = 0.8 / len(splits)
    for number, split in enumerate(splits):
        places = np.arange(num_classes) - 0.4 + height * (number + 0.5)
        for axes, values in ((left, shares[split]), (right, present[split])):
            axes.barh(places, values, height, color=COLORS[split], label=split)
        for place in places[shares[split] == 0]:
            left.text(left.get_xlim()[0], place, f" absent from {split}", va="center", fontsize=7, color="#b03030")
    left.set_yticks(range(num_classes), info.class_names)
    left.set_ylim(num_classes - 0.4, -0.6)
    left.set_xlabel("% of labelled pixels")
    right.set_xlim(0, 100)
    right.set_xlabel("% of pictures that hold the class")
    right.legend(loc="upper center", bbox_to_anchor=(0.5, 1 + 0.45 / (1 + ROW_INCHES * num_classes)), ncols=2, frameon=False)
    for axes in (left, right):
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100, format="png")
