"""Divide pictures and labels into lists for training and validation.

    python -m src.data.split FOLDER --val 0.2                                                   # pictures one by one
    python -m src.data.split FOLDER --val 0.2 --by sequence --pattern '/([^/_]+)_[^/]*$'       # whole sequences
    python -m src.data.split FOLDER --list all.txt --val 0.2                                    # the pairs of a list
    python -m src.data.split FOLDER --val 0.2 --redivide                                        # what lies in train/ and val/ already

FOLDER holds images/ and labels/ (or what --images and --labels name), whose files agree in their stems. Writes FOLDER/train.lst and
FOLDER/val.lst. Each class has nearly the same share of the pixels in both. The same seed gives the same lists.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.data.balancing import choose_groups
from src.data.class_pixels import count_pixels
from src.data.folders import find_pairs
from src.data.lists import Pair, list_path, read_pairs, refuse_missing
from src.data.pictures import picture_size_hw, read_index_label
from src.data.statistics import counted
from src.runtime.entry import OneLineParser, run

HINT = "--images and --labels name folders inside the data folder, --list a list of pairs"
LISTS = {"train": "train.lst", "val": "val.lst"}


def _refuse_doubles(pairs: Sequence[Pair]) -> None:
    """Refuse a picture that comes twice: it could train and validate."""
    seen: dict[Path, str] = {}
    for pair in pairs:
        if pair.image in seen:
            raise UserError(pair.named(f"{pair.image} stands in {seen[pair.image]} already; keep one of the lines"))
        seen[pair.image] = pair.where


def _refuse_divided(root: Path, images: str, pairs: Sequence[Pair]) -> None:
    """Refuse pictures that lie in train/ and val/: a training takes those as they are, and their division would be lost.

    Raises:
        UserError: if they do.
    """
    parts = [part for part in LISTS if any(pair.image.is_relative_to(root / images / part) for pair in pairs)]
    if len(parts) == len(LISTS):
        raise UserError(
            f"{root / images}: is divided already, into {' and '.join(parts)}, which a training takes as they are, without lists; "
            "--redivide mixes and divides them anew"
        )


def sequences(root: Path, pairs: Sequence[Pair], pattern: str) -> list[str]:
    """Return the sequence of each pair: what the group of the pattern matches in its picture's path inside `root`.

    Raises:
        UserError: if the pattern is no regular expression with one group, or does not match a picture.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"--pattern {pattern!r} is no regular expression: {error}") from None
    if expression.groups != 1:
        raise UserError(f"--pattern {pattern!r} has {expression.groups} groups; expected one, the sequence's name, as in '([^/_]+)_[^/]*$'")
    names = []
    for pair in pairs:
        name = _relative(root, pair.image)
        match = expression.search(name)
        if match is None or not match[1]:
            raise UserError(f"--pattern {pattern!r} finds no sequence in {name}")
        names.append(match[1])
    if len(set(names)) < 2:
        raise UserError(f"--pattern {pattern!r} finds the one sequence {names[0]!r}; two or more are needed to divide them")
    return names


def split_pairs(pairs: Sequence[Pair], groups: Sequence[str], counts: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return which pairs validate, (N,) bool.

    Args:
        pairs: pictures and labels, in an order that does not change.
        groups: what stays together: equal for the pairs of a sequence.
        counts: (N, C) pixels of each class.
        share: of the validation part, 0..1.
        seed: the same seed gives the same parts.

    Raises:
        UserError: if there are fewer than two groups, or no class.
    """
    if len(set(groups)) < 2:
        raise UserError(f"{pairs[0].where}: {len(pairs)} picture cannot be divided; two or more are needed")
    counts = counts[:, counts.any(axis=0)]
    if not counts.shape[1]:
        raise UserError(f"{pairs[0].where}: all pixels of the {len(pairs)} labels are ignored; there is no class to stratify by")
    _, numbers = np.unique(groups, return_inverse=True)
    amounts = np.zeros((numbers.max() + 1, counts.shape[1]))
    np.add.at(amounts, numbers, counts)
    return choose_groups(amounts, np.bincount(numbers), share, np.random.default_rng(seed))[numbers]


def read_counts(pairs: Sequence[Pair], ignored: Sequence[int]) -> np.ndarray:
    """Return the pixels of each value in each label, (N, 256) int64, 0 for those that are ignored.

    Raises:
        UserError: if a label is no index picture or of another size than its picture.
    """

    def read(index: int) -> np.ndarray:
        pair = pairs[index]
        label = read_index_label(pair.label)
        height, width = picture_size_hw(pair.image)
        if label.shape != (height, width):
            raise UserError(
                f"{pair.image} is {width}x{height} pixels but its label {pair.label} is {label.shape[1]}x{label.shape[0]}; they must agree"
            )
        return label

    counts = count_pixels(read, range(len(pairs)))
    counts[:, list(ignored)] = 0
    return counts


def write_lists(root: Path, pairs: Sequence[Pair], is_val: np.ndarray) -> None:
    """Write train.lst and val.lst; ones that are there with the same lines stay.

    Raises:
        UserError: if one is there with other lines; then neither is written.
    """
    texts = {}
    for split, name in LISTS.items():
        chosen = [pair for pair, val in zip(pairs, is_val, strict=True) if val == (split == "val")]
        texts[root / name] = "".join(f"{_relative(root, pair.image)}\t{_relative(root, pair.label)}\n" for pair in chosen)
    for path, text in texts.items():
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise UserError(f"{path}: is there with other lines; remove it to divide the data anew")
    for path, text in texts.items():
        if not path.exists():
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")


def _relative(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def format_shares(counts: np.ndarray, is_val: np.ndarray) -> str:
    """Return a line per value: its share of the pixels in train and in val, and the part of its pixels that validates."""
    lines = ["value  % of train  % of val  % of its pixels in val"]
    train, val = counts[~is_val].sum(axis=0), counts[is_val].sum(axis=0)
    for value in np.flatnonzero(train + val):
        share_train, share_val = (100 * part[value] / max(part.sum(), 1) for part in (train, val))
        missing = "  none in train" if not train[value] else "  none in val" if not val[value] else ""
        in_val = 100 * val[value] / (train + val)[value]
        lines.append(f"{value:5d}  {share_train:10.3f}  {share_val:8.3f}  {in_val:22.2f}{missing}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, divide, report; return the exit status."""
    parser = OneLineParser(prog="python -m src.data.split", description="Divide pictures and labels into train.lst and val.lst.")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="the data folder; the lists are written into it")
    parser.add_argument("--val", type=float, required=True, metavar="SHARE", help="share of the validation part, as in 0.2")
    parser.add_argument("--by", choices=("class", "sequence"), default="class", help="what stays together: a picture, or a sequence")
    parser.add_argument("--pattern", metavar="REGEX", help="for sequences: its one group matches the name in a picture's path in FOLDER")
    parser.add_argument("--images", default="images", metavar="NAME", help="folder of the pictures in FOLDER (default images)")
    parser.add_argument("--labels", default="labels", metavar="NAME", help="folder of the labels in FOLDER (default labels)")
    parser.add_argument("--list", metavar="FILE", help="a list of 'image label' lines in place of the two folders")
    parser.add_argument("--redivide", action="store_true", help="divide anew what lies in the folders train and val of the pictures")
    parser.add_argument("--ignore_label", type=int, nargs="+", default=[255], metavar="N", help="values of no class (default 255)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same lists (default 1)")
    arguments = parser.parse_args(argv)
    _check(parser, arguments)
    root = arguments.folder
    pairs = (
        read_pairs(root, list_path(root, arguments.list)) if arguments.list else find_pairs(root, arguments.images, arguments.labels, HINT)
    )
    if not (arguments.list or arguments.redivide):
        _refuse_divided(root, arguments.images, pairs)
    refuse_missing(root, pairs)
    _refuse_doubles(pairs)
    groups = sequences(root, pairs, arguments.pattern) if arguments.by == "sequence" else [str(number) for number in range(len(pairs))]
    counts = read_counts(pairs, arguments.ignore_label)
    is_val = split_pairs(pairs, groups, counts, arguments.val, arguments.seed)
    write_lists(root, pairs, is_val)
    print(format_shares(counts, is_val))
    kept = f" in {len(set(groups))} sequences, {len({g for g, v in zip(groups, is_val, strict=True) if v})} of them in val"
    numbers = f"{counted(int((~is_val).sum()), 'picture')} in train.lst, {int(is_val.sum())} in val.lst"
    print(f"{root}: {numbers}" + kept * (arguments.by == "sequence"))
    return 0


def _check(parser: OneLineParser, arguments: argparse.Namespace) -> None:
    if not 0 < arguments.val < 1:
        parser.error(f"--val {arguments.val:g} must lie between 0 and 1, as in 0.2")
    if (arguments.by == "sequence") != (arguments.pattern is not None):
        parser.error("--by sequence and --pattern REGEX go together, as in --by sequence --pattern '([^/_]+)_[^/]*$'")
    if arguments.seed < 0 or not all(0 <= value <= 255 for value in arguments.ignore_label):
        parser.error("--seed must be at least 0 and --ignore_label values of a byte, 0..255")


if __name__ == "__main__":
    sys.exit(run(main))
