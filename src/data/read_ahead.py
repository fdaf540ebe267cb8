"""Reading ahead: by threads, and by how many processes, how far, in how much shared memory. Standard library alone."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PAGE = 4096
# Semaphores and the rounding of what is left, for each process that trains (measured: below 0.1 MiB).
_FIXED = 1 << 20


def read_ahead(read: Callable[[Item], Result], items: Iterable[Item], num_ahead: int) -> Iterator[Result]:
    """Yield read(item) of each item in order, while threads work on those that come next.

    Args:
        read: what it raises is raised where its result would be yielded.
        items: are asked for as they are needed.
        num_ahead: number of threads, and of results that wait.
    """
    # Threads: decoding releases the interpreter's lock, and nothing has to be copied between processes.
    pool = ThreadPoolExecutor(num_ahead, thread_name_prefix="read-ahead")
    waiting = iter(items)
    pending: deque[Future[Result]] = deque()
    try:
        pending.extend(pool.submit(read, item) for _, item in zip(range(num_ahead), waiting, strict=False))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(read, item) for _, item in zip(range(1), waiting, strict=False))
            yield result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def num_readers(workers: int) -> int:
    """Return how many processes (or, for 1, threads) read: MindSpore refuses more than there are cores."""
    return min(workers, os.cpu_count() or 1)


def prefetch_size(batchsize: int) -> int:
    """Return how many samples a worker may be ahead.

    A queue of 16 samples of 512x1024 is 130 MB a worker: deeper reading ahead costs memory and hides nothing more.
    """
    return max(2, min(16, 2 * batchsize))


def shared_memory_bytes(crop_hw: Sequence[int], batchsize: int, workers: int) -> int:
    """Return what the reading processes of one training process hold in /dev/shm once their queues have been full.

    Args:
        crop_hw: height and width of a training sample, pixels.
        batchsize: pictures per batch of this process.
        workers: as in the configuration; 1 reads in a thread, which shares nothing.

    Source: `_SharedQueue` and `SamplerFn` of MindSpore 2.8: a worker's queue has `min(prefetch, 4 * prefetch / workers)` places, at least
    2, and two segments more than that, each of the size of a sample; a test compares with what a run holds.
    """
    readers = num_readers(workers)
    if readers == 1:
        return 0
    prefetch = prefetch_size(batchsize)
    places = max(2, min(prefetch, prefetch * 4 // readers))
    sample = crop_hw[0] * crop_hw[1] * (3 * 4 + 4)  # image: three float32; label: int32
    return _FIXED + readers * (places + 2) * -(-sample // _PAGE) * _PAGE
