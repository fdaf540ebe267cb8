"""Decode pictures and index labels, whole or only the rows that a crop needs."""

import io
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps

from src.config.errors import UserError
from src.data import png

# Endings of pictures, in lower case, that folders are searched for; a file that is named may be anything that Pillow reads.
PICTURE_SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff"),
    *(".webp", ".gif", ".jp2", ".ppm", ".pgm", ".pnm", ".tga"),
)
END_BYTES = 65536  # some writers leave more behind the end mark
# What Pillow and our own look at a PNG's header raise for files that are damaged or no pictures.
UNREADABLE = (OSError, SyntaxError, ValueError, IndexError, struct.error, Image.DecompressionBombError)
LABEL_MODES = ("L", "P", "1")
EQUAL_CHANNELS = "the three channels are equal: save one of them, as by PIL's picture.getchannel(0).save(...)"
NO_COLOR_MODES = ("I", "F")  # 32-bit numbers, of which nobody knows what is white

# top, left, bottom, right in pixels; bottom and right are exclusive
Box = tuple[int, int, int, int]


class Header(NamedTuple):
    """What a picture's file says of it: height and width in pixels, the format ("PNG") and Pillow's mode ("RGB")."""

    size_hw: tuple[int, int]
    form: str
    mode: str


def picture_size_hw(path: Path) -> tuple[int, int]:
    """Return (height, width) in pixels from the file's header, without decoding.

    Raises:
        UserError: if the file is not a picture.
    """
    return picture_header(path).size_hw


def picture_header(path: Path) -> Header:
    """Return what the file's header says, without decoding.

    Raises:
        UserError: if the file is not a picture.
    """
    try:
        with Image.open(path) as picture:
            return Header((picture.height, picture.width), picture.format or "", picture.mode)
    except UNREADABLE as error:
        raise UserError(f"{path}: not a readable picture: {_reason(error)}") from None


def is_turned_by_exif(path: Path) -> bool:
    """Whether viewers show a picture otherwise than it is stored, and read here, because of its EXIF orientation; without decoding.

    Raises:
        UserError: if the file is not a picture.
    """
    try:
        with Image.open(path) as picture:
            # The method of a PNG would decode it, to find an orientation behind the pixels too; Pillow itself turns TIFFs.
            orientation = Image.Image.getexif(picture).get(ExifTags.Base.Orientation, 1)
            return picture.format != "TIFF" and orientation in range(2, 9)
    except UNREADABLE as error:
        raise UserError(f"{path}: not a readable picture: {_reason(error)}") from None


def has_equal_channels(picture: Image.Image) -> bool:
    """Whether a picture of three channels, or four with transparency, holds one channel three times; black alone does not tell."""
    if picture.mode not in ("RGB", "RGBA"):
        return False
    pixels = np.asarray(picture)
    return bool((pixels[..., 1:3] == pixels[..., :1]).all() and pixels[..., 0].any())


def check_end(path: Path) -> None:
    """Look for the mark at the end of a PNG or JPEG file.

    Raises:
        UserError: if it is missing, so that the file was cut off.
    """
    with open(path, "rb") as stream:
        start = stream.read(8)
        stream.seek(-min(END_BYTES, stream.seek(0, 2)), 2)
        end = stream.read()
    mark = b"IEND" if start == png.SIGNATURE else b"\xff\xd9" if start.startswith(b"\xff\xd8") else b""
    if mark not in end:
        raise UserError(f"{path}: the picture cannot be read: the file is truncated; replace the file or leave it out")


def read_image(path: Path, box: Box | None = None, upright: bool = False) -> np.ndarray:
    """Return a picture, or a rectangle of it.

    Args:
        path: PNG, JPEG or another format known to Pillow; grey, palette and CMYK pictures become RGB, the upper 8 of 16 bits count, and
            transparency is left out.
        box: the wanted rectangle; None is the whole picture.
        upright: turn the whole picture as its EXIF orientation says, which is how viewers show it; labels are not turned.

    Returns:
        HWC uint8 RGB, 0..255.

    Raises:
        UserError: if the file is not a picture or is truncated.
    """
    try:
        data = _read(path, box)
        if not (upright and png.may_be_turned(data)) and (pixels := png.decode_rgb(data)) is not None:
            return pixels if box is None else pixels[box[0] : box[2], box[1] : box[3]]
        picture = Image.open(io.BytesIO(data))
        if upright:
            ImageOps.exif_transpose(picture, in_place=True)
        return _pixels(_to_rgb(picture), box)
    except UNREADABLE as error:
        raise UserError(f"{path}: the picture cannot be read: {_reason(error)}; replace the file or leave it out") from None


def read_index_label(path: Path, box: Box | None = None, hint: str = "") -> np.ndarray:
    """Return the values of an index picture as stored (a palette PNG gives its indices), or of a rectangle of it.

    Args:
        path: the file.
        box: the wanted rectangle; None is the whole picture.
        hint: what to do about a picture with colours or more than 8 bits.

    Returns:
        HW uint8.

    Raises:
        UserError: if the file is JPEG, has several channels or 16 bits, is truncated or no picture.
    """
    try:
        picture = Image.open(io.BytesIO(_read(path, box)))
        if picture.format == "JPEG":
            raise UserError(f"{path}: a JPEG label, whose compression changes class numbers; expected a single-channel index PNG")
        if picture.mode not in LABEL_MODES:
            hint = EQUAL_CHANNELS if has_equal_channels(picture) else hint
            more = f"; {hint}" if hint else ""
            raise UserError(f"{path}: a label of mode {picture.mode}; expected a single-channel index PNG of class numbers{more}")
        label = _pixels(picture, box)
    except UserError:
        raise
    except UNREADABLE as error:
        raise UserError(f"{path}: the label cannot be read: {_reason(error)}; replace the file or leave it out") from None
    return label.astype(np.uint8) if label.dtype != np.uint8 else label


def _read(path: Path, box: Box | None) -> bytes:
    """Return a picture's file; of a PNG at least the rows of the box can be decoded from it."""
    data = path.read_bytes()
    if not data.startswith(png.SIGNATURE):
        return data
    if data.rfind(b"IEND") < 0:
        raise OSError("the file is truncated")
    return data if box is None else png.first_rows(data, box[2])


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in NO_COLOR_MODES:
        raise ValueError(f"mode {picture.mode} holds 32-bit numbers (a depth map?); expected 8 or 16 bits")
    if picture.mode.startswith("I;16"):
        # Pillow itself would make all above 255 white.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _pixels(picture: Image.Image, box: Box | None) -> np.ndarray:
    if box is not None:
        top, left, bottom, right = box
        picture = picture.crop((left, top, right, bottom))
    return np.asarray(picture)


def _reason(error: BaseException) -> str:
    return "cannot identify its format" if "cannot identify" in str(error) else " ".join(str(error).split())
