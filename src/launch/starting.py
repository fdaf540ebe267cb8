"""How the ranks of this host are started: directly, from a rank table, by msrun or by mpirun."""

import os
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from src.config.errors import UserError
from src.launch.hccl import find_host, read_rank_table
from src.launch.supervisor import Plan

_RANK_SCRIPT = str(Path(__file__).resolve().with_name("rank.py"))
# What belongs to one group, and would lead the ranks of another one astray.
GROUP_VARIABLES = (
    *("MS_ROLE", "MS_NODE_ID", "MS_WORKER_NUM", "MS_SCHED_HOST", "MS_SCHED_PORT"),
    *("RANK_ID", "RANK_SIZE", "RANK_TABLE_FILE", "OMPI_COMM_WORLD_RANK"),
)


def make_plan(arguments: Any, command: Sequence[str]) -> Plan:
    """Return what to start for the arguments of launch.

    Raises:
        UserError: if the rank table, the hosts' options, the port, or the programs will not do.
    """
    program = shutil.which(command[0])
    if program is None:
        raise UserError(f"{command[0]}: no such program; COMMAND begins with the interpreter, as in /venv/bin/python train.py")
    words = [str(arguments.log_dir), program, *command[1:]]
    environment = {name: value for name, value in os.environ.items() if name not in GROUP_VARIABLES}
    if arguments.rank_table:
        return _plan_rank_table(arguments.rank_table, words, environment)
    if arguments.msrun:
        return _plan_msrun(arguments, words, environment)
    if arguments.mpirun:
        return _plan_mpirun(arguments.mpirun, words, environment)
    environment["OCRNET_LAUNCHER_PID"] = str(os.getpid())
    return Plan([([sys.executable, _RANK_SCRIPT, *words], environment)], [0])


def _plan_rank_table(path: Path, words: Sequence[str], environment: Mapping[str, str]) -> Plan:
    table = read_rank_table(path)
    host = find_host(table)
    starts = []
    for device in host.devices:
        own = {"RANK_ID": device.rank_id, "DEVICE_ID": device.device_id, "RANK_SIZE": table.size}
        own_words = {name: str(value) for name, value in own.items()}
        own_words |= {"RANK_TABLE_FILE": str(path.resolve()), "OCRNET_LAUNCHER_PID": str(os.getpid())}
        starts.append(([sys.executable, _RANK_SCRIPT, *words], {**environment, **own_words}))
    several = len(table.servers) > 1
    return Plan(starts, [device.rank_id for device in host.devices], node=host.server_id if several else "")


def _plan_msrun(arguments: Any, words: Sequence[str], environment: Mapping[str, str]) -> Plan:
    local = arguments.msrun
    world, node = arguments.worker_num or local, arguments.node_rank
    _check_hosts(local, world, node, arguments.master_port)
    several = world > local
    node = node if several else 0
    port = arguments.master_port or _free_port()
    if node == 0:
        _check_port(port)
    msrun = _find_starter("msrun", words[1])
    # msrun starts "python" from PATH.
    path = f"{Path(words[1]).parent}:{environment.get('PATH', os.defpath)}"
    if shutil.which("python", path=path) is None:
        raise UserError(f"msrun starts 'python', which is neither beside {words[1]} nor on PATH; use an interpreter with that name")
    # tail_worker_log: a number that no worker has, since the launcher shows the log itself.
    command = [msrun, f"--worker_num={world}", f"--local_worker_num={local}", f"--master_addr={arguments.master_addr}"]
    command += [f"--master_port={port}", f"--log_dir={words[0]}", "--join=True", f"--tail_worker_log={world}"]
    command += [f"--node_rank={node}"] * several + _option_words("MSRUN_OPTIONS") + [_RANK_SCRIPT, *words]
    start = (command, {**environment, "PATH": path, "OCRNET_LAUNCHER_PID": str(os.getpid())})
    return Plan([start], range(node * local, (node + 1) * local), "msrun", f"node_{node}" if several else "")


def _check_hosts(local: int, world: int, node: int | None, port: int | None) -> None:
    if world % local:
        raise UserError(f"--worker_num {world}: expected a multiple of --msrun {local}, the processes of each host")
    if world > local and (node is None or port is None):
        raise UserError(f"--worker_num {world} with {local} on each host needs --node_rank, --master_addr and --master_port")
    if node is not None and not 0 <= node < world // local:
        raise UserError(f"--node_rank {node}: {world} processes, {local} on each host, are hosts 0 to {world // local - 1}")


def _free_port() -> int:
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


def _plan_mpirun(count: int, words: Sequence[str], environment: Mapping[str, str]) -> Plan:
    command = [_find_starter("mpirun", words[1]), "-n", str(count), *["--allow-run-as-root"] * (os.geteuid() == 0)]
    return Plan([([*command, *_option_words("MPIRUN_OPTIONS"), words[1], _RANK_SCRIPT, *words], environment)], range(count), "mpirun")


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
