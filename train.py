#!/usr/bin/env python3
"""Train a network.

    python train.py --config demo --data_path DATA --output_path OUT
    python train.py --resume OUT
    python train.py --resume auto --config demo --data_path DATA --output_path OUT
    python train.py --config NAME --modelarts True --data_url obs://BUCKET/DATA --train_url obs://BUCKET/OUT

Writes config.yaml, train.log, metrics.jsonl, tb/, curves.png, checkpoints/, best.ckpt, last.ckpt and last.state into the output directory.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from src.checkpoint.run_folder import LOG_FILE, check_output, config_for_resume, lock_output, open_output
from src.config import UserError, load_config
from src.config.facts import report_facts
from src.config.loading import DEFAULT_PRESET
from src.data.folders import check_data_folder
from src.runtime.entry import build_parser, run, split_arguments
from src.runtime.environment import prepare_environment
from src.runtime.modelarts.job import Job, add_modelarts_flags, open_job, run_to_continue

FLAGS = {
    "paths": ("data_path", "data_format", "output_path", "checkpoint_path"),
    "device": ("device_target", "device_id", "run_distribute", "mode", "amp_level", "sink_mode", "workers", "seed"),
    "schedule": ("lr", "lr_power", "batchsize", "total_epoch", "begin_epoch", "end_epoch"),
    "records": ("save_state_steps", "save_checkpoint_epochs", "keep_checkpoint_max", "eval_callback", "eval_interval", "log_interval"),
}

DEFAULT = f"that of the file beside --checkpoint_path, or else {DEFAULT_PRESET}"

NOT_WITH_RESUME = ("config", "output_path", "checkpoint_path", "checkpoint_url", "begin_epoch")


RESUME_HELP = "continue the run in this folder exactly where it stopped; auto: that of --output_path if there is one, else start it"
AUTO = "auto"  # for --resume: where there is a run, else a new one


def settle_resume(arguments: argparse.Namespace) -> bool:
    """Refuse flags that --resume would have to ignore; put the folder to continue, or None, in the place of --resume auto.

    Returns:
        Whether --resume auto was given.

    Raises:
        UserError: if flags do not go together.
    """
    is_auto = arguments.resume == AUTO
    if is_auto:
        arguments.resume = run_to_continue(arguments)
    given = [name for name in NOT_WITH_RESUME if getattr(arguments, name, None) is not None]
    if arguments.resume is None or not given:
        return is_auto
    if not is_auto:
        raise UserError(f"--{given[0]} cannot be combined with --resume, which continues the run as it is in its folder")
    print(f"going on with the run in {arguments.resume} by its own configuration, without --{', --'.join(given)}", flush=True)
    for name in given:
        vars(arguments).pop(name)
    arguments.config = None
    return is_auto


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = build_parser("Train a network; --config names the recipe.", FLAGS, DEFAULT)
    parser.add_argument("--resume", default=None, metavar="OUT|auto", help=RESUME_HELP)
    add_modelarts_flags(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, fetch what a ModelArts job names by urls, train; return the exit status."""
    arguments = make_parser().parse_args(argv)
    is_auto = settle_resume(arguments)
    flags, words = split_arguments(arguments)
    with open_job(arguments, flags) as job:
        return train(job, arguments.config, words, is_auto)


def train(job: Job, source: str | None, words: list[str], may_be_complete: bool = False) -> int:
    """Build, train, report; return the exit status. A run that has nothing left to do is an error, unless it `may_be_complete`."""
    flags, resume = job.flags, job.resume is not None
    if job.resume is not None:
        source, flags["output_path"] = config_for_resume(Path(job.resume)), job.resume
    config = load_config(source, flags, words, ask_weights=not resume)
    folder = Path(config.output_path)
    check_output(folder, new_run=not resume)
    check_data_folder(config.data_path, config.dataset.name)
    prepare_environment(config.device_target)

    # Imported late: MindSpore takes seconds and reads the environment while it loads; --help and a wrong flag need none of it.
    from src.engine.trainer import Trainer
    from src.runtime.device import setup_runtime
    from src.runtime.logging import failures_logged, log_to_file, setup_logging

    runtime = setup_runtime(config)
    logger = setup_logging(runtime.group.rank)
    logger.info("%s", runtime)
    is_main = runtime.group.is_main
    with ExitStack() as stack:
        if is_main and resume:
            stack.enter_context(lock_output(folder, new_run=False))
        trainer = Trainer(config, runtime, folder, resume, on_saved=job.send)
        if not may_be_complete:
            trainer.refuse_if_complete()
        if is_main and not resume:
            stack.enter_context(lock_output(folder, new_run=True))  # not before all is checked: a wrong flag leaves no folder
        stack.enter_context(failures_logged())
        if is_main:
            open_output(folder, config)
            log_to_file(folder / LOG_FILE)
            logger.info("configuration: %s on preset %s", source or "no --config", config.preset)
            if not resume:
                report_facts(config, logger)
            job.start_sending()
        progress = trainer.run()
    best = f"best mIoU {progress.best_miou:.4f} after epoch {progress.best_epoch}; " if progress.best_epoch else ""
    logger.info("training finished: %sresults in %s", best, folder)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
