"""Make and merge rank tables of HCCL, version 1.0.

    python -m src.launch.make_rank_table make --devices 0-7 [--server_id IP] [--device_ips A,B,...] --output FILE
    python -m src.launch.make_rank_table merge A.json B.json --output FILE

`make` writes the table of this host's devices; `merge` joins those of several hosts and numbers the ranks in the order of the files.

Environment:
    SERVER_ID: name of this host (default: the address of its first network interface).
"""

import argparse
import ipaddress
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.launch.rank_table import Device, RankTable, Server, check, host_addresses, read_rank_table, render, shorten
from src.runtime.entry import OneLineParser, run

HCCN_CONF = Path("/etc/hccn.conf")
MODE = 0o644


def parse_devices(text: str) -> list[int]:
    """Read `0-7`, `0,2,5`, `0-3,6` or `[0,8)`, the end excluded."""
    half_open = re.fullmatch(r"\[(\d{1,4}),(\d{1,4})\)", text.replace(" ", ""))
    if half_open:
        found = list(range(int(half_open[1]), int(half_open[2])))
    else:
        parts = [re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part.strip()) for part in text.split(",")]
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
            raise UserError(f"--device_ips (DEVICE_IPS) {given}: {len(addresses)} addresses for {len(devices)} devices")
        for address in addresses:
            check_address(address, f"--device_ips (DEVICE_IPS) {given}")
        return addresses
    try:
        lines = HCCN_CONF.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(
            f"{HCCN_CONF}, which an Ascend's driver writes, cannot be read ({error.strerror}); for another host's devices give "
            "--device_ips A,B,... (make_rank_table.sh: DEVICE_IPS=A,B,...)"
        ) from error
    matches = [re.fullmatch(r"\s*address_(\d+)\s*=\s*(\S+)\s*", line) for line in lines]
    known = {match[1]: match[2] for match in matches if match}
    lacking = [device for device in devices if str(device) not in known]
    if lacking:
        raise UserError(f"{HCCN_CONF} has no address of device {shorten(lacking)}; set it by hccn_tool, or give --device_ips A,B,...")
    return [known[str(device)] for device in devices]


def check_address(text: str, where: str) -> None:
    """Refuse what is no IP address.

    Raises:
        UserError: naming it.
    """
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise UserError(f"{where}: '{text}' is no IP address") from None


def make(arguments: argparse.Namespace) -> RankTable:
    """Return the table of this host's devices."""
    addresses = device_addresses(arguments.devices, arguments.device_ips)
    devices = tuple(Device(rank, device, address) for rank, (device, address) in enumerate(zip(arguments.devices, addresses, strict=True)))
    name = arguments.server_id or os.environ.get("SERVER_ID") or host_addresses()[0]
    if name.endswith(".json"):
        raise UserError(f"--server_id {name}: this is a file's name; make_rank_table.sh takes DEVICES [SERVER_ID] [OUTPUT]")
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
        UserError: if the table would not be right, its folder is not there, or the file holds something else.
    """
    if not path.parent.is_dir():
        raise UserError(f"--output {path}: there is no folder {path.parent}")
    text = render(table)
    check(json.loads(text))
    if path.exists() and path.read_bytes() != text.encode():
        raise UserError(f"--output {path} is there already and differs; move it away, or choose another name")
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(MODE)


def _make_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="make_rank_table make", description="Write the rank table of this host's devices.", allow_abbrev=False)
    parser.add_argument("--devices", required=True, type=parse_devices, metavar="0-7|0,2,5|[0,8)")
    parser.add_argument(
        "--server_id", metavar="IP", help="this host's address (default: SERVER_ID, else that of its first network interface)"
    )
    parser.add_argument("--device_ips", metavar="A,B,...", help=f"addresses of the devices (default: from {HCCN_CONF})")
    return parser


def _merge_parser() -> argparse.ArgumentParser:
    parser = OneLineParser(prog="make_rank_table merge", description="Write one rank table of several hosts'.", allow_abbrev=False)
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
        raise UserError(f"make_rank_table {' '.join(words[:1])}: expected make or merge first (see --help)")
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
