"""The picture of docs/ARCHITECTURE.md against the code: its boxes are the packages, its arrows the imports."""

import ast
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from tests.docs.markdown import PROJECT

PICTURE = PROJECT / "docs" / "images" / "architecture.svg"
ENTRY = "entry"  # the programs in the project's folder
# What dashed arrows mean: parser, exit status and environment, for modules that are commands.
COMMANDS = ("src.runtime.entry", "src.runtime.environment")
Edge = tuple[str, str]


def drawn(attribute: str) -> list[ElementTree.Element]:
    return [element for element in ElementTree.parse(PICTURE).iter() if attribute in element.attrib]


def arrows(dashed: bool) -> set[Edge]:
    found = drawn("data-from")
    return {(path.attrib["data-from"], path.attrib["data-to"]) for path in found if (path.attrib.get("class") == "command") == dashed}


def packages() -> set[str]:
    return {path.parent.name for path in PROJECT.glob("src/*/__init__.py")}


def imported_modules(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports() -> Iterator[tuple[Edge, str]]:
    """Yield each import of another package: who imports whom, and what."""
    files = [(ENTRY, path) for path in PROJECT.glob("*.py")]
    files += [(path.relative_to(PROJECT / "src").parts[0], path) for path in PROJECT.glob("src/*/**/*.py")]
    for package, path in files:
        for module in imported_modules(ast.parse(Path(path).read_text(encoding="utf-8"))):
            parts = module.split(".")
            if parts[0] == "src" and parts[1] != package:
                yield (package, parts[1]), module


def reachable(start: str, edges: set[Edge]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        here = waiting.pop()
        new = {end for begin, end in edges if begin == here} - found
        found |= new
        waiting += new
    return found


def test_boxes_are_the_packages() -> None:
    assert {group.attrib["data-package"] for group in drawn("data-package")} == packages() | {ENTRY}
    for group in drawn("data-way"):
        assert (PROJECT / group.attrib["data-way"]).is_dir(), group.attrib["data-way"]
    for group in (*drawn("data-package"), *drawn("data-way")):
        text = group.findtext("{*}text")
        assert text is not None and text.split()[0].removeprefix("src/") in {ENTRY, "train.py", *group.attrib.values(), *packages()}


def test_arrows_are_imports() -> None:
    real = {edge for edge, _ in imports()}
    assert arrows(dashed=False) | arrows(dashed=True) <= real
    assert all(end == "runtime" for _, end in arrows(dashed=True))


def test_imports_are_arrows() -> None:
    whole, commands = arrows(dashed=False), arrows(dashed=True)
    strangers = {
        (edge, module)
        for edge, module in imports()
        if edge[1] not in reachable(edge[0], whole) and not (edge in commands and module.startswith(COMMANDS))
    }
    assert not strangers


def test_arrows_go_down() -> None:
    heights = {group.attrib["data-package"]: float(group.find("{*}rect").attrib["y"]) for group in drawn("data-package")}
    assert all(heights[start] < heights[end] for start, end in arrows(dashed=False))


def test_arrows_begin_and_end_at_their_boxes() -> None:
    boxes = {group.attrib["data-package"]: group.find("{*}rect").attrib for group in drawn("data-package")}
    for path in drawn("data-from"):
        words = path.attrib["d"].replace("M", "").split("L")
        for point, name in ((words[0], path.attrib["data-from"]), (words[-1], path.attrib["data-to"])):
            x, y = map(float, point.split())
            left, top, width, height = (float(boxes[name][key]) for key in ("x", "y", "width", "height"))
            assert left <= x <= left + width and top <= y <= top + height, (name, point)
