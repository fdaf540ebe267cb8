"""Ranks that fail, are killed or are asked to stop: what the launcher says, returns and leaves behind. The ranks are small programs."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.launch.launching import Launching, finish

HOWS = ("--rank_table|TABLE", "--msrun|3", "--mpirun|3")
# Rank 0 takes longer to save than the others, which would not survive a starter that kills all when one has ended.
SAVES = """
def stop(number, frame):
    time.sleep(0.7 * (rank == 0))
    (here / f"saved_{rank}").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
(here / f"ready_{rank}").touch()
wait_for("never")
"""


@pytest.fixture
def launching(tmp_path: Path) -> Launching:
    launching = Launching(tmp_path)
    devices = ", ".join(f'{{"device_id": "{n}", "rank_id": "{n}"}}' for n in range(3))
    table = (
        f'{{"version": "1.0", "server_count": "1", "status": "completed", "server_list": [{{"server_id": "h", "device": [{devices}]}}]}}'
    )
    (launching.folder / "table.json").write_text(table)
    return launching


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVER_ID", "h")


def rank_pid(launching: Launching, rank: int) -> int:
    path = launching.wait_for(f"logs/rank_{rank}.pid")
    while len(words := path.read_text().split()) != 2:
        time.sleep(0.01)
    return int(words[1])


@pytest.mark.parametrize("how", HOWS)
def test_first_failure_by_time_ends_all_and_is_reported(launching: Launching, how: str) -> None:
    body = """
if rank == 0:
    print('live', flush=True)
    wait_for('logs/rank_2.exit')
    sys.exit(4)
if rank == 2:
    for number in range(30): print('line', number)
    os.write(1, b'10%\\r90%\\xff\\n')
    sys.exit(7)
wait_for('never')
"""
    start = time.monotonic()
    status, output, errors = launching.run(how, body)
    assert (status, output) == (7, "live\n")
    lines = errors.splitlines()
    assert lines[0] == "line 11" and lines[-2] == "90%\ufffd" and len(lines) == 21
    assert lines[-1] == f"error: rank 2 failed with status 7; its log: {launching.logs / 'rank_2.log'}"
    launching.assert_all_end()
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("how", HOWS)
def test_rank_killed_by_a_signal_is_named_with_it(launching: Launching, how: str) -> None:
    status, _, errors = launching.run(how, "rank == 1 and os.kill(os.getpid(), 9)\nwait_for('never')")
    assert status == 1 and "error: rank 1 was killed by SIGKILL (by somebody, or by the kernel for lack of memory); its log: " in errors
    launching.assert_all_end()


@pytest.mark.parametrize("how", HOWS)
def test_all_ranks_save_when_asked_to_stop(launching: Launching, how: str) -> None:
    process = launching.start(how, SAVES)
    for rank in range(3):
        launching.wait_for(f"ready_{rank}")
    process.send_signal(signal.SIGTERM)
    status, _, errors = finish(process)
    assert (status, errors) == (143, "")
    assert len(list(launching.folder.glob("saved_*"))) == 3
    launching.assert_all_end()


def test_signal_to_one_rank_stops_all_after_they_saved(launching: Launching) -> None:
    process = launching.start("--msrun|3", SAVES)
    for rank in range(3):
        launching.wait_for(f"ready_{rank}")
    os.kill(rank_pid(launching, 1), signal.SIGTERM)
    status, _, errors = finish(process)
    assert status == 1 and "error: rank 1 ended with status 143 after a signal (sent by somebody" in errors
    assert len(list(launching.folder.glob("saved_*"))) == 3


def test_interrupt_has_its_own_status_and_finished_work_counts_as_done(launching: Launching) -> None:
    body = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(int((here / 'status').read_text())))\n"
    body += "(here / 'ready').touch()\nwait_for('never')"
    for said, expected in ((143, 130), (0, 0), (6, 6)):
        (launching.folder / "status").write_text(str(said))
        process = launching.start("--single", body)
        launching.wait_for("ready")
        process.send_signal(signal.SIGINT)
        assert finish(process)[0] == expected
        (launching.folder / "ready").unlink()


def test_rank_that_does_not_stop_is_killed_after_the_timeout(launching: Launching) -> None:
    body = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n(here / 'ready').touch()\nwait_for('never')"
    process = launching.start("--single", body, STOP_TIMEOUT="0.5")
    launching.wait_for("ready")
    process.send_signal(signal.SIGTERM)
    status, _, errors = finish(process)
    assert status == 143 and errors == "error: killed, because they had not ended after the signal (STOP_TIMEOUT: 0.5 s): ranks 0\n"
    launching.assert_all_end()


def test_second_interrupt_ends_the_patience(launching: Launching) -> None:
    body = "signal.signal(signal.SIGTERM, lambda *_: (here / 'told').touch())\n(here / 'ready').touch()\nwait_for('never')"
    process = launching.start("--single", body)
    for sign in ("ready", "told"):
        launching.wait_for(sign)
        process.send_signal(signal.SIGINT)
    status, _, errors = finish(process)  # in 60 s; STOP_TIMEOUT is 120 s
    assert status == 130 and "killed, because they had not ended after the signal" in errors
    launching.assert_all_end()


def test_what_a_rank_leaves_behind_is_killed(launching: Launching) -> None:
    body = """
for session in (False, True):
    code = f"open(r'{here}/pid_' + str(__import__('os').getpid()), 'w'); __import__('time').sleep(1000)"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=session)
while len(list(here.glob('pid_*'))) < 3:
    time.sleep(0.02)
"""
    assert launching.run("--single", body)[0] == 0
    assert len(list(launching.folder.glob("pid_*"))) == 3
    assert launching.living() == []


@pytest.mark.parametrize("how", HOWS)
def test_nothing_outlives_a_launcher_that_was_killed(launching: Launching, how: str) -> None:
    process = launching.start(how, SAVES)
    for rank in range(3):
        launching.wait_for(f"ready_{rank}")
    process.kill()
    finish(process)
    launching.assert_all_end()
    assert len(list(launching.folder.glob("saved_*"))) == 3


@pytest.mark.parametrize("how", HOWS)
def test_wrapper_that_was_killed_takes_its_rank_along(launching: Launching, how: str) -> None:
    process = launching.start(how, "(here / f'ready_{rank}').touch()\nwait_for('never')")
    for rank in range(3):
        launching.wait_for(f"ready_{rank}")
    os.kill(rank_pid(launching, 1), signal.SIGKILL)
    status, _, errors = finish(process)
    assert status == 1
    if "table" in how:
        assert "error: rank 1 was killed by SIGKILL" in errors
    else:
        assert re.search("error: ranks? .*1.* vanished: rank.py was killed", errors)
    launching.assert_all_end()


@pytest.mark.parametrize("how", ["--single", "--msrun|2"])
def test_reason_why_rank_py_itself_failed_is_shown(launching: Launching, how: str) -> None:
    launching.logs.mkdir()
    (launching.logs / "rank_0.log").symlink_to(launching.folder / "no folder" / "rank_0.log")
    status, _, errors = launching.run(how, "wait_for('never')")
    *shown, said = errors.splitlines()
    assert status == 1 and "FileNotFoundError: [Errno 2]" in errors and said.endswith(f"{launching.logs / 'launcher.log'}")
    launching.assert_all_end()


def test_starter_that_was_killed_is_named(launching: Launching) -> None:
    process = launching.start("--msrun|3", SAVES)
    for rank in range(3):
        launching.wait_for(f"ready_{rank}")
    starter = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    os.kill(starter, signal.SIGKILL)
    status, _, errors = finish(process)
    assert status == 1 and "error: msrun was killed by SIGKILL before its ranks; its log: " in errors
    launching.assert_all_end()


def test_starter_that_starts_nothing_is_shown(launching: Launching) -> None:
    status, output, errors = launching.run("--msrun|3", "", REFUSE="1")
    assert (status, output) == (1, "") and "no cluster today\nerror: msrun ended with status 1 before its ranks; its log: " in errors
