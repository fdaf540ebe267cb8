"""The doctor on trees that stand for machines, and once on this one."""

import ast
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from src.runtime.doctor import __main__ as doctor
from src.runtime.doctor import probes
from src.runtime.doctor.ascend import probe_ascend
from src.runtime.doctor.gpu import LIBRARIES, probe_gpu
from src.runtime.doctor.probes import ROOT, Finding, Machine, check_computation, check_packages, check_python

GOOD = {"mindspore": "2.8.0", "numpy": "1.26.4", "opencv-python-headless": "4.11.0.86"}


class FakeMachine(Machine):
    """A machine whose loader knows the libraries of `environ["LOADS"]`."""

    def load(self, names):
        loads = self.environ.get("LOADS", "").split()
        return {name: "" if name in loads else f"{name}: cannot open shared object file" for name in names}


def write(path: Path, text: str = "", mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def program(path: Path, *lines: str) -> Path:
    return write(path, "\n".join(["#!/bin/sh", *lines]) + "\n", 0o755)


@pytest.fixture
def make(tmp_path):
    def build(**environ):
        environ = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "CUDA_HOME": f"{tmp_path}/cuda", **environ}
        return FakeMachine(root=tmp_path, environ=environ, site_packages=tmp_path / "site", interpreter=str(tmp_path / "bin" / "python"))

    return build


def plugin(folder: Path) -> None:
    write(folder / "site/mindspore/lib/plugin/libmindspore_gpu.so.11.6")
    write(folder / "site/mindspore/lib/plugin/gpu11.6/libnccl.so.2")
    program(folder / "cuda/bin/nvcc", "echo 'Cuda compilation tools, release 11.6, V11.6.124'")


def missing(findings):
    return [finding for finding in findings if finding.ok is False]


def test_gpu_with_everything(make, tmp_path):
    plugin(tmp_path)
    write(tmp_path / "proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54.03\nGCC\n")
    program(tmp_path / "bin/nvidia-smi", "echo '0, NVIDIA A100, 40960 MiB'")
    findings = probe_gpu(make(LOADS=" ".join(["libcuda.so.1", *LIBRARIES])))
    assert missing(findings) == []
    texts = "\n".join(finding.text for finding in findings)
    assert "Kernel Module  535.54.03" in texts and "GPU 0, NVIDIA A100, 40960 MiB" in texts and "libcudnn.so.8 loads" in texts


def test_gpu_without_a_driver(make, tmp_path):
    plugin(tmp_path)
    (finding,) = missing(probe_gpu(make(LOADS=" ".join(LIBRARIES))))
    assert "libcuda.so.1 cannot be loaded" in finding.text and "--gpus all" in finding.fix


def test_gpu_whose_driver_sees_no_device(make, tmp_path):
    plugin(tmp_path)
    program(tmp_path / "bin/nvidia-smi", "echo 'No devices were found'", "exit 6")
    (finding,) = missing(probe_gpu(make(LOADS=" ".join(["libcuda.so.1", *LIBRARIES]))))
    assert finding.text == "nvidia-smi finds no GPU: No devices were found"


def test_gpu_libraries_are_told_one_by_one(make, tmp_path):
    plugin(tmp_path)
    wheels = tmp_path / "site/nvidia"
    write(wheels / "cudnn/lib/libcudnn.so.8")
    write(wheels / "cublas/lib/libcublas.so.11")
    loads = set(LIBRARIES) - {"libcudnn.so.8", "libcublas.so.11", "libcurand.so.10"}
    machine = make(LOADS=" ".join(["libcuda.so.1", *loads]), LD_LIBRARY_PATH=f"/opt/lib:{wheels}/cublas/lib")
    cublas, cudnn, curand = sorted(missing(probe_gpu(machine)), key=lambda finding: finding.text)
    assert cublas.text == "libcublas.so.11: libcublas.so.11: cannot open shared object file"  # found and broken: the loader's own words
    assert "not on LD_LIBRARY_PATH" in cudnn.text and cudnn.fix.startswith("source scripts/lib/gpu_env.sh")
    assert curand == Finding("libcurand.so.10: not found", False, "pip install -r requirements-gpu.txt (it is in nvidia-curand-cu11)")


def test_gpu_plugin_absent(make):
    texts = [finding.text for finding in missing(probe_gpu(make(LOADS=" ".join(["libcuda.so.1", *LIBRARIES]))))]
    assert len(texts) == 3 and "gpu11.6/libnccl.so.2" in texts[2]


def test_gpu_with_another_cuda(make, tmp_path):
    plugin(tmp_path)
    loads = " ".join(["libcuda.so.1", *LIBRARIES])
    for version in ("12.4", "11.5"):  # for 11.5: a plug-in that wants libnvrtc.so.11.1
        program(tmp_path / "cuda/bin/nvcc", f"echo 'release {version}, V{version}.99'")
        (finding,) = missing(probe_gpu(make(LOADS=loads)))
        assert f"version {version}, and MindSpore needs 11.6 to 11.9" in finding.text and "gpu_env.sh" in finding.fix
    program(tmp_path / "cuda/bin/nvcc", "echo 'release 11.8, V11.8.89'")
    assert missing(probe_gpu(make(LOADS=loads))) == []
    (finding,) = missing(probe_gpu(make(LOADS=loads, CUDA_HOME="")))
    assert finding.text.startswith("CUDA_HOME: not set")


def test_wheels_are_those_of_the_requirements():
    lines = (ROOT / "requirements-gpu.txt").read_text().splitlines()
    assert {line for line in lines if line.startswith("nvidia-")} == set(LIBRARIES.values())


def test_a_library_is_loaded_by_name_in_another_process():
    answers = Machine().load(["libc.so.6", "libocrnet_none.so.9"])
    assert answers["libc.so.6"] == "" and "libocrnet_none.so.9" in answers["libocrnet_none.so.9"]


def ascend(folder: Path, version: str = "8.3.RC1") -> str:
    write(folder / "usr/local/Ascend/driver/version.info", "Version=24.1.rc2\nascendhal_version=7\n")
    write(folder / "dev/davinci0")
    write(folder / "cann/compiler/version.info", f"Version={version}\n")
    program(folder / "bin/npu-smi", "echo ok")
    return str(folder / "cann")


@pytest.fixture
def cann_packages(monkeypatch):
    monkeypatch.setattr("src.runtime.doctor.ascend.has_module", lambda name: True)


def test_ascend_with_everything(make, tmp_path, cann_packages):
    findings = probe_ascend(make(ASCEND_HOME_PATH=ascend(tmp_path)))
    assert missing(findings) == []
    texts = [finding.text for finding in findings]
    assert texts[:3] == ["Ascend driver 24.1.rc2: /usr/local/Ascend/driver", "devices: davinci0", "npu-smi answers"]
    assert texts[3] == f"CANN 8.3: {tmp_path}/cann"


def test_ascend_with_another_cann(make, tmp_path, cann_packages):
    findings = probe_ascend(make(ASCEND_HOME_PATH=ascend(tmp_path, "7.0.1")))
    assert [finding.text for finding in findings if finding.fix] == ["CANN 7.0: MindSpore 2.8.0 expects one of 8.2, 8.3, 8.5"]


def test_ascend_installed_but_not_sourced(make, tmp_path):
    ascend(tmp_path)
    write(tmp_path / "usr/local/Ascend/ascend-toolkit/set_env.sh")
    (finding,) = missing(probe_ascend(make()))
    assert finding.fix == "source /usr/local/Ascend/ascend-toolkit/set_env.sh"


def test_ascend_absent(make):
    driver, devices, cann = missing(probe_ascend(make()))
    assert "no /usr/local/Ascend/driver" in driver.text and "no /dev/davinci*" in devices.text and "8.2, 8.3, 8.5" in cann.fix


def test_ascend_whose_npu_smi_fails(make, tmp_path, cann_packages):
    home = ascend(tmp_path)
    program(tmp_path / "bin/npu-smi", "echo 'dcmi module initialize failed. ret is -8005'", "exit 255")
    (finding,) = missing(probe_ascend(make(ASCEND_HOME_PATH=home)))
    assert "ret is -8005" in finding.text


@pytest.mark.parametrize(("minor", "ok"), [(9, False), (10, True), (11, True), (12, False)])
def test_python(minor, ok):
    assert check_python(3, minor).ok is ok


def test_packages():
    assert [finding.ok for finding in check_packages(lambda name: GOOD.get(name, ""))] == [True, True, True]
    assert [finding.ok for finding in check_packages(lambda name: "")] == [False, False, False]
    newer = check_packages(lambda name: {**GOOD, "mindspore": "2.10.0", "numpy": "2.1.3"}.get(name, ""))
    assert newer[0].ok is None and "slower" in newer[0].text
    assert newer[1].ok is False and "numpy 2.1.3" in newer[1].text


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["echo noise; echo RESULT True"], "a small convolution ran and gave the right numbers"),
        (["echo RESULT False"], "a small convolution gave wrong numbers"),
        (
            ["echo 'Traceback (most recent call last):'; echo 'ValueError: no kernel image'; exit 1"],
            "(status 1): ValueError: no kernel image",
        ),
        (["kill -SEGV $$"], "(status -11)"),
        (["exec sleep 20"], "no answer within 0 s"),
    ],
)
def test_computation(make, tmp_path, lines, text):
    program(tmp_path / "bin/python", *lines)
    finding = check_computation(make(), "GPU", 0.4)
    assert text in finding.text and "\n" not in finding.text
    assert finding.ok is (text.endswith("right numbers"))


def test_a_program_that_cannot_be_killed_is_left(make, tmp_path, monkeypatch):
    program(tmp_path / "bin/stuck", "exec sleep 5")
    monkeypatch.setattr(probes, "KILL_SECONDS", 0.05)
    monkeypatch.setattr(subprocess.Popen, "kill", lambda process: None)  # it waits within a driver
    begin = time.monotonic()
    status, text = make().run([str(tmp_path / "bin/stuck")], 0.1)
    assert time.monotonic() - begin < 3 and status == 124 and "cannot be killed" in text
    os.kill(int(text.split("process ")[1].split()[0]), signal.SIGKILL)


@pytest.mark.parametrize(("missing_part", "computes", "status"), [(True, True, 2), (False, True, 0), (False, False, 1)])
def test_exit_status(make, monkeypatch, capsys, missing_part, computes, status):
    monkeypatch.setitem(doctor.PROBES, "GPU", (lambda machine: [Finding("part", ok=not missing_part, fix="install it")], 1))
    monkeypatch.setattr(doctor, "check_computation", lambda *_: Finding("computation", ok=computes))
    assert doctor.examine(make(), "GPU", [Finding("Python 3.11")]) == status
    out = capsys.readouterr().out
    assert out.startswith("GPU: usable" if status == 0 else "GPU: not usable")
    assert ("computation" in out) is not missing_part


def test_any_usable_device_is_enough(monkeypatch, capsys):
    statuses = {"CPU": 0, "GPU": 2, "Ascend": 1}
    monkeypatch.setattr(doctor, "examine", lambda machine, target, common: statuses[target])
    assert doctor.main([]) == 0
    assert [doctor.main(["--device_target", target]) for target in statuses] == [0, 2, 1]
    statuses["CPU"] = 1
    assert doctor.main([]) == 2


def test_a_wrong_flag_is_told_in_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        doctor.main(["--device_target", "TPU"])
    err = capsys.readouterr().err
    assert "invalid choice: 'TPU'" in err and err.count("\n") == 1


def test_an_old_python_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    monkeypatch.setitem(sys.modules, "argparse", None)  # nothing else is imported before
    with pytest.raises(SystemExit, match="2"):
        runpy.run_path(doctor.__file__, run_name="__main__")
    assert capsys.readouterr().err.startswith("Python 3.8: MindSpore 2.8.0 needs 3.10 or 3.11; install")
    folder = Path(doctor.__file__).parent
    for path in (folder / "__main__.py", folder / "__init__.py", folder.parent / "__init__.py", ROOT / "src/__init__.py"):
        ast.parse(path.read_text(), feature_version=(3, 6))


def test_host(make, tmp_path):
    (tmp_path / "dev/shm").mkdir(parents=True)
    write(tmp_path / "proc/meminfo", "MemTotal:       2048000 kB\nMemFree: 1 kB\nMemAvailable:   1024000 kB\n")
    write(tmp_path / "sys/fs/cgroup/memory.max", f"{512 << 20}\n")
    program(tmp_path / "bin/msrun", "")
    texts = [finding.text for finding in doctor.probe_host(make(PATH="/nowhere"), 4)]
    assert texts[0] == "4 cores, memory: 2000 MiB, 1000 MiB of it free, this container may use 512 MiB"
    assert texts[1].startswith("/dev/shm: ") and "a process of hrnetv2_w48 with its default workers (4 cores) takes" in texts[1]
    assert texts[2] == f"msrun (several processes): {tmp_path}/bin/msrun" and texts[3] == "mpirun (LAUNCHER=mpirun on GPU): not found"


def test_no_shared_memory(make):
    assert doctor.probe_host(make(), 4)[1].text.startswith("/dev/shm: there is none")


def test_on_this_machine():
    done = subprocess.run(
        [sys.executable, "-m", "src.runtime.doctor", "--device_target", "CPU"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "CPU: usable\n  ok  a small convolution ran and gave the right numbers" in done.stdout
    assert done.stderr == ""
