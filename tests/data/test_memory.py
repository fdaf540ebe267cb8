"""Memory that is freed between samples stays with the process."""

import ctypes
import resource

import numpy as np
import pytest

from src.data.memory import keep_freed_memory


def page_faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc")
def test_arrays_are_made_of_the_same_pages_again():
    keep_freed_memory()

    def use():
        arrays = [np.ones(9 << 20, np.uint8) for _ in range(5)]
        return sum(int(array[-1]) for array in arrays)

    use()
    before = page_faults()
    for _ in range(10):
        use()
    # 5 * 9 MiB are 11520 pages; without the setting each turn gets most of them anew.
    assert page_faults() - before < 11520


def test_another_c_library(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    keep_freed_memory.cache_clear()
    keep_freed_memory()
