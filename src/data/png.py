"""The start of PNG files, and decoding those of the commonest kind quickly."""

import math
import struct
import zlib

import imagecodecs
import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGB8 = b"\x08\x02\x00\x00\x00"  # 8 bits, RGB, and what the standard has no other of: compression, filter; not interlaced


def first_rows(data: bytes, num_rows: int) -> bytes:
    """Return the same PNG with the height in its header lowered to `num_rows`; an interlaced one as it is.

    A PNG is one compressed stream from top to bottom, so a decoder that is told of fewer rows stops early; decoding is most of what a
    training sample costs (benchmarks/input_pipeline.py).

    Raises:
        struct.error, IndexError: if the header is cut off.
    """
    height = struct.unpack(">I", data[20:24])[0]
    is_interlaced = data[28] != 0
    if is_interlaced or num_rows >= height:
        return data
    header = data[12:20] + struct.pack(">I", num_rows) + data[24:29]  # "IHDR", width, height, depth ... interlace
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


def may_be_turned(data: bytes) -> bool:
    """Whether a PNG has a chunk that may hold an EXIF orientation; text chunks may, by the habits of some programs."""
    return any(name in data for name in (b"eXIf", b"tEXt", b"zTXt", b"iTXt"))


def decode_rgb(data: bytes) -> np.ndarray | None:
    """Return the pixels of an 8-bit RGB PNG that is not interlaced, HWC uint8, as stored; None for all other files.

    libspng takes a little more than half of Pillow's time, and stops early where the header's height is lowered, which libpng does not
    (benchmarks/decoders.py). None too where it finds the file damaged: Pillow has the last word on that, and says what is wrong.
    """
    if not data.startswith(SIGNATURE) or data[24:29] != RGB8:
        return None
    width, height = struct.unpack(">II", data[16:24])
    if width * height > (Image.MAX_IMAGE_PIXELS or math.inf):  # Pillow warns of those, or refuses them
        return None
    try:
        pixels = imagecodecs.spng_decode(data)
    except (imagecodecs.SpngError, ValueError, MemoryError):
        return None
    return pixels if pixels.shape == (height, width, 3) else None
