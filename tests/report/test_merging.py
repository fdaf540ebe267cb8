"""Ranks that share the pictures make the report that one process makes."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from src.report.collector import Collector
from src.report.merging import _pack, _unpack, merge_ranks
from tests.report.evaluated import IGNORED, info_of, samples

NUM_CLASSES = 4


class Sum:
    """Sum over ranks that are threads."""

    def __init__(self, size):
        self.arrays, self.barrier = [None] * size, threading.Barrier(size, timeout=20)

    def of(self, rank):
        def sum_array(array):
            assert array.dtype == np.int64 and array.min(initial=0) >= 0 and array.max(initial=0) < 2**60  # what Group.sum_int64 takes
            self.arrays[rank] = array
            self.barrier.wait()
            total = sum(self.arrays)
            self.barrier.wait()
            return total

        return sum_array


def collect(pictures):
    collector = Collector(info_of(NUM_CLASSES), IGNORED)
    for sample in pictures:
        collector.observe(sample, sample.image[..., 0])
    return collector


@pytest.mark.parametrize(("count", "size"), [(40, 3), (1, 2)])
def test_the_ranks_report_is_that_of_one_process(count, size):
    pictures = list(samples(count, NUM_CLASSES))
    alone = collect(pictures)
    ranks = [collect(pictures[rank::size]) for rank in range(size)]
    total = Sum(size)
    with ThreadPoolExecutor(size) as pool:
        jobs = [pool.submit(merge_ranks, collector, rank, size, total.of(rank)) for rank, collector in enumerate(ranks)]
        for job in jobs:
            job.result()
    for merged in ranks:
        for counts, expected in zip(merged.counts, alone.counts, strict=True):
            assert np.array_equal(counts, expected)
        assert np.array_equal(merged.object_size.iou(), alone.object_size.iou(), equal_nan=True)
        assert np.array_equal(merged.gallery.histogram, alone.gallery.histogram)
        assert merged.sizes_hw == alone.sizes_hw
        assert merged.gallery.worst() == alone.gallery.worst()
        assert merged.gallery.best() == alone.gallery.best()


def test_one_process_sends_nothing():
    collector = collect(samples(2, NUM_CLASSES))
    merge_ranks(collector, 0, 1, lambda array: 1 / 0)
    assert collector.gallery.num_pictures == 2


@pytest.mark.parametrize("length", [0, 1, 6, 7, 8, 1000])
def test_bytes_travel_as_numbers(length):
    payload = np.random.default_rng(0).integers(0, 256, length, dtype=np.uint8).tobytes()
    numbers = _pack(payload, length + 9)
    assert numbers.dtype == np.int64 and (numbers >= 0).all()
    assert not _pack(b"", length + 9).any() and _pack(b"", length + 9).shape == numbers.shape
    assert _unpack(numbers, length) == payload
