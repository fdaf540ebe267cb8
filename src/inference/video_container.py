"""Whether a video's file tells how many frames it has, or that its end is missing: FFmpeg estimates what it is not told."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"  # of Matroska and WebM: RFC 9559, section 5.1
_MAX_TOP_LEVEL = 1000  # boxes of an MP4 that are looked at; fragments begin right behind the header


def must_be_complete(path: Path) -> bool:
    """Whether frames that are fewer than the header promises are missing.

    AVI, MP4 and MOV count the frames of the video. Others tell at most how long the file lasts, which may be the sound's length: of these
    only a Matroska or WebM file can be seen to be cut off.

    Args:
        path: a video that could be opened.
    """
    with open(path, "rb") as stream:
        start = stream.read(12)
        if start[:4] == b"RIFF" and start[8:] == b"AVI ":
            return True
        if start[:4] == _EBML:
            return _is_cut_matroska(stream, path.stat().st_size)
        if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            # The boxes of a fragmented file have their own tables of frames: nowhere all are counted.
            return b"moof" not in _boxes(stream)
    return False


def _boxes(stream: BinaryIO) -> Iterator[bytes]:
    """Yield the types of the boxes of an MP4 or MOV: ISO/IEC 14496-12, section 4.2."""
    place = 0
    for _ in range(_MAX_TOP_LEVEL):
        stream.seek(place)
        head = stream.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head[:8])
        yield kind
        if size == 1 and len(head) == 16:  # of 64 bits
            size = int.from_bytes(head[8:], "big")
        if size < 8:  # 0: to the end of the file
            return
        place += size


def _is_cut_matroska(stream: BinaryIO, file_size: int) -> bool:
    """Whether the segment, which holds all but a header, should be longer than the file; a live recording does not tell."""
    stream.seek(len(_EBML))
    stream.seek(_read_size(stream)[0], 1)
    if stream.read(len(_SEGMENT)) != _SEGMENT:
        return False
    size, is_known = _read_size(stream)
    return is_known and stream.tell() + size > file_size


def _read_size(stream: BinaryIO) -> tuple[int, bool]:
    """Return the size of an element, bytes, and whether it is told: RFC 8794, section 4."""
    first = stream.read(1)
    length = 9 - first[0].bit_length() if first else 9
    if length > 8:
        return 0, False
    bits = 7 * length
    number = int.from_bytes(first + stream.read(length - 1), "big") & ((1 << bits) - 1)
    return number, number != (1 << bits) - 1
