"""Which files are pictures to predict, and names that tell them apart."""

from pathlib import Path

import pytest

from src.config.errors import UserError
from src.inference.inputs import find_inputs


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a/x.png", "a/deep/x.JPG", "a/deep/.hidden.png", "a/notes.txt", "b/x.png", "b/y.1.tif", "b/z[1].png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*inputs: str, result_folders: tuple[Path, ...] = ()) -> dict[str, str]:
    return {str(picture.path): picture.name for picture in find_inputs(inputs, result_folders)}


def test_folders_keep_their_structure(root: Path) -> None:
    assert names("a") == {"a/deep/x.JPG": "deep/x", "a/x.png": "x"}
    assert names(str(root / "b")) == {f"{root}/b/{name}": name.rsplit(".", 1)[0] for name in ("x.png", "y.1.tif", "z[1].png")}


def test_files_and_globs(root: Path) -> None:
    assert names("b/y.1.tif", "a/notes.txt") == {"b/y.1.tif": "y.1", "a/notes.txt": "notes"}
    assert names("**/x.*") == {"a/deep/x.JPG": "a/deep/x", "a/x.png": "a/x", "b/x.png": "b/x"}
    assert names("b/z[1].png") == {"b/z[1].png": "z[1]"}  # a file of that name, though it reads as a glob
    assert names("a/*") == {"a/x.png": "x"}


def test_videos_are_inputs_and_their_frames_get_no_other_pictures_place(root: Path) -> None:
    (root / "b" / "x").mkdir()
    for name in ("b/x.MP4", "b/x/000000.png", "b/drive.webm", "b/x.mp4.txt"):
        (root / name).touch()
    assert {name for path, name in names("b").items() if "x" in path} == {"x.png", "x.MP4", "x/000000"}
    (root / "b" / "x.png").unlink()
    given = find_inputs(["b"])
    assert {item.name for item in given if item.is_video} == {"drive", "x.MP4"}  # x alone would put its frames among those of x/


def test_each_picture_once(root: Path) -> None:
    (root / "link.png").symlink_to(root / "a" / "x.png")
    assert names("a", "a/x.png", "link.png", "a/../a/x.png") == names("a")


def test_equal_names_get_their_folders_and_endings(root: Path) -> None:
    assert names("a", "b/x.png") == {"a/deep/x.JPG": "deep/x", "a/x.png": "a/x.png", "b/x.png": "b/x.png"}
    (root / "a" / "x.gif").touch()
    assert names("a") == {"a/deep/x.JPG": "deep/x", "a/x.gif": "x.gif", "a/x.png": "x.png"}
    (root / "a" / "x.gif.bmp").touch()
    with pytest.raises(UserError, match="would be called x.gif"):
        names("a")


def test_a_glob_that_climbs_names_nothing_outside(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root / "a" / "deep")
    (root / "a" / "deep" / "s").mkdir()
    assert names("s*/../../x.png", "s*/../x.JPG") == {"s/../../x.png": "x.png", "s/../x.JPG": "x"}


def test_results_are_no_inputs(root: Path) -> None:
    assert names(".", result_folders=(root / "a" / "deep", root / "b")) == {"a/x.png": "a/x"}
    assert names("b/x.png", result_folders=(root / "b",)) == {"b/x.png": "x"}  # named itself


def test_a_word_that_is_too_long_for_a_name(root: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        find_inputs(["x" * 300])


def test_links_to_folders_are_followed(root: Path) -> None:
    (root / "a" / "linked").symlink_to(root / "b")
    assert set(names("a")) == {"a/deep/x.JPG", "a/x.png", "a/linked/x.png", "a/linked/y.1.tif", "a/linked/z[1].png"}
