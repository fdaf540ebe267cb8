"""Start the ranks of a job on this host, stay with them, and end them all when one dies.

    python -m src.launch --log_dir DIR --single -- python train.py ...
    python -m src.launch --log_dir DIR --rank_table FILE -- python train.py ...
    python -m src.launch --log_dir DIR --msrun 2 -- python train.py ...
    python -m src.launch --log_dir DIR --mpirun 2 -- python train.py ...

Writes into DIR: rank_N.log (what rank N printed; the lowest rank's is shown live), rank_N.exit (how it ended), launcher.log (msrun or
mpirun), and of msrun: scheduler.log (says why a group cannot form), worker_N.log (what rank.py printed itself: nothing, as a rule). Logs of
an earlier launch stay, as rank_N.log.1 and so on.

Status: that of the first rank that failed (1 where a signal killed it); 2 for a mistake in the call; 143, 130 or 129 after SIGTERM, SIGINT
or SIGHUP, which the ranks get as SIGTERM; 0 when all ranks ended well.

A rank that dies ends this host's within seconds. Those of other hosts learn of it by MindSpore's heartbeats; see MS_NODE_TIMEOUT.

Environment:
    STOP_TIMEOUT: seconds that ranks may take to save and end after SIGTERM (default: 120).
    SERVER_ID: name of this host in the rank table (default: found by its addresses).
    MS_NODE_TIMEOUT: read by MindSpore: seconds without a heartbeat after which a rank counts as dead (MindSpore's default: 30).
    MPIRUN_OPTIONS, MSRUN_OPTIONS: more options for mpirun and msrun, separated as in a shell; none that name hosts for mpirun, which is
        for this host alone, and gets `--bind-to none` before them.

Set for the ranks by --rank_table: RANK_ID, DEVICE_ID, RANK_SIZE, RANK_TABLE_FILE. What belongs to another group is taken out of the
environment (GROUP_VARIABLES in starting.py).
"""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from src.config.errors import UserError
from src.launch.rank import DEFAULT_STOP_TIMEOUT
from src.launch.rank_record import RankRecord, lock, set_log_aside
from src.launch.starting import Plan, make_plan
from src.launch.supervisor import Supervisor
from src.runtime.entry import OneLineParser, run


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of what stands before `--`."""
    parser = OneLineParser(
        prog="launch",
        usage="%(prog)s --log_dir DIR HOW [options] -- COMMAND...",
        description=(__doc__ or "").split("\n", 1)[0],
        allow_abbrev=False,
    )
    parser.add_argument("--log_dir", required=True, metavar="DIR", type=Path, help="folder for the logs; one launch at a time works there")
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--single", action="store_true", help="one process, no process group")
    how.add_argument("--rank_table", metavar="FILE", type=Path, help="a process for each device of this host in an HCCL rank table")
    how.add_argument("--msrun", metavar="N", type=positive, help="N processes on this host, by MindSpore's msrun")
    how.add_argument("--mpirun", metavar="N", type=positive, help="N processes on this host, by OpenMPI")
    hosts = parser.add_argument_group("--msrun on several hosts")
    hosts.add_argument("--worker_num", metavar="W", type=positive, help="processes on all hosts together, N on each (default: N)")
    hosts.add_argument("--master_addr", metavar="IP", help="the host of node rank 0 (default: 127.0.0.1)")
    hosts.add_argument("--master_port", metavar="P", type=port, help="a port that is free there (default, on one host: any)")
    hosts.add_argument("--node_rank", metavar="R", type=int, help="number of this host, from 0")
    return parser


def positive(text: str) -> int:
    """Read a number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1, got '{text}'")
    return int(text)


def port(text: str) -> int:
    """Read the number of a port."""
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1024 to 65535, got '{text}'")
    return int(text)


def stop_timeout() -> float:
    """Return STOP_TIMEOUT in seconds."""
    text = os.environ.get("STOP_TIMEOUT") or str(DEFAULT_STOP_TIMEOUT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < float("inf"):
        raise UserError(f"STOP_TIMEOUT={text}: expected seconds, 0 or more")
    return seconds


@contextmanager
def folder_of_logs(folder: Path, plan: Plan) -> Iterator[Path]:
    """Make the folder this launch's own and set earlier logs aside; yield the path of the log of msrun or mpirun.

    Hosts that share the folder each have names of their own in it.

    Raises:
        UserError: if another launch works there, or ranks of one that was killed have not ended yet.
    """
    mark = f"_{plan.node}" if plan.node else ""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".launch{mark}", "a") as stream:
        if not lock(stream, fcntl.LOCK_EX):
            raise UserError(f"another launch works in {folder}; wait for it, or choose another folder")
        earlier = () if plan.node else [int(path.stem[5:]) for path in folder.glob("rank_*.*") if path.stem[5:].isdecimal()]
        records = [RankRecord(folder, rank) for rank in {*plan.ranks, *earlier}]
        for record in records:
            if record.is_held():
                raise UserError(
                    f"rank {record.rank} of an earlier launch still works in {folder}; wait for its end, or choose another folder"
                )
        for record in records:
            record.set_aside()
        starter_log = folder / f"launcher{mark}.log"
        # Of msrun's own, which it overwrites, the scheduler's stands where rank 0 does.
        own = ["scheduler"] * (0 in plan.ranks) + [f"worker_{rank}" for rank in plan.ranks]
        for log in (starter_log, *(folder / f"{name}.log" for name in own)):
            set_log_aside(log)
        yield starter_log


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, check, launch; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    cut = words.index("--") if "--" in words else len(words)
    parser = build_parser()
    arguments, command = parser.parse_args(words[:cut]), words[cut + 1 :]
    if not command:
        parser.error("expected -- and the command of a rank after the options")
    arguments.log_dir = arguments.log_dir.absolute()
    timeout, plan = stop_timeout(), make_plan(arguments, command)
    with folder_of_logs(arguments.log_dir, plan) as starter_log:
        return Supervisor(plan, arguments.log_dir, starter_log, timeout).run()


if __name__ == "__main__":
    sys.exit(run(main))
