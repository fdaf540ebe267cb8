"""Look at a machine: libraries, drivers, programs, memory. Every look is bounded in time, and none of them imports MindSpore here.

Standard library alone: the doctor must run where nothing is installed yet.
"""

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MIB = 1 << 20
INSTALL = "pip install -r requirements.txt"
KILL_SECONDS = 2  # that a killed program may take to end; one that waits within a driver does not

# Loads each library as MindSpore would, by name, in a process of its own: it may crash, and cuDNN is large.
_LOAD = """
import ctypes, json, sys
def load(name):
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return str(error)
    return ""
print(json.dumps({name: load(name) for name in sys.argv[1:]}))
"""

# A convolution whose result can be told by hand: 27 ones times 27 ones.
_COMPUTE = """
import sys
from src.runtime.environment import prepare_environment
prepare_environment(sys.argv[1])
import mindspore as ms
import numpy as np
from mindspore import nn
ms.set_context(mode=ms.PYNATIVE_MODE, device_target=sys.argv[1])
convolution = nn.Conv2d(3, 1, 3, pad_mode="valid", weight_init="ones")
result = convolution(ms.Tensor(np.ones((1, 3, 8, 8), np.float32))).asnumpy()
print("RESULT", result.shape == (1, 1, 6, 6) and bool((abs(result - 27) < 0.1).all()))
"""


@dataclass(frozen=True)
class Finding:
    """What one look gave.

    Attributes:
        text: what was found, or what is missing.
        ok: True; False where it makes the device unusable; None where it is only worth knowing.
        fix: command or act that mends it.
    """

    text: str
    ok: bool | None = True
    fix: str = ""


@dataclass(frozen=True)
class Machine:
    """Where to look; tests give trees of their own.

    Attributes:
        root: of the file system.
        environ: environment variables.
        site_packages: where pip installs.
        interpreter: the Python that is asked about.
    """

    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    site_packages: Path = Path(sysconfig.get_paths()["purelib"])
    interpreter: str = sys.executable

    def run(self, command: Sequence[str], seconds: float, folder: Path | None = None) -> tuple[int, str]:
        """Return status and output (both streams) of a program; status 124 after so many seconds, 127 where it cannot be started."""
        try:
            process = subprocess.Popen(
                command,
                env=dict(self.environ),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            return 127, f"cannot be started: {error.strerror}"
        try:
            return _finish(process, seconds)
        finally:
            process.kill()  # Ctrl-C

    def load(self, names: Sequence[str]) -> dict[str, str]:
        """Return for each library why it cannot be loaded, "" where it can, as a new process of this environment would find it."""
        status, output = self.run([self.interpreter, "-c", _LOAD, *names], 60)
        try:
            return json.loads(output.splitlines()[-1])
        except (ValueError, IndexError):
            return {name: f"loading it ended with status {status}" for name in names}

    def which(self, program: str) -> str | None:
        """Return a program's path: beside the interpreter, or else on PATH."""
        beside = str(Path(self.interpreter).parent)
        return shutil.which(program, path=f"{beside}{os.pathsep}{self.environ.get('PATH', '')}")

    def read(self, path: str) -> str:
        """Return a file's text, "" where it cannot be read; `path` without the leading slash."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""


def _finish(process: subprocess.Popen[str], seconds: float) -> tuple[int, str]:
    """Return status and output of a program that was started; kill it after so many seconds."""
    try:
        output = process.communicate(timeout=seconds)[0]
        return process.returncode, output
    except subprocess.TimeoutExpired:
        text = f"no answer within {seconds:.0f} s"
    process.kill()
    try:
        process.wait(KILL_SECONDS)
    except subprocess.TimeoutExpired:
        text += f", and process {process.pid} cannot be killed: it waits within the kernel"
    return 124, text


def has_module(name: str) -> bool:
    """Whether a module could be imported."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def version_of(package: str) -> str:
    """Return an installed package's version; "" where there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def check_computation(machine: Machine, device_target: str, seconds: float) -> Finding:
    """Run a small convolution on a device in a process of its own."""
    status, output = machine.run([machine.interpreter, "-c", _COMPUTE, device_target], seconds, ROOT)
    if "RESULT True" in output:
        return Finding("a small convolution ran and gave the right numbers")
    if "RESULT False" in output:
        return Finding("a small convolution gave wrong numbers", ok=False, fix="reinstall MindSpore and the libraries above")
    lines = [line.strip() for line in output.splitlines() if "Error" in line or "error" in line] or output.split("\n")[-2:]
    reason = " ".join(lines[-1].split())[:200] if lines else ""
    return Finding(f"a small convolution failed (status {status}): {reason}", ok=False, fix="see what it says; all parts above were found")


def check_python(major: int = sys.version_info[0], minor: int = sys.version_info[1]) -> Finding:
    """Python 3.10 or 3.11."""
    text = f"Python {major}.{minor}"
    if (3, 10) <= (major, minor) <= (3, 11):
        return Finding(text)
    fix = "install Python 3.11, then PYTHON=python3.11 bash scripts/quickstart.sh"
    return Finding(f"{text}: MindSpore 2.8.0 needs 3.10 or 3.11", ok=False, fix=fix)


def check_packages(version: Callable[[str], str] = version_of) -> list[Finding]:
    """The Python packages that everything needs, in the versions that work."""
    opencv = version("opencv-python-headless") or version("opencv-python")
    numpy = version("numpy")
    return [
        _check_mindspore(version("mindspore")),
        Finding(f"numpy {numpy}: MindSpore 2.8.0 needs one below 2", ok=False, fix=INSTALL)
        if numpy and _numbers(numpy) >= (2, 0)
        else _check_present("numpy", numpy),
        _check_present("OpenCV", opencv),
    ]


def _check_mindspore(version: str) -> Finding:
    if version and _numbers(version) >= (2, 9):
        slow = "from 2.9 on, convolutions on a CPU are 40 times slower without ONEDNN_MAX_CPU_ISA=AVX2, which the programs set"
        return Finding(f"MindSpore {version}: 2.8.0 is expected; {slow}", ok=None, fix=INSTALL)
    if version and version != "2.8.0":
        return Finding(f"MindSpore {version}: 2.8.0 is expected", ok=None, fix=INSTALL)
    return _check_present("MindSpore", version)


def _check_present(name: str, version: str) -> Finding:
    return Finding(f"{name} {version}") if version else Finding(f"{name} is not installed", ok=False, fix=INSTALL)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split(".")[:2] if number.isdecimal())
