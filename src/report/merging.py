"""One report of what all ranks have seen."""

import pickle

import numpy as np

from src.engine.evaluator import SumArray
from src.report.collector import Collector
from src.report.gallery import Gallery, Panel

_BYTES_PER_NUMBER = 7  # sums over ranks take numbers below 2**60


def merge_ranks(collector: Collector, rank: int, size: int, sum_array: SumArray) -> None:
    """Put together what the ranks have collected; every rank must call it, and has all of it then, but for the time.

    Args:
        collector: of this rank.
        rank: number of this process.
        size: number of processes.
        sum_array: sum of an int64 array over all ranks.
    """
    if size == 1:
        return
    for counts in collector.counts:
        counts[...] = sum_array(counts)
    # The smallest and the largest picture of each rank.
    sizes = np.zeros((size, 2, 2), np.int64)
    if collector.sizes_hw:
        sizes[rank] = collector.sizes_hw
    collector.note_sizes((height, width) for height, width in sum_array(sizes).reshape(-1, 2).tolist() if height)
    collector.gallery = _merge_galleries(collector.gallery, rank, size, sum_array)


def _merge_galleries(own: Gallery, rank: int, size: int, sum_array: SumArray) -> Gallery:
    """Return the worst and the best pictures of all ranks."""
    payload = pickle.dumps(own.panels())
    lengths = np.zeros(size, np.int64)
    lengths[rank] = len(payload)
    lengths = sum_array(lengths)
    merged = Gallery(own.max_shown)
    for sender in range(size):
        # One rank after the other, each in an array as long as the longest needs: the reduction is compiled once, and memory stays small.
        numbers = _pack(payload if sender == rank else b"", int(lengths.max()))
        panels: list[Panel] = pickle.loads(_unpack(sum_array(numbers), int(lengths[sender])))
        for panel in panels:
            merged.keep(panel)
    merged.histogram = sum_array(own.histogram)
    return merged


def _pack(payload: bytes, length: int) -> np.ndarray:
    """Return bytes, filled up with zeros to a length, as int64 numbers."""
    padded = np.zeros((-(-length // _BYTES_PER_NUMBER), _BYTES_PER_NUMBER + 1), np.uint8)
    flat = np.zeros(padded.shape[0] * _BYTES_PER_NUMBER, np.uint8)
    flat[: len(payload)] = np.frombuffer(payload, np.uint8)
    padded[:, :_BYTES_PER_NUMBER] = flat.reshape(-1, _BYTES_PER_NUMBER)
    return padded.view("<i8")[:, 0].astype(np.int64)


def _unpack(numbers: np.ndarray, length: int) -> bytes:
    """Return the bytes that `_pack` made numbers of."""
    padded = numbers.astype("<i8")[:, None].view(np.uint8)
    return padded[:, :_BYTES_PER_NUMBER].tobytes()[:length]
