"""Read lists of image and label pairs."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.config.errors import UserError

# The SegNet tutorial's CamVid lists name files by this absolute folder, which exists on nobody's machine.
SEGNET_PREFIX = re.compile(r"^/SegNet/CamVid/")
LINE = re.compile(r":\d+$")  # of a list
SHOWN = 3  # lists


@dataclass(frozen=True)
class Pair:
    """A picture and its label: a line of a list, or of equal stems in two folders.

    Attributes:
        image: path of the picture.
        label: path of its label.
        where: "file:line" of the list, or the folder of the pictures, for messages.
    """

    image: Path
    label: Path
    where: str

    def named(self, text: str) -> str:
        """Return a message about one of the files with the list's line in front, unless it is there; a folder adds nothing to a path."""
        return f"{self.where}: {text}" if LINE.search(self.where) and not text.startswith(self.where) else text


def origin(root: Path, pairs: Sequence[Pair]) -> str:
    """Return the lists or the folders that pairs come from, as in "train.lst", for messages."""
    places = [Path(place) for place in dict.fromkeys(LINE.sub("", pair.where) for pair in pairs)]
    names = [place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place) for place in places]
    return " + ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def list_path(root: Path, list_file: str) -> Path:
    """Return the path of a list; "/train.lst" means inside the data folder, as in the model zoo, unless such a file exists."""
    if list_file.startswith("/") and not Path(list_file).is_file():
        list_file = list_file.lstrip("/")
    return root / list_file


def read_pairs(root: Path, path: Path) -> list[Pair]:
    """Return the pairs of a list; image and label are separated by tab, comma or space.

    Raises:
        UserError: if the list is missing, is empty or has a malformed line. Files that it names may be missing: `refuse_missing`.
    """
    try:
        lines = _lines(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such list; each of its lines names a picture and its label, relative to {root}") from None
    pairs = [_parse(root, line, where) for line, where in lines]
    if not pairs:
        raise UserError(f"{path}: the list is empty; each line names a picture and its label, relative to {root}")
    return pairs


def read_ids(path: Path) -> dict[str, str] | None:
    """Return the stems of a list that names one per line, with "file:line" of each; None if its first line names a pair.

    Raises:
        UserError: if it cannot be read, is empty, or names a stem twice or something else.
    """
    ids: dict[str, str] = {}
    for line, where in _lines(path):
        if len(_split(line)) != 1:
            if ids:
                raise UserError(f"{where}: expected one name, as in the lines above; got {line[:100]!r}")
            return None
        if line in ids:
            raise UserError(f"{where}: {line} stands in {ids[line]} already; keep one of the lines")
        ids[line] = where
    if not ids:
        raise UserError(f"{path}: the list is empty; each line names a picture")
    return ids


def _lines(path: Path) -> list[tuple[str, str]]:
    """Return the lines that are not blank, stripped, with "file:line" of each."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the list cannot be read: {' '.join(str(error).split())}") from None
    return [(line.strip(), f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()]


def _parse(root: Path, line: str, where: str) -> Pair:
    names = _split(line)
    if len(names) != 2 or not all(names):
        raise UserError(f"{where}: expected 'image label' separated by tab, comma or space; got {line[:100]!r}")
    image, label = (_resolve(root, name) for name in names)
    return Pair(image, label, where)


def _split(line: str) -> list[str]:
    # Tab and comma first: they allow spaces inside names.
    for separator in ("\t", ","):
        if separator in line:
            return [name.strip() for name in line.split(separator)]
    return line.split()


def _resolve(root: Path, name: str) -> Path:
    name = SEGNET_PREFIX.sub("", name)
    if name.startswith("/") and Path(name).is_file():
        return Path(name)
    return root / name.lstrip("/")


def refuse_missing(root: Path, pairs: Sequence[Pair], where_from: Callable[[Path], str] = lambda _: "") -> None:
    """Refuse pairs of which a file is missing.

    Args:
        root: folder of the data set.
        pairs: to look at.
        where_from: returns where a missing file comes from, or ''.

    Raises:
        UserError: naming the first such file and its line or folder, and how many there are.
    """
    missing = [(pair, path) for pair in pairs for path in (pair.image, pair.label) if not path.is_file()]
    if missing:
        pair, path = missing[0]
        source = where_from(path)
        number = f"; {len(missing)} files are missing" if len(missing) > 1 else ""
        raise UserError(pair.named(f"{path}: no such file; correct the list or the data folder {root}{source and f' ({source})'}{number}"))


def unique_names(root: Path, pairs: list[Pair]) -> list[str]:
    """Return each picture's stem; where two agree, its folders inside the root go in front."""
    counts = Counter(pair.image.stem for pair in pairs)
    names = [pair.image.stem if counts[pair.image.stem] == 1 else _path_name(root, pair.image) for pair in pairs]
    seen: Counter[str] = Counter()
    for number, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:  # the same picture twice on the list
            names[number] = f"{name}_{seen[name]}"
    return names


def _path_name(root: Path, path: Path) -> str:
    relative = path.relative_to(root) if path.is_relative_to(root) else path.relative_to(path.anchor)
    return "_".join(relative.with_suffix("").parts)
