"""Compiled graphs are found again by what they were made of, and by nothing less."""

import os
import shutil
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
from tests.tiny import tiny_config, write_camvid

ROOT = Path(__file__).resolve().parents[2]
CPU = Runtime("CPU", Group(), "O0", sink_mode=False)


class Compiler:
    """Stands in for MindSpore's context: what is compiled in the folder that it is told."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.is_on = False

    def set_context(self, enable_compile_cache: bool, compile_cache_path: str = "") -> None:
        self.is_on = enable_compile_cache
        self.folder = Path(compile_cache_path) if compile_cache_path else self.folder

    def compile(self, graph: bytes) -> bytes:
        """Return the graph that runs: an older one where the folder has one, as MindSpore does it."""
        if not self.is_on:
            return graph
        assert self.folder is not None
        file = self.folder / "rank_0" / "graph.mindir"
        if not file.exists():
            file.parent.mkdir(parents=True)
            file.write_bytes(graph)
        return file.read_bytes()


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., bytes]]:
    compiler = Compiler()
    monkeypatch.setattr(compile_cache.ms, "set_context", compiler.set_context)
    monkeypatch.setattr(compile_cache, "_sources_digest", lambda: "sources")

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
        patch.setattr(compile_cache, "_sources_digest", lambda: "edited")
        assert start(b"edited") == b"edited"
    with monkeypatch.context() as patch:
        patch.setattr(ms, "__version__", "2.9.0")
        assert start(b"newer") == b"newer"
    assert start(b"again") == b"first"


def test_sources_are_read_to_the_last_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    file = tmp_path / "models" / "ocr.py"
    file.write_text("a = 1\n")
    monkeypatch.setattr(compile_cache, "_SOURCES", tmp_path)
    before = compile_cache._sources_digest()
    file.write_text("a = 2\n")
    assert compile_cache._sources_digest() != before


@pytest.mark.parametrize("damage", [lambda file: file.write_bytes(b"fir"), lambda file: file.unlink()])
def test_a_damaged_entry_is_replaced(start: Callable[..., bytes], tmp_path: Path, damage: Callable[[Path], object]) -> None:
    start(b"first")
    damage(next((tmp_path / "cache").rglob("graph.mindir")))
    assert start(b"second") == b"second"
    assert start(b"third") == b"second"


def test_what_fails_or_is_killed_leaves_no_entry(start: Callable[..., bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_cache._Process, "is_done", False)
    cache = CompileCache(tiny_config(None, "compile_cache=always"), CPU, tmp_path / "cache")
    with pytest.raises(RuntimeError, match="no memory"), cache.compiling("train", nn.Dense(2, 3)):
        next((tmp_path / "cache").iterdir()).joinpath("half.mindir").write_bytes(b"ha")
        raise RuntimeError("no memory")
    assert entries(tmp_path) == []
    # A killed process leaves its own folder, which no key names.
    shutil.copytree(ROOT / "tests" / "runtime" / "modelarts", tmp_path / "cache" / ".killed")
    assert start(b"first") == b"first"


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
    for seed in (1, 2, 1, 3):
        start(b"%d" % seed, f"seed={seed}")
    assert len(entries(tmp_path)) == 2
    assert start(b"new", "seed=1") == b"1" and start(b"new", "seed=2") == b"new"


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
