"""The quick decoder of PNG pictures: the same pixels and the same refusals as Pillow, and only for the files that it is for."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from src.config import UserError
from src.data import png
from src.data.pictures import read_image

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (37, 50, 3), dtype=np.uint8)
PIXELS[10:20] = 7  # some of it compresses


def encoded(pixels=PIXELS, mode=None, **options):
    stream = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(stream, "PNG", **options)
    return stream.getvalue()


def with_chunk(name, content):
    info = PngImagePlugin.PngInfo()
    info.add(name, content)
    return encoded(pnginfo=info)


def interlaced():
    """A picture of one pixel is the same, interlaced or not."""
    data = bytearray(encoded(PIXELS[:1, :1]))
    data[28] = 1
    data[29:33] = png.zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def pillow(data, box=None):
    """Return what Pillow alone makes of a file; None: it refuses."""
    try:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    except Exception:
        return None


QUICK = {
    "plain": encoded(),
    "transparent colour": encoded(transparency=(7, 7, 7)),
    "gamma": with_chunk(b"gAMA", (100000).to_bytes(4, "big")),
    "significant bits": with_chunk(b"sBIT", bytes([5, 5, 5])),
    "chromaticities": with_chunk(b"cHRM", bytes(32)),
    "compressed well": encoded(compress_level=9),
    "stored": encoded(compress_level=0),
    "one pixel": encoded(PIXELS[:1, :1]),
}
SLOW = {
    "grey": encoded(PIXELS[..., 0]),
    "palette": encoded(mode="P"),
    "two colours": encoded(mode="1"),
    "alpha": encoded(mode="RGBA"),
    "grey and alpha": encoded(mode="LA"),
    "16 bits": encoded(PIXELS[..., 0].astype(np.uint16) * 256),
    "interlaced": interlaced(),
    "JPEG": (lambda s: (Image.fromarray(PIXELS).save(s, "JPEG"), s.getvalue())[1])(io.BytesIO()),
    "empty": b"",
    "header alone": encoded()[:30],
}


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_which_files_are_decoded_quickly(name):
    data = {**QUICK, **SLOW}[name]
    pixels = png.decode_rgb(data)
    assert (pixels is not None) == (name in QUICK)
    if pixels is not None:
        assert pixels.dtype == np.uint8 and np.array_equal(pixels, pillow(data))


@pytest.mark.parametrize("rows", [1, 9, 10, 36, 37, 99])
def test_the_first_rows(rows):
    for data in (QUICK["plain"], QUICK["stored"], SLOW["grey"]):
        lowered = png.first_rows(data, rows)
        assert np.array_equal(pillow(lowered), pillow(data)[:rows])
    assert np.array_equal(png.decode_rgb(png.first_rows(QUICK["plain"], rows)), PIXELS[:rows])


@pytest.mark.parametrize("name", [*QUICK, "grey", "palette", "alpha", "grey and alpha", "interlaced", "JPEG"])
def test_read_image_is_what_pillow_reads(tmp_path, name):
    data = {**QUICK, **SLOW}[name]
    (tmp_path / "picture").write_bytes(data)
    expected = pillow(data)
    box = (0, 0, 1, 1) if len(expected) == 1 else (3, 5, 21, 44)
    assert np.array_equal(read_image(tmp_path / "picture"), expected)
    assert np.array_equal(read_image(tmp_path / "picture", box), expected[box[0] : box[2], box[1] : box[3]])


@pytest.mark.parametrize("orientation", [None, 1, 6])
def test_upright_pictures_are_turned_all_the_same(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation or 1
    (tmp_path / "p.png").write_bytes(encoded(exif=exif) if orientation else encoded())
    expected = np.rot90(PIXELS, k=-1) if orientation == 6 else PIXELS
    assert np.array_equal(read_image(tmp_path / "p.png", upright=True), expected)


def test_too_many_pixels_are_for_pillow_to_refuse(monkeypatch):
    monkeypatch.setattr(png.Image, "MAX_IMAGE_PIXELS", PIXELS[..., 0].size - 1)
    assert png.decode_rgb(QUICK["plain"]) is None
    monkeypatch.setattr(png.Image, "MAX_IMAGE_PIXELS", None)
    assert png.decode_rgb(QUICK["plain"]) is not None


def damaged(data, rng):
    """Return a file with a bit turned, its end cut off, or five bytes overwritten."""
    changed, place = bytearray(data), int(rng.integers(9, len(data) - 5))
    match rng.integers(3):
        case 0:
            changed[place] ^= 1 << rng.integers(8)
        case 1:
            del changed[place:]
        case 2:
            changed[place : place + 5] = rng.bytes(5)
    return bytes(changed)


def test_damaged_files_are_judged_as_pillow_judges_them(tmp_path, monkeypatch):
    rng, path = np.random.default_rng(1), tmp_path / "picture.png"

    def verdict():
        try:
            return read_image(path).tobytes()
        except UserError as error:
            return str(error)

    quick = 0
    for _ in range(300):
        path.write_bytes(damaged(QUICK["plain"], rng))
        quick += png.decode_rgb(path.read_bytes()) is not None
        found = verdict()
        with monkeypatch.context() as patch:
            patch.setattr(png, "decode_rgb", lambda data: None)
            assert found == verdict()
    assert quick < 30  # nearly all of it is noticed
