"""Match a folder of pictures with one of labels by the files' stems."""

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
    pictures, masks = (_by_stem(root / name, hint) for name in (images, labels))
    for mine, others, kind, folder in ((pictures, masks, "label", labels), (masks, pictures, "picture", images)):
        missing = sorted(mine.keys() - others.keys())
        if missing:
            raise UserError(f"{len(missing)} files have no {kind} of the same name in {root / folder}, the first: {mine[missing[0]]}")
    return [Pair(pictures[stem], masks[stem], str(pictures[stem].parent)) for stem in sorted(pictures)]


def _by_stem(folder: Path, hint: str) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder{hint and f'; {hint}'}")
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
