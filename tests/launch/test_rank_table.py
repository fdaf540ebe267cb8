"""Rank tables: what is read, what is refused, what is written."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.config.errors import UserError
from src.launch import make_rank_table, rank_table
from src.launch.make_rank_table import main, parse_devices
from src.launch.rank_table import find_host, read_rank_table
from src.runtime.entry import run


def table(*servers: tuple[str, list[tuple[int, int, str]]]) -> dict[str, Any]:
    """Return a table as the driver's tools write it; of each device: rank, number, address."""
    entries = [
        {
            "server_id": name,
            "device": [{"device_id": str(device), "device_ip": address, "rank_id": str(rank)} for rank, device, address in devices],
            "host_nic_ip": "reserve",
        }
        for name, devices in servers
    ]
    return {"version": "1.0", "server_count": str(len(entries)), "server_list": entries, "status": "completed"}


def two_servers() -> dict[str, Any]:
    return table(
        ("10.0.0.1", [(0, 4, "1.1.1.4"), (1, 6, "1.1.1.6")]), ("10.0.0.2", [(2, 4, "1.1.2.4"), (4, 5, "1.1.2.5"), (3, 6, "1.1.2.6")])
    )


def write(folder: Path, tree: Any) -> Path:
    path = folder / "table.json"
    path.write_text(json.dumps(tree))
    return path


def test_several_servers_with_any_number_of_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_rank_table(write(tmp_path, two_servers()))
    assert found.size == 5
    monkeypatch.setenv("SERVER_ID", "10.0.0.2")
    assert [(device.rank_id, device.device_id) for device in find_host(found).devices] == [(2, 4), (4, 5), (3, 6)]


def test_numbers_may_stand_without_quotes_and_addresses_may_lack(tmp_path: Path) -> None:
    tree = {"version": "1.0", "server_count": 1, "status": "completed", "server_list": [{"server_id": "a", "device": []}]}
    tree["server_list"][0]["device"] = [{"device_id": n, "rank_id": n} for n in range(16)]  # type: ignore[index]
    assert read_rank_table(write(tmp_path, tree)).size == 16


def _set(*path: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(tree: Any) -> None:
        for key in path[:-1]:
            tree = tree[key]
        tree[path[-1]] = value

    return change


FIRST, SECOND = ("server_list", 0), ("server_list", 1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_set("version", value="1.2"), 'version "1.2": expected a rank table of version "1.0"'),
        (_set("server_count", value="3"), "server_count 3: server_list has 2"),
        (_set("server_count", value=None), "server_count null: expected a number from 0"),
        (_set("status", value="initializing"), 'status "initializing": expected "completed"'),
        (_set("server_list", value=[]), "server_list: expected a list"),
        (_set(*SECOND, "server_id", value="10.0.0.1"), "server_id 10.0.0.1 stands twice in the table"),
        (_set(*SECOND, "server_id", value=None), "expected a server_id for each server"),
        (_set(*FIRST, "device", 1, "device_id", value="4"), "device_id 4 stands twice in server 10.0.0.1"),
        (_set(*SECOND, "device", 0, "device_ip", value="1.1.1.4"), "device_ip 1.1.1.4 stands twice in the table"),
        (_set(*FIRST, "device", 0, "rank_id", value="5"), "rank_ids 1, 2, 3, 4, 5: expected 0 to 4, each once"),
        (_set(*FIRST, "device", 0, "rank_id", value="1"), "rank_ids 1, 1, 2, 3, 4: expected 0 to 4, each once"),
        (_set(*FIRST, "device", 0, "rank_id", value="-1"), 'server 10.0.0.1: rank_id "-1": expected a number from 0'),
        (_set(*FIRST, "device", 0, "device_id", value="four"), 'server 10.0.0.1: device_id "four": expected a number from 0'),
        (_set(*FIRST, "device", 0, "device_id", value=True), "device_id true: expected a number from 0"),
        (_set(*FIRST, "device", 0, "device_ip", value=["1.1.1.4"]), 'device_ip ["1.1.1.4"]: expected an address'),
        (_set(*FIRST, "device", value=[]), "server 10.0.0.1: expected a list of devices"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, change: Callable[[Any], None], expected: str) -> None:
    tree = two_servers()
    change(tree)
    with pytest.raises(UserError) as caught:
        read_rank_table(write(tmp_path, tree))
    assert str(caught.value).startswith(str(tmp_path / "table.json")) and expected in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[1]", "null", '"1.0"', "\x80"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "table.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match="table.json"):
        read_rank_table(path)
    with pytest.raises(UserError, match="no such rank table; scripts/make_rank_table.sh"):
        read_rank_table(tmp_path / "none.json")


def test_host_is_found_by_address_or_name_and_named_where_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SERVER_ID", raising=False)
    monkeypatch.setattr(rank_table, "host_addresses", lambda: ["10.0.0.2", "127.0.0.1"])
    tree = two_servers()
    assert find_host(read_rank_table(write(tmp_path, tree))).server_id == "10.0.0.2"
    tree["server_list"][1]["server_id"] = socket.gethostname()
    assert find_host(read_rank_table(write(tmp_path, tree))).server_id == socket.gethostname()
    tree["server_list"][1]["server_id"] = "10.0.0.9"
    with pytest.raises(UserError, match=r"this host \(10.0.0.2, 127.0.0.1, .*\) .* servers 10.0.0.1, 10.0.0.9; set SERVER_ID"):
        find_host(read_rank_table(write(tmp_path, tree)))
    monkeypatch.setenv("SERVER_ID", "10.0.0.3")
    with pytest.raises(UserError, match="SERVER_ID=10.0.0.3 is not in the rank table, which has the servers 10.0.0.1, 10.0.0.9"):
        find_host(read_rank_table(write(tmp_path, tree)))


def test_addresses_of_this_host_include_the_loopback_last() -> None:
    assert rank_table.host_addresses()[-1] in ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-3", [0, 1, 2, 3]), ("[0,3)", [0, 1, 2]), ("0,2,5", [0, 2, 5]), ("4", [4]), ("0-1,6-7", [0, 1, 6, 7]), (" [2, 4) ", [2, 3])],
)
def test_devices(text: str, expected: list[int]) -> None:
    assert parse_devices(text) == expected


@pytest.mark.parametrize("text", ["", "a", "3-1", "[3,3)", "0,0", "0-2,2", "-1", "0,", "0-999999999", "[0,999999999)"])
def test_devices_that_mean_nothing(text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        run(main, ["make", f"--devices={text}", "--output", str(tmp_path / "t.json")])
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "t.json").exists()


def test_make_takes_addresses_from_the_drivers_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_rank_table, "HCCN_CONF", tmp_path / "hccn.conf")
    (tmp_path / "hccn.conf").write_text("".join(f"address_{n}=1.1.1.{n}\nnetmask_{n}=255.255.255.0\n" for n in range(8)))
    output = tmp_path / "t.json"
    words = ["make", "--devices", "0,2,5", "--server_id", "10.0.0.7", "--output", str(output)]
    assert run(main, words) == 0
    expected = table(("10.0.0.7", [(0, 0, "1.1.1.0"), (1, 2, "1.1.1.2"), (2, 5, "1.1.1.5")]))
    del expected["server_list"][0]["host_nic_ip"]
    assert json.loads(output.read_text()) == expected
    assert output.stat().st_mode & 0o777 == 0o644
    assert run(main, words) == 0  # just that is there already


def test_make_refuses_to_overwrite_and_to_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_rank_table, "HCCN_CONF", tmp_path / "hccn.conf")
    output = tmp_path / "t.json"
    output.write_text("mine")
    start = ["make", "--devices", "0-1", "--output", str(output)]
    for words, expected in (
        ([], "hccn.conf, which an Ascend's driver writes, cannot be read"),
        (["--device_ips", "1.1.1.1"], "--device_ips (DEVICE_IPS) 1.1.1.1: 1 addresses for 2 devices"),
        (["--device_ips", ","], "'' is no IP address"),
        (["--device_ips", "1.1.1.1,bar"], "'bar' is no IP address"),
        (["--device_ips", "1.1.1.1,1.1.1.2", "--server_id", "out.json"], "this is a file's name"),
        (["--device_ips", "1.1.1.1,1.1.1.2", "--output", str(tmp_path / "no" / "t.json")], f"there is no folder {tmp_path / 'no'}"),
        (["--device_ips", "1.1.1.1,1.1.1.1"], "device_ip 1.1.1.1 stands twice"),
        (["--device_ips", "1.1.1.1,1.1.1.2"], "is there already and differs"),
    ):
        assert run(main, [*start, *words]) == 2
        errors = capsys.readouterr().err
        assert expected in errors and errors.count("\n") == 1
    (tmp_path / "hccn.conf").write_text("address_0=1.1.1.1\n")
    assert run(main, start) == 2 and "has no address of device 1" in capsys.readouterr().err
    assert output.read_text() == "mine"


def test_merge_numbers_the_ranks_in_the_order_of_the_files(tmp_path: Path) -> None:
    for name, tree in (("b", table(("10.0.0.2", [(1, 0, "2.0"), (0, 3, "2.3")]))), ("a", table(("10.0.0.1", [(0, 5, "1.5")])))):
        (tmp_path / f"{name}.json").write_text(json.dumps(tree))
    output = tmp_path / "all.json"
    assert run(main, ["merge", str(tmp_path / "b.json"), str(tmp_path / "a.json"), "--output", str(output)]) == 0
    assert json.loads(output.read_text()) == table(("10.0.0.2", [(0, 3, "2.3"), (1, 0, "2.0")]), ("10.0.0.1", [(2, 5, "1.5")]))


def test_merge_refuses_the_same_server_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path, two_servers()))
    assert run(main, ["merge", path, path, "--output", str(tmp_path / "all.json")]) == 2
    assert "server_id 10.0.0.1 stands twice" in capsys.readouterr().err
    assert not (tmp_path / "all.json").exists()


def test_action_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(main, ["mend"]) == 2
    assert "expected make or merge first" in capsys.readouterr().err
    assert run(main, ["--help"]) == 0
