"""Compiled graphs that a later start with the same configuration takes from a folder instead of compiling them again.

MindSpore can keep what its front end made of a network, but decides by its source files alone whether that is still right: with another
crop, class count or seed it would run the old graph (2.8.0: with other shapes it ends in an error, with another seed it drops the old
seed's channels). So each graph has a folder of its own here, named by everything that decides what is compiled. What is kept holds no
weights. Nothing here ends a run: where a cache cannot be had, the graph is compiled.
"""

import hashlib
import json
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mindspore as ms
import psutil
from mindspore import nn
from omegaconf import OmegaConf

from src.checkpoint.atomic import atomic_path
from src.runtime.device import Runtime
from src.runtime.sources import ChangedSourceError, sources_digest

logger = logging.getLogger("ocrnet")

MOST_ENTRIES = 32  # the oldest are removed
_DAY = 24 * 3600.0  # a copy of another host's process is removed then
_DIGESTS = "sha256.json"
_DEPENDENCIES = "compile_dependency.hash"  # which MindSpore writes beside a graph, last, and only where writing the graph went well
_DEPENDENCIES_BYTES = 64
# What a graph does not depend on; all other keys count, so that none is forgotten.
_NOT_COMPILED = (
    "preset", "data_path", "output_path", "checkpoint_path", "workers", "log_interval", "save_checkpoint_epochs", "save_state_steps",
    "keep_checkpoint_max", "eval_callback", "eval_interval", "begin_epoch", "end_epoch", "compile_cache", "device_id",
)  # fmt: skip


class _Process:
    """What is true of the whole process: MindSpore 2.8 keeps the folder that it was first told, so one graph of a process is cached."""

    is_done = False


class CompileCache:
    """The compiled graphs of earlier processes.

    A process works on a copy of its own: nothing that another one reads changes, and what a killed one leaves is never taken. A copy that
    differs from what was kept, such as a damaged file, is not used. An entry that MindSpore did not use is replaced.

    Args:
        config: the complete configuration; `compile_cache` says whether there is one.
        runtime: device and process group.
        folder: of all entries; None: `cache_folder`.
    """

    def __init__(self, config: Any, runtime: Runtime, folder: Path | None = None) -> None:
        self._config, self._runtime, self._folder = config, runtime, folder
        self._is_on = config.mode == "GRAPH" and (
            config.compile_cache == "always" or (config.compile_cache == "auto" and _is_proven(runtime))
        )

    @contextmanager
    def compiling(self, graph: str, cell: nn.Cell, constants: Any = None) -> Iterator[None]:
        """Take what the block compiles from the cache, or keep it there; in the first block of a process alone.

        Args:
            graph: what is compiled, "train" or "eval".
            cell: it has the graph's parameters.
            constants: what else the graph holds that neither configuration nor sources tell; JSON types.
        """
        prepared = None
        if self._is_on and not _Process.is_done:
            _Process.is_done = True
            prepared = self._prepare(graph, cell, constants)
        if prepared is None:
            yield
            return
        entry, copy, sources = prepared
        try:
            taken = _state(copy)
            ms.set_context(enable_compile_cache=True, compile_cache_path=str(copy))
            try:
                yield
            finally:
                ms.set_context(enable_compile_cache=False)
            if taken and _state(copy) == taken:
                logger.info("compiled graph (%s): taken from %s", graph, entry)
                return
            if taken:
                logger.info("compiled graph (%s): MindSpore did not take the one in %s; compiled anew", graph, entry)
            _publish(copy, entry, sources)
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _prepare(self, graph: str, cell: nn.Cell, constants: Any) -> tuple[Path, Path, str] | None:
        """Return the entry of a graph, a private copy of it, and the digest of the sources; None, and say why, where nothing is kept."""
        try:
            folder = self._folder or cache_folder()
            sources = sources_digest()
            folder.mkdir(parents=True, exist_ok=True)
            _remove_leftovers(folder)
            entry = folder / f"{graph}_{self._key(graph, cell, constants, sources)}"
            return entry, _private_copy(entry), sources
        except (OSError, RuntimeError, psutil.Error) as error:  # RuntimeError: no home folder, or changed sources
            logger.info("compiled graphs are not kept: %s", error)
            return None

    def _key(self, graph: str, cell: nn.Cell, constants: Any, sources: str) -> str:
        content = OmegaConf.to_container(self._config)
        assert isinstance(content, dict)
        parameters = [(p.name, list(p.shape), str(p.dtype), p.requires_grad) for p in cell.get_parameters()]
        parts = {
            "graph": graph,
            "config": {name: value for name, value in content.items() if name not in _NOT_COMPILED},
            "cells": [(name, type(part).__qualname__) for name, part in cell.cells_and_names()],
            "parameters": parameters,
            "constants": constants,
            "device": [self._runtime.device_target, self._runtime.amp_level, self._runtime.sink_mode],
            "rank": [self._runtime.group.rank, self._runtime.group.size],
            "versions": [ms.__version__, sources],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def cache_folder() -> Path:
    """Return the folder of compiled graphs: in OCRNET_CACHE, or else in ~/.cache/ocrnet."""
    cache = os.environ.get("OCRNET_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ocrnet"
    return Path(cache) / "compiled"


def _is_proven(runtime: Runtime) -> bool:
    """Tell whether a cached graph gives the same bits as a compiled one where this runs: shown on the CPU, for one process."""
    return runtime.device_target == "CPU" and runtime.group.size == 1 and not runtime.sink_mode


def _remove_leftovers(folder: Path) -> None:
    """Remove the private copies of processes that were killed."""
    for path in folder.glob(".*"):
        with suppress(OSError, psutil.Error):
            if not _is_in_use(path):
                shutil.rmtree(path, ignore_errors=True)


def _is_in_use(copy: Path) -> bool:
    """Whether the process that made a copy lives; of another host's, whether it is younger than a day."""
    made = copy.stat().st_mtime
    host, _, rest = copy.name[1:].rpartition("@")
    pid = rest.split(".")[0]
    if host != socket.gethostname() or not pid.isdigit():
        return time.time() - made < _DAY
    # In containers a new process often has the number of the one that was killed.
    return psutil.pid_exists(int(pid)) and psutil.Process(int(pid)).create_time() <= made + 1


def _private_copy(entry: Path) -> Path:
    """Return a new folder beside an entry with its content, or empty where there is none or it is damaged.

    Raises:
        OSError: if no folder can be made.
    """
    copy = _new_folder(entry.parent)
    with suppress(OSError, ValueError):
        digests = json.loads((entry / _DIGESTS).read_text(encoding="utf-8"))
        for part in entry.iterdir():  # not the folder itself: its time tells when the copy was made
            if part.name != _DIGESTS:
                (shutil.copytree if part.is_dir() else shutil.copy2)(part, copy / part.name)
        if _digests(copy) == digests:
            os.utime(entry)  # the oldest are removed first
            return copy
    shutil.rmtree(copy, ignore_errors=True)
    return _new_folder(entry.parent)


def _new_folder(parent: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{socket.gethostname()}@{os.getpid()}.", dir=parent))


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def _state(folder: Path) -> dict[str, tuple[str, int]]:
    """Return digest and time of each file: MindSpore writes what it compiles over what it does not take. Unreadable: nothing."""
    with suppress(OSError):
        return {name: (digest, (folder / name).stat().st_mtime_ns) for name, digest in _digests(folder).items()}
    return {}


def _publish(copy: Path, entry: Path, sources: str) -> None:
    """Make an entry of the one graph that MindSpore has written, and remove the oldest entries; say where it cannot be kept."""
    try:
        digests = _digests(copy)
        if not _is_complete(copy):
            logger.info("compiled graph: not kept: MindSpore wrote no complete graph, or several")
            return
        if sources_digest() != sources:
            raise ChangedSourceError("the sources changed while it was compiled")
        with atomic_path(copy / _DIGESTS) as path:
            path.write_text(json.dumps(digests), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)  # a damaged one, or one that was not taken
        os.rename(copy, entry)
        logger.info("compiled graph: kept in %s for the next start with this configuration", entry)
        entries = sorted((path for path in entry.parent.glob("[!.]*") if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for old in entries[:-MOST_ENTRIES]:
            shutil.rmtree(old, ignore_errors=True)
    except (OSError, ChangedSourceError) as error:  # a full disk: the next start compiles again
        logger.info("compiled graph: not kept: %s", error)


def _is_complete(folder: Path) -> bool:
    """Whether a folder holds one graph and what belongs to it.

    MindSpore tells the graphs of a folder apart by their order alone, which may be another in the next process: of several none is kept.
    """
    graphs = list(folder.rglob("*.mindir"))
    if len(graphs) != 1 or not graphs[0].stat().st_size:
        return False
    beside = graphs[0].with_name(_DEPENDENCIES)
    return beside.is_file() and beside.stat().st_size == _DEPENDENCIES_BYTES
