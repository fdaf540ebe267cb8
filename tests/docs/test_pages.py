"""The documents hang together: links, anchors and images are there, every page can be reached, both READMEs say the same."""

import re
from pathlib import PurePosixPath

import pytest

from tests.docs import markdown
from tests.docs.markdown import PROJECT, READMES, Line, anchors, links, pages, split_blocks

START = "docs/README.md"


def target_of(page: str, target: str) -> tuple[str, str]:
    """Return the path, relative to the project, and the anchor that a link of a page means."""
    path, _, anchor = target.partition("#")
    if not path:
        return page, anchor
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / path).parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts), anchor


def broken(page: str) -> list[str]:
    """Return what is wrong with the links of a page."""
    problems = []
    for line, target in links(page):
        path, anchor = target_of(page, target)
        if not (markdown.PROJECT / path).exists():  # the module's: a test puts another one there
            problems.append(f"{line.page}:{line.number}: no {path}")
        elif anchor and anchor not in anchors(path):
            problems.append(f"{line.page}:{line.number}: {path} has no heading #{anchor}")
    return problems


@pytest.mark.parametrize("page", pages())
def test_links_anchors_and_images_are_there(page: str) -> None:
    assert broken(page) == []


def test_every_page_can_be_reached_from_the_start() -> None:
    reached, waiting = set(), [START]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        found = {target_of(page, target)[0] for _, target in links(page)}
        waiting += sorted(path for path in found - reached if path.endswith(".md") and (PROJECT / path).is_file())
    assert set(pages()) - reached == set()


def test_every_image_is_shown() -> None:
    shown = {target_of(page, target)[0] for page in pages() for _, target in links(page)}
    images = {path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("docs/images/*")}
    assert images - shown == set()


def test_every_page_begins_with_the_navigation() -> None:
    start = (PROJECT / START).read_text(encoding="utf-8").splitlines()[0]
    documents = [page for page in pages() if page.startswith("docs/")]
    assert set(re.findall(r"\(([\w.]+)\)", start)) == {PurePosixPath(page).name for page in documents}
    for page in documents:
        assert (PROJECT / page).read_text(encoding="utf-8").splitlines()[0] == start, page


def outline(page: str) -> list[tuple[str, object]]:
    """Return what a page holds in any language: levels of headings, links, sizes of tables, names in backquotes of their first column."""
    found: list[tuple[str, object]] = []
    for language, line in split_blocks(page):
        if language is not None:
            continue
        if line.text.startswith("#"):
            found.append(("heading", line.text.split()[0]))
        elif line.text.startswith("|"):
            found.append(("row", (line.text.count("|"), tuple(re.findall(r"`([^`]+)`", line.text.split("|")[1])))))
    return found


def names(page: str) -> set[str]:
    """Return what stands in backquotes in a page's prose."""
    return {name for language, line in split_blocks(page) if language is None for name in re.findall(r"`([^`]+)`", line.text)}


def test_both_readmes_have_the_same_parts() -> None:
    english, chinese = READMES
    assert outline(english) == outline(chinese)
    others = set(READMES)
    linked = [{target for _, target in links(page)} - others for page in READMES]
    assert linked[0] == linked[1]
    assert names(english) == names(chinese)


def test_broken_links_are_noticed(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "PROJECT", tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/B.md").write_text("# A `b.c` heading, twice\n# A `b.c` heading, twice\n")
    good, fenced = "[x](B.md#a-bc-heading-twice) [x](B.md#a-bc-heading-twice-1)\n", "```\n[x](no.md)\n```\n"
    text = good + "![x](images/no.png)\n[x](B.md#none) [x](../A.md)\n" + fenced
    (tmp_path / "docs/A.md").write_text(text)
    assert broken("docs/A.md") == [
        "docs/A.md:2: no docs/images/no.png",
        "docs/A.md:3: docs/B.md has no heading #none",
        "docs/A.md:3: no A.md",
    ]
    assert links("docs/A.md")[0][0] == Line("docs/A.md", 1, text.splitlines()[0])


def test_a_block_that_is_not_closed_is_noticed(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "PROJECT", tmp_path)
    (tmp_path / "A.md").write_text("```bash\nls\n")
    with pytest.raises(ValueError, match="not closed"):
        list(split_blocks("A.md"))
