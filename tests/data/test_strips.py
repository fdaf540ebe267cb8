"""Pictures in strips: the same pixels, no more read than needed, and no damage that goes unseen."""

import numpy as np
import pytest

from src.data.strips import STRIP_ROWS, DamagedError, decode_strips, encode_strips

RNG = np.random.default_rng(0)


def reader(data):
    return lambda start, number: data[start : start + number]


@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (STRIP_ROWS, 7, 3), (STRIP_ROWS + 1, 5), (100, 41, 3)])
def test_whole_pictures_come_back(shape):
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    found = decode_strips(reader(encode_strips(pixels)))
    assert found.dtype == np.uint8 and np.array_equal(found, pixels)


def test_rectangles_come_back():
    pixels = RNG.integers(0, 256, (100, 41, 3), dtype=np.uint8)
    read = reader(encode_strips(pixels))
    for top, left, bottom, right in [(0, 0, 1, 1), (31, 3, 33, 4), (32, 0, 64, 41), (33, 40, 100, 41), (99, 0, 100, 41), (5, 7, 95, 30)]:
        assert np.array_equal(decode_strips(read, (top, left, bottom, right)), pixels[top:bottom, left:right])


def test_views_and_tall_pictures():
    pixels = RNG.integers(0, 256, (2, 9, 20_000), dtype=np.uint8).T[..., 0]  # not contiguous, more strips than a first read covers
    assert np.array_equal(decode_strips(reader(encode_strips(pixels)), (19_000, 2, 19_990, 5)), pixels[19_000:19_990, 2:5])


def test_only_the_strips_of_a_rectangle_are_read():
    pixels = RNG.integers(0, 256, (64 * STRIP_ROWS, 64, 3), dtype=np.uint8)  # noise: a strip is as large as its pixels
    data, reads = encode_strips(pixels), []

    def read(start, number):
        reads.append(number)
        return data[start : start + number]

    decode_strips(read, (STRIP_ROWS, 0, 2 * STRIP_ROWS + 1, 9))
    assert sum(reads) < 4096 + 2.1 * STRIP_ROWS * 64 * 3


def test_smooth_pictures_become_small():
    column = np.arange(256, dtype=np.uint8)
    assert len(encode_strips(np.repeat(column[:, None], 256, axis=1))) < 256 * 256 / 10


def test_any_changed_byte_is_noticed():
    pixels = np.resize(np.arange(50, dtype=np.uint8), (STRIP_ROWS + 9, 6))
    data = encode_strips(pixels)
    for place in range(len(data)):
        with pytest.raises(DamagedError):
            decode_strips(reader(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]))
        with pytest.raises(DamagedError):
            decode_strips(reader(data[:place]))
