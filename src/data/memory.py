"""How the C library keeps memory between samples."""

import ctypes
from functools import cache

# Numbers of glibc's mallopt (malloc.h).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 64 << 20  # some samples of 512x1024: what waits in a queue lies elsewhere
_MMAP_BYTES = 32 << 20  # the largest that glibc allows


@cache
def keep_freed_memory() -> None:
    """Let this process, and those that it forks, keep up to 64 MiB of freed memory, where the C library is glibc.

    A sample's arrays have megabytes, which glibc would give back to the system after each sample. Getting them anew, page by page, took a
    sixth of the time of a packed sample of 512x1024 (540 page faults).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_MMAP_THRESHOLD, _MMAP_BYTES)
    mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
