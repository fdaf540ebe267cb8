"""Sliding windows: where they lie and what their overlap gives."""

import numpy as np
import pytest

from src.inference.sliding import sliding_logits, window_starts


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
    logits = sliding_logits(images, network_of(calls), (4, 6), (3, 4), batch_size)
    assert logits.shape == (2, 2, 9, 13)
    np.testing.assert_allclose(logits, np.stack([slowly(image, (4, 6), (3, 4)) for image in images]), rtol=1e-5, atol=1e-6)
    assert all(shape[1:] == (3, 4, 6) and shape[0] <= batch_size for shape in calls)
    assert sum(shape[0] for shape in calls) == 2 * 3 * 3


def test_small_pictures_are_padded_with_zero_and_cropped_back():
    image = np.ones((1, 3, 2, 9), np.float32)
    seen = []
    logits = sliding_logits(image, lambda windows: seen.append(windows) or windows[:, :1], (5, 4), (5, 3), 8)
    assert logits.shape == (1, 1, 2, 9)
    assert (logits == 1).all()
    assert seen[0].shape == (3, 3, 5, 4)
    assert (seen[0][:, :, 2:] == 0).all()
