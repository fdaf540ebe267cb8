#!/usr/bin/env python3
"""Evaluate weights on the validation set.

    python eval.py --checkpoint_path OUT/best.ckpt --data_path DATA
    python eval.py --checkpoint_path OUT/best.ckpt --data_path DATA eval.multi_scale=True eval.flip=True
    python eval.py --checkpoint_path OUT/best.ckpt --data_path DATA --report
    python eval.py --modelarts True --checkpoint_url obs://BUCKET/OUT --data_url obs://BUCKET/DATA --train_url obs://BUCKET/EVAL

The configuration is the one beside the weight file, unless --config names another; what the weights mean is taken from there even then.
Writes eval.json and eval/ (pictures, confusion matrix) into --output_path, or else beside the weight file; with --report also report.html,
one page with all scores and the worst and best pictures.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from src.checkpoint.run_folder import check_output, config_for_checkpoint
from src.config import UserError, load_config
from src.config.facts import report_facts
from src.data.folders import check_data_folder
from src.runtime.entry import build_parser, parse_boolean, run, split_arguments, with_bare_flag
from src.runtime.environment import prepare_environment
from src.runtime.modelarts.job import Job, add_modelarts_flags, open_job

FLAGS = {
    "paths": ("data_path", "data_format", "output_path", "checkpoint_path"),
    "device": ("device_target", "device_id", "run_distribute", "mode", "amp_level", "workers"),
}
RESULTS = ("eval.json", "eval", "report.html")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, fetch what a ModelArts job names by urls, evaluate; return the exit status."""
    parser = build_parser("Evaluate weights; words such as eval.flip=True set the protocol.", FLAGS, "the one beside the weight file")
    report_help = "write report.html: scores by class, object size and distance from borders, worst and best pictures, timing"
    parser.add_argument("--report", type=parse_boolean, metavar="True|False", default=False, help=report_help)
    add_modelarts_flags(parser)
    arguments = parser.parse_args(with_bare_flag(argv, "--report"))
    flags, words = split_arguments(arguments)
    if "checkpoint_path" not in flags and not hasattr(arguments, "checkpoint_url"):
        raise UserError("--checkpoint_path is needed: the weights to evaluate (a .ckpt file)")
    with open_job(arguments, flags, only=RESULTS) as job:
        return evaluate(job, arguments.config, words, arguments.report)


def evaluate(job: Job, given: str | None, words: list[str], wants_report: bool) -> int:
    """Build, evaluate, report; return the exit status."""
    flags, checkpoint = job.flags, job.flags["checkpoint_path"]
    source = config_for_checkpoint(Path(checkpoint), given)
    flags.setdefault("output_path", str(Path(checkpoint).parent))
    flags.setdefault("run_distribute", False)  # how it was trained does not tell how to evaluate
    config = load_config(source, flags, words)
    folder = Path(config.output_path)
    check_output(folder, new_run=False)
    check_data_folder(config.data_path, config.dataset.name)
    prepare_environment(config.device_target)

    # Imported late: MindSpore takes seconds and reads the environment while it loads; --help and a wrong flag need none of it.
    from src.engine.evaluate_weights import evaluate_weights
    from src.engine.evaluator import format_table
    from src.report.writing import Report
    from src.runtime.device import setup_runtime
    from src.runtime.logging import setup_logging

    runtime = setup_runtime(config)
    logger = setup_logging(runtime.group.rank)
    logger.info("configuration: %s; %s", source, runtime)
    if runtime.group.is_main:
        report_facts(config, logger)
    report = Report(config, Path(checkpoint)) if wants_report else None
    result = evaluate_weights(config, runtime, Path(checkpoint), folder, report.collector if report else None)
    page = report.write(folder, result, runtime) if report else None
    if runtime.group.is_main:
        logger.info("\n%s", format_table(result))
        if page:
            logger.info("report: %s", page)
        logger.info("results in %s", folder)
        job.start_sending()
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
