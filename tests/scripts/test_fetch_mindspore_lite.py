"""fetch_mindspore_lite.sh with stubs in place of pip and uname; test_cpp_infer.py fetches for real."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fetch_mindspore_lite.sh"
# Writes what the test says in place of the wheel, where pip is told to.
PYTHON = """#!/usr/bin/env bash
echo "$*" >>"$CALLS"
[ "$1 $2 $3" = "-m pip download" ] || exit 9
[ -n "$WHEEL" ] || { echo "ERROR: no network" >&2; exit 1; }
printf '%s' "$WHEEL" >"${@: -1}/mindspore_lite-2.0.0-cp37-cp37m-manylinux1_x86_64.whl"
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


def fetch(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", str(SCRIPT), *arguments], env=environment, capture_output=True, text=True, timeout=60)


def refused(environment: dict[str, str], *arguments: str) -> str:
    result = fetch(environment, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    return result.stderr


def test_what_is_there_is_used_without_pip(environment: dict[str, str]) -> None:
    home = Path(environment["OCRNET_CACHE"]) / "mindspore_lite-2.0.0"
    for name in ("include/api/model.h", "lib/libmindspore-extendrt_python.so"):
        (home / name).parent.mkdir(parents=True)
        (home / name).touch()
    result = fetch({**environment, "MACHINE": "Linux aarch64"})
    assert (result.returncode, result.stdout) == (0, f"{home}\n")
    assert not Path(environment["CALLS"]).exists()


def test_a_damaged_download_leaves_nothing(environment: dict[str, str]) -> None:
    assert "the download is damaged: its SHA-256 is" in refused(environment)
    assert "mindspore-lite==2.0.0 --no-deps" in Path(environment["CALLS"]).read_text()
    assert list(Path(environment["OCRNET_CACHE"]).iterdir()) == []


def test_no_network_leaves_nothing(environment: dict[str, str]) -> None:
    message = refused({**environment, "WHEEL": ""})
    assert "ERROR: no network" in message and "pip could not download mindspore-lite==2.0.0" in message
    assert list(Path(environment["OCRNET_CACHE"]).iterdir()) == []


@pytest.mark.parametrize("machine", ["Linux aarch64", "Darwin x86_64"])
def test_a_machine_without_a_wheel(machine: str, environment: dict[str, str]) -> None:
    message = refused({**environment, "MACHINE": machine})
    assert len(message.splitlines()) == 1
    assert f"this is {machine}" in message and "MS_LITE_HOME" in message
    assert not Path(environment["CALLS"]).exists()


def test_a_home_that_is_not_whole_and_an_unknown_argument(environment: dict[str, str]) -> None:
    (Path(environment["OCRNET_CACHE"]) / "mindspore_lite-2.0.0" / "include").mkdir(parents=True)
    assert "lacks include/ or lib/; remove it" in refused(environment)
    assert "unknown argument '--force'" in refused(environment, "--force")
