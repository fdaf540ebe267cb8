"""Archives of a data set, good, damaged and malicious."""

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from src.config import UserError
from src.runtime.modelarts.archive import is_archive, unpack

Maker = Callable[[Path, dict[str, str]], None]


def make_zip(path: Path, files: dict[str, str]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def make_tar(path: Path, files: dict[str, str]) -> None:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))


MAKERS = [("d.zip", make_zip), ("d.tar", make_tar), ("d.tar.gz", make_tar)]


@pytest.mark.parametrize(("name", "make"), MAKERS)
def test_unpacking(name: str, make: Maker, tmp_path: Path) -> None:
    make(tmp_path / name, {"train.txt": "list", "train/0.png": "picture"})
    folder = unpack(tmp_path / name, tmp_path / "data", "obs://b/" + name)
    assert folder == tmp_path / "data"
    assert (folder / "train.txt").read_text() == "list"
    assert (folder / "train/0.png").read_text() == "picture"


@pytest.mark.parametrize(("name", "make"), MAKERS)
def test_one_folder_in_the_archive_is_the_data_set(name: str, make: Maker, tmp_path: Path) -> None:
    make(tmp_path / name, {"camvid/train.txt": "list", "__MACOSX/._train.txt": "?"})
    assert unpack(tmp_path / name, tmp_path / "data", name) == tmp_path / "data" / "camvid"


@pytest.mark.parametrize(("name", "make"), MAKERS)
@pytest.mark.parametrize("path", ["../evil", "a/../../evil", "/evil", "..\\evil"])
def test_paths_that_lead_out(name: str, make: Maker, path: str, tmp_path: Path) -> None:
    make(tmp_path / name, {"good": "x", path: "x"})
    with pytest.raises(UserError, match="leads out of its folder"):
        unpack(tmp_path / name, tmp_path / "deep" / "data", name)
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "d.tar", "w") as archive:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, "/etc/hostname"
        archive.addfile(member)
    with pytest.raises(UserError, match="holds link, which is a link or a device"):
        unpack(tmp_path / "d.tar", tmp_path / "data", "d.tar")


@pytest.mark.parametrize(("name", "make"), MAKERS)
def test_damaged(name: str, make: Maker, tmp_path: Path) -> None:
    make(tmp_path / name, {"train.txt": "list" * 1000, "b": "y" * 4000})
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="obs://b/.*: the archive cannot be unpacked"):
        unpack(tmp_path / name, tmp_path / "data", f"obs://b/{name}")


def test_empty(tmp_path: Path) -> None:
    make_zip(tmp_path / "d.zip", {})
    with pytest.raises(UserError, match="the archive is empty"):
        unpack(tmp_path / "d.zip", tmp_path / "data", "d.zip")


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    make_zip(tmp_path / "d.zip", {"a": "x"})
    monkeypatch.setattr("src.runtime.modelarts.archive.shutil.copyfileobj", full)
    with pytest.raises(UserError, match=f"d.zip: cannot be unpacked into {tmp_path / 'data'} .No space left on device.; make room"):
        unpack(tmp_path / "d.zip", tmp_path / "data", "d.zip")


def test_names() -> None:
    assert is_archive("obs://b/D.ZIP") and is_archive("x.tar.gz") and not is_archive("obs://b/data")
