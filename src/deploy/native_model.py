"""A native MindIR file, run by MindSpore in Python."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.runtime.entry import WorkError


class NativeModel:
    """A model file in memory.

    Args:
        model: a .mindir file of the kind "native", with one input and one output.

    Raises:
        WorkError: if it does not run here.
    """

    def __init__(self, model: Path) -> None:
        self._name = model.name
        with self._running():
            self._graph = nn.GraphCell(ms.load(str(model)))

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the output for an input of the graph's shape and type.

        Raises:
            WorkError: if it does not run here.
        """
        with self._running():
            return self._graph(Tensor(image)).asnumpy()

    @contextmanager
    def _running(self) -> Iterator[None]:
        before = ms.get_context("mode")
        ms.set_context(mode=ms.GRAPH_MODE)  # what a file holds runs in no other mode
        try:
            yield
        except (RuntimeError, ValueError, TypeError) as error:
            raise WorkError(f"{self._name} does not run in MindSpore {ms.__version__}: {error}") from error
        finally:
            ms.set_context(mode=before)
