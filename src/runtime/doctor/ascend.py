"""What MindSpore 2.8 needs of an Ascend host: the driver, and CANN with its environment."""

import re
from pathlib import Path

from src.runtime.doctor.probes import Finding, Machine, has_module

# Source: AscendEnvChecker of mindspore/run_check/_check_version.py, 2.8.0.
CANN_VERSIONS = ("8.2", "8.3", "8.5")
TOOLKIT = "usr/local/Ascend/ascend-toolkit"
DRIVER = "usr/local/Ascend/driver"
GET_DRIVER = "install the Ascend driver and firmware (hiascend.com, HDK packages); in a container mount /usr/local/Ascend/driver"
GET_CANN = f"install the CANN toolkit and kernels, one of {', '.join(CANN_VERSIONS)} (hiascend.com), then source its set_env.sh"


def probe_ascend(machine: Machine) -> list[Finding]:
    """Return what was found and what is missing."""
    return [*_driver(machine), *_cann(machine)]


def _driver(machine: Machine) -> list[Finding]:
    findings = []
    version = re.search(r"^Version=(\S+)", machine.read(f"{DRIVER}/version.info"), re.M)
    if (machine.root / DRIVER).is_dir():
        findings.append(Finding(f"Ascend driver {version[1] if version else '(version unknown)'}: /{DRIVER}"))
    else:
        findings.append(Finding(f"Ascend driver: no /{DRIVER}", ok=False, fix=GET_DRIVER))
    devices = sorted(path.name for path in (machine.root / "dev").glob("davinci[0-9]*"))
    if devices:
        findings.append(Finding(f"devices: {' '.join(devices)}"))
    else:
        findings.append(
            Finding(
                "devices: no /dev/davinci*",
                ok=False,
                fix="check that the driver is loaded; in a container: docker run --device /dev/davinci0 --device /dev/davinci_manager ...",
            )
        )
    findings.append(_npu_smi(machine))
    return findings


def _npu_smi(machine: Machine) -> Finding:
    if not machine.which("npu-smi"):
        return Finding("npu-smi: not found; it comes with the driver", ok=None)
    status, output = machine.run(["npu-smi", "info"], 20)
    if status == 0:
        return Finding("npu-smi answers")
    return Finding(f"npu-smi fails: {' '.join(output.split())[:160]}", ok=False, fix="check the driver and the rights on /dev/davinci*")


def _cann(machine: Machine) -> list[Finding]:
    home = machine.environ.get("ASCEND_HOME_PATH", "")
    if not home:
        script = machine.root / TOOLKIT / "set_env.sh"
        if script.is_file():
            return [Finding("CANN: installed, but ASCEND_HOME_PATH is not set", ok=False, fix=f"source /{TOOLKIT}/set_env.sh")]
        return [Finding(f"CANN: no ASCEND_HOME_PATH and no /{TOOLKIT}/set_env.sh", ok=False, fix=GET_CANN)]
    if not Path(home).is_dir():
        return [Finding(f"CANN: ASCEND_HOME_PATH is {home}, which is no folder", ok=False, fix=GET_CANN)]
    return [_cann_version(home), *_cann_packages()]


def _cann_version(home: str) -> Finding:
    try:
        text = (Path(home) / "compiler/version.info").read_text(encoding="utf-8")
    except OSError:
        return Finding(
            f"CANN: {home} has no compiler/version.info, so its version is unknown; expected {', '.join(CANN_VERSIONS)}", ok=None
        )
    found = re.search(r"^Version=(\d+\.\d+)", text, re.M)
    version = found[1] if found else "unknown"
    if version in CANN_VERSIONS:
        return Finding(f"CANN {version}: {home}")
    return Finding(f"CANN {version}: MindSpore 2.8.0 expects one of {', '.join(CANN_VERSIONS)}", ok=None, fix=GET_CANN)


def _cann_packages() -> list[Finding]:
    """Python packages that come with CANN; its set_env.sh puts them on PYTHONPATH."""
    fix = "source CANN's set_env.sh, or pip install $ASCEND_HOME_PATH/lib64/{te,hccl}-*.whl"
    return [
        Finding(f"Python package {name}") if has_module(name) else Finding(f"Python package {name}: not found", ok=False, fix=fix)
        for name in ("te", "hccl")
    ]
