"""What the launcher starts, with which environment, what it shows, and what it refuses. The ranks are small programs."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launch.launching import PROJECT, Launching, finish

SHOW = """
names = ("RANK_ID", "RANK_SIZE", "DEVICE_ID", "RANK_TABLE_FILE", "MS_ROLE", "OMPI_COMM_WORLD_RANK", "MS_WORKER_NUM")
print({name: os.environ[name] for name in names if name in os.environ}, flush=True)
"""


@pytest.fixture
def launching(tmp_path: Path) -> Launching:
    return Launching(tmp_path)


def write_table(folder: Path, *servers: tuple[str, list[tuple[int, int]]]) -> None:
    entries = [
        {"server_id": name, "device": [{"device_id": str(device), "rank_id": str(rank)} for rank, device in devices]}
        for name, devices in servers
    ]
    tree = {"version": "1.0", "server_count": str(len(entries)), "server_list": entries, "status": "completed"}
    (folder / "table.json").write_text(json.dumps(tree))


def test_single_shows_every_byte_and_leaves_no_group_in_the_environment(launching: Launching) -> None:
    body = SHOW + r"os.write(1, b'10%\r20%\r\xff last'); print(' error', file=sys.stderr, end='', flush=True)"
    status, output, _ = launching.run("--single", body, RANK_ID="3", RANK_SIZE="8", MS_ROLE="MS_WORKER", RANK_TABLE_FILE="x", DEVICE_ID="5")
    assert (status, output) == (0, "{'DEVICE_ID': '5'}\n10%\r20%\r\ufffd last error")
    assert (launching.logs / "rank_0.exit").read_text().split()[0] == "0"


def test_rank_table_starts_the_ranks_of_this_host(launching: Launching) -> None:
    write_table(launching.folder, ("one", [(0, 0)]), ("two", [(1, 4), (2, 7)]))
    status, output, errors = launching.run("--rank_table|TABLE", SHOW, SERVER_ID="two")
    assert status == 0, errors
    expected = {"RANK_SIZE": "3", "RANK_TABLE_FILE": str(launching.folder / "table.json")}
    for rank, device in ((1, 4), (2, 7)):
        assert eval((launching.logs / f"rank_{rank}.log").read_text()) == {"RANK_ID": str(rank), "DEVICE_ID": str(device), **expected}
    assert output == (launching.logs / "rank_1.log").read_text()
    assert not (launching.logs / "rank_0.log").exists()


def test_msrun_gets_the_hosts_and_its_scheduler_does_not_keep_a_finished_job(launching: Launching) -> None:
    status, output, errors = launching.run("--msrun|2", SHOW, MSRUN_OPTIONS="--cluster_time_out=60 '--extra=a b'")
    assert status == 0, errors
    assert eval(output) == {"RANK_ID": "0", "DEVICE_ID": "0", "MS_ROLE": "MS_WORKER"}
    arguments = (launching.logs / "launcher.log").read_text().split("\n")[0]
    assert arguments.startswith("arguments: --worker_num=2 --local_worker_num=2 --master_addr=127.0.0.1 --master_port=")
    assert f"--log_dir={launching.logs} --join=True --tail_worker_log=2 --cluster_time_out=60 --extra=a b " in arguments
    launching.assert_all_end()


def test_msrun_on_the_second_of_two_hosts_has_the_later_ranks(launching: Launching) -> None:
    how = "--msrun|2|--worker_num|4|--master_addr|10.0.0.1|--master_port|23456|--node_rank|1"
    body = SHOW + "rank == 3 and sys.exit(5)\nwait_for('never')"
    status, output, errors = launching.run(how, body)
    assert status == 5 and "rank 3 failed with status 5" in errors and "'RANK_ID': '2'" in output
    arguments = (launching.logs / "launcher_node_1.log").read_text()
    assert "--worker_num=4 --local_worker_num=2 --master_addr=10.0.0.1 --master_port=23456" in arguments and "--node_rank=1" in arguments


def test_mpirun_gets_the_options_of_the_environment_and_ties_no_rank_to_one_core(launching: Launching) -> None:
    body = SHOW + "(here / os.environ['OCRNET_LAUNCHER_PID']).touch()"
    process = launching.start("--mpirun|2", body, MPIRUN_OPTIONS="-x 'A=b c'")
    status, output, errors = finish(process)
    assert status == 0, errors
    assert (launching.folder / str(process.pid)).exists()
    assert eval(output) == {"OMPI_COMM_WORLD_RANK": "0"}
    assert f" --bind-to none -x A=b c {sys.executable} " in (launching.logs / "launcher.log").read_text()
    assert eval((launching.logs / "rank_1.log").read_text()) == {"OMPI_COMM_WORLD_RANK": "1"}


@pytest.mark.parametrize("how", ["--single", "--msrun|1", "--mpirun|1"])
def test_command_need_not_be_python(launching: Launching, how: str) -> None:
    (launching.bin / "python").unlink()
    (launching.bin / "python").write_text("#!/bin/sh\nexec echo no Python: $*\n")
    (launching.bin / "python").chmod(0o755)
    status, output, errors = launching.run(how, "")
    assert (status, errors) == (0, "") and output.startswith("no Python: ")


def test_logs_that_msrun_writes_itself_are_kept(launching: Launching) -> None:
    launching.logs.mkdir()
    for name in ("scheduler", "worker_2", "worker_0"):
        (launching.logs / f"{name}.log").write_text("first")
    hosts = "--msrun|1|--worker_num|3|--master_addr|10.0.0.1|--master_port|23456|--node_rank|2"
    assert launching.run(hosts, "sys.exit(5)")[0] == 5  # where a rank ended well, other hosts may need the scheduler
    assert {path.name for path in launching.logs.glob("[sw]*")} == {"scheduler.log", "worker_0.log", "worker_2.log.1"}
    assert launching.run("--msrun|1", "")[0] == 0
    assert {path.name for path in launching.logs.glob("[sw]*")} == {"scheduler.log.1", "worker_0.log.1", "worker_2.log.1"}


def test_earlier_logs_are_kept_and_earlier_ends_are_not(launching: Launching) -> None:
    assert launching.run("--mpirun|2", "print('first'); sys.exit(3)")[0] == 3
    assert launching.run("--single", "print('second')")[0] == 0
    kept = {path.name: path.read_text() for path in launching.logs.glob("rank_*.log*")}
    assert kept == {"rank_0.log": "second\n", "rank_0.log.1": "first\n", "rank_1.log.1": "first\n"}
    assert [path.name for path in launching.logs.glob("rank_*.exit")] == ["rank_0.exit"]


def test_second_launch_in_the_folder_is_refused(launching: Launching) -> None:
    first = launching.start("--single", "wait_for('go')")
    launching.wait_for("logs/rank_0.pid")
    status, output, errors = launching.run("--single", "wait_for('go')")
    assert status == 2 and errors.count("\n") == 1 and "another launch works in" in errors
    (launching.folder / "go").touch()
    assert finish(first)[0] == 0


def test_launch_is_refused_while_ranks_of_a_killed_one_still_save(launching: Launching) -> None:
    body = "signal.signal(signal.SIGTERM, lambda *_: (wait_for('go'), sys.exit(143)))\n(here / 'ready').touch()\nwait_for('never')"
    first = launching.start("--single", body)
    launching.wait_for("ready")
    first.kill()
    finish(first)
    status, _, errors = launching.run("--single", body)
    assert status == 2 and errors.count("\n") == 1 and "rank 0 of an earlier launch still works" in errors
    (launching.folder / "go").touch()
    launching.assert_all_end()


def test_port_in_use_is_refused(launching: Launching) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        status, _, errors = launching.run(f"--msrun|2|--master_port|{number}", "")
    assert status == 2 and errors.count("\n") == 1 and f"--master_port {number}" in errors and "in use" in errors
    assert not launching.logs.exists()


@pytest.mark.parametrize(
    ("how", "environment", "expected"),
    [
        ("--msrun|2|--worker_num|4", {}, "needs --node_rank"),
        ("--msrun|2|--worker_num|3|--node_rank|0|--master_port|2345", {}, "expected a multiple of --msrun 2"),
        ("--msrun|2|--worker_num|4|--node_rank|2|--master_port|2345", {}, "hosts 0 to 1"),
        ("--rank_table|TABLE", {}, "no such rank table"),
        ("--single", {"STOP_TIMEOUT": "soon"}, "STOP_TIMEOUT=soon: expected seconds"),
        ("--single|--msrun|2", {}, "not allowed with"),
        ("--mpirun|2", {"MPIRUN_OPTIONS": "'open"}, "MPIRUN_OPTIONS"),
        ("--mpirun|2", {"MPIRUN_OPTIONS": "-x A --hostfile f"}, "--hostfile names hosts, but mpirun is for this host alone"),
        ("--mpirun|2", {"MPIRUN_OPTIONS": "-H=a,b"}, "-H=a,b names hosts"),
        ("--mpirun|2|--node_rank|0", {}, "--node_rank 0: only --msrun has it"),
        ("--single|--worker_num|4", {}, "--worker_num 4: only --msrun has it"),
        ("--rank_table|TABLE|--master_addr|10.0.0.1", {}, "--master_addr 10.0.0.1: only --msrun has it"),
    ],
)
def test_mistakes_take_one_line_and_start_nothing(launching: Launching, how: str, environment: dict[str, str], expected: str) -> None:
    status, output, errors = launching.run(how, "", **environment)
    assert status == 2 and output == "" and errors.count("\n") == 1 and expected in errors
    assert not launching.logs.exists()


def test_missing_starter_is_named_with_where_it_comes_from(launching: Launching) -> None:
    (launching.bin / "mpirun").unlink()
    status, _, errors = launching.run("--mpirun|2", "", PATH="/nowhere")
    assert status == 2 and errors.count("\n") == 1 and "no mpirun beside" in errors and "OpenMPI" in errors


def test_server_id_may_hold_a_slash(launching: Launching) -> None:
    write_table(launching.folder, ("rack/one", [(0, 0)]), ("rack/two", [(1, 0)]))
    status, _, errors = launching.run("--rank_table|TABLE", "", SERVER_ID="rack/two")
    assert status == 0, errors


def test_reader_that_stands_still_does_not_keep_the_launcher(launching: Launching) -> None:
    source, target = os.pipe()  # read by nobody; 64 KiB fit
    command = launching.command("--single", "print('line\\n' * 100000); sys.exit(3)")
    process = subprocess.Popen(command, cwd=PROJECT, stdout=target, stderr=target)
    assert process.wait(timeout=30) == 3
    os.close(source)
    os.close(target)


def test_work_goes_on_when_nobody_reads_stdout_any_more(launching: Launching) -> None:
    process = launching.start(
        "--single", "print('one', flush=True); wait_for('closed'); print('two', flush=True); time.sleep(0.5); print('three')"
    )
    assert process.stdout is not None and process.stdout.readline() == b"one\n"
    process.stdout.close()
    (launching.folder / "closed").touch()
    assert process.wait(timeout=30) == 0
    assert (launching.logs / "rank_0.log").read_text() == "one\ntwo\nthree\n"


def test_hangup_is_ignored_under_nohup(launching: Launching) -> None:
    process = launching.start("--single", "wait_for('go')", preexec=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN) and None)
    launching.wait_for("logs/rank_0.pid")
    process.send_signal(signal.SIGHUP)
    (launching.folder / "go").touch()
    assert finish(process)[0] == 0
