"""Stand-ins for what foreign pickles ask for besides dicts: they keep what they are given and do nothing.

A pickle may name any function of any module and have it called while it is read. Readers answer the few names below with these classes and
refuse every other, so that no code is run for a file: not numpy's, which was not written for hostile input, either.
"""

from collections import OrderedDict
from typing import Any

import numpy as np

_KINDS = frozenset("fiub")


class Inert:
    """Takes any arguments and any state, and forgets them."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class InertDtype:
    """What a pickle says of a numpy dtype.

    Attributes:
        text: kind and size, such as "f4".
        order: byte order, one of < > | =.
    """

    def __init__(self, text: str, *options: bool) -> None:
        self.text = text
        self.order = "|"

    def __setstate__(self, state: tuple) -> None:
        self.order = state[1]

    def resolve(self) -> np.dtype:
        """Return the dtype.

        Raises:
            ValueError: if it is not one of plain numbers.
        """
        if not isinstance(self.text, str) or self.text[:1] not in _KINDS or not self.text[1:].isdigit() or self.order not in tuple("<>|="):
            raise ValueError(f"an array of type {self.text!r}")
        return np.dtype(self.order + self.text)


class InertArray:
    """What a pickle says of a numpy array; stands for the class and for the function that makes one."""

    def __init__(self, *arguments: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def resolve(self) -> np.ndarray:
        """Return the array.

        Raises:
            ValueError: if its parts do not fit together, or it holds anything but numbers.
        """
        _, shape, dtype, column_major, data = self.state
        if not isinstance(dtype, InertDtype) or not isinstance(data, bytes):
            raise ValueError("an array of objects")
        return np.frombuffer(data, dtype.resolve()).reshape(shape, order="F" if column_major else "C")


def latin1_bytes(text: str, encoding: str = "latin1") -> bytes:
    """Return the bytes that Python 3 writes as text into pickles of protocol 2."""
    return text.encode("latin1")


NUMPY_NAMES: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": InertArray,
    "numpy._core.multiarray._reconstruct": InertArray,
    "numpy.ndarray": InertArray,
    "numpy.dtype": InertDtype,
    "_codecs.encode": latin1_bytes,
    "collections.OrderedDict": OrderedDict,
}

# What trainers put beside the weights: numpy scalars, mmengine's record of the losses, options.
TRAINER_NAMES: tuple[str, ...] = (
    "mmengine.logging.history_buffer.HistoryBuffer",
    "builtins.getattr",  # how the record refers to its own methods
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
    "argparse.Namespace",
)
