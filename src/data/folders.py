"""Find pictures in folders, and match them with labels by the files' stems."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from src.config.errors import UserError
from src.data.lists import Pair
from src.data.pictures import PICTURE_SUFFIXES


def check_data_folder(path: str | Path | None, name: str) -> None:
    """Check that there is a data folder, which entry scripts ask before MindSpore is imported.

    Args:
        path: the folder, if one is given.
        name: of the data set.

    Raises:
        UserError: if it is not given, or is no folder.
    """
    if not path:
        raise UserError("no data folder is given; add --data_path FOLDER")
    if not Path(path).is_dir():
        raise UserError(f"{path}: no such data folder; give the folder of the {name} data by --data_path")


def files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and all folders below it, in order; links to folders are followed, but not in a circle."""
    found: list[Path] = []
    above = {str(folder): frozenset([os.path.realpath(folder)])}  # a folder that is still to come -> what it and those around it really are
    for place, folders, names in os.walk(folder, followlinks=True):
        around = above.pop(place)
        real = {name: os.path.realpath(os.path.join(place, name)) for name in folders}
        folders[:] = [name for name in folders if real[name] not in around]
        above.update({os.path.join(place, name): around | {real[name]} for name in folders})
        found += [path for path in (Path(place, name) for name in names) if path.is_file()]
    return sorted(found)


def find_pairs(root: Path, images: str, labels: str, hint: str = "") -> list[Pair]:
    """Return the pictures below root/images with the labels of the same relative path and stem below root/labels, in order of their names.

    Where one of a pair is missing, it is named as the others are called: `refuse_missing`.

    Args:
        root: folder of the data set.
        images: folder of the pictures in it.
        labels: folder of the labels in it.
        hint: what to do where a folder is missing.

    Raises:
        UserError: if a folder is missing or holds no picture, or two files have one stem.
    """
    pictures, masks = (files_by_stem(root / name, hint, root) for name in (images, labels))
    image_suffix, label_suffix = (_commonest_suffix(files) for files in (pictures, masks))
    pairs = []
    for stem in sorted(pictures.keys() | masks.keys()):
        image = pictures.get(stem, root / images / f"{stem}{image_suffix}")
        pairs.append(Pair(image, masks.get(stem, root / labels / f"{stem}{label_suffix}"), str(root / images)))
    return pairs


def _commonest_suffix(files: Mapping[str, Path]) -> str:
    return Counter(path.suffix for path in files.values()).most_common(1)[0][0]


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
    for path in files_below(folder):
        if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith("."):
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
