"""Sliding windows: where they lie and what their overlap gives."""

import numpy as np
import pytest

from src.inference.sliding import WindowGrid, sliding_bands, sliding_logits, window_starts


@pytest.mark.parametrize(
    ("length", "window", "stride", "expected"),
    [
        (10, 4, 3, [0, 3, 6]),
        (11, 4, 3, [0, 3, 6, 7]),
        (4, 4, 3, [0]),
        (5, 4, 4, [0, 1]),
        (8, 4, 4, [0, 4]),
        (1024, 512, 341, [0, 341, 512]),
    ],
)
def test_window_starts(length, window, stride, expected):
    assert window_starts(length, window, stride) == expected


def test_windows_cover_everything_and_stay_inside():
    for length in range(7, 40):
        for stride in range(1, 8):
            starts = window_starts(length, 7, stride)
            covered = {pixel for start in starts for pixel in range(start, start + 7)}
            assert covered == set(range(length)), (length, stride)
            assert len(set(starts)) == len(starts)


def network_of(calls):
    """A network whose answer at a pixel depends on where the pixel lies in its window."""

    def network(windows):
        calls.append(windows.shape)
        ramp = np.arange(windows.shape[2])[:, None] * 10 + np.arange(windows.shape[3])
        return np.stack([windows[:, 0], windows[:, 0] * 0 + ramp], axis=1).astype(np.float32)

    return network


def reader_of(images):
    return lambda number, box: images[number, :, box[0] : box[2], box[1] : box[3]]


def slowly(image, window_hw, stride_hw):
    """Pixel by pixel: the mean over all windows that hold it."""
    _, height, width = image.shape
    out = np.zeros((2, height, width))
    tops, lefts = (window_starts(*args) for args in zip((height, width), window_hw, stride_hw, strict=True))
    for y in range(height):
        for x in range(width):
            inside = [(y - t, x - s) for t in tops for s in lefts if 0 <= y - t < window_hw[0] and 0 <= x - s < window_hw[1]]
            out[:, y, x] = image[0, y, x], np.mean([10 * dy + dx for dy, dx in inside])
    return out


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_overlaps_are_averaged_whatever_the_batch(batch_size):
    images = np.random.default_rng(0).normal(size=(2, 3, 9, 13)).astype(np.float32)
    calls = []
    logits = sliding_logits(reader_of(images), 2, WindowGrid((9, 13), (4, 6), (3, 4)), network_of(calls), batch_size)
    assert logits.shape == (2, 2, 9, 13)
    np.testing.assert_allclose(logits, np.stack([slowly(image, (4, 6), (3, 4)) for image in images]), rtol=1e-5, atol=1e-6)
    assert all(shape[1:] == (3, 4, 6) and shape[0] <= batch_size for shape in calls)
    assert sum(shape[0] for shape in calls) == 2 * 3 * 3


@pytest.mark.parametrize(("height", "tops"), [(9, [0, 3, 5]), (8, [0, 3, 4]), (4, [0]), (3, [0])])
def test_bands_are_the_rows_that_are_done(height, tops):
    images = np.random.default_rng(0).normal(size=(2, 3, height, 13)).astype(np.float32)
    grid, calls = WindowGrid((height, 13), (4, 6), (3, 4)), []
    whole = sliding_logits(reader_of(images), 2, grid, network_of([]), 100)
    bands = list(sliding_bands(reader_of(images), 2, grid, network_of(calls), 2))
    assert [(band.picture, band.top) for band in bands] == [(picture, top) for picture in range(2) for top in tops]
    for picture in range(2):
        joined = np.concatenate([band.logits for band in bands if band.picture == picture], axis=1)
        np.testing.assert_array_equal(joined, whole[picture])
    first = next(sliding_bands(reader_of(images), 2, grid, network_of(later := []), 1))
    assert len(later) == 3 and first.logits.shape == (2, min(height, 3 if len(tops) > 1 else 4), 13)  # nothing below is looked at yet


def test_small_pictures_are_padded_and_cropped_back():
    image = np.ones((1, 3, 2, 9), np.float32)
    fill = np.reshape([5.0, 6.0, 7.0], (3, 1, 1))
    seen = []
    logits = sliding_logits(
        reader_of(image), 1, WindowGrid((2, 9), (5, 4), (5, 3), fill), lambda windows: seen.append(windows) or windows[:, :1], 8
    )
    assert logits.shape == (1, 1, 2, 9)
    assert (logits == 1).all()
    assert seen[0].shape == (3, 3, 5, 4)
    assert (seen[0][:, :, 2:] == fill).all() and WindowGrid((2, 9), (5, 4), (5, 3)).fill == 0
