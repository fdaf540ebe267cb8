"""Which pictures are predicted, and what their results are called."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.config.errors import UserError
from src.data.label_files import find_inputs
from src.data.pictures import PICTURE_SUFFIXES, picture_size_hw


@dataclass(frozen=True)
class InputPicture:
    """A picture to predict.

    Attributes:
        path: its file.
        name: what its results are called, which no other has: its place below the folder that was named, without suffix.
    """

    path: Path
    name: str


def find_pictures(inputs: Sequence[str], result_folders: Sequence[Path] = ()) -> list[InputPicture]:
    """Return the pictures that inputs stand for, each once, in their order.

    Args:
        inputs: pictures, folders (with all folders below them) or globs, where ** stands for folders at any depth.
        result_folders: what lies in these is the result of an earlier run, and no input unless it is named itself.

    Raises:
        UserError: if one of them stands for no picture, or two pictures cannot be told apart by name.
    """
    bases: dict[Path, Path] = {}  # picture -> the folder from which its name starts
    seen: set[Path] = set()
    for text in inputs:
        for path, base in _expand(text, [folder.resolve() for folder in result_folders]):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                bases[path] = base
    return _named(bases)


def refuse_unless_any_is_picture(pictures: Sequence[InputPicture]) -> None:
    """Look at the files' beginnings until one is a picture.

    Raises:
        UserError: if none is.
    """
    reasons = []
    for picture in pictures:
        try:
            picture_size_hw(picture.path)
            return
        except UserError as error:
            reasons.append(str(error))
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    raise UserError(f"{reasons[0]}{more}; give pictures, folders of pictures or globs")


def _expand(text: str, result_folders: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield the pictures of one input, each with the folder from which its name starts."""
    path = Path(text)
    if os.path.isfile(text):  # unlike Path.is_file, no error for what is too long to be a name
        yield path, path.parent
        return
    if os.path.isdir(text):
        base, found = path, find_inputs(path, PICTURE_SUFFIXES)
    elif glob.has_magic(text):
        base, found = _fixed_part(path), _matches(text)
    else:
        raise UserError(f"{text}: no such file or folder; give pictures, folders of pictures or globs")
    fresh = [file for file in found if not any(file.resolve().is_relative_to(folder) for folder in result_folders)]
    if not fresh:
        raise UserError(f"{text}: holds nothing but results of predict.py; name the pictures, or choose another --output_path")
    yield from ((file, base) for file in fresh)


def _matches(pattern: str) -> list[Path]:
    paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
    found = [path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()]
    if not found:
        raise UserError(f"{pattern}: no picture matches; files with {', '.join(PICTURE_SUFFIXES)} are looked for")
    return found


def _fixed_part(pattern: Path) -> Path:
    """Return the folder in front of the first part that is a glob."""
    return next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))


def _named(bases: dict[Path, Path]) -> list[InputPicture]:
    """Name each picture; where two names agree, by the path below the folder that holds all pictures, with the suffix."""
    names = {path: Path(os.path.relpath(path, base)).with_suffix("").as_posix() for path, base in bases.items()}
    counts = Counter(names.values())
    common = os.path.commonpath([os.path.abspath(path.parent) for path in bases])
    for path, name in names.items():
        if counts[name] > 1 or name.startswith("../"):  # a glob may climb
            names[path] = Path(os.path.relpath(path, common)).as_posix()
    owners: dict[str, Path] = {}
    for path, name in names.items():
        if name in owners:
            raise UserError(f"{owners[name]} and {path}: results of both would be called {name}; predict them one after the other")
        owners[name] = path
    return [InputPicture(path, name) for path, name in names.items()]
