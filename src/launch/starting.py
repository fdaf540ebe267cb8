"""How the ranks of this host are started: directly, from a rank table, by msrun or by mpirun."""

import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.config.errors import UserError
from src.launch.rank_table import find_host, read_rank_table

_RANK_SCRIPT = str(Path(__file__).resolve().with_name("rank.py"))
# What belongs to one group, and would lead the ranks of another one astray.
GROUP_VARIABLES = (
    *("MS_ROLE", "MS_NODE_ID", "MS_WORKER_NUM", "MS_SCHED_HOST", "MS_SCHED_PORT"),
    *("RANK_ID", "RANK_SIZE", "RANK_TABLE_FILE", "OMPI_COMM_WORLD_RANK"),
)


@dataclass(frozen=True)
class Plan:
    """What is started.

    Attributes:
        starts: command and environment of each process: msrun or mpirun, or else one for each rank.
        ranks: numbers of the ranks of this host.
        starter: "msrun" or "mpirun", or "" where the ranks are started directly, `starts` in the order of `ranks`.
        node: name of this host among several, for file names that the hosts must not share; "" where it is the only one.
    """

    starts: Sequence[tuple[Sequence[str], Mapping[str, str]]]
    ranks: Sequence[int]
    starter: str = ""
    node: str = ""


def make_plan(arguments: Any, command: Sequence[str]) -> Plan:
    """Return what to start for the arguments of launch.

    Raises:
        UserError: if the rank table, the hosts' options, the port, or the programs will not do.
    """
    program = shutil.which(command[0])
    if program is None:
        raise UserError(f"{command[0]}: no such program; COMMAND begins with the interpreter, as in /venv/bin/python train.py")
    for name in ("worker_num", "master_addr", "master_port", "node_rank"):
        if getattr(arguments, name) is not None and not arguments.msrun:
            raise UserError(f"--{name} {getattr(arguments, name)}: only --msrun has it; leave it out")
    rank_words = [_RANK_SCRIPT, str(arguments.log_dir), program, *command[1:]]
    environment = {name: value for name, value in os.environ.items() if name not in GROUP_VARIABLES}
    environment["OCRNET_LAUNCHER_PID"] = str(os.getpid())
    if arguments.rank_table:
        return _plan_rank_table(arguments.rank_table, rank_words, environment)
    if arguments.msrun:
        return _plan_msrun(arguments, _find_starter("msrun", program), rank_words, environment)
    if arguments.mpirun:
        return _plan_mpirun(arguments.mpirun, _find_starter("mpirun", program), rank_words, environment)
    return Plan([([sys.executable, *rank_words], environment)], [0])


def _plan_rank_table(path: Path, rank_words: Sequence[str], environment: Mapping[str, str]) -> Plan:
    table = read_rank_table(path)
    host = find_host(table)
    starts = []
    for device in host.devices:
        own = {"RANK_ID": device.rank_id, "DEVICE_ID": device.device_id, "RANK_SIZE": table.size, "RANK_TABLE_FILE": path.resolve()}
        starts.append(([sys.executable, *rank_words], {**environment, **{name: str(value) for name, value in own.items()}}))
    several = len(table.servers) > 1
    return Plan(starts, [device.rank_id for device in host.devices], node=host.server_id.replace("/", "_") if several else "")


def _plan_msrun(arguments: Any, msrun: str, rank_words: Sequence[str], environment: Mapping[str, str]) -> Plan:
    local = arguments.msrun
    world, node = arguments.worker_num or local, arguments.node_rank
    _check_hosts(local, world, node, arguments.master_port)
    several = world > local
    node = node if several else 0
    port = arguments.master_port or free_port()
    if node == 0:
        _check_port(port)
    # msrun starts "python" from PATH.
    folder = Path(sys.executable).parent
    path = f"{folder}:{environment.get('PATH', os.defpath)}"
    if shutil.which("python", path=path) is None:
        raise UserError(f"msrun starts 'python', which is neither in {folder} nor on PATH; use an interpreter with that name")
    # tail_worker_log: a number that no worker has, since the launcher shows the log itself.
    command = [msrun, f"--worker_num={world}", f"--local_worker_num={local}", f"--master_addr={arguments.master_addr or '127.0.0.1'}"]
    command += [f"--master_port={port}", f"--log_dir={arguments.log_dir}", "--join=True", f"--tail_worker_log={world}"]
    command += [f"--node_rank={node}"] * several + _option_words("MSRUN_OPTIONS") + [*rank_words]
    ranks = range(node * local, (node + 1) * local)
    return Plan([(command, {**environment, "PATH": path})], ranks, "msrun", f"node_{node}" if several else "")


def _check_hosts(local: int, world: int, node: int | None, port: int | None) -> None:
    if world % local:
        raise UserError(f"--worker_num {world}: expected a multiple of --msrun {local}, the processes of each host")
    if world > local and (node is None or port is None):
        raise UserError(f"--worker_num {world} with {local} on each host needs --node_rank, --master_addr and --master_port")
    if node is not None and not 0 <= node < world // local:
        raise UserError(f"--node_rank {node}: {world} processes, {local} on each host, are hosts 0 to {world // local - 1}")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return listener.getsockname()[1]


def _check_port(port: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that wait for their end do not count
        try:
            listener.bind(("", port))
        except OSError as error:
            raise UserError(f"--master_port {port} cannot be used on this host ({error.strerror}); give another port, or none") from error


def _plan_mpirun(count: int, mpirun: str, rank_words: Sequence[str], environment: Mapping[str, str]) -> Plan:
    command = [mpirun, "-n", str(count), *["--allow-run-as-root"] * (os.geteuid() == 0)]
    options = _option_words("MPIRUN_OPTIONS")
    for word in options:
        if re.match("--?(H|host|hostfile|machinefile|default-hostfile)(=|$)", word):
            raise UserError(f"MPIRUN_OPTIONS: {word} names hosts, but mpirun is for this host alone; use msrun on several")
    # By default OpenMPI ties each of two ranks to one core, which the processes that read samples would share with it.
    command += ["--bind-to", "none", *options]  # the last --bind-to counts
    return Plan([([*command, sys.executable, *rank_words], environment)], range(count), "mpirun")


def _find_starter(name: str, interpreter: str) -> str:
    found = shutil.which(name, path=str(Path(interpreter).parent)) or shutil.which(name)
    if found is None:
        package = (
            "MindSpore (pip install -r requirements.txt)" if name == "msrun" else "OpenMPI 4 (apt-get install openmpi-bin), or use msrun"
        )
        raise UserError(f"no {name} beside {interpreter} or on PATH; it comes with {package}")
    return os.path.abspath(found)


def _option_words(variable: str) -> list[str]:
    try:
        return shlex.split(os.environ.get(variable, ""))
    except ValueError as error:
        raise UserError(f"{variable}='{os.environ[variable]}' cannot be read: {error}") from error
