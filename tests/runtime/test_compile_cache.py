"""Compiled graphs are found again by what they were made of, and by nothing less."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mindspore as ms
import pytest
from mindspore import nn
from omegaconf import OmegaConf

from src.runtime import compile_cache
from src.runtime.compile_cache import CompileCache
from src.runtime.device import Runtime
from src.runtime.distributed import Group
from src.runtime.sources import ChangedSourceError
from tests.tiny import tiny_config, write_camvid

ROOT = Path(__file__).resolve().parents[2]
CPU = Runtime("CPU", Group(), "O0", sink_mode=False)


class Compiler:
    """Stands in for MindSpore's context: what is compiled in the folder that it is told."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.is_on = False
        self.program = "a" * 64

    def set_context(self, enable_compile_cache: bool, compile_cache_path: str = "") -> None:
        self.is_on = enable_compile_cache
        self.folder = Path(compile_cache_path) if compile_cache_path else self.folder

    def compile(self, graph: bytes) -> bytes:
        """Return the graph that runs: an older one where the folder has one and the program's files are the same, as MindSpore does it."""
        if not self.is_on:
            return graph
        assert self.folder is not None
        file = self.folder / "rank_0" / "graph.mindir"
        beside = file.with_name("compile_dependency.hash")
        if not beside.exists() or beside.read_text() != self.program:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(graph)
            beside.write_text(self.program)
        return file.read_bytes()


@pytest.fixture
def compiler() -> Compiler:
    return Compiler()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, compiler: Compiler) -> Iterator[Callable[..., bytes]]:
    monkeypatch.setattr(compile_cache.ms, "set_context", compiler.set_context)
    monkeypatch.setattr(compile_cache, "sources_digest", lambda: "sources")

    def start(
        graph: bytes, *words: str, runtime: Runtime = CPU, cell: nn.Cell | None = None, name: str = "train", new: bool = True, **more: Any
    ) -> bytes:
        """Return what a process runs, a new one or the one before."""
        if new:
            monkeypatch.setattr(compile_cache._Process, "is_done", False)
        cache = CompileCache(tiny_config(None, "compile_cache=auto", *words), runtime, tmp_path / "cache")
        with cache.compiling(name, cell or nn.Dense(2, 3), **more):
            result = compiler.compile(graph)
        assert not compiler.is_on
        return result

    yield start


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cache").iterdir())


def test_a_second_start_runs_what_the_first_compiled(start: Callable[..., bytes], tmp_path: Path) -> None:
    assert start(b"first") == b"first"
    (entry,) = entries(tmp_path)
    kept = {path: path.read_bytes() for path in (tmp_path / "cache" / entry).rglob("*") if path.is_file()}
    assert start(b"second", "output_path=elsewhere", "workers=7", "log_interval=3") == b"first"
    assert start(b"third", "compile_cache=never") == b"third"
    assert entries(tmp_path) == [entry]
    assert {path: path.read_bytes() for path in (tmp_path / "cache" / entry).rglob("*") if path.is_file()} == kept


@pytest.mark.parametrize(
    "change",
    [
        {"words": ("seed=2",)},
        {"words": ("train.image_size=[32,64]",)},
        {"words": ("model.ocr.dropout=0.1",)},
        {"words": ("dataset.num_classes=5", "loss.class_weights=null", "loss.use_weights=False")},
        {"cell": nn.Dense(2, 4)},
        {"cell": nn.Dense(2, 3, activation="relu")},
        {"constants": [1.0, 2.0]},
        {"name": "eval"},
        {"runtime": Runtime("CPU", Group(), "O2", sink_mode=False)},
    ],
)
def test_whatever_decides_the_graph_decides_the_entry(start: Callable[..., bytes], change: dict) -> None:
    change = dict(change)
    assert start(b"first") == b"first"
    assert start(b"other", *change.pop("words", ()), **change) == b"other"
    assert start(b"again") == b"first"


def test_other_sources_or_versions_compile_anew(start: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    start(b"first")
    with monkeypatch.context() as patch:
        patch.setattr(compile_cache, "sources_digest", lambda: "edited")
        assert start(b"edited") == b"edited"
    with monkeypatch.context() as patch:
        patch.setattr(ms, "__version__", "2.9.0")
        assert start(b"newer") == b"newer"
    assert start(b"again") == b"first"


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"fir"), lambda file: file.unlink()])
def test_a_damaged_entry_is_replaced(start: Callable[..., bytes], tmp_path: Path, damage: Callable[[Path], object]) -> None:
    start(b"first")
    damage(next((tmp_path / "cache").rglob("graph.mindir")))
    assert start(b"second") == b"second"
    assert start(b"third") == b"second"


def test_what_fails_leaves_no_entry(start: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_cache._Process, "is_done", False)
    cache = CompileCache(tiny_config(None, "compile_cache=always"), CPU, tmp_path / "cache")
    with pytest.raises(RuntimeError, match="no memory"), cache.compiling("train", nn.Dense(2, 3)):
        next((tmp_path / "cache").iterdir()).joinpath("half.mindir").write_bytes(b"ha")
        raise RuntimeError("no memory")
    assert entries(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "runtime"),
    [
        ((), Runtime("GPU", Group(), "O2", sink_mode=False)),
        ((), Runtime("CPU", Group(), "O0", sink_mode=True)),
        (("mode=PYNATIVE", "compile_cache=always"), CPU),
    ],
)
def test_where_nothing_is_proven_or_compiled_nothing_is_kept(
    start: Callable[..., bytes], tmp_path: Path, words: tuple[str, ...], runtime: Runtime
) -> None:
    assert start(b"first", *words, runtime=runtime) == b"first"
    assert not (tmp_path / "cache").exists()


def test_one_graph_of_a_process_is_cached(start: Callable[..., bytes], tmp_path: Path) -> None:
    start(b"first")
    assert start(b"evaluation", name="eval", new=False) == b"evaluation"
    assert len(entries(tmp_path)) == 1


def test_of_several_graphs_none_is_kept(start: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_cache._Process, "is_done", False)
    cache = CompileCache(tiny_config(None, "compile_cache=always"), CPU, tmp_path / "cache")
    with cache.compiling("eval", nn.Dense(2, 3)):
        for number in range(2):
            next((tmp_path / "cache").iterdir()).joinpath(f"{number}.mindir").write_bytes(b"graph")
    assert entries(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_no_reason_to_stop(start: Callable[..., bytes], tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file\n")
    assert start(b"first") == b"first"


def test_the_oldest_entries_are_removed(start: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_cache, "MOST_ENTRIES", 2)
    for seed in (1, 2, 1):
        start(b"%d" % seed, f"seed={seed}")
    for number in range(3):  # of living processes: no entries
        (tmp_path / "cache" / f".{socket.gethostname()}@{os.getpid()}.{number}").mkdir()
    start(b"3", "seed=3")
    assert len([name for name in entries(tmp_path) if not name.startswith(".")]) == 2
    assert start(b"new", "seed=1") == b"1" and start(b"new", "seed=2") == b"new"


def test_copies_of_killed_processes_are_removed_at_a_start_that_hits(start: Callable[..., bytes], tmp_path: Path) -> None:
    start(b"first")
    dead = subprocess.Popen(["true"])
    dead.wait()
    host = socket.gethostname()
    living, others, old = f".{host}@{os.getpid()}.a", ".elsewhere@1.b", ".elsewhere@1.c"
    for name in (f".{host}@{dead.pid}.d", living, others, old):
        (tmp_path / "cache" / name / "rank_0").mkdir(parents=True)
    os.utime(tmp_path / "cache" / old, (1, 1))
    assert start(b"second") == b"first"
    assert [name for name in entries(tmp_path) if name.startswith(".")] == sorted([others, living])


def test_a_copy_taken_from_an_old_entry_counts_as_new(start: Callable[..., bytes], tmp_path: Path) -> None:
    start(b"first")
    (entry,) = (tmp_path / "cache").iterdir()
    os.utime(entry, (1, 1))
    copy = compile_cache._private_copy(entry)
    assert (copy / "rank_0").is_dir() and compile_cache._is_in_use(copy)


def test_an_entry_that_was_not_taken_is_replaced_and_not_called_a_hit(
    start: Callable[..., bytes], compiler: Compiler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("ocrnet"), "propagate", True)
    caplog.set_level(logging.INFO, "ocrnet")
    start(b"first")
    compiler.program = "b" * 64
    assert start(b"first") == b"first"  # the very same graph: its time alone tells
    assert "taken from" not in caplog.text and "MindSpore did not take the one in" in caplog.text
    assert start(b"third") == b"first"
    assert "taken from" in caplog.text


@pytest.mark.parametrize("program", ["", "a" * 10])
def test_half_written_graphs_are_not_kept(start: Callable[..., bytes], tmp_path: Path, compiler: Compiler, program: str) -> None:
    compiler.program = program
    start(b"first")
    assert entries(tmp_path) == []


def test_sources_that_change_while_it_compiles_are_not_kept(tmp_path: Path, start: Callable[..., bytes], monkeypatch) -> None:
    digests = iter(["before", "after"])
    monkeypatch.setattr(compile_cache, "sources_digest", lambda: next(digests))
    start(b"first")
    assert entries(tmp_path) == []


def test_sources_that_changed_since_the_start_are_not_kept(tmp_path: Path, start: Callable[..., bytes], monkeypatch) -> None:
    def digest() -> str:
        raise ChangedSourceError("ocr.py is not older than this process")

    monkeypatch.setattr(compile_cache, "sources_digest", digest)
    assert start(b"first") == b"first"
    assert not (tmp_path / "cache").exists()


def test_without_a_home_folder_nothing_is_kept(monkeypatch: pytest.MonkeyPatch, start: Callable[..., bytes]) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("OCRNET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    for setting in ("never", "auto"):
        monkeypatch.setattr(compile_cache._Process, "is_done", False)
        with CompileCache(tiny_config(None, f"compile_cache={setting}"), CPU).compiling("train", nn.Dense(2, 3)):
            pass


def test_what_cannot_be_read_back_does_not_end_a_run(start: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(folder: Path) -> dict:
        raise PermissionError("rank_0")

    monkeypatch.setattr(compile_cache, "_digests", unreadable)
    assert start(b"first") == b"first"


@pytest.mark.slow
def test_training_takes_a_graph_from_an_earlier_process_and_gives_the_same_bits(tmp_path: Path) -> None:
    data = write_camvid(tmp_path / "data")

    def train(name: str, *words: str) -> tuple[bytes, str]:
        config = tiny_config(data, "device_target=CPU", *words)
        path = tmp_path / f"{name}.yaml"
        OmegaConf.save(config, path)
        command = [sys.executable, "train.py", "--config", str(path), "--output_path", str(tmp_path / name), "--end_epoch", "1"]
        environment = {**os.environ, "OCRNET_CACHE": str(tmp_path / "cache")}
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
        assert result.returncode == 0, result.stderr
        return (tmp_path / name / "last.state").read_bytes(), result.stdout

    cold, _ = train("off", "compile_cache=never")
    first, told_first = train("first", "compile_cache=auto")
    second, told_second = train("second", "compile_cache=auto")
    other, told_other = train("other", "compile_cache=auto", "seed=5")
    assert "compiled graph (train): taken from" in told_second
    assert "taken from" not in told_first + told_other
    assert cold == first == second != other
