"""What the documents hold: pages, fenced blocks, commands, links and the anchors of headings."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
READMES = ("README.md", "README_CN.md")
COMMAND_BLOCKS = ("", "bash")  # languages of fenced blocks whose lines are commands; layouts and outputs are `text`
_FENCE = re.compile(r"^\s*```(\w*)$")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.*)$")


@dataclass(frozen=True)
class Line:
    """A line of a page, or a whole command, with the number of its last line, from 1."""

    page: str
    number: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}: {self.text}"


def pages() -> list[str]:
    """Return the paths of all documents, relative to the project."""
    docs = sorted(path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("docs/*.md"))
    return [*READMES, "CONTRIBUTING.md", "CHANGELOG.md", *docs]


def split_blocks(page: str) -> Iterator[tuple[str | None, Line]]:
    """Yield each line with the language of the fenced block that it is in, None outside; the fences themselves are left out.

    Raises:
        ValueError: if a block is not closed.
    """
    language: str | None = None
    for number, text in enumerate((PROJECT / page).read_text(encoding="utf-8").splitlines(), start=1):
        fence = _FENCE.match(text)
        if fence:
            language = fence.group(1) if language is None else None
        else:
            yield language, Line(page, number, text)
    if language is not None:
        raise ValueError(f"{page}: a fenced block is not closed")


def commands(page: str) -> list[Line]:
    r"""Return the commands of a page without their comments; lines that end with `\` are joined with the next."""
    found: list[Line] = []
    begun = ""
    for language, line in split_blocks(page):
        if language not in COMMAND_BLOCKS:
            continue
        text = begun + strip_comment(line.text)
        begun = text.removesuffix("\\") if text.endswith("\\") else ""
        if text and not begun:
            found.append(Line(page, line.number, " ".join(text.split())))
    return found


def python_blocks(page: str) -> list[Line]:
    """Return the blocks of Python of a page, each as one text."""
    blocks: list[list[Line]] = []
    last = None
    for language, line in split_blocks(page):
        if language == "python":
            if last != "python":
                blocks.append([])
            blocks[-1].append(line)
        last = language
    return [Line(page, block[-1].number, "\n".join(line.text for line in block)) for block in blocks]


def strip_comment(text: str) -> str:
    """Return a line of shell without its comment: what begins with a # that is a word's first sign, outside of quotes."""
    lexer = shlex.shlex(text, posix=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    place = 0
    for word in lexer:
        place = text.index(word, place)
        if word.startswith("#"):
            return text[:place].strip()
        place += len(word)
    return text.strip()


def links(page: str) -> list[tuple[Line, str]]:
    """Return the targets of a page's links and images, those of other sites left out."""
    prose = [line for language, line in split_blocks(page) if language is None]
    found = [(line, target) for line in prose for target in _LINK.findall(line.text)]
    return [(line, target) for line, target in found if "://" not in target]


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings as GitHub makes them: lower case, spaces to hyphens, other signs dropped."""
    headings = (_HEADING.match(line.text) for language, line in split_blocks(page) if language is None)
    counts: dict[str, int] = {}
    found: set[str] = set()
    for heading in filter(None, headings):
        anchor = re.sub(r"[^\w\- ]", "", heading.group(1).strip().lower()).replace(" ", "-")
        repeated = counts.setdefault(anchor, 0)
        found.add(f"{anchor}-{repeated}" if repeated else anchor)
        counts[anchor] += 1
    return found
