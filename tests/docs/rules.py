"""The table of commands.yaml: what is done with each command of the documents."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.docs.markdown import Line
from tests.tiny import TINY_WORDS

TABLE = Path(__file__).with_name("commands.yaml")
_OPTIONAL = re.compile(r"(?<=\s)\[([^\]]*)\](?=\s|$)")  # [BEGIN_EPOCH], but not the list in eval.window=[512,1024]
_VARIABLES = re.compile(r"^([A-Z_]+=\S+ )+")  # CONFIG=demo bash ...


@dataclass(frozen=True)
class Rule:
    """What is done with the commands that begin as `start` says; commands.yaml explains the fields."""

    start: str
    run: list[str] | None = None
    stub: bool = False
    parse: str | None = None
    places: dict[str, str | None] = field(default_factory=dict)
    status: int = 0

    def __post_init__(self) -> None:
        ways = [self.run is not None, self.stub, self.parse is not None]
        if sum(ways) != 1:
            raise ValueError(f"{TABLE.name}: '{self.start}' needs one of run, stub and parse")


def _quoted(words: Iterable[str]) -> str:
    return " ".join(f'"{word}"' for word in words)


class Table:
    """The rules, what placeholders stand for, and the words that make commands short."""

    def __init__(self, tree: dict[str, Any]) -> None:
        self.rules = [Rule(start, **fields) for start, fields in tree["rules"].items()]
        self.fill: dict[str, str] = tree["fill"]
        recipe = [word for word in TINY_WORDS if not word.startswith("model.")]
        self.shorter = {"tiny": _quoted(TINY_WORDS), "recipe": _quoted(recipe), **tree["shorter"]}
        self.places: dict[str, str] = tree["places"]

    @classmethod
    def read(cls) -> "Table":
        """Return the table of commands.yaml."""
        return cls(yaml.safe_load(TABLE.read_text(encoding="utf-8")))

    def rule(self, command: Line) -> Rule:
        """Return the rule with the longest beginning of the command.

        Raises:
            LookupError: if there is none.
        """
        program = _VARIABLES.sub("", command.text)
        fitting = [rule for rule in self.rules if program.startswith(rule.start)]
        if not fitting:
            raise LookupError(f"{command}\nno rule of tests/docs/{TABLE.name} knows this command: add one that runs it, or says why not")
        return max(fitting, key=lambda rule: len(rule.start))

    def filled(self, text: str) -> str:
        """Return a command with its optional parts, and values in place of its placeholders."""
        text = _OPTIONAL.sub(r"\1", text).replace(" ...", "")
        for name, value in self.fill.items():
            text = re.sub(rf"(?<![\w/.-]){re.escape(name)}(?![\w=|])", value, text)
        return text

    def shortened(self, text: str, rule: Rule) -> str:
        """Return a filled command with the words that its rule adds."""
        return " ".join([text, *(self.shorter[name] for name in rule.run or ())])
