"""Videos are read frame by frame, upright and to their end or with a reason; written ones are whole or absent."""

import os
import resource
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from src.config.errors import UserError
from src.inference.video import USUAL_RATE, VideoHeader, read_frames, video_header, video_writer
from src.inference.video_container import must_be_complete

SIZE_HW = (48, 64)

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # as video.py, before the first video, which a test writes


def frames(num: int, size_hw: tuple[int, int] = SIZE_HW) -> list[np.ndarray]:
    """Frames with a red upper left corner, and grey that grows from frame to frame."""
    pictures = [np.full((*size_hw, 3), 10 * number, np.uint8) for number in range(num)]
    for picture in pictures:
        picture[: size_hw[0] // 2, : size_hw[1] // 2] = 255, 0, 0
    return pictures


def write(path: Path, code: str = "mp4v", num: int = 10, rate: float = 10.0) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), rate, SIZE_HW[::-1])
    assert writer.isOpened()
    for frame in frames(num):
        writer.write(frame[..., ::-1])
    writer.release()
    return path


@pytest.mark.parametrize(("name", "code"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mov", "mp4v"), ("a.mkv", "mp4v"), ("a.M4V", "mp4v")])
def test_frames_of_several_containers(tmp_path: Path, name: str, code: str) -> None:
    path = write(tmp_path / name, code)
    assert video_header(path) == VideoHeader(10, 1.0, 10.0)
    read = list(read_frames(path))
    assert len(read) == 10
    for given, wanted in zip(read, frames(10), strict=True):
        assert given.shape == (*SIZE_HW, 3) and given.dtype == np.uint8
        assert np.abs(given.astype(int) - wanted).mean() < 6  # RGB, not BGR: red would differ by 255 in a quarter of the picture


@pytest.mark.parametrize(("size_hw", "rate"), [((48, 64), 29.97), ((49, 65), 12.5), ((1, 1), 119.88), ((600, 16), 0.5)])
def test_what_is_written_is_read_again(tmp_path: Path, size_hw: tuple[int, int], rate: float) -> None:
    wanted = frames(6, size_hw)
    with video_writer(tmp_path / "out.mp4", rate, size_hw) as append:
        for frame in wanted:
            append(frame)
            assert not (tmp_path / "out.mp4").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    read = list(read_frames(tmp_path / "out.mp4"))
    assert video_header(tmp_path / "out.mp4").rate == pytest.approx(rate, rel=2e-3) and len(read) == 6
    for given, picture in zip(read, wanted, strict=True):
        assert given.shape[:2] == tuple(side + side % 2 for side in size_hw)
        assert np.abs(given[: size_hw[0], : size_hw[1]].astype(int) - picture).mean() < 8


def turned(path: Path) -> Path:
    """Say in the header of an MP4 that the camera was held upright, as phones do."""
    content = bytearray(path.read_bytes())
    matrix = content.find(b"tkhd") + 44
    content[matrix : matrix + 36] = struct.pack(">9i", 0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def test_frames_are_turned_as_the_camera_was_held(tmp_path: Path) -> None:
    for given, wanted in zip(read_frames(turned(write(tmp_path / "phone.mp4"))), frames(10), strict=True):
        assert np.abs(given.astype(int) - np.rot90(wanted, -1)).mean() < 6  # clockwise


@pytest.mark.parametrize(("name", "part"), [("a.avi", 0.8), ("a.mkv", 0.5)])
def test_a_video_that_breaks_off_gives_what_there_is_and_says_so(tmp_path: Path, name: str, part: float) -> None:
    path = write(tmp_path / name, "MJPG", num=20)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    read = []
    with pytest.raises(UserError, match=rf"{name}: the video breaks off after \d+ frames, \d\.\d of 2\.0 s"):
        for frame in read_frames(path):
            read.append(frame)
    assert 3 < len(read) < 17 and np.abs(read[3].astype(int) - frames(4)[3]).mean() < 6


def lasting(path: Path, milliseconds: float) -> Path:
    """Say in the header of a Matroska file that it lasts longer, as one does whose sound goes on behind the video."""
    content = bytearray(path.read_bytes())
    place = content.find(b"\x44\x89\x88") + 3  # Duration, of 8 bytes
    assert struct.unpack_from(">d", content, place) == (1000.0,)
    struct.pack_into(">d", content, place, milliseconds)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_sound_may_outlast_the_video(tmp_path: Path, name: str) -> None:
    path = lasting(write(tmp_path / "a.mkv"), 9000.0).rename(tmp_path / name)
    assert video_header(path).seconds == 9.0 and len(list(read_frames(path))) == 10


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


EBML = b"\x1a\x45\xdf\xa3\x84" + b"head" + b"\x18\x53\x80\x67"


@pytest.mark.parametrize(
    ("content", "is_told"),
    [
        (b"RIFF\0\0\0\0AVI LIST", True),
        (b"RIFF\0\0\0\0WAVEfmt ", False),
        (box(b"ftyp", b"isom") + box(b"moov", b"x" * 9) + box(b"mdat"), True),
        (box(b"wide") + struct.pack(">I4sQ", 1, b"mdat", 20) + b"four" + struct.pack(">I4s", 0, b"moov"), True),
        (box(b"ftyp", b"isom") + box(b"moov", b"x" * 9) + box(b"moof") + box(b"mdat"), False),
        (EBML + b"\x85" + b"whole", False),
        (EBML + b"\x40\x06" + b"short", True),
        (EBML + b"\x01" + b"\xff" * 7 + b"live", False),
        (EBML[:4], False),
        (b"\x00\x00\x01\xba of MPEG", False),
        (b"", False),
    ],
)
def test_which_files_tell_that_frames_are_missing(tmp_path: Path, content: bytes, is_told: bool) -> None:
    (tmp_path / "x").write_bytes(content)
    assert must_be_complete(tmp_path / "x") is is_told


def make_cut(path: Path) -> None:
    write(path)
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("no video"), "no video, cut off, or of a kind that FFmpeg does not know"),
        (lambda path: path.touch(), "the file is empty"),
        (lambda path: None, "no such file"),
        (lambda path: path.mkdir(), "no such file"),
        (make_cut, "no video, cut off"),
    ],
)
def test_no_video(tmp_path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], object], message: str) -> None:
    path = tmp_path / "file:of.mp4"  # FFmpeg would take what stands before ":" for a protocol
    make(path)
    for read in (video_header, lambda path: list(read_frames(path))):
        with pytest.raises(UserError, match=f"{path}: the video cannot be read: {message}"):
            read(path)
    assert capfd.readouterr() == ("", "")


def test_a_rate_that_no_player_keeps(tmp_path: Path) -> None:
    path = write(tmp_path / "ticks.mp4", rate=1000)
    assert video_header(path).rate == USUAL_RATE and len(list(read_frames(path))) == 10


def test_an_interruption_leaves_the_earlier_video(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("earlier")
    with pytest.raises(KeyboardInterrupt), video_writer(tmp_path / "out.mp4", 10, SIZE_HW) as append:
        append(frames(1)[0])
        raise KeyboardInterrupt
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out.mp4", "earlier")]


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path) -> None:
    rng, before = np.random.default_rng(0), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))  # bytes of a file
    try:
        with pytest.raises(OSError, match="of 40 frames reached the file"), video_writer(tmp_path / "out.mp4", 10, SIZE_HW) as append:
            for _ in range(40):
                append(rng.integers(0, 256, (*SIZE_HW, 3)).astype(np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_frames_that_are_too_large_for_the_format(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a video of 9000x16 pixels cannot be written"), video_writer(tmp_path / "out.mp4", 10, (16, 9000)):
        pass
    assert not list(tmp_path.iterdir())
