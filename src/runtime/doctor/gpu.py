"""What MindSpore 2.8 needs of an NVIDIA GPU: the driver, and CUDA 11 libraries, which pip has."""

import re

from src.runtime.doctor.probes import Finding, Machine

# What the plug-in libmindspore_gpu.so.11.6 and its parts want by name, and the wheel that holds it.
LIBRARIES = {
    "libcudart.so.11.0": "nvidia-cuda-runtime-cu11",
    "libcublas.so.11": "nvidia-cublas-cu11",
    "libcudnn.so.8": "nvidia-cudnn-cu11==8.*",
    "libcurand.so.10": "nvidia-curand-cu11",
    "libcufft.so.10": "nvidia-cufft-cu11",
    "libcusolver.so.11": "nvidia-cusolver-cu11",
    "libcusparse.so.11": "nvidia-cusparse-cu11",
    "libnvrtc.so.11.2": "nvidia-cuda-nvrtc-cu11",
}
DRIVER = "libcuda.so.1"
PLUGIN = "mindspore/lib/plugin"
INSTALL = "pip install -r requirements-gpu.txt"
PATH_FIX = "source scripts/lib/gpu_env.sh (the GPU scripts do so by themselves)"


def probe_gpu(machine: Machine) -> list[Finding]:
    """Return what was found and what is missing."""
    errors = machine.load([DRIVER, *LIBRARIES])
    return [*_driver(machine, errors[DRIVER]), *_libraries(machine, errors), _cuda_version(machine), *_plugin(machine)]


def _driver(machine: Machine, error: str) -> list[Finding]:
    findings = []
    version = machine.read("proc/driver/nvidia/version").split("\n")[0]
    if error:
        fix = "install NVIDIA's driver, 450.80 or later (Debian: apt-get install nvidia-driver); in a container: docker run --gpus all"
        seen = "its kernel module is loaded, " if version else ""
        findings.append(Finding(f"NVIDIA driver: {seen}{DRIVER} cannot be loaded", ok=False, fix=fix))
    else:
        findings.append(Finding(f"NVIDIA driver: {version or DRIVER + ' loads'}"))
    if not machine.which("nvidia-smi"):
        findings.append(Finding("nvidia-smi: not found; it comes with the driver", ok=None))
        return findings
    status, output = machine.run(["nvidia-smi", "--query-gpu=index,name,memory.total", "--format=csv,noheader"], 20)
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if status == 0 and lines:
        findings.extend(Finding(f"GPU {line}") for line in lines)
    else:
        findings.append(
            Finding(f"nvidia-smi finds no GPU: {' '.join(lines)[:160]}", ok=False, fix="check the driver, or --gpus of the container")
        )
    return findings


def _libraries(machine: Machine, errors: dict[str, str]) -> list[Finding]:
    return [_library(machine, name, wheel, errors[name]) for name, wheel in LIBRARIES.items()]


def _library(machine: Machine, name: str, wheel: str, error: str) -> Finding:
    if not error:
        return Finding(f"{name} loads")
    held = sorted(machine.site_packages.glob(f"nvidia/*/lib/{name}"))
    if not held:
        return Finding(f"{name}: not found", ok=False, fix=f"{INSTALL} (it is in {wheel})")
    if str(held[0].parent) in machine.environ.get("LD_LIBRARY_PATH", "").split(":"):
        return Finding(f"{name}: {' '.join(error.split())[:160]}", ok=False, fix=INSTALL)
    return Finding(f"{name}: installed, but its folder is not on LD_LIBRARY_PATH", ok=False, fix=PATH_FIX)


def _cuda_version(machine: Machine) -> Finding:
    """MindSpore asks the nvcc of CUDA_HOME for a version and chooses its plug-in by it (strings of libmindspore_hardware_abstract.so).

    For 11.1 to 11.5 it chooses another one than that of PLUGIN, which wants libnvrtc.so.11.1; no wheel holds that.
    """
    home = machine.environ.get("CUDA_HOME", "")
    if not home:
        return Finding("CUDA_HOME: not set; MindSpore asks its nvcc for CUDA's version", ok=False, fix=PATH_FIX)
    found = re.search(r"release (\d+\.\d+)", machine.run([f"{home}/bin/nvcc", "--version"], 10)[1])
    version = found[1] if found else "none"
    if re.fullmatch(r"11\.[6-9]", version):
        return Finding(f"CUDA_HOME: {home}, version {version}")
    return Finding(f"CUDA_HOME: {home}; its nvcc tells version {version}, and MindSpore needs 11.6 to 11.9", ok=False, fix=PATH_FIX)


def _plugin(machine: Machine) -> list[Finding]:
    wanted = {"MindSpore's GPU plug-in": f"{PLUGIN}/libmindspore_gpu.so.11.6", "NCCL, for several GPUs": f"{PLUGIN}/gpu11.6/libnccl.so.2"}
    reinstall = "pip install --force-reinstall --no-deps mindspore==2.8.0"
    return [
        Finding(f"{what}: {path}") if (machine.site_packages / path).is_file() else Finding(f"{what}: no {path}", ok=False, fix=reinstall)
        for what, path in wanted.items()
    ]
