"""Compare evaluations of runs that differ in their seeds alone: mean and spread of mIoU and of every class.

    python -m src.engine.seeds OUT 1 2 3

Reads OUT/seed_N/eval_last/eval.json of every seed N, as scripts/run_seeds.sh leaves them; prints a table and writes OUT/seeds.json.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.runtime.entry import OneLineParser, run

NUM_MARKED = 3  # classes of largest spread, in the table
RESULT_FILE = "seeds.json"
_SAME = ("protocol", "images", "pixels")  # what evaluations must share to be compared


@dataclass(frozen=True)
class Spread:
    """A score over seeds.

    Attributes:
        values: of each seed, 0..1; None for a class without labels.
        mean: None where a value is.
        std: sample standard deviation, with N - 1 below; None where a value is, and for one seed.
    """

    values: tuple[float | None, ...]
    mean: float | None
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> "Spread":
        """Return the spread of one value for each seed."""
        numbers = [value for value in values if value is not None]
        if len(numbers) < len(values):
            return cls(tuple(values), None, None)
        return cls(tuple(values), float(np.mean(numbers)), float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None)

    def as_json(self) -> dict[str, Any]:
        """Return the three fields."""
        return {"values": list(self.values), "mean": self.mean, "std": self.std}


def read_evaluations(folder: Path, seeds: Sequence[int], name: str) -> dict[int, dict[str, Any]]:
    """Return the content of each seed's eval.json.

    Args:
        folder: with a run in seed_N for each seed.
        seeds: their numbers.
        name: folder of the evaluation in each run.

    Raises:
        UserError: if one is missing or unreadable, or two are not of the same pictures, classes and protocol.
    """
    paths = {seed: folder / f"seed_{seed}" / name / "eval.json" for seed in seeds}
    evaluations = {seed: _read(path) for seed, path in paths.items()}
    first = seeds[0]
    for seed in seeds[1:]:
        for key in _SAME:
            if evaluations[seed][key] != evaluations[first][key]:
                raise UserError(f"{paths[seed]} differs from {paths[first]} in '{key}', so they cannot be compared; evaluate both alike")
    return evaluations


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content = {key: content[key] for key in ("miou", "iou", *_SAME)}
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; scripts/run_seeds.sh trains and evaluates the seed") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: no evaluation of eval.py ({type(error).__name__}: {error}); remove it and evaluate anew") from None
    if content["miou"] is None:
        raise UserError(f"{path}: no class has labels, so there is no mIoU to compare")
    return content


def summarise(evaluations: Sequence[Mapping[str, Any]]) -> tuple[Spread, dict[str, Spread]]:
    """Return the spread of the mIoU, and by name that of each class's IoU."""
    classes = {name: Spread.of([result["iou"][name] for result in evaluations]) for name in evaluations[0]["iou"]}
    return Spread.of([result["miou"] for result in evaluations]), classes


def most_spread(classes: Mapping[str, Spread]) -> set[str]:
    """Return the names of the NUM_MARKED classes of largest standard deviation, at most half of those that have one above 0."""
    stds = {name: spread.std for name, spread in classes.items() if spread.std}
    ordered = sorted(stds, key=lambda name: stds[name], reverse=True)
    return set(ordered[: min(NUM_MARKED, len(ordered) // 2)])


def format_table(miou: Spread, classes: Mapping[str, Spread], seeds: Sequence[int]) -> str:
    """Return the mIoU of each seed, and mean and standard deviation of it and of each class."""
    width = max(len("class"), *(len(name) for name in classes))
    lines = [f"{'seed':{width}}  {'mIoU':>7}"]
    lines += [f"{seed:<{width}}  {value:7.4f}" for seed, value in zip(seeds, miou.values, strict=True)]
    lines += ["", f"{'class':{width}}  {'mean IoU':>8}  {'std':>7}"]
    marked = most_spread(classes)
    lines += [_line(name, spread, width) + ("  <- among the largest" if name in marked else "") for name, spread in classes.items()]
    lines += [_line("mIoU", miou, width), ""]
    if miou.std is None:
        return "\n".join([*lines, f"mIoU {miou.mean:.4f} of one seed: a standard deviation needs two or more"])
    return "\n".join([*lines, f"mIoU {miou.mean:.4f} +- {miou.std:.4f}: mean and sample standard deviation of {len(seeds)} seeds"])


def _line(name: str, spread: Spread, width: int) -> str:
    mean, std = (f"{value:.4f}" if value is not None else "-" for value in (spread.mean, spread.std))
    return f"{name:{width}}  {mean if spread.mean is not None else 'absent':>8}  {std:>7}"


def main(argv: Sequence[str] | None = None) -> int:
    """Read, compute, print, write; return the exit status."""
    parser = OneLineParser(prog="python -m src.engine.seeds", description="Mean and spread over runs that differ in their seeds.")
    parser.add_argument("folder", metavar="OUT", type=Path, help="with a run in seed_N for each seed; seeds.json is written there")
    parser.add_argument("seeds", metavar="SEED", type=int, nargs="+", help="numbers of the seeds")
    parser.add_argument("--evaluation", default="eval_last", metavar="NAME", help="its folder in each run (default eval_last)")
    arguments = parser.parse_args(argv)
    _check(parser, arguments)
    folder, seeds = arguments.folder, arguments.seeds
    evaluations = read_evaluations(folder, seeds, arguments.evaluation)
    miou, classes = summarise([evaluations[seed] for seed in seeds])
    shared = {key: evaluations[seeds[0]][key] for key in ("images", "protocol")}
    content = {"seeds": seeds, "evaluation": arguments.evaluation, "miou": miou.as_json()}
    content["iou"] = {name: spread.as_json() for name, spread in classes.items()}
    with atomic_path(folder / RESULT_FILE) as path:
        path.write_text(json.dumps({**content, **shared}, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    print(format_table(miou, classes, seeds))
    print(f"written: {folder / RESULT_FILE}")
    return 0


def _check(parser: OneLineParser, arguments: argparse.Namespace) -> None:
    doubled = [seed for seed in arguments.seeds if arguments.seeds.count(seed) > 1]
    if doubled:
        parser.error(f"seed {doubled[0]} is given twice")


if __name__ == "__main__":
    sys.exit(run(main))
