"""Pictures that come more than once."""

import filecmp
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from src.data.check.findings import NOTE, WARNING, Finding
from src.data.check.survey import Survey
from src.data.duplicates import equal_keys
from src.data.lists import Pair


class _Copy(NamedTuple):
    """A sample among those of both splits: its split and its files."""

    split: str
    pair: Pair


def copy_findings(surveys: list[Survey]) -> Iterator[Finding]:
    """Yield pictures whose decoded pixels are equal, in both splits or in one, whatever their names and formats."""
    digests = [sample.digest for survey in surveys for sample in survey.samples]
    copies = [_Copy(survey.dataset.split, pair) for survey in surveys for pair in survey.dataset.pairs]
    groups = [[copies[number] for number in group] for group in equal_keys(digests)]
    shared = [group for group in groups if group[0].split != group[-1].split]
    if shared:
        yield Finding(
            WARNING,
            f"pictures both for training and for validation ({len(shared)}): mIoU will look better than it is",
            "take them off one list, or divide the data anew, whole sequences together: python -m src.data.split FOLDER --val 0.2 "
            "--by sequence --pattern REGEX",
            [_describe(group) for group in shared],
        )
    yield from _copies_within(groups)


def _copies_within(groups: list[list[_Copy]]) -> Iterator[Finding]:
    for split in ("train", "val"):
        members = [[copy for copy in group if copy.split == split] for group in groups]
        repeated = [group for group in members if len(group) > 1]
        unlike = [group for group in repeated if not all(_are_equal(group[0].pair.label, copy.pair.label) for copy in group[1:])]
        alike = [group for group in repeated if group not in unlike]
        if unlike:
            title = f"{split}: pictures that come more than once, with different labels ({len(unlike)})"
            yield Finding(
                WARNING, title, "keep the right label of each and take the other lines off the list", [_describe(g) for g in unlike]
            )
        if alike:
            title = f"{split}: pictures that come more than once, with the same label ({len(alike)})"
            yield Finding(NOTE, title, "take the others off the list, unless they are meant to count more", [_describe(g) for g in alike])


def _describe(group: list[_Copy]) -> str:
    """Return which pictures are equal, and how: one file, equal files, or equal pixels."""
    first, last = group[0].pair.image, group[-1].pair.image
    how = "the same file" if first.resolve() == last.resolve() else "equal files" if _are_equal(first, last) else "equal pixels"
    return f"{' = '.join(copy.pair.named(str(copy.pair.image)) for copy in group)} ({how})"


def _are_equal(one: Path, other: Path) -> bool:
    return one == other or (one.is_file() and other.is_file() and filecmp.cmp(one, other, shallow=False))
