"""PYNATIVE mode that computes each operation where it is called, for a process of tests.

By itself MindSpore 2.8 hands each operation through three queues to other threads, whose waiting for each other takes two to four times as
long as the operations of a tiny network, and keeps two cores busy.
"""

import atexit
import os
import sys

VARIABLE = "MS_DEV_HOST_BLOCKING_RUN"
_status: int | None = None


def leave_queues_out() -> None:
    """Have this process, but none that it starts, compute without queues; call it before anything is computed, and see `end_with`.

    Without queues MindSpore's destructors of static objects free memory twice (2.8.0: "corrupted size vs. prev_size" from exit(), behind
    all Python code, after half the runs of tests/models/test_family.py). So the process ends before them, behind all that atexit does.
    """
    import mindspore as ms

    before = ms.get_context("mode")
    os.environ[VARIABLE] = "1"
    ms.set_context(mode=ms.PYNATIVE_MODE, device_target="CPU")
    (ms.Tensor(1.0) + 1).asnumpy()  # MindSpore reads the variable once, with the first operation
    ms.set_context(mode=before)
    del os.environ[VARIABLE]


def end_with(status: int) -> int:
    """Return the exit status of this process after noting it."""
    global _status
    _status = status
    return status


def _end() -> None:
    if _status is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_status)


atexit.register(_end)  # before MindSpore is imported: what is registered first is called last
