#!/usr/bin/env python3
"""Say for each device type whether it can be used here and, if not, what is missing and how to install it.

    python -m src.runtime.doctor [--device_target CPU|GPU|Ascend]

Exit status: 0, the device asked for (without one: any) can be used; 2, something must be installed or set, as said; 1, all that is needed
is there and yet a computation failed. It runs where nothing is installed yet: MindSpore is imported by a process of its own, at the end.
"""

import sys

# Here, since what is imported below cannot be read by such a Python: this file can, down to 3.6.
if sys.version_info < (3, 10):  # noqa: UP036
    print(
        f"Python {sys.version_info[0]}.{sys.version_info[1]}: MindSpore 2.8.0 needs 3.10 or 3.11; install Python 3.11, then "
        "PYTHON=python3.11 bash scripts/quickstart.sh",
        file=sys.stderr,
    )
    sys.exit(2)

import argparse
import os
from collections.abc import Callable, Sequence
from typing import NoReturn

from src.runtime.doctor.ascend import probe_ascend
from src.runtime.doctor.gpu import probe_gpu
from src.runtime.doctor.probes import (
    MIB,
    Finding,
    Machine,
    check_computation,
    check_packages,
    check_python,
    has_module,
)

EXIT_FAILED, EXIT_USER = 1, 2
DEFAULT_PRESET = "hrnetv2_w48"


# What each device needs beside Python's packages, and how long a computation may take there, seconds: for a GPU that is newer than the
# plug-in's machine code, and on Ascend, kernels are compiled first.
PROBES: dict[str, tuple[Callable[[Machine], list[Finding]], float]] = {
    "CPU": (lambda machine: [], 120),
    "GPU": (probe_gpu, 300),
    "Ascend": (probe_ascend, 300),
}


def probe_host(machine: Machine, cores: int) -> list[Finding]:
    """Cores, memory, shared memory, launchers and ModelArts' module: worth knowing, needed by none of the devices alone."""
    return [Finding(f"{cores} cores, {_memory(machine)}", ok=None), _shared_memory(machine, cores), *_launchers(machine), _moxing()]


def _memory(machine: Machine) -> str:
    amounts = {line.split(":")[0]: int(line.split()[1]) for line in machine.read("proc/meminfo").splitlines() if line.endswith("kB")}
    text = f"memory: {amounts.get('MemTotal', 0) // 1024} MiB, {amounts.get('MemAvailable', 0) // 1024} MiB of it free"
    limit = machine.read("sys/fs/cgroup/memory.max").strip()
    return text + (f", this container may use {int(limit) // MIB} MiB" if limit.isdecimal() else "")


def _shared_memory(machine: Machine, cores: int) -> Finding:
    try:
        status = os.statvfs(machine.root / "dev/shm")
    except OSError:
        return Finding("/dev/shm: there is none; reading with several workers needs it", ok=None, fix="mount a tmpfs on it, or --workers 1")
    free, whole = status.f_bavail * status.f_frsize // MIB, status.f_blocks * status.f_frsize // MIB
    text = f"/dev/shm: {whole} MiB, {free} MiB free"
    needed = default_reader_mib()
    if needed is None:
        return Finding(text, ok=None)
    text += f"; a process of {DEFAULT_PRESET} with its default workers ({cores} cores) takes {needed} MiB"
    return Finding(text, ok=None, fix="" if needed <= free else "docker run --shm-size=2g (times processes), or fewer --workers")


def default_reader_mib() -> int | None:
    """Return what the default preset's reading processes hold in /dev/shm, MiB; None where packages are missing to tell."""
    try:
        from src.config import load_config
        from src.data.read_ahead import shared_memory_bytes
    except ImportError:
        return None
    config = load_config(DEFAULT_PRESET, ask_weights=False)
    return shared_memory_bytes(config.train.image_size, config.batchsize, config.workers) // MIB


def _launchers(machine: Machine) -> list[Finding]:
    fixes = {
        "msrun": "it comes with MindSpore: pip install -r requirements.txt",
        "mpirun": "apt-get install openmpi-bin; msrun does the same",
    }
    uses = {"msrun": "several processes", "mpirun": "LAUNCHER=mpirun on GPU"}
    return [
        Finding(f"{name} ({uses[name]}): {path}" if path else f"{name} ({uses[name]}): not found", ok=None, fix="" if path else fix)
        for name, fix in fixes.items()
        for path in [machine.which(name)]
    ]


def _moxing() -> Finding:
    return Finding("moxing (ModelArts): " + ("found" if has_module("moxing") else "not found; only ModelArts' own images have it"), ok=None)


def show(title: str, findings: Sequence[Finding]) -> None:
    """Print a block."""
    print(title, flush=True)
    for finding in findings:
        mark = {True: "ok", False: "NO", None: "--"}[finding.ok]
        print(f"  {mark}  {finding.text}", flush=True)
        if finding.fix:
            print(f"      -> {finding.fix}", flush=True)


def examine(machine: Machine, target: str, common: Sequence[Finding]) -> int:
    """Print a device's block; return the exit status that it deserves."""
    probe, seconds = PROBES[target]
    findings = probe(machine)
    missing = [finding for finding in (*common, *findings) if finding.ok is False]
    status = EXIT_USER if missing else 0
    if not missing:
        findings.append(check_computation(machine, target, seconds))
        status = 0 if findings[-1].ok else EXIT_FAILED
    elif not any(finding.ok is False for finding in findings):
        findings.append(Finding("Python or its packages: see above", ok=False))
    show(f"{target}: {'usable' if status == 0 else 'not usable'}", findings)
    return status


class OneLineParser(argparse.ArgumentParser):
    """Errors in one line, with exit status 2, as in src/runtime/entry.py, which needs packages."""

    def error(self, message: str) -> NoReturn:
        """Print the message and leave."""
        print(f"{self.prog}: {message} (see --help)", file=sys.stderr)
        raise SystemExit(EXIT_USER)


def main(argv: Sequence[str] | None = None) -> int:
    """Look, print, return the exit status."""
    parser = OneLineParser(prog="python -m src.runtime.doctor", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device_target", choices=tuple(PROBES), help="look at this device alone")
    arguments = parser.parse_args(argv)
    machine = Machine()
    common = [check_python(), *check_packages()]
    show("Python", common)
    show("this host", probe_host(machine, len(os.sched_getaffinity(0))))
    statuses = [examine(machine, target, common) for target in ([arguments.device_target] if arguments.device_target else PROBES)]
    return 0 if 0 in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(main())
