"""Compute class weights for the loss from a data set's training labels.

    python -m src.data.class_weights --config camvid_w18_small --data_path DATA
    python -m src.data.class_weights --config camvid_w18_small --data_path DATA --method enet

Prints a table, and the words that a training is given.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from src.config import UserError, load_config
from src.data.class_pixels import count_pixels
from src.data.loader import build_dataset
from src.runtime.entry import build_parser, run, split_arguments

ENET_OFFSET = 1.02
ABSENT_WEIGHT = 1.0  # of a class without pixels: it weighs nothing in any case


def median_frequency(pixels: np.ndarray) -> np.ndarray:
    """Return median(freq) / freq(c), where freq(c) is the share of c in the pictures that hold it; the median is that of present classes.

    Source: Eigen and Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale Convolutional
    Architecture", ICCV 2015, section 4.4. All pixels of a picture count, ignored ones too.

    Args:
        pixels: (N, K + 1) int64: pixels of each class in each picture; the last column holds those that are ignored.

    Returns:
        (K,) float64; 1 for classes without pixels.
    """
    classes = pixels[:, :-1]
    of_class = classes.sum(axis=0)
    of_pictures = np.where(classes > 0, pixels.sum(axis=1, keepdims=True), 0).sum(axis=0)
    is_present = of_class > 0
    frequency = of_class[is_present] / of_pictures[is_present]
    weights = np.full(classes.shape[1], ABSENT_WEIGHT)
    weights[is_present] = np.median(frequency) / frequency
    return weights


def enet(pixels: np.ndarray) -> np.ndarray:
    """Return 1 / ln(1.02 + p(c)), where p(c) is the share of c in all labelled pixels.

    Source: Paszke et al., "ENet: A Deep Neural Network Architecture for Real-Time Semantic Segmentation", 2016, section 5.2.

    Args:
        pixels: as for `median_frequency`.

    Returns:
        (K,) float64; 1 for classes without pixels.
    """
    of_class = pixels[:, :-1].sum(axis=0)
    weights = 1 / np.log(ENET_OFFSET + of_class / of_class.sum())
    return np.where(of_class > 0, weights, ABSENT_WEIGHT)


METHODS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"median_frequency": median_frequency, "enet": enet}


def format_table(names: Sequence[str], pixels: np.ndarray, weights: np.ndarray) -> str:
    """Return a line per class: its share of the labelled pixels, the pictures that hold it, its weight."""
    of_class = pixels[:, :-1].sum(axis=0)
    width = max(len("class"), *(len(name) for name in names))
    lines = [f"{'class':{width}}  % of pixels  pictures   weight"]
    for k, name in enumerate(names):
        share, pictures = 100 * of_class[k] / of_class.sum(), int((pixels[:, k] > 0).sum())
        lines.append(f"{name:{width}}  {share:11.4f}  {pictures:8d}  {weights[k]:7.4f}" + ("" if pictures else "  absent"))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, count, print; return the exit status."""
    parser = build_parser("Compute class weights from the training labels.", {"paths": ("data_path",)}, "hrnetv2_w48")
    parser.add_argument(
        "--method", choices=tuple(METHODS), default=argparse.SUPPRESS, help="how weights follow from pixels (default: median_frequency)"
    )
    arguments = parser.parse_args(argv)
    flags, words = split_arguments(arguments)
    config = load_config(arguments.config, flags, words)
    dataset = build_dataset(config, "train")
    names = dataset.info.class_names
    counts = count_pixels(dataset.read_label, range(len(dataset)))
    pixels = np.concatenate([counts[:, : len(names)], counts[:, len(names) :].sum(axis=1, keepdims=True)], axis=1)
    if not pixels[:, :-1].any():
        raise UserError(f"{Path(config.data_path)}: every pixel of the {len(dataset)} labels is ignored; there is nothing to weigh")
    method = getattr(arguments, "method", "median_frequency")
    weights = METHODS[method](pixels)
    print(f"{method}, {len(dataset)} labels of {dataset.info.name}, {100 * pixels[:, -1].sum() / pixels.sum():.2f} % of pixels ignored")
    print(format_table(names, pixels, weights))
    absent = [name for name, number in zip(names, pixels[:, :-1].sum(axis=0), strict=True) if number == 0]
    if absent:
        print(f"without a pixel: {', '.join(absent)}; their weight {ABSENT_WEIGHT:g} has no effect")
    print("loss.use_weights=True 'loss.class_weights=[" + ",".join(f"{weight:.4f}" for weight in weights) + "]'")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
