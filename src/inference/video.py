"""Videos: reading frame by frame, and writing one while its frames come; memory holds a frame."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.inference.sliding import SizeHW
from src.inference.video_container import must_be_complete

# Endings by which a file is known to be a video, in lower case. GIF is a picture: its first frame.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp")

USUAL_RATE = 25.0  # frames per second, where a video tells none that a player could keep
MAX_RATE = 240.0
# The rate is a fraction of 16-bit numbers in MPEG-4, part 2: more decimals fit only below this.
_EXACT_RATE = 65.0
# How far the last frame may lie before the end that the header promises: headers round, and a last frame may be shown for a while.
_MISSING_SECONDS, _MISSING_PART = 0.25, 0.02
_SILENT = 0  # level of OpenCV's log


@dataclass(frozen=True)
class VideoHeader:
    """What a video's header says; some containers only estimate it.

    Attributes:
        num_frames: how many there should be; 0 where it is not known.
        seconds: duration; 0 where it is not known.
        rate: frames per second; of frames at irregular times their mean rate, or `USUAL_RATE` where it makes no sense.
    """

    num_frames: int
    seconds: float
    rate: float


def is_video(path: Path) -> bool:
    """Whether a file's name says that it is a video."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def video_header(path: Path) -> VideoHeader:
    """Return what a video's header says.

    Raises:
        UserError: if the file is no video that can be read.
    """
    with _opened(path) as capture:
        return _header(capture)


def read_frames(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames of a video, (H, W, 3) uint8 RGB each, turned as its metadata say; all are of one size.

    Raises:
        UserError: if the file is no video, or, behind the last frame that can be read, if the video goes on.
    """
    with _opened(path) as capture:
        header, num_read, end, first_hw = _header(capture), 0, 0.0, (0, 0)
        while True:
            is_read, frame = capture.read()
            if not is_read:
                break
            first_hw = first_hw if num_read else (frame.shape[0], frame.shape[1])
            if frame.shape[:2] != first_hw:
                sizes = f"{frame.shape[1]}x{frame.shape[0]} pixels, those before it {first_hw[1]}x{first_hw[0]}"
                raise UserError(f"{path}: frame {num_read} is of {sizes}; the video was read up to there")
            num_read, end = num_read + 1, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 + 1 / header.rate
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        _refuse_missing_end(path, header, num_read, end)


def _refuse_missing_end(path: Path, header: VideoHeader, num_read: int, end: float) -> None:
    if num_read == 0:
        raise UserError(f"{path}: the video cannot be read: it holds no frame; replace the file or leave it out")
    missing = header.seconds - end
    if missing > max(_MISSING_SECONDS, _MISSING_PART * header.seconds) and must_be_complete(path):
        raise UserError(
            f"{path}: the video breaks off after {num_read} frames, {end:.1f} of {header.seconds:.1f} s; the results end there too"
        )


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    reason = "no such file" if not path.is_file() else "the file is empty" if path.stat().st_size == 0 else ""
    # An absolute path: FFmpeg would take "a:b.mp4" for the address of a protocol called a.
    with _quiet():
        capture = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            reason = reason or "no video, cut off, or of a kind that FFmpeg does not know"
            raise UserError(f"{path}: the video cannot be read: {reason}; replace the file or leave it out")
        # Phones store how they were held; OpenCV 4.11 does not turn frames unless it is told to.
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        yield capture
    finally:
        capture.release()


def _header(capture: cv2.VideoCapture) -> VideoHeader:
    rate, num_frames = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    if not (rate > 0 and num_frames > 0):  # NaN too
        return VideoHeader(0, 0.0, USUAL_RATE)
    seconds = num_frames / rate
    # Where frames have no regular times some containers give the clock's ticks per second as the rate: 1000.
    rate = rate if rate <= MAX_RATE else USUAL_RATE
    return VideoHeader(round(seconds * rate), seconds, rate)


@contextmanager
def video_writer(path: Path, rate: float, size_hw: SizeHW) -> Iterator[Callable[[np.ndarray], None]]:
    """Yield a function that appends a frame, (*size_hw, 3) uint8 RGB; the file is complete, with all frames, or absent.

    Args:
        path: ends with .mp4; MPEG-4, part 2, which every OpenCV can write. An odd side gets a pixel more, the border's, as the format
            holds even ones.
        rate: frames per second.
        size_hw: height and width of the frames, pixels.

    Raises:
        UserError: if no such video can be written.
        OSError: if not all frames reached the file.
    """
    height, width = size_hw
    rate, num_written = round(rate, 3) if rate < _EXACT_RATE else float(round(rate)), 0
    with atomic_path(path) as temporary:
        with _quiet():
            code = cv2.VideoWriter.fourcc(*"mp4v")
            writer = cv2.VideoWriter(str(temporary.absolute()), cv2.CAP_FFMPEG, code, rate, (width + width % 2, height + height % 2))
        if not writer.isOpened():
            raise UserError(f"{path}: a video of {width}x{height} pixels cannot be written; choose --save kinds that are one file a frame")

        def append(frame: np.ndarray) -> None:
            nonlocal num_written
            bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
            writer.write(cv2.copyMakeBorder(bgr, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE))
            num_written += 1

        try:
            yield append
        finally:
            writer.release()
        _check_written(path, temporary, num_written)


def _check_written(path: Path, temporary: Path, num_written: int) -> None:
    """OpenCV says nothing where a disk is full: look at what arrived."""
    try:
        with _opened(temporary) as capture:
            num_frames = round(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    except UserError:
        num_frames = 0
    if num_frames != num_written:
        raise OSError(f"{path}: {num_frames} of {num_written} frames reached the file; the disk may be full: free room")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep FFmpeg and OpenCV from saying in their words what is said in ours."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # read once, with the first video
    before = cv2.getLogLevel()
    cv2.setLogLevel(_SILENT)
    try:
        yield
    finally:
        cv2.setLogLevel(before)
