#!/usr/bin/env python3
"""Turn the results of a program that ran the exported model into mIoU.

    python postprocess.py --result_path result_Files --label_path preprocess_Result

Results are labels or logits, with the runner's result.json or, as by the model zoo's, without one and named NAME_0.bin; labels are those
of preprocess.py. Prints mIoU and IoU in the model zoo's format, then a table.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from src.deploy.result_folder import ResizeRule, read_results, score
from src.deploy.sample_folder import read_index
from src.engine.evaluator import class_table, mean_lines
from src.engine.progress import show_progress
from src.runtime.entry import OneLineParser, parse_boolean, run
from src.runtime.environment import prepare_environment


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, count, report; return the exit status."""
    parser = OneLineParser(description="Score results of the exported model.", allow_abbrev=False)
    parser.add_argument("--result_path", type=Path, required=True, metavar="FOLDER", help="what the runner wrote (result_Files)")
    parser.add_argument("--label_path", type=Path, required=True, metavar="FOLDER", help="what preprocess.py wrote, or its labels/")
    for name, shown in (
        ("align_corners", "resizing of logits where no result.json tells it"),
        ("half_pixel_centers", "likewise, without it"),
    ):
        parser.add_argument(f"--{name}", type=parse_boolean, default=True, metavar="True|False", help=f"{shown} (default True)")
    arguments = parser.parse_args(argv)
    prepare_environment("CPU")
    index = read_index(arguments.label_path)
    results = read_results(arguments.result_path, index, ResizeRule(arguments.align_corners, arguments.half_pixel_centers))
    with show_progress(len(index.samples), "counting", "img") as bar:
        scores = score(results, index, bar.update).compute()
    print("=========== 310 Inference Result ===========")
    print(f"miou: {scores.miou}")
    print(f"iou array: {np.array2string(scores.iou, threshold=scores.iou.size + 1)}")
    print("", *class_table(index.class_names, scores), "", f"{len(index.samples)} pictures", *mean_lines(scores), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
