"""Size of a picture stored without loss, and time to read a training crop of it, in many ways: what src/data/strips.py was chosen by.

    python benchmarks/packed_data.py FRAME.png [--crops 40] [--turns 5]

The crops are those of preset hrnetv2_w48 (512x1024 of the picture at a scale of 0.5-2.1). The ways take turns; processor time of one
thread, the mean over the crops of each one's best turn. Every crop's pixels are compared. Whole files are decoded whole; PNG by libspng,
down to the last row needed. "up": differences from the row above; "green": red and blue less green, each colour a plane of its own, and
"up".
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import imagecodecs
import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from src.data import png  # noqa: E402
from src.data.crop import Crop  # noqa: E402
from src.data.pictures import Box  # noqa: E402
from src.data.strips import decode_strips, encode_strips  # noqa: E402

COMPRESSORS: dict[str, tuple[Callable, Callable]] = {
    "raw": (np.copy, lambda data, out: np.copyto(out, data)),
    "lz4": (partial(imagecodecs.lz4_encode, level=1), lambda data, out: imagecodecs.lz4_decode(data, out=out)),
    **{
        f"lz4 hc {level}": (partial(imagecodecs.lz4_encode, level=level, hc=True), lambda data, out: imagecodecs.lz4_decode(data, out=out))
        for level in (3, 6, 9)
    },
    **{
        f"zstd {level}": (partial(imagecodecs.zstd_encode, level=level), lambda data, out: imagecodecs.zstd_decode(data, out=out))
        for level in (1, 3, 9)
    },
}


class Way(NamedTuple):
    """A way to store a picture: what is stored, its bytes, the seconds that took, and a function that returns a rectangle's pixels."""

    name: str
    size: int
    seconds: float
    read: Callable[[Box], np.ndarray]


def cut(pixels: np.ndarray, box: Box) -> np.ndarray:
    """Return a rectangle of a picture."""
    return pixels[box[0] : box[2], box[1] : box[3]]


def whole_files(pixels: np.ndarray, source: bytes) -> list[Way]:
    """Return picture formats, which are decoded whole but for PNG."""

    def way(name: str, encode: Callable[[np.ndarray], bytes], decode: Callable[[bytes, Box], np.ndarray]) -> Way:
        start = time.process_time()
        data = encode(pixels)
        return Way(name, len(data), time.process_time() - start, lambda box: cut(decode(data, box), box))

    def read_png(data: bytes, box: Box) -> np.ndarray:
        return imagecodecs.spng_decode(png.first_rows(data, box[2]))

    return [
        way("PNG, as it was", lambda _: source, read_png),
        way("PNG, level 1", partial(imagecodecs.png_encode, level=1), read_png),
        way("WebP", partial(imagecodecs.webp_encode, lossless=True, level=0), lambda data, _: imagecodecs.webp_decode(data)),
        way("JPEG-LS", imagecodecs.jpegls_encode, lambda data, _: imagecodecs.jpegls_decode(data)),
        way("QOI", imagecodecs.qoi_encode, lambda data, _: imagecodecs.qoi_decode(data)),
    ]


def tiles(pixels: np.ndarray, compressor: str, what: str, tile_hw: tuple[int, int]) -> Way:
    """Return a picture in tiles, of which a crop reads those that it touches."""
    encode, decode = COMPRESSORS[compressor]
    rows, columns = tile_hw
    height, width = pixels.shape[:2]
    start = time.process_time()
    places = [(top, left) for top in range(0, height, rows) for left in range(0, width, columns)]
    stored = {(top, left): encode(_filtered(pixels[top : top + rows, left : left + columns], what).reshape(-1)) for top, left in places}
    seconds = time.process_time() - start

    def read(box: Box) -> np.ndarray:
        first, last = (box[0] // rows, box[1] // columns), (-(-box[2] // rows), -(-box[3] // columns))
        grid = (last[0] - first[0], last[1] - first[1])
        shape = (3, rows, columns) if what == "green" else (rows, columns * 3)
        buffer = np.empty((*grid, *shape), np.uint8)
        for y in range(grid[0]):
            for x in range(grid[1]):
                decode(stored[(first[0] + y) * rows, (first[1] + x) * columns], buffer[y, x].reshape(-1))
        region = _unfiltered(buffer, what)
        return cut(region, (box[0] - first[0] * rows, box[1] - first[1] * columns, box[2] - first[0] * rows, box[3] - first[1] * columns))

    shape = "whole" if tile_hw == (height, width) else f"strips of {rows} rows" if columns == width else f"tiles {rows}x{columns}"
    return Way(f"{compressor}, {what}, {shape}", sum(len(data) for data in stored.values()), seconds, read)


def _filtered(tile: np.ndarray, what: str) -> np.ndarray:
    if what == "green":
        tile = np.stack([tile[..., 1], tile[..., 0] - tile[..., 1], tile[..., 2] - tile[..., 1]])
    if what == "plain":
        return np.ascontiguousarray(tile)
    rows = tile.swapaxes(0, -2) if what == "green" else tile
    differences = rows.copy()
    differences[1:] -= rows[:-1]
    return np.ascontiguousarray(differences.swapaxes(0, -2) if what == "green" else differences)


def _unfiltered(buffer: np.ndarray, what: str) -> np.ndarray:
    """Return the pixels, HWC, of tiles (down, across, rows, columns * 3), or with three planes in front of the rows."""
    if what != "plain":
        for row in range(1, buffer.shape[-2]):
            np.add(buffer[..., row, :], buffer[..., row - 1, :], out=buffer[..., row, :])
    if what == "green":
        down, across, _, rows, columns = buffer.shape
        green, red, blue = buffer.transpose(2, 0, 3, 1, 4).reshape(3, down * rows, across * columns)
        return cv2.merge([red + green, np.ascontiguousarray(green), blue + green])
    down, across, rows, columns = buffer.shape
    return buffer.transpose(0, 2, 1, 3).reshape(down * rows, across * columns // 3, 3)


def packed(pixels: np.ndarray) -> Way:
    """Return what packed data hold."""
    start = time.process_time()
    data = encode_strips(pixels)
    seconds = time.process_time() - start
    return Way("packed data: with checksums", len(data), seconds, lambda box: decode_strips(lambda first, n: data[first : first + n], box))


def random_boxes(size_hw: tuple[int, int], number: int) -> list[Box]:
    """Return the rectangles that training crops are made of."""
    rng, boxes = np.random.default_rng(0), []
    for _ in range(number):
        scale = 0.5 + 0.1 * rng.integers(17)
        scaled = (round(size_hw[0] * scale), round(size_hw[1] * scale))
        top, left = (int(rng.integers(max(0, side - crop) + 1)) for side, crop in zip(scaled, (512, 1024), strict=True))
        boxes.append(Crop(size_hw, scaled, top, left, (min(512, scaled[0]), min(1024, scaled[1]))).source_box())
    return boxes


def main(argv: Sequence[str] | None = None) -> int:
    """Measure all ways and print a table; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="an RGB PNG whose sides are multiples of 128")
    parser.add_argument("--crops", type=int, default=40, help="random crops (default 40)")
    parser.add_argument("--turns", type=int, default=5, help="turns, of which the best counts (default 5)")
    args = parser.parse_args(argv)
    cv2.setNumThreads(0)
    pixels = np.asarray(Image.open(args.file).convert("RGB"))
    size_hw = (pixels.shape[0], pixels.shape[1])
    if any(side % 128 for side in size_hw):
        parser.error(f"{args.file} is {size_hw[1]}x{size_hw[0]}: its sides must be multiples of 128")
    strips, squares = (32, size_hw[1]), ((64, 512), (128, 256))
    ways = [*whole_files(pixels, args.file.read_bytes()), tiles(pixels, "raw", "plain", strips)]
    ways += [tiles(pixels, compressor, "plain", size_hw) for compressor in ("lz4", "zstd 1", "zstd 3", "zstd 9")]
    ways += [tiles(pixels, compressor, what, strips) for compressor in ("lz4", "lz4 hc 6", "zstd 1") for what in ("plain", "up", "green")]
    ways += [tiles(pixels, compressor, "up", strips) for compressor in ("lz4 hc 3", "lz4 hc 9", "zstd 3", "zstd 9")]
    ways += [tiles(pixels, compressor, "up", shape) for compressor in ("lz4 hc 6", "zstd 1") for shape in ((64, size_hw[1]), *squares)]
    ways.append(packed(pixels))
    boxes = random_boxes(size_hw, args.crops)
    best = np.full((len(ways), len(boxes)), np.inf)
    for _ in range(args.turns):
        for k, box in enumerate(boxes):
            for number, way in enumerate(ways):
                start = time.process_time()
                region = way.read(box)
                best[number, k] = min(best[number, k], time.process_time() - start)
                assert np.array_equal(region, cut(pixels, box)), way.name
    print(f"{args.file.name}: {size_hw[1]}x{size_hw[0]}, {pixels.nbytes / 1e6:.2f} MB of pixels")
    print("| stored | MB | ms to store | ms for a crop |\n| --- | --- | --- | --- |")
    for way, times in zip(ways, best, strict=True):
        print(f"| {way.name} | {way.size / 1e6:.2f} | {1000 * way.seconds:.0f} | {1000 * times.mean():.2f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
