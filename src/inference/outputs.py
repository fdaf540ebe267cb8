"""What is written of a prediction: class numbers, colours, overlays, probabilities, comparisons, the test server's label ids."""

import errno
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.checking import nearest
from src.config.errors import InputError, UserError
from src.data import cityscapes
from src.data.basedataset import DatasetInfo
from src.data.statistics import shortened
from src.inference.comparison import comparison
from src.inference.inputs import Input
from src.inference.palette import overlay, write_index, write_mask, write_picture
from src.inference.video import video_writer

SUMMARY_FILE = "predictions.json"
PROBABILITIES = "probabilities"
LABEL_IDS = np.array([label.id for label in cityscapes.TRAINED], np.uint8)  # by train id


@dataclass(frozen=True)
class Prediction:
    """A picture or a frame with its classes.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        labels: (H, W) uint8 train ids.
        probabilities: (K, H, W) float32; None where they are not asked for.
    """

    image: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray | None = None


# Pictures for people: from a prediction, names and colours, and whether it is a frame of a video, (H', W', 3) uint8 RGB.
DRAWINGS: dict[str, Callable[[Prediction, DatasetInfo, bool], np.ndarray]] = {
    "overlay": lambda item, info, is_frame: overlay(item.image, item.labels, info.palette),
    "comparison": lambda item, info, is_frame: comparison(item.image, item.labels, info, is_frame),
}
# Numbers for programs: one file for each picture or frame.
ARRAYS: dict[str, Callable[[Path, Prediction, DatasetInfo], None]] = {
    "index": lambda path, item, info: write_index(path, item.labels),
    "palette": lambda path, item, info: write_mask(path, item.labels, info.palette),
    "labelIds": lambda path, item, info: write_index(path, LABEL_IDS[item.labels]),
    PROBABILITIES: lambda path, item, info: _write_probabilities(path, item),
}
KINDS = ("index", "palette", "overlay", "labelIds", PROBABILITIES, "comparison")
_FRAME_NAME = re.compile(r"\d{6,}")
EXPLAIN = "explain"  # what --explain adds to the kinds, of pictures alone


def _write_probabilities(path: Path, item: Prediction) -> None:
    """Write (K, H, W) float16, in the order of the classes, which sum to 1 within rounding."""
    assert item.probabilities is not None
    with atomic_path(path) as temporary:
        np.save(temporary, item.probabilities.astype(np.float16))


def parse_kinds(text: str, info: DatasetInfo) -> tuple[str, ...]:
    """Return what to write, each kind once.

    Args:
        text: kinds separated by commas.
        info: the classes that the weights tell apart.

    Raises:
        UserError: if one is unknown, or has no meaning for these classes.
    """
    kinds = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for kind in kinds:
        if kind not in KINDS:
            raise UserError(f"--save {text}: '{kind}' is none of {', '.join(KINDS)}{nearest(kind, list(KINDS))}")
    if "labelIds" in kinds and info.class_names != cityscapes.INFO.class_names:
        named = shortened(info.class_names)
        raise UserError(f"--save labelIds: these are numbers of Cityscapes' classes, and the weights have others ({named}); use index")
    return kinds


@dataclass(frozen=True)
class ResultFolder:
    """Where results go; each file is complete or absent.

    Of a picture FOLDER/KIND/NAME.png (.npy of probabilities), of a video FOLDER/KIND/NAME.mp4 where it is for people and
    FOLDER/KIND/NAME/000000.png and so on where it is for programs, and FOLDER/predictions.json.

    Attributes:
        folder: of all results; made with the first of them.
        kinds: of `KINDS`.
        info: names and colours of the classes.
    """

    folder: Path
    kinds: tuple[str, ...]
    info: DatasetInfo

    @property
    def kind_folders(self) -> list[Path]:
        """The folders of all kinds, also of those that are not written now."""
        return [self.folder / kind for kind in (*KINDS, EXPLAIN)]

    def path(self, kind: str, name: str) -> Path:
        """Return the file of a picture's or a frame's result."""
        return self.folder / kind / f"{name}{'.npy' if kind == PROBABILITIES else '.png'}"

    def new_path(self, kind: str, name: str) -> Path:
        """Return the file of a picture's or a frame's result, in a folder that is there.

        Raises:
            InputError: if the name is too long.
            UserError: if the folder cannot be made.
        """
        path = self.path(kind, name)
        _make_place(path)
        return path

    def video_path(self, kind: str, name: str) -> Path:
        """Return the file of a video's result, or the folder of its frames' results."""
        return self.folder / kind / (f"{name}.mp4" if kind in DRAWINGS else name)

    def refuse_overwriting(self, inputs: Sequence[Input], explains: bool = False) -> None:
        """Check that no result takes an input's place.

        Args:
            inputs: pictures and videos.
            explains: explanations are written too.

        Raises:
            UserError: naming the first that would.
        """
        files = {item.path.resolve() for item in inputs}
        folders = {file.parent for file in files}
        for item in inputs:
            for kind in (*self.kinds, EXPLAIN) if explains else self.kinds:
                path = self.video_path(kind, item.name) if item.is_video else self.path(kind, item.name)
                if path.resolve() in files:
                    raise UserError(f"{path} is an input and would be overwritten; choose another --output_path")
                if item.is_video and path.resolve() in folders:
                    raise UserError(f"{path} holds inputs, among which frames would be written; choose another --output_path")

    def write(self, name: str, item: Prediction) -> None:
        """Write all kinds of a picture.

        Raises:
            InputError: if the name is too long.
            UserError: if a folder cannot be made.
        """
        for kind in self.kinds:
            path = self.new_path(kind, name)
            if kind in ARRAYS:
                ARRAYS[kind](path, item, self.info)
            else:
                write_picture(path, DRAWINGS[kind](item, self.info, False))

    @contextmanager
    def writing_video(self, name: str, rate: float) -> Iterator[Callable[[int, Prediction], None]]:
        """Yield a function that writes all kinds of a frame, given its number; videos appear when the block ends well.

        Frames that an earlier, longer video of the name left behind are removed then.

        Args:
            name: of the video.
            rate: frames per second.

        Raises:
            InputError: if the name is too long.
            UserError: if a folder cannot be made, or no such video can be written.
        """
        num_written = 0
        with ExitStack() as stack:
            streams: dict[str, Callable[[np.ndarray], None]] = {}

            def write(number: int, item: Prediction) -> None:
                nonlocal num_written
                for kind in self.kinds:
                    if kind in ARRAYS:
                        ARRAYS[kind](self.new_path(kind, f"{name}/{number:06d}"), item, self.info)
                        continue
                    frame = DRAWINGS[kind](item, self.info, True)
                    if kind not in streams:
                        path = self.video_path(kind, name)
                        _make_place(path)
                        streams[kind] = stack.enter_context(video_writer(path, rate, (frame.shape[0], frame.shape[1])))
                    streams[kind](frame)
                num_written = number + 1

            yield write
        if num_written:
            self._remove_frames(name, num_written)

    def _remove_frames(self, name: str, first: int) -> None:
        """Remove the results of a video's frames from a number on."""
        for kind in self.kinds:
            suffix, folder = self.path(kind, name).suffix, self.video_path(kind, name)
            for path in folder.glob(f"*{suffix}") if kind in ARRAYS else ():
                if _FRAME_NAME.fullmatch(path.stem) and int(path.stem) >= first:
                    path.unlink()

    def write_summary(self, content: dict[str, Any]) -> None:
        """Write predictions.json."""
        _make_place(self.folder / SUMMARY_FILE)
        with atomic_path(self.folder / SUMMARY_FILE) as path:
            path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _make_place(path: Path) -> None:
    """Make the folder of a file, and refuse a name that is too long for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"a result cannot be called {path.name}, which is too long a name; rename the input") from error
        raise UserError(f"{path.parent}: cannot be made ({error.strerror}); choose another --output_path") from error
