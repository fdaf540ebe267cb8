"""Every test runs on the CPU; MindSpore's own log is kept quiet."""

import gc
from collections.abc import Iterator

import pytest

from src.runtime.environment import prepare_environment

prepare_environment("CPU")

from tests.without_queues import end_with, leave_queues_out  # noqa: E402

# What takes longest begins first (pyproject.toml: a file at a time on each of two processes), so that neither waits long at the end.
LONGEST = (
    "tests/deploy/",
    "tests/scripts/test_cpp_infer.py",
    "tests/engine/test_trainer.py",
    "tests/models/test_networks.py",
    "tests/engine/test_distributed.py",
    "tests/parity/test_mmseg.py",
    "tests/parity/test_official.py",
    "tests/parity/test_paddleseg.py",
    "tests/engine/test_precision.py",
    "tests/engine/test_fine_tuning.py",
    "tests/parity/test_loss_and_gradients.py",
    "tests/engine/test_kill.py",
    "tests/launch/test_ranks_die.py",
    "tests/runtime/modelarts/test_job.py",
    "tests/checkpoint/conversion/",
    "tests/parity/",
)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        return  # xdist's controller computes nothing: it need not wait for MindSpore before it starts the workers
    leave_queues_out()
    import mindspore as ms

    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")


def pytest_collection_finish() -> None:
    gc.freeze()  # a million objects of MindSpore and torch that live to the end: looking through them again and again takes 3 % of all


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((number for number, start in enumerate(LONGEST) if item.nodeid.startswith(start)), len(LONGEST))

    items.sort(key=place)  # stable: within a file everything stays in its order


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    end_with(int(session.exitstatus))


@pytest.fixture
def pynative() -> Iterator[None]:
    """Compiling takes seconds: only tests that are about it switch to GRAPH."""
    import mindspore as ms

    before = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield
    ms.set_context(mode=before)


@pytest.fixture(params=["GRAPH", "PYNATIVE"])
def mode(request: pytest.FixtureRequest, pynative: None) -> str:
    import mindspore as ms

    ms.set_context(mode=ms.GRAPH_MODE if request.param == "GRAPH" else ms.PYNATIVE_MODE)
    return request.param
