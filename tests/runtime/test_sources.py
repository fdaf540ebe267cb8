"""The digest of what a process runs is that of what it has imported, or there is none."""

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from src.runtime import sources
from src.runtime.sources import ChangedSourceError, sources_digest


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source file, in a process that is said to have started in a minute."""
    monkeypatch.setattr(sources, "_SOURCES", tmp_path / "src")
    monkeypatch.setattr(sources, "_STARTED", sources._STARTED + 10_000_000)
    path = tmp_path / "src" / "models" / "ocr.py"
    path.parent.mkdir(parents=True)
    path.write_text("a = 1\n")
    return path


def test_sources_are_read_to_the_last_byte(file: Path) -> None:
    before = sources_digest()
    assert sources_digest() == before
    file.write_text("a = 2\n")
    assert sources_digest() != before


def test_the_program_counts(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for name, text in (("eval.py", "1"), ("predict.py", "1"), ("predict.py", "2")):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(sys, "argv", [str(tmp_path / name)])
        digests.add(sources_digest())
    assert len(digests) == 3


def test_a_file_that_may_have_been_changed_since_the_start_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_STARTED", file.stat().st_ctime - 5)
    os.utime(file, (1, 1))  # as tools do that copy files with their times
    with pytest.raises(ChangedSourceError, match="ocr.py is not older than this process"):
        sources_digest()


def test_an_imported_file_that_is_gone_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("src.models.gone")
    module.__file__ = str(file.with_name("gone.py"))
    monkeypatch.setitem(sys.modules, "src.models.gone", module)
    with pytest.raises(ChangedSourceError, match="gone.py is gone"):
        sources_digest()
