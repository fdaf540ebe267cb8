"""Object storage in a folder, by the module in moxing_standin."""

import json
import os
import sys
from pathlib import Path

import pytest

STANDIN = Path(__file__).parent / "moxing_standin"


class Storage:
    """Attributes: root: folder of the buckets."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, content: str = "x") -> str:
        """Write BUCKET/x and return its url."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return f"obs://{name}"

    def rule(self, call: str, match: str, **what: object) -> None:
        """Let calls that have `match` in their source or target fail or sleep."""
        path = self.root / "rules.json"
        rules = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*rules, {"call": call, "match": match, **what}]))

    def clear_rules(self) -> None:
        (self.root / "rules.json").unlink()

    def calls(self, name: str) -> list[tuple[str, str, int]]:
        """Return source, target and process of all calls of a name."""
        path = self.root / "calls.txt"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(source, target, int(pid)) for call, source, target, pid in lines if call == name]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of another process that uses it."""
        return {**os.environ, "MOXING_STANDIN": str(self.root), "PYTHONPATH": str(STANDIN), **more}


def open_storage(root: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Make `import moxing` find the stand-in in this process."""
    root.mkdir(parents=True)
    forget_moxing(monkeypatch)
    monkeypatch.syspath_prepend(str(STANDIN))
    monkeypatch.setenv("MOXING_STANDIN", str(root))
    return Storage(root)


def forget_moxing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("moxing", "moxing.file"):
        monkeypatch.delitem(sys.modules, name, raising=False)
