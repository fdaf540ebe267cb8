"""SIGTERM and Ctrl-C: at once, or noted and granted later; whose handlers hold."""

import os
import signal
import sys
import time
from types import SimpleNamespace

import pytest

from src.runtime import stopping
from src.runtime.stopping import Stopped, StopSignals, restore_signals


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_block(number: signal.Signals, status: int) -> None:
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(Stopped, match=f"^interrupted by {number.name}$") as caught, StopSignals():
        send(number)
    assert caught.value.status == status
    assert [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_patient_block_notes_the_first_and_ends_with_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    with StopSignals() as signals:
        signals.patient = True
        send(signal.SIGTERM)
        send(signal.SIGTERM)  # timeout sends to a process and to its group: one request
        assert signals.requested == signal.SIGTERM
        monkeypatch.setattr(stopping, "_SAME_REQUEST_SECONDS", 0.0)
        with pytest.raises(Stopped, match="SIGINT"):
            send(signal.SIGINT)


def test_a_signal_whose_exception_was_swallowed_is_not_lost() -> None:
    with StopSignals():
        try:
            send(signal.SIGTERM)
        except KeyboardInterrupt:
            pass  # as code of MindSpore does while it compiles
        with StopSignals() as inner:
            assert inner.requested == signal.SIGTERM


def test_handlers_that_another_library_set_are_replaced() -> None:
    with StopSignals() as signals:
        signals.patient = True
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        restore_signals()
        send(signal.SIGTERM)
        assert signals.requested == signal.SIGTERM
    restore_signals()  # outside of blocks it changes nothing


def test_a_signal_waits_for_the_import_of_mindspore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_SAME_REQUEST_SECONDS", 0.02)
    spec = SimpleNamespace(_initializing=True)
    monkeypatch.setitem(sys.modules, "mindspore", SimpleNamespace(__spec__=spec))
    with pytest.raises(Stopped), StopSignals() as signals:
        send(signal.SIGTERM)
        assert signals.requested == 0
        spec._initializing = False
        time.sleep(10)
