"""Compiled graphs that a later start with the same configuration takes from a folder instead of compiling them again.

MindSpore can keep what its front end made of a network, but decides by its source files alone whether that is still right: with another
crop, class count or seed it would run the old graph (2.8.0: with other shapes it ends in an error, with another seed it drops the old
seed's channels). So each graph has a folder of its own here, named by everything that decides what is compiled. What is kept holds no
weights.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import mindspore as ms
from mindspore import nn
from omegaconf import OmegaConf

from src.checkpoint.atomic import atomic_path
from src.runtime.device import Runtime

logger = logging.getLogger("ocrnet")

MOST_ENTRIES = 32  # the oldest are removed
_SOURCES = Path(__file__).resolve().parents[1]
_DIGESTS = "sha256.json"
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
    differs from what was kept, such as a damaged file, is not used.

    Args:
        config: the complete configuration; `compile_cache` says whether there is one.
        runtime: device and process group.
        folder: of all entries; None: `cache_folder`.
    """

    def __init__(self, config: Any, runtime: Runtime, folder: Path | None = None) -> None:
        self._config, self._runtime = config, runtime
        self._folder = folder or cache_folder()
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
        copy = None
        if self._is_on and not _Process.is_done:
            _Process.is_done = True
            entry = self._folder / f"{graph}_{self._key(graph, cell, constants)}"
            copy = _private_copy(entry)
        if copy is None:
            yield
            return
        try:
            is_hit = any(copy.iterdir())
            if is_hit:
                logger.info("compiled graph (%s): taken from %s", graph, entry)
            ms.set_context(enable_compile_cache=True, compile_cache_path=str(copy))
            try:
                yield
            finally:
                ms.set_context(enable_compile_cache=False)
            if not is_hit:
                _publish(copy, entry)
        finally:
            shutil.rmtree(copy, ignore_errors=True)

    def _key(self, graph: str, cell: nn.Cell, constants: Any) -> str:
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
            "versions": [ms.__version__, _sources_digest()],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def cache_folder() -> Path:
    """Return the folder of compiled graphs: in OCRNET_CACHE, or else in ~/.cache/ocrnet."""
    cache = os.environ.get("OCRNET_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ocrnet"
    return Path(cache) / "compiled"


def _is_proven(runtime: Runtime) -> bool:
    """Tell whether a cached graph gives the same bits as a compiled one where this runs: shown on the CPU, for one process."""
    return runtime.device_target == "CPU" and runtime.group.size == 1 and not runtime.sink_mode


def _sources_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.rglob("*.py")):
        digest.update(str(path.relative_to(_SOURCES)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _private_copy(entry: Path) -> Path | None:
    """Return a new folder beside an entry with its content, or empty where there is none or it is damaged; None: no folder can be made."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        copy = Path(tempfile.mkdtemp(prefix=".", dir=entry.parent))
    except OSError as error:
        logger.info("compiled graphs are not kept: %s (%s)", entry.parent, error.strerror)
        return None
    with suppress(OSError, ValueError):
        digests = json.loads((entry / _DIGESTS).read_text(encoding="utf-8"))
        shutil.copytree(entry, copy, dirs_exist_ok=True)
        (copy / _DIGESTS).unlink()
        if _digests(copy) == digests:
            os.utime(entry)  # the oldest are removed first
            return copy
    shutil.rmtree(copy, ignore_errors=True)
    with suppress(OSError):
        copy.mkdir()
        return copy
    return None


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def _publish(copy: Path, entry: Path) -> None:
    """Make an entry of the one graph that MindSpore has written, and remove the oldest entries.

    MindSpore tells the graphs of a folder apart by their order alone, which may be another in the next process: of several none is kept.
    """
    digests = _digests(copy)
    if sum(name.endswith(".mindir") for name in digests) != 1:
        return
    with suppress(OSError):  # a full disk: the next start compiles again
        with atomic_path(copy / _DIGESTS) as path:
            path.write_text(json.dumps(digests), encoding="utf-8")
        shutil.rmtree(entry, ignore_errors=True)  # a damaged one
        os.rename(copy, entry)
        entries = sorted((path for path in entry.parent.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for old in entries[:-MOST_ENTRIES]:
            shutil.rmtree(old, ignore_errors=True)
