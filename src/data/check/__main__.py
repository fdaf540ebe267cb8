"""Look at every file of a data set before training on it: what is there, what is wrong, and how to mend it.

    python -m src.data.check --config camvid_w18_small --data_path DATA
    python -m src.data.check --config camvid_w18_small --data_path DATA --output_path OUT     # and data_check.json, class_histogram.png

Exit status: 0 nothing is wrong; 1 something would stop or spoil a training; 2 the arguments are wrong.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from src.checkpoint.atomic import atomic_path
from src.config import UserError, load_config
from src.config.dataset_layer import other_classes
from src.data.basedataset import BaseDataset
from src.data.check.chart import draw_histogram
from src.data.check.copies import copy_findings
from src.data.check.findings import ERROR, NOTE, WARNING, Finding, by_gravity, file_findings, value_findings
from src.data.check.recipe import balance_findings, batch_findings, class_findings, crop_findings
from src.data.check.report import as_tree, format_classes, format_findings, format_split
from src.data.check.survey import Survey, survey
from src.data.loader import build_dataset
from src.data.packed_manifest import refuse_packed
from src.data.statistics import counted
from src.runtime.entry import EXIT_FAILED, build_parser, run, split_arguments

JSON_FILE, CHART_FILE = "data_check.json", "class_histogram.png"
LIMIT = 20
PACKED_BEFORE = "packed data were looked at when they were packed; check the files they are made of"


def open_splits(config: Any) -> tuple[dict[str, BaseDataset], list[Finding]]:
    """Return the splits that there are, and what is wrong with the other.

    Raises:
        UserError: if there is none: the data folder, or the words, are wrong.
    """
    splits: dict[str, BaseDataset] = {}
    errors: dict[str, UserError] = {}
    for split in ("train", "val"):
        try:
            splits[split] = build_dataset(config, split, complete=False)
        except UserError as error:
            errors[split] = error
    if not splits:
        raise errors["train"]
    # Who does not evaluate while training can do without a validation part.
    level = NOTE if "val" in errors and not config.eval_callback else ERROR
    return splits, [Finding(level, f"{split}: {error}", "nothing more can be said of this part") for split, error in errors.items()]


def look_at_all(splits: Mapping[str, BaseDataset]) -> dict[str, Survey]:
    """Return what was found in each split, with a progress bar on a terminal."""
    total = sum(map(len, splits.values()))
    with tqdm(total=total, desc="pictures", unit="img", disable=not sys.stderr.isatty(), dynamic_ncols=True, leave=False) as bar:
        return {split: survey(dataset, os.cpu_count() or 1, bar.update) for split, dataset in splits.items()}


def find_all(config: Any, surveys: Mapping[str, Survey]) -> list[Finding]:
    """Return everything that is wrong or worth knowing."""
    findings = [finding for found in surveys.values() for rule in (file_findings, value_findings) for finding in rule(found)]
    findings += copy_findings(list(surveys.values()))
    others = other_classes(config)
    if others:
        findings.append(Finding(WARNING, others, "take the file that the labels of this folder follow"))
    train = surveys.get("train")
    if train:
        findings += [*batch_findings(train, config), *balance_findings(train, config)]
    if train and train.readable:
        findings += crop_findings(train.statistics, config)
    if len(surveys) == 2:
        findings += class_findings(surveys["train"], surveys["val"])
    return findings


def make_folder(folder: Path) -> None:
    """Make the folder for results, before minutes are spent on finding them.

    Raises:
        UserError: if it is a file.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"--output_path {folder}: is a file; expected a folder to write into") from None


def write_report(folder: Path, config: Any, surveys: Mapping[str, Survey], findings: Sequence[Finding]) -> None:
    """Write the JSON and the picture, in place of earlier ones."""
    with atomic_path(folder / JSON_FILE) as temporary:
        temporary.write_text(json.dumps(as_tree(config, surveys, findings), indent=1) + "\n", encoding="utf-8")
    info = next(iter(surveys.values())).dataset.info
    draw_histogram(folder / CHART_FILE, info, {split: found.statistics for split, found in surveys.items()})


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, look, report; return the exit status."""
    parser = build_parser("Look at every file of a data set before training on it.", {"paths": ("data_path", "output_path")}, "hrnetv2_w48")
    parser.prog = "python -m src.data.check"
    parser.add_argument("--limit", type=int, default=LIMIT, metavar="N", help=f"files shown of each finding (default {LIMIT})")
    arguments = parser.parse_args(argv)
    if arguments.limit < 0:
        parser.error(f"--limit {arguments.limit} must be at least 0")
    flags, words = split_arguments(arguments)
    config = load_config(arguments.config, flags, words)
    if config.data_format != "files":
        raise UserError(f"data_format={config.data_format}: {PACKED_BEFORE}")
    refuse_packed(config.data_path, PACKED_BEFORE)
    splits, findings = open_splits(config)
    folder = Path(config.output_path) if "output_path" in flags else None
    if folder:
        make_folder(folder)
    start = time.perf_counter()
    surveys = look_at_all(splits)
    seconds = time.perf_counter() - start
    findings = by_gravity([*findings, *find_all(config, surveys)])
    print(*map(format_split, surveys.values()), sep="\n")
    print(format_classes(next(iter(splits.values())).info, surveys))
    print(format_findings(findings, arguments.limit))
    number = sum(map(len, splits.values()))
    print(f"{counted(number, 'picture')} and labels in {seconds:.1f} s, {number / seconds:.0f} a second")
    if folder:
        write_report(folder, config, surveys, findings)
        print(f"{JSON_FILE} and {CHART_FILE} in {folder}")
    return EXIT_FAILED if any(finding.level != NOTE for finding in findings) else 0


if __name__ == "__main__":
    sys.exit(run(main))
