"""docs/CONFIGURATION.md says what the code does; every key is read by something."""

import re
from pathlib import Path

from src.config.reference import REFERENCE, reference
from src.config.schema import flatten

SOURCES = Path(__file__).resolve().parents[2]


def test_reference_is_up_to_date() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run: python -m src.config.reference"


def test_no_dead_keys() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (*SOURCES.glob("*.py"), *SOURCES.glob("src/**/*.py"))
        if path.parent.name not in ("config", "presets")
    )
    names = {dotted.rsplit(".", 1)[-1] for dotted in flatten()} - {"preset", "NUM_BRANCHES", "FUSE_METHOD"}  # these three are only checked
    dead = {name for name in names if not re.search(rf"[.\"']{name}\b", code)}
    assert not dead
