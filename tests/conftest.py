"""Every test runs on the CPU; MindSpore's own log is kept quiet."""

from collections.abc import Iterator

import pytest

from src.runtime.environment import prepare_environment

prepare_environment("CPU")

import mindspore as ms  # noqa: E402

ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")


@pytest.fixture
def pynative() -> Iterator[None]:
    """Compiling takes seconds: only tests that are about it switch to GRAPH."""
    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=before)


@pytest.fixture(params=["GRAPH", "PYNATIVE"])
def mode(request: pytest.FixtureRequest, pynative: None) -> str:
    ms.set_context(mode=ms.GRAPH_MODE if request.param == "GRAPH" else ms.PYNATIVE_MODE)
    return request.param
