"""Which pictures and videos are predicted, and what their results are called."""

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from src.config.errors import UserError
from src.data.label_files import find_inputs as files_with_suffix
from src.data.pictures import PICTURE_SUFFIXES, picture_size_hw, read_image
from src.inference.video import VIDEO_SUFFIXES, is_video, video_header

INPUT_SUFFIXES = (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES)


@dataclass(frozen=True)
class Input:
    """A picture or a video to predict.

    Attributes:
        path: its file.
        name: what its results are called, which no other has: its place below the folder that was named, without suffix.
    """

    path: Path
    name: str

    @property
    def is_video(self) -> bool:
        """Whether the file's ending is a video's."""
        return is_video(self.path)


def find_inputs(inputs: Sequence[str], result_folders: Sequence[Path] = ()) -> list[Input]:
    """Return the pictures and videos that inputs stand for, each once, in their order.

    Args:
        inputs: pictures, videos, folders (with all folders below them) or globs, where ** stands for folders at any depth.
        result_folders: what lies in these is the result of an earlier run, and no input unless it is named itself.

    Raises:
        UserError: if one of them stands for no file, or two of them cannot be told apart by name.
    """
    bases: dict[Path, Path] = {}  # file -> the folder from which its name starts
    seen: set[Path] = set()
    for text in inputs:
        for path, base in _expand(text, [folder.resolve() for folder in result_folders]):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                bases[path] = base
    return _named(bases)


def refuse_unless_any_can_be_read(inputs: Sequence[Input]) -> None:
    """Look at the files' beginnings until one is a picture or a video.

    Raises:
        UserError: if none is.
    """
    reasons = []
    for item in inputs:
        try:
            with _advising_tiles(item.path):
                video_header(item.path) if item.is_video else picture_size_hw(item.path)
            return
        except UserError as error:
            reasons.append(str(error))
    more = f" (and so with all {len(reasons)} inputs)" if len(reasons) > 1 else ""
    raise UserError(f"{reasons[0]}{more}")


def allow_large_pictures() -> None:
    """Read pictures of any size: Pillow warns of those above 89 million pixels and refuses those above 179 million."""
    Image.MAX_IMAGE_PIXELS = None


def read_picture(path: Path) -> np.ndarray:
    """Return a picture, (H, W, 3) uint8 RGB, upright.

    Raises:
        UserError: if it cannot be read, or is too large to be predicted whole.
    """
    with _advising_tiles(path):
        return read_image(path, upright=True)


@contextmanager
def _advising_tiles(path: Path) -> Iterator[None]:
    """Say what to do about a picture that Pillow finds too large."""
    try:
        yield
    except UserError as error:
        if not isinstance(error.__context__, Image.DecompressionBombError):
            raise
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UserError(f"{path}: a picture of more than {limit} million pixels; give --tile H W, such as --tile 1024 1024") from None


def num_pictures(inputs: Sequence[Input]) -> int:
    """Return how many pictures and frames there are, as far as the videos' headers tell."""
    return sum(_num_frames(item.path) if item.is_video else 1 for item in inputs)


def _num_frames(path: Path) -> int:
    try:
        return video_header(path).num_frames
    except UserError:
        return 1


def _expand(text: str, result_folders: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield the files of one input, each with the folder from which its name starts."""
    path = Path(text)
    if os.path.isfile(text):  # unlike Path.is_file, no error for what is too long to be a name
        yield path, path.parent
        return
    if os.path.isdir(text):
        base, found = path, files_with_suffix(path, INPUT_SUFFIXES)
    elif glob.has_magic(text):
        base, found = _fixed_part(path), _matches(text)
    else:
        raise UserError(f"{text}: no such file or folder; give pictures, videos, folders of them or globs")
    fresh = [file for file in found if not any(file.resolve().is_relative_to(folder) for folder in result_folders)]
    if not fresh:
        raise UserError(f"{text}: holds nothing but results of predict.py; name the files, or choose another --output_path")
    yield from ((file, base) for file in fresh)


def _matches(pattern: str) -> list[Path]:
    paths = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
    found = [path for path in paths if path.suffix.lower() in INPUT_SUFFIXES and path.is_file()]
    if not found:
        raise UserError(f"{pattern}: no picture or video matches; files with {', '.join(INPUT_SUFFIXES)} are looked for")
    return found


def _fixed_part(pattern: Path) -> Path:
    """Return the folder in front of the first part that is a glob."""
    return next(parent for parent in pattern.parents if not glob.has_magic(str(parent)))


def _named(bases: dict[Path, Path]) -> list[Input]:
    """Name each file; where two names agree, by the path below the folder that holds all files, with the suffix."""
    names = {path: Path(os.path.relpath(path, base)).with_suffix("").as_posix() for path, base in bases.items()}
    counts = Counter(names.values())
    # Frames are written into a folder of the video's name, where those of a folder of pictures may go.
    folders = {parent.as_posix() for name in names.values() for parent in Path(name).parents}
    common = os.path.commonpath([os.path.abspath(path.parent) for path in bases])
    for path, name in names.items():
        if counts[name] > 1 or name.startswith("../") or (is_video(path) and name in folders):  # a glob may climb
            names[path] = Path(os.path.relpath(path, common)).as_posix()
    owners: dict[str, Path] = {}
    for path, name in names.items():
        if name in owners:
            raise UserError(f"{owners[name]} and {path}: results of both would be called {name}; predict them one after the other")
        owners[name] = path
    return [Input(path, name) for path, name in names.items()]
