"""Rank tables of HCCL, version 1.0: read and check them, find this host in them, give their text.

Environment:
    SERVER_ID: name of this host in the table (default: found by its addresses and its host name).
"""

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.config.errors import UserError

VERSION = "1.0"


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
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: no rank table in JSON ({error}); scripts/make_rank_table.sh makes one") from error
    try:
        return check(tree)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def check(tree: Any) -> RankTable:
    """Return the table that a JSON document holds.

    Raises:
        UserError: if its version, status, counts, ids or addresses are wrong.
    """
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
        raise UserError(f"rank_ids {shorten(ranks)}: expected 0 to {len(ranks) - 1}, each once")
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
            _address(device.get("device_ip"), f"server {name}: device_ip"),
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


def _address(value: Any, what: str) -> str:
    if value is not None and not isinstance(value, str):
        raise UserError(f"{what} {json.dumps(value)}: expected an address in quotes")
    return value or ""


def _check_unique(values: Sequence[Any], what: str, where: str) -> None:
    twice = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if twice is not None:
        raise UserError(f"{what} {twice} stands twice in {where}")


def shorten(values: Sequence[Any]) -> str:
    """Return the first 16 values as text."""
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
    servers = shorten([server.server_id for server in table.servers])
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
