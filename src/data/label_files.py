"""Write label files all together or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from src.checkpoint.atomic import room_errors
from src.config.errors import UserError
from src.data.folders import files_below
from src.data.statistics import counted


def palette_picture(label: np.ndarray, palette: np.ndarray) -> Image.Image:
    """Return a picture that holds class numbers and looks coloured.

    Args:
        label: (H, W) uint8.
        palette: (256, 3) uint8 RGB.
    """
    picture = Image.fromarray(np.ascontiguousarray(label), mode="P")
    picture.putpalette(palette.tobytes())
    return picture


class Staging:
    """Files written beside their targets, which get their names when all of them are complete."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder = folder
        self.temporary = temporary
        self.sources: dict[Path, Path] = {}  # target -> what it was made from

    def write(self, source: Path, target: Path, save: Callable[[Path], object]) -> None:
        """Write a file for a target below the folder.

        Args:
            source: what it is made from, for messages.
            target: where it will be.
            save: called with the path to write.

        Raises:
            UserError: if something else was written for the same target.
        """
        if target in self.sources:
            raise UserError(f"{source} and {self.sources[target]} would both be written to {target}; rename one of them")
        path = self.temporary / target.relative_to(self.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        with room_errors(target):
            save(path)
        self.sources[target] = source

    def finish(self) -> int:
        """Give all files their names; return how many were there already, with the same values.

        Raises:
            UserError: if there is a file with other values at a target; then nothing is renamed.
        """
        there = [target for target in self.sources if os.path.lexists(target)]
        for target in there:
            if not _holds_the_same(self.temporary / target.relative_to(self.folder), target):
                raise UserError(f"{target}: is there and differs from what {self.sources[target]} gives; remove it or write elsewhere")
        os.sync()  # once for all: a machine that loses power leaves no empty files behind the new names
        for target in self.sources.keys() - set(there):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self.temporary / target.relative_to(self.folder), target)
        return len(there)


@contextmanager
def staging(folder: Path) -> Iterator[Staging]:
    """Yield a staging for files below `folder`; without its `finish` nothing is left behind."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{folder}: is a file; expected a folder to write into") from None
    temporary = folder / f".{os.getpid()}.staging"
    try:
        temporary.mkdir()
        yield Staging(folder, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def describe_written(number: int, before: int, out: Path) -> str:
    """Return a line on the labels that there are now, and how many of them there were before."""
    return f"{counted(number, 'label')} in {out}" + (f"; {before} of them were there already, with the same values" if before else "")


def find_inputs(source: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return a file, or the files with these suffixes in a folder and below it, in order of their names.

    Raises:
        UserError: if there are none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UserError(f"{source}: no such file or folder")
    found = [path for path in files_below(source) if path.suffix.lower() in suffixes and not path.name.startswith(".")]
    if not found:
        raise UserError(f"{source}: holds no {' or '.join(suffixes)} file")
    return found


def target_of(path: Path, source: Path, out: Path, name: str) -> Path:
    """Return where the result of an input goes: `out` itself for a single file, else the same place below `out`.

    Args:
        path: the input.
        source: what the user named: `path`, or a folder above it.
        out: what the user named as output.
        name: the result's file name, where the user named none.
    """
    if path != source:
        return out / path.parent.relative_to(source) / name
    if out.is_dir() or not out.suffix:
        return out / name
    if out.suffix.lower() != ".png":
        raise UserError(f"{out}: labels are written as PNG; name it {out.with_suffix('.png').name}, or name a folder")
    return out


def _holds_the_same(new: Path, old: Path) -> bool:
    if not old.is_file():
        return False
    if new.read_bytes() == old.read_bytes():
        return True
    try:
        with Image.open(new) as mine, Image.open(old) as other:
            return np.array_equal(np.asarray(mine), np.asarray(other))
    except (OSError, SyntaxError, ValueError):
        return False
