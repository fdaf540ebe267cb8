"""Pictures without loss in strips of rows, so that a crop decodes no more than the strips that it lies in.

Layout, little-endian: "STRP", channels and rows of a strip (2 bytes each), height and width (4 bytes each); the table: of each strip where
its data ends, counted from the start of the first one's, and their CRC-32 (4 bytes each); the CRC-32 of all so far; the data. The first
row of a strip is stored as it is, each other one as the difference from the row above, modulo 256; then all of it is compressed (LZ4).
benchmarks/packed_data.py compares this with PNG, QOI, zstd, tiles and more.
"""

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import imagecodecs
import numpy as np

from src.data.pictures import Box

STRIP_ROWS = 32
LZ4_LEVEL = 6  # of LZ4's slow compressor: a fifth less than the quick one makes, for 0.2 s a 2048x1024 picture; read as fast
_MAGIC = b"STRP"
_HEADER = struct.Struct("<4sHHII")
_SUM_BYTES = 4
_START_BYTES = 4096  # header and table of pictures of up to 16000 rows

Reader = Callable[[int, int], bytes]


class DamagedError(ValueError):
    """What should be strips is not, or not any more."""


class _Header(NamedTuple):
    """What stands in front of the table."""

    magic: bytes
    channels: int
    strip_rows: int
    height: int
    width: int


def encode_strips(pixels: np.ndarray) -> bytes:
    """Return a picture, HWC or HW uint8, as strips."""
    height, width = pixels.shape[:2]
    strips = [_compress(pixels[top : top + STRIP_ROWS]) for top in range(0, height, STRIP_ROWS)]
    ends = np.cumsum([len(strip) for strip in strips])
    table = np.column_stack([ends, [imagecodecs.deflate_crc32(strip) for strip in strips]]).astype("<u4")
    header = _HEADER.pack(_MAGIC, pixels.size // (height * width), STRIP_ROWS, height, width) + table.tobytes()
    return header + _sum_of(header) + b"".join(strips)


def decode_strips(read: Reader, box: Box | None = None) -> np.ndarray:
    """Return a picture, or a rectangle of it.

    Args:
        read: called with a start and a number of bytes, returns those of the encoded picture, or fewer where it ends.
        box: the wanted rectangle, not empty; None is the whole picture.

    Returns:
        HWC uint8, or HW of one channel.

    Raises:
        DamagedError: if header or data are not what was written.
    """
    header, table = _read_header(read)
    top, left, bottom, right = box or (0, 0, header.height, header.width)
    first, last = top // header.strip_rows, -(-bottom // header.strip_rows)
    ends, sums = table[first:last].T.tolist()
    start = int(table[first - 1, 0]) if first else 0
    data_start = _HEADER.size + table.nbytes + _SUM_BYTES
    data: Any = memoryview(read(data_start + start, ends[-1] - start))
    strips: list[bytes] = [data[begin - start : end - start] for begin, end in zip([start, *ends], ends, strict=False)]
    if [imagecodecs.deflate_crc32(strip) for strip in strips] != sums:
        raise DamagedError("its data are not what was written")
    rows = _decompress(strips, header, first, slice(left * header.channels, right * header.channels))
    region = rows[top - first * header.strip_rows : bottom - first * header.strip_rows]
    return region.reshape(bottom - top, right - left, header.channels) if header.channels > 1 else region


def _read_header(read: Reader) -> tuple[_Header, np.ndarray]:
    """Return the header, and of each strip where it ends and its sum, (strips, 2) uint32."""
    start = read(0, _START_BYTES)
    if len(start) < _HEADER.size or not start.startswith(_MAGIC):
        raise DamagedError("it does not begin as it was written")
    header = _Header(*_HEADER.unpack_from(start))
    num_strips = -(-header.height // max(header.strip_rows, 1))
    end = _HEADER.size + 8 * num_strips
    if end + _SUM_BYTES > len(start):
        start = read(0, end + _SUM_BYTES)
    if start[end : end + _SUM_BYTES] != _sum_of(start[:end]):
        raise DamagedError("it does not begin as it was written")
    return header, np.frombuffer(start, "<u4", offset=_HEADER.size, count=2 * num_strips).reshape(num_strips, 2)


def _sum_of(data: bytes) -> bytes:
    return struct.pack("<I", imagecodecs.deflate_crc32(data))


def _compress(strip: np.ndarray) -> bytes:
    differences = strip.copy()
    differences[1:] -= strip[:-1]
    return bytes(imagecodecs.lz4_encode(differences.tobytes(), level=LZ4_LEVEL, hc=True))


def _decompress(strips: list[bytes], header: _Header, first: int, columns: slice) -> np.ndarray:
    """Return columns of all rows of strips, the first of which is that of number `first`; (rows, columns) uint8."""
    bytes_of_row, strip_rows = header.width * header.channels, header.strip_rows
    rows = np.empty((len(strips), strip_rows, bytes_of_row), np.uint8)
    for number, strip in enumerate(strips):
        num_rows = min(strip_rows, header.height - (first + number) * strip_rows)
        imagecodecs.lz4_decode(strip, out=rows[number].reshape(-1)[: num_rows * bytes_of_row])
    for row in range(1, strip_rows):  # of all strips at once; behind the last row of a picture nothing is looked at
        np.add(rows[:, row, columns], rows[:, row - 1, columns], out=rows[:, row, columns])
    return rows.reshape(-1, bytes_of_row)[:, columns]
