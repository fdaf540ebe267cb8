"""Examples in docstrings and in the documents do what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.docs.markdown import PROJECT, pages, python_blocks
from tests.docs.sandbox_files import write
from tests.street import write_street_weights, write_streets

# Needs weights: tests/inference/test_predict.py runs it with some.
ELSEWHERE = {"src.inference.segmenter"}


def modules_with_examples() -> list[str]:
    files = [path for path in PROJECT.glob("src/**/*.py") if ">>>" in path.read_text(encoding="utf-8")]
    return sorted(".".join(path.relative_to(PROJECT).with_suffix("").parts) for path in files)


@pytest.mark.parametrize("name", [name for name in modules_with_examples() if name not in ELSEWHERE])
def test_docstrings(name: str, pynative: None) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0 and result.failed == 0


def test_what_is_run_elsewhere_has_examples() -> None:
    assert set(modules_with_examples()) >= ELSEWHERE


def test_blocks_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pynative: None) -> None:
    import cv2

    data = write_streets(tmp_path / "DATA", num=1)
    picture = cv2.imread(str(next(data.glob("leftImg8bit/val/*/*.png"))))
    write(tmp_path / "picture.png", picture)
    write_street_weights(tmp_path / "OUT" / "best.ckpt", picture)
    monkeypatch.chdir(tmp_path)
    blocks = [block for page in pages() for block in python_blocks(page)]
    for block in blocks:
        exec(compile(block.text, str(block), "exec"), {})
    assert blocks
