"""Urls, and what becomes of object storage's errors."""

from pathlib import Path

import pytest

from src.config import UserError
from src.runtime.entry import WorkError
from src.runtime.moxing_adapter import ObjectStorage, is_remote
from tests.runtime.standin import Storage, forget_moxing, open_storage


@pytest.fixture
def storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    return open_storage(tmp_path / "storage", monkeypatch)


def test_kinds_of_urls(tmp_path: Path) -> None:
    assert is_remote("obs://bucket/data", "data_url")
    assert is_remote("s3://bucket", "data_url")
    assert not is_remote(str(tmp_path), "data_url")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://host/x", "--data_url http://host/x: unknown kind of url 'http://'; expected obs://, s3://"),
        ("obs:///", "names no bucket"),
        ("/nowhere/at/all", "--data_url /nowhere/at/all: exists neither here"),
        ("bucket/data", "without obs:// or s3:// in front"),
        ("", "--data_url is empty"),
    ],
)
def test_wrong_urls(url: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        is_remote(url, "data_url")
    assert message in str(caught.value)


def test_missing_moxing(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_moxing(monkeypatch)
    with pytest.raises(UserError, match="'moxing'.* cannot be imported: this is no ModelArts job, or its image lacks moxing"):
        ObjectStorage()


def test_broken_moxing_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_moxing(monkeypatch)
    (tmp_path / "moxing.py").write_text("import a_module_that_is_not_there")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match="No module named 'a_module_that_is_not_there'"):
        ObjectStorage()
    forget_moxing(monkeypatch)


def test_a_folder_is_copied_whole(storage: Storage, tmp_path: Path) -> None:
    storage.write("bucket/data/a.txt", "a")
    storage.write("bucket/data/sub/b.txt", "b")
    (storage.root / "bucket/data/empty").mkdir()
    ObjectStorage().fetch_folder("obs://bucket/data", tmp_path / "copy")
    assert (tmp_path / "copy/a.txt").read_text() == "a"
    assert (tmp_path / "copy/sub/b.txt").read_text() == "b"


def test_a_file_that_was_not_copied_is_missed(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write("bucket/data/a.txt")
    storage.write("bucket/data/sub/b.txt")
    monkeypatch.setenv("MOXING_STANDIN_FORGETS", "b.txt")
    with pytest.raises(WorkError, match="obs://bucket/data: .*1 files were not copied, such as sub/b.txt"):
        ObjectStorage().fetch_folder("obs://bucket/data", tmp_path / "copy")


def test_errors_are_of_the_work_and_name_the_url(storage: Storage, tmp_path: Path) -> None:
    url = storage.write("bucket/a.txt")
    storage.rule("copy", "a.txt", fail="status 503\nslow down")
    with pytest.raises(WorkError, match=r"obs://bucket/a.txt: .* failed \(MoxFileRespException: status 503 slow down\)"):
        ObjectStorage().fetch_file(url, tmp_path / "a.txt")


def test_an_upload_that_fails_leaves_the_earlier_object(storage: Storage, tmp_path: Path) -> None:
    storage.write("bucket/a.txt", "good")
    (tmp_path / "a.txt").write_text("new")
    storage.rule("copy", "a.txt", fail="broken pipe", times=1)
    with pytest.raises(WorkError):
        ObjectStorage().put(tmp_path / "a.txt", "obs://bucket/a.txt")
    assert (storage.root / "bucket/a.txt").read_text() == "good"
    ObjectStorage().put(tmp_path / "a.txt", "obs://bucket/a.txt")
    assert (storage.root / "bucket/a.txt").read_text() == "new"


def test_removing_what_is_not_there(storage: Storage) -> None:
    url = storage.write("bucket/a.txt")
    ObjectStorage().remove(url)
    ObjectStorage().remove(url)
    assert len(storage.calls("remove")) == 1
