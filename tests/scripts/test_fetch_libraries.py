"""fetch_mindspore_lite.sh and fetch_openvino.sh with stubs in place of pip and uname; run_tests.sh fetches MindSpore Lite for real."""

import hashlib
import os
import re
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Library:
    """What a script fetches: its requirement on PyPI, the folder, files and parts of it, and the variable that names another one."""

    script: str
    requirement: str
    folder: str
    files: tuple[str, ...]
    parts: str
    variable: str


LITE = Library(
    *("fetch_mindspore_lite.sh", "mindspore-lite==2.0.0", "mindspore_lite-2.0.0"),
    *(("include/api/model.h", "lib/libmindspore-extendrt_python.so"), "include/ or lib/", "MS_LITE_HOME"),
)
OPENVINO = Library(
    *("fetch_openvino.sh", "openvino==2026.4.1", "openvino-2026.4.1"),
    ("include/openvino/openvino.hpp", "libs/libopenvino.so.2641", "libs/libopenvino_intel_cpu_plugin.so"),
    *("include/ or libs/", "OPENVINO_HOME"),
)
# Writes what the test says in place of the wheel, where pip is told to.
PYTHON = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
[ "$1 $2 $3" = "-m pip download" ] || exit 9
[ -n "$WHEEL" ] || { echo "ERROR: no network" >&2; exit 1; }
printf '%s' "$WHEEL" >"${@: -1}/a.whl"
"""
# Gives the wheel that the test made; what unpacks it is the real interpreter.
COPYING_PYTHON = """#!/usr/bin/env bash
[ "$1 $2 $3" = "-m pip download" ] || exec python3 "$@"
cp "$WHEEL" "${@: -1}/"
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    executable(tmp_path / "venv" / "bin" / "python", PYTHON)
    executable(tmp_path / "bin" / "uname", '#!/usr/bin/env bash\necho "${MACHINE:-Linux x86_64}"\n')
    return {
        **os.environ,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "OCRNET_VENV": str(tmp_path / "venv"),
        "OCRNET_CACHE": str(tmp_path / "a cache"),
        "CALLS": str(tmp_path / "calls"),
        "WHEEL": "not the wheel",
    }


def executable(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture(params=[LITE, OPENVINO], ids=lambda library: library.script)
def library(request: pytest.FixtureRequest) -> Library:
    return request.param


def fetch(library: Library, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    script = PROJECT / "scripts" / library.script
    return subprocess.run(["bash", str(script), *arguments], env=environment, capture_output=True, text=True, timeout=60)


def refused(library: Library, environment: dict[str, str], *arguments: str) -> str:
    result = fetch(library, environment, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    return result.stderr


def test_what_is_there_is_used_without_pip(library: Library, environment: dict[str, str]) -> None:
    home = Path(environment["OCRNET_CACHE"]) / library.folder
    for name in library.files:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).touch()
    result = fetch(library, {**environment, "MACHINE": "Linux aarch64"})
    assert (result.returncode, result.stdout) == (0, f"{home}\n")
    assert not Path(environment["CALLS"]).exists()


def test_a_damaged_download_leaves_nothing(library: Library, environment: dict[str, str]) -> None:
    assert "the download is damaged: its SHA-256 is" in refused(library, environment)
    assert f"{library.requirement} --no-deps" in Path(environment["CALLS"]).read_text()
    assert list(Path(environment["OCRNET_CACHE"]).iterdir()) == []


def test_no_network_leaves_nothing(library: Library, environment: dict[str, str]) -> None:
    message = refused(library, {**environment, "WHEEL": ""})
    assert "ERROR: no network" in message and f"pip could not download {library.requirement}" in message
    assert list(Path(environment["OCRNET_CACHE"]).iterdir()) == []


@pytest.mark.parametrize("machine", ["Linux aarch64", "Darwin x86_64"])
def test_a_machine_without_a_wheel(machine: str, library: Library, environment: dict[str, str]) -> None:
    message = refused(library, {**environment, "MACHINE": machine})
    assert len(message.splitlines()) == 1
    assert f"this is {machine}" in message and library.variable in message
    assert not Path(environment["CALLS"]).exists()


def test_a_home_that_is_not_whole_and_an_unknown_argument(library: Library, environment: dict[str, str]) -> None:
    (Path(environment["OCRNET_CACHE"]) / library.folder / "include").mkdir(parents=True)
    assert f"lacks {library.parts}; remove it" in refused(library, environment)
    assert "unknown argument '--force'" in refused(library, environment, "--force")


def test_a_wheel_is_unpacked_in_part_and_kept(library: Library, environment: dict[str, str], tmp_path: Path) -> None:
    """A copy of the script expects the SHA-256 of a small wheel."""
    inside = library.folder.rsplit("-", 1)[0]
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in (*library.files, "__init__.py"):
            archive.writestr(f"{inside}/{name}", "x")
        archive.writestr("other/include/x.h", "x")
    scripts = shutil.copytree(PROJECT / "scripts", tmp_path / "project" / "scripts")
    text = (scripts / library.script).read_text()
    expected = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (scripts / library.script).write_text(re.sub(r"(?m)^SHA256=.*", f"SHA256={expected}", text))
    executable(tmp_path / "venv" / "bin" / "python", COPYING_PYTHON)
    variables = {**environment, "WHEEL": str(wheel)}
    command = ["bash", str(scripts / library.script)]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60)
    cache = Path(environment["OCRNET_CACHE"])
    home = cache / library.folder
    assert (result.returncode, result.stdout) == (0, f"{home}\n"), result.stderr
    assert sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()) == sorted(library.files)
    assert [path.name for path in cache.iterdir()] == [library.folder]


def test_openvino_is_that_of_the_requirements() -> None:
    assert OPENVINO.requirement in (PROJECT / "requirements-deploy.txt").read_text().splitlines()
