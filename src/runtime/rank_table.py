"""HCCL rank tables, version 1.0: read, check, make, merge.

    python -m src.runtime.rank_table make --devices 0-7 [--server_id IP] [--device_ips A,B,...] --output FILE
    python -m src.runtime.rank_table merge A.json B.json --output FILE

`make` writes the table of this host's devices; `merge` joins those of several hosts and numbers the ranks in the order of the files.

Environment:
    SERVER_ID: name of this host in the table (default: found by its addresses and its host name).
"""

import argparse
import json
import os
import re
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.runtime.entry import OneLineParser, run

VERSION = "1.0"
HCCN_CONF = Path("/etc/hccn.conf")
MODE = 0o644


@dataclass(frozen=True)
class Device:
    """One device and the rank that works on it; `device_ip` is "" where the table has none."""

    rank_id: int
    device_id: int
    device_ip: str = ""


@dataclass(frozen=True)
class Server:
    """One host: `server_id` is its address as a rule; `extra` holds its other keys (host_nic_ip, pod_ip)."""

    server_id: str
    devices: tuple[Device, ...]
    extra: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class RankTable:
    """All hosts of a job."""

    servers: tuple[Server, ...]

    @property
    def size(self) -> int:
        """Number of ranks."""
        return sum(len(server.devices) for server in self.servers)


def read_rank_table(path: Path) -> RankTable:
    """Read and check a rank table.

    Raises:
        UserError: if it is missing, no JSON, of another version, not completed, or its counts, ids or addresses do not fit together.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such rank table; scripts/make_rank_table.sh makes one") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no rank table in JSON ({error}); scripts/make_rank_table.sh makes one") from error
    try:
        return _check(tree)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _check(tree: Any) -> RankTable:
    if not isinstance(tree, dict) or tree.get("version") != VERSION:
        version = tree.get("version") if isinstance(tree, dict) else None
        raise UserError(f'version {json.dumps(version)}: expected a rank table of version "{VERSION}"')
    if tree.get("status") != "completed":
        raise UserError(f'status {json.dumps(tree.get("status"))}: expected "completed"; a table that is being filled cannot be used')
    entries = tree.get("server_list")
    if not isinstance(entries, list) or not entries:
        raise UserError("server_list: expected a list of one server or more")
    if _number(tree.get("server_count"), "server_count") != len(entries):
        raise UserError(f"server_count {tree['server_count']}: server_list has {len(entries)}")
    table = RankTable(tuple(_check_server(entry) for entry in entries))
    _check_unique([server.server_id for server in table.servers], "server_id", "the table")
    devices = [device for server in table.servers for device in server.devices]
    _check_unique([device.device_ip for device in devices if device.device_ip], "device_ip", "the table")
    ranks = sorted(device.rank_id for device in devices)
    if ranks != list(range(len(ranks))):
        raise UserError(f"rank_ids {_shorten(ranks)}: expected 0 to {len(ranks) - 1}, each once")
    return table


def _check_server(entry: Any) -> Server:
    if not isinstance(entry, dict) or not isinstance(entry.get("server_id"), str) or not entry["server_id"]:
        raise UserError("server_list: expected a server_id for each server")
    name, devices = entry["server_id"], entry.get("device")
    if not isinstance(devices, list) or not devices or not all(isinstance(device, dict) for device in devices):
        raise UserError(f"server {name}: expected a list of devices")
    checked = tuple(
        Device(
            _number(device.get("rank_id"), f"server {name}: rank_id"),
            _number(device.get("device_id"), f"server {name}: device_id"),
            str(device.get("device_ip") or ""),
        )
        for device in devices
    )
    _check_unique([device.device_id for device in checked], "device_id", f"server {name}")
    return Server(name, checked, tuple((key, value) for key, value in entry.items() if key not in ("server_id", "device")))


def _number(value: Any, what: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not (text.isascii() and text.isdecimal()):
        raise UserError(f"{what} {json.dumps(value)}: expected a number from 0")
    return int(text)


def _check_unique(values: Sequence[Any], what: str, where: str) -> None:
    twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if twice is not None:
        raise UserError(f"{what} {twice} stands twice in {where}")


def _shorten(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values[:16])) + ", ..." * (len(values) > 16)


def find_host(table: RankTable) -> Server:
    """Return this host's part of the table, found by SERVER_ID in the environment, or else by address and host name.

    Raises:
        UserError: if it is not there; names this host's addresses and the table's servers.
    """
    given = os.environ.get("SERVER_ID")
    names = [given] if given else [*host_addresses(), socket.gethostname()]
    for server in table.servers:
        if server.server_id in names:
            return server
    servers = _shorten([server.server_id for server in table.servers])
    if given:
        raise UserError(f"SERVER_ID={given} is not in the rank table, which has the servers {servers}")
    raise UserError(
        f"this host ({', '.join(names)}) is not in the rank table, which has the servers {servers}; set SERVER_ID to the one it is"
    )


def host_addresses() -> list[str]:
    """Return the addresses of this host's network interfaces, the loopback's last."""
    import psutil  # comes with MindSpore; needed here alone

    families = (socket.AF_INET, socket.AF_INET6)
    found = [entry.address.split("%")[0] for entries in psutil.net_if_addrs().values() for entry in entries if entry.family in families]
    return sorted(found, key=lambda address: (address.startswith("127.") or address == "::1", ":" in address))


def render(table: RankTable) -> str:
    """Return the JSON text of a table."""
    servers = [
        {
            "server_id": server.server_id,
            "device": [
                {"device_id": str(device.device_id), "device_ip": device.device_ip, "rank_id": str(device.rank_id)}
                for device in server.devices
            ],
            **dict(server.extra),
        }
        for server in table.servers
    ]
    tree = {"version": VERSION, "server_count": str(len(servers)), "server_list": servers, "status": "completed"}
    return json.dumps(tree, indent=2) + "\n"


def parse_devices(text: str) -> list[int]:
    """Read `0-7`, `0,2,5`, `0-3,6` or `[0,8)`, the end excluded."""
    half_open = re.fullmatch(r"\[(\d+),(\d+)\)", text.replace(" ", ""))
    if half_open:
        found = list(range(int(half_open[1]), int(half_open[2])))
    else:
        parts = [re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip()) for part in text.split(",")]
        found = [number for part in parts if part for number in range(int(part[1]), int(part[2] or part[1]) + 1)]
        found = found if all(parts) else []
    if not found or len(set(found)) != len(found):
        raise argparse.ArgumentTypeError(f"expected devices, each once, as in 0-7 or 0,2,5 or [0,8), got '{text}'")
    return found


def device_addresses(devices: Sequence[int], given: str | None) -> list[str]:
    """Return the address of each device, from the flag or from the driver's file.

    Raises:
        UserError: if there are none, or not one for each device.
    """
    if given is not None:
        addresses = [address.strip() for address in given.split(",")]
        if len(addresses) != len(devices):
            raise UserError(f"--device_ips: {len(addresses)} addresses for {len(devices)} devices")
        return addresses
    try:
        lines = HCCN_CONF.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(
            f"{HCCN_CONF} has the devices' addresses and cannot be read ({error.strerror}); give --device_ips A,B,..."
        ) from error
    matches = [re.fullmatch(r"\s*address_(\d+)\s*=\s*(\S+)\s*", line) for line in lines]
    known = {match[1]: match[2] for match in matches if match}
    lacking = [device for device in devices if str(device) not in known]
    if lacking:
        raise UserError(f"{HCCN_CONF} has no address of device {_shorten(lacking)}; set it by hccn_tool, or give --device_ips A,B,...")
    return [known[str(device)] for device in devices]


def make(arguments: argparse.Namespace) -> RankTable:
    """Return the table of this host's devices."""
    addresses = device_addresses(arguments.devices, arguments.device_ips)
    devices = tuple(Device(rank, device, address) for rank, (device, address) in enumerate(zip(arguments.devices, addresses, strict=True)))
    name = arguments.server_id or os.environ.get("SERVER_ID") or host_addresses()[0]
    return RankTable((Server(name, devices),))


def merge(arguments: argparse.Namespace) -> RankTable:
    """Return the servers of several tables as one."""
    servers: list[Server] = []
    rank = 0
    for server in (server for path in arguments.tables for server in read_rank_table(path).servers):
        in_order = sorted(server.devices, key=lambda device: device.rank_id)
        servers.append(replace(server, devices=tuple(replace(device, rank_id=rank + place) for place, device in enumerate(in_order))))
        rank += len(in_order)
    return RankTable(tuple(servers))


def write(table: RankTable, path: Path) -> None:
    """Check and write a table; a file that is there already must hold just that.

    Raises:
        UserError: if the table would not be right, or the file holds something else.
    """
    text = render(table)
    _check(json.loads(text))
    if path.exists() and path.read_bytes() != text.encode():
        raise UserError(f"--output {path} is there already and differs; move it away, or choose another name")
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(MODE)


def _make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="rank_table make", description="Write the rank table of this host's devices.", allow_abbrev=False)
    parser.add_argument("--devices", required=True, type=parse_devices, metavar="0-7|0,2,5|[0,8)")
    parser.add_argument(
        "--server_id", metavar="IP", help="this host's address (default: SERVER_ID, else that of its first network interface)"
    )
    parser.add_argument("--device_ips", metavar="A,B,...", help=f"addresses of the devices (default: from {HCCN_CONF})")
    return parser


def _merge_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="rank_table merge", description="Write one rank table of several hosts'.", allow_abbrev=False)
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Make or merge; return the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    actions = {"make": (_make_parser, make), "merge": (_merge_parser, merge)}
    if words[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    if not words or words[0] not in actions:
        raise UserError(f"rank_table {' '.join(words[:1])}: expected make or merge first (see --help)")
    build, action = actions[words[0]]
    parser = build()
    parser.add_argument("--output", required=True, type=Path, metavar="FILE")
    arguments = parser.parse_args(words[1:])
    table = action(arguments)
    write(table, arguments.output)
    print(f"{arguments.output}: {table.size} ranks on {len(table.servers)} server{'s' * (len(table.servers) > 1)}")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
