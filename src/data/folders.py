"""Match pictures with labels by the files' stems."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from PIL import Image

from src.config.errors import UserError
from src.data.lists import Pair


@cache
def picture_suffixes() -> frozenset[str]:
    """Return the endings, in lower case, of the pictures that Pillow reads."""
    return frozenset(suffix for suffix, form in Image.registered_extensions().items() if form in Image.OPEN)


def find_pairs(root: Path, images: str, labels: str, hint: str = "") -> list[Pair]:
    """Return the pictures below root/images with the labels of the same relative path and stem below root/labels, in order of their names.

    Args:
        root: folder of the data set.
        images: folder of the pictures in it.
        labels: folder of the labels in it.
        hint: what to do where a folder is missing.

    Raises:
        UserError: if a folder is missing or holds no picture, a picture has no label or a label no picture, or two files have one stem.
    """
    pictures, masks = (files_by_stem(root / name, hint, root) for name in (images, labels))
    for mine, others, kind, folder in ((pictures, masks, "label", labels), (masks, pictures, "picture", images)):
        missing = sorted(mine.keys() - others.keys())
        if missing:
            raise UserError(f"{len(missing)} files have no {kind} of the same name in {root / folder}, the first: {mine[missing[0]]}")
    return [Pair(pictures[stem], masks[stem], str(pictures[stem].parent)) for stem in sorted(pictures)]


def files_by_stem(folder: Path, hint: str = "", root: Path | None = None) -> dict[str, Path]:
    """Return the pictures in a folder and below it by their relative path without its ending.

    Args:
        folder: where to look.
        hint: what to do where it is missing.
        root: folder of the data set; where the folder is missing but is there further down, that is said.

    Raises:
        UserError: if the folder is missing or holds no picture, or two files have one stem.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder{hint and f'; {hint}'}" + (elsewhere(root, folder.relative_to(root)) if root else ""))
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in picture_suffixes() or path.name.startswith(".") or not path.is_file():
            continue
        stem = path.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise UserError(f"{path} and {found[stem]} have the same stem; rename one of them")
        found[stem] = path
    if not found:
        raise UserError(f"{folder}: holds no pictures{hint and f'; {hint}'}")
    return found


def pairs_of_ids(ids: Mapping[str, str], pictures: Mapping[str, Path], labels: Mapping[str, Path], places: tuple[Path, Path]) -> list[Pair]:
    """Return the pairs of a list of stems; a file that is missing is named as it would usually be called.

    Args:
        ids: stem -> "file:line" of the list.
        pictures: stem -> picture.
        labels: stem -> label.
        places: folders where pictures and labels are expected.
    """
    images, masks = places
    return [Pair(pictures.get(stem, images / f"{stem}.jpg"), labels.get(stem, masks / f"{stem}.png"), where) for stem, where in ids.items()]


def elsewhere(root: Path, name: str | Path) -> str:
    """Return a hint where a folder is not in a data folder but one or two levels further down, or ''."""
    found = next((path for pattern in (f"*/{name}", f"*/*/{name}") for path in sorted(root.glob(pattern)) if path.is_dir()), None)
    inner = found and found.parents[len(Path(name).parts) - 1]
    return f"; it is in {inner}: give that by --data_path" if inner else ""
