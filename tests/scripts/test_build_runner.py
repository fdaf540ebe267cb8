"""build.sh of the C++ runner with a stub in place of CMake: which libraries it builds with, and what it refuses."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
CMAKE = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
[ "$1" = -S ] || exit 0
for argument in "$@"; do
  case "$argument" in -D*_HOME=*) echo "${argument:2}" | sed 's/=/:PATH=/' ;; esac
done >"$PROJECT/ascend310_infer/build/runner/CMakeCache.txt"
"""
VERSION = "#define OPENVINO_VERSION_MAJOR {}\n#define OPENVINO_VERSION_MINOR {}\n#define OPENVINO_VERSION_PATCH 0\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A copy of the scripts, an unpacked wheel of each library, and an archive of OpenVINO."""
    shutil.copytree(PROJECT / "scripts", tmp_path / "a project" / "scripts")
    shutil.copytree(PROJECT / "ascend310_infer" / "src", tmp_path / "a project" / "ascend310_infer" / "src")
    write(tmp_path / "bin" / "cmake", CMAKE).chmod(0o755)
    write(tmp_path / "lite" / "include" / "api" / "model.h", "")
    for folder, version in (("vino", (2026, 4)), ("archive/runtime", (2024, 6)), ("old", (2024, 5))):
        write(tmp_path / folder / "include" / "openvino" / "openvino.hpp", "")
        write(tmp_path / folder / "include" / "openvino" / "core" / "version.hpp", VERSION.format(*version))
    return tmp_path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def build(place: Path, **homes: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("MS_LITE_HOME", "OPENVINO_HOME")}
    environment |= {"PATH": f"{place}/bin:{os.environ['PATH']}", "CALLS": str(place / "calls"), "PROJECT": str(place / "a project")}
    environment |= {name: str(place / home) if home else "" for name, home in homes.items()}
    script = place / "a project" / "ascend310_infer" / "src" / "build.sh"
    return subprocess.run(["bash", str(script)], env=environment, capture_output=True, text=True, timeout=60)


def homes_built_with(place: Path, **homes: str) -> tuple[str, str]:
    """Return the folders of MindSpore Lite and OpenVINO that CMake was told, empty: without."""
    result = build(place, **homes)
    assert result.returncode == 0, result.stderr
    call = (place / "calls").read_text().splitlines()[-2]
    lite, vino = (call.split(f"-D{name}=")[1].split(" -D")[0] for name in ("MS_LITE_HOME", "OPENVINO_HOME"))
    return lite.removeprefix(f"{place}/"), vino.removeprefix(f"{place}/")


def refused(place: Path, **homes: str) -> str:
    result = build(place, **homes)
    assert result.returncode == 2 and len(result.stderr.splitlines()) == 1, result.stderr
    assert not (place / "calls").exists()
    return result.stderr


def test_each_library_alone_and_both(place: Path) -> None:
    assert homes_built_with(place, MS_LITE_HOME="lite", OPENVINO_HOME="vino") == ("lite", "vino")
    assert homes_built_with(place, MS_LITE_HOME="", OPENVINO_HOME="archive") == ("", "archive")
    assert homes_built_with(place, MS_LITE_HOME="lite", OPENVINO_HOME="") == ("lite", "")


def test_a_library_that_is_not_named_stays_while_it_is_there(place: Path) -> None:
    assert homes_built_with(place, OPENVINO_HOME="vino") == ("", "vino")
    assert homes_built_with(place, MS_LITE_HOME="lite") == ("lite", "vino")
    assert homes_built_with(place) == ("lite", "vino")
    shutil.rmtree(place / "vino")
    assert homes_built_with(place) == ("lite", "")


def test_no_library_at_all(place: Path) -> None:
    message = refused(place)
    assert "scripts/fetch_mindspore_lite.sh and scripts/fetch_openvino.sh get the libraries" in message
    assert refused(place, MS_LITE_HOME="", OPENVINO_HOME="") == message


def test_folders_that_are_no_libraries(place: Path) -> None:
    assert "none: no such folder; scripts/fetch_openvino.sh prints one" in refused(place, OPENVINO_HOME="none")
    assert "no OpenVINO (no include/openvino/openvino.hpp)" in refused(place, OPENVINO_HOME="lite")
    assert "no MindSpore Lite (no include/api/model.h)" in refused(place, MS_LITE_HOME="vino", OPENVINO_HOME="vino")


def test_an_openvino_that_is_too_old(place: Path) -> None:
    assert "is OpenVINO 2024.5, expected 2024.6 or later; scripts/fetch_openvino.sh" in refused(place, OPENVINO_HOME="old")
    (place / "old" / "include" / "openvino" / "core" / "version.hpp").unlink()
    assert "is OpenVINO without a version" in refused(place, OPENVINO_HOME="old")
