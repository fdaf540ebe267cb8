"""The ModelArts side of train.py and eval.py: their flags, and a job from its copies to its last upload."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.checkpoint.run_folder import STATE_FILE
from src.config.errors import UserError
from src.runtime.entry import WorkError, parse_boolean
from src.runtime.modelarts.inputs import OUTPUT, Inputs, check_cache
from src.runtime.modelarts.node_copy import copied_once
from src.runtime.modelarts.results import LocalTarget, Results, Stamp, Target, list_files, logger
from src.runtime.moxing_adapter import ObjectStorage, is_remote
from src.runtime.stopping import StopSignals

DEFAULT_CACHE = "/cache/ocrnet"
# The flag that a url stands for.
_PATH_OF_URL = {"data_url": "data_path", "train_url": "output_path", "checkpoint_url": "checkpoint_path"}


def add_modelarts_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where a job runs; they are no configuration keys."""
    group = parser.add_argument_group("ModelArts")
    group.add_argument("--modelarts", type=parse_boolean, metavar="True|False", help="the job runs on ModelArts; allows the flags below")
    group.add_argument("--data_url", metavar="URL", help="data set: obs:// or s3:// folder or archive, or a local one; for --data_path")
    group.add_argument("--train_url", metavar="URL", help="where results are sent; for --output_path")
    group.add_argument("--checkpoint_url", metavar="URL", help="weights: a .ckpt file or a folder with some; for --checkpoint_path")
    group.add_argument("--cache_path", metavar="DIR", help=f"folder on the node's disk for copies; default: {DEFAULT_CACHE}")


def run_to_continue(arguments: argparse.Namespace) -> str | None:
    """Return where a run lies that can be continued: --output_path or, on ModelArts, --train_url; None where there is none yet.

    Raises:
        UserError: if neither is given, or object storage is asked for where there is no `moxing`.
    """
    on_modelarts = getattr(arguments, "modelarts", False)
    flag = "train_url" if on_modelarts else "output_path"
    folder = getattr(arguments, flag, None)
    if folder is None:
        raise UserError(f"--resume auto looks for a run in --{flag}: give it, or name the run, --resume OUT")
    folder = folder.rstrip("/") or folder
    state = f"{folder}/{STATE_FILE}"
    is_there = ObjectStorage().exists(state) if on_modelarts and is_remote(folder, flag) else Path(state).is_file()
    return folder if is_there else None


@dataclass
class Job:
    """What a run reads and writes, all of it on this machine.

    Attributes:
        flags: the configuration's flags, with local paths in place of urls.
        resume: folder of the run to continue, or None.
        results: what sends results elsewhere, or None.
        sending: results are being written by this process, so that they are sent at the end.
        copies: local path -> the url that it is a copy of.
    """

    flags: dict[str, Any]
    resume: str | None = None
    results: Results | None = None
    sending: bool = False
    copies: dict[str, str] = field(default_factory=dict)

    def start_sending(self) -> None:
        """Send results from now on, also when the run fails; for the main rank, once the output folder is there."""
        self.sending = True
        self.send()

    def send(self) -> None:
        """Send what has changed; a failure is a warning."""
        if self.results and self.sending:
            self.results.send_while_training()

    def end(self, failed: bool) -> None:
        """Send for the last time; a first signal does not cut that short.

        Raises:
            WorkError: if that fails in a run that did not fail itself.
            Stopped: at the second signal of the run.
        """
        if not (self.results and self.sending):
            return
        try:
            with StopSignals() as signals:
                signals.patient = True  # a launcher that was told of another rank's end signals this one
                self.results.send_at_end()
        except WorkError as error:
            if not failed:
                raise
            logger.warning("%s", error)

    def name_urls(self, error: UserError) -> UserError:
        """Return an error about a copy with its url, which the user knows."""
        message = str(error)
        named = [f"{path} is a copy of {url}" for path, url in self.copies.items() if path in message and url not in message]
        return UserError(f"{message} ({'; '.join(named)})") if named else error


@contextmanager
def open_job(arguments: argparse.Namespace, flags: dict[str, Any], only: tuple[str, ...] = ()) -> Iterator[Job]:
    """Yield the job; without --modelarts True it is just the flags.

    Args:
        arguments: parsed, with the flags of `add_modelarts_flags` and maybe `resume`.
        flags: the configuration's flags that were given.
        only: names of the results to send, of a run that writes into a folder with others; empty is a training run, which has its own.

    Raises:
        UserError: if urls and paths do not go together, or something that they name is of no use.
        WorkError: if copying failed, here or in another process of the node.
    """
    resume = getattr(arguments, "resume", None)
    urls = {name: getattr(arguments, name) for name in _PATH_OF_URL if hasattr(arguments, name)}
    if not getattr(arguments, "modelarts", False):
        given = [*urls, *(["cache_path"] if hasattr(arguments, "cache_path") else [])]
        if given:
            instead = _PATH_OF_URL.get(given[0], "output_path")
            raise UserError(f"--{given[0]} is for jobs of ModelArts: add --modelarts True, or use --{instead}")
        yield Job(flags, resume)
        return
    _check_flags(urls, flags, arguments.words)
    inputs = Inputs(urls | ({"resume": resume} if resume else {}), Path(getattr(arguments, "cache_path", DEFAULT_CACHE)), trains=not only)
    folder = _output_folder(inputs, flags)
    inputs.new_output = folder == inputs.cache / OUTPUT and inputs.trains and not resume
    with _fetched(inputs, "evaluation" if only else "training") as paths:
        job = _job(inputs, flags, paths, folder, only)
        yield from _run(job)


def _run(job: Job) -> Iterator[Job]:
    """Yield the job, and send its results whatever becomes of it."""
    try:
        yield job
    except BaseException as error:
        job.end(failed=True)
        if isinstance(error, UserError):
            raise job.name_urls(error) from error
        raise
    job.end(failed=False)


def _check_flags(urls: dict[str, str], flags: dict[str, Any], words: list[str]) -> None:
    in_words = {word.split("=")[0] for word in words}
    for url, path in _PATH_OF_URL.items():
        if url in urls and (path in flags or path in in_words):
            raise UserError(f"--{url} and --{path} say the same: give one of them")


def _output_folder(inputs: Inputs, flags: dict[str, Any]) -> Path:
    """Return where results are written on this machine: the run that is continued, a local train_url, or CACHE/output."""
    if "resume" in inputs.urls:
        return inputs.cache / OUTPUT if "resume" in inputs.remote else Path(inputs.urls["resume"])
    if "train_url" in inputs.urls and "train_url" not in inputs.remote:
        return Path(inputs.urls["train_url"])
    return Path(flags.get("output_path", inputs.cache / OUTPUT))


@contextmanager
def _fetched(inputs: Inputs, purpose: str) -> Iterator[dict[str, str]]:
    if not inputs.need_copying:
        yield inputs.fetch()
        return
    check_cache(inputs.cache)
    with copied_once(inputs.cache, {"for": purpose, **inputs.urls}, inputs.fetch) as paths:
        yield paths


def _job(inputs: Inputs, flags: dict[str, Any], paths: dict[str, str], folder: Path, only: tuple[str, ...]) -> Job:
    local = {name: path for name, path in paths.items() if name != "resume"}
    flags = {**flags, **local, **({} if "resume" in paths else {"output_path": str(folder)})}
    url_of = {path: inputs.urls[url] for url, path in _PATH_OF_URL.items() if url in inputs.urls}
    copies = {path: url_of[name] for name, path in local.items() if path != url_of[name]}
    target_url = inputs.urls.get("train_url", inputs.urls.get("resume", ""))
    results = None
    if target_url and Path(target_url) != folder:
        is_remote = "train_url" in inputs.remote if "train_url" in inputs.urls else "resume" in inputs.remote
        target: Target = inputs.storage if is_remote and inputs.storage else LocalTarget()
        results = Results(folder, target_url, target, _already_there(inputs, target_url, folder, only), only)
    elif folder == inputs.cache / OUTPUT:
        print(f"no --train_url: results stay in {folder}, which ends with the job", flush=True)
    return Job(flags, paths.get("resume"), results, copies=copies)


def _already_there(inputs: Inputs, url: str, folder: Path, only: tuple[str, ...]) -> dict[str, Stamp]:
    """Return the files that are not to be sent: what was just fetched from there, and what an evaluation before this one left."""
    return list_files(folder, only) if only or url == inputs.urls.get("resume") else {}
