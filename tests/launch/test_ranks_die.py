"""Training by msrun with two real ranks: one is killed, the job ends with a reason within seconds, and goes on from its last state."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.engine.kill_training import WORDS, steps_done
from tests.launch.launching import is_alive
from tests.tiny import write_camvid

PROJECT = Path(__file__).resolve().parents[2]
EPOCH_STEPS = 2  # 9 pictures, 2 ranks, batches of 2
# Epochs without end, whose ends alone are saved.
ENDLESS = (*WORDS, "total_epoch=10000", "eval_callback=False", "save_state_steps=0", "save_checkpoint_epochs=1")


def launch(folder: Path, *arguments: object) -> subprocess.Popen:
    command = [
        sys.executable,
        "-m",
        "src.launch",
        "--log_dir",
        folder / "logs",
        "--msrun",
        2,
        "--",
        sys.executable,
        PROJECT / "tests/launch/train_one_layer.py",
    ]
    # tensorboardX would import torch where that is installed: 2 s for each rank.
    (folder / "lean").mkdir(exist_ok=True)
    (folder / "lean" / "torch.py").write_text("raise ImportError")
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'lean'}:{PROJECT}", "OMP_NUM_THREADS": "1"}
    with open(folder / "output", "wb") as output, open(folder / "errors", "wb") as errors:
        return subprocess.Popen([*map(str, command), *map(str, arguments)], cwd=PROJECT, env=environment, stdout=output, stderr=errors)


def below(ancestor: int) -> list[int]:
    """Return a process and all below it, by what ps says."""
    lines = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.splitlines()
    pairs = [tuple(map(int, line.split())) for line in lines]
    found = [ancestor]
    for pid in found:
        found += [child for child, parent in pairs if parent == pid]
    return found


def wait_for(path: Path, process: subprocess.Popen, folder: Path) -> None:
    deadline = time.monotonic() + 200
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline, (folder / "output").read_text() + (folder / "errors").read_text()
        time.sleep(0.02)


def test_killed_rank_ends_the_job_which_resumes_with_both(tmp_path: Path) -> None:
    data, out = write_camvid(tmp_path / "data", num_train=9), tmp_path / "out"
    device = ("--device_target", "CPU", "--run_distribute", "True")
    first = launch(tmp_path, "--config", "camvid_w18_small", "--data_path", data, "--output_path", out, *device, *ENDLESS)
    wait_for(out / "last.state", first, tmp_path)  # the end of epoch 1
    processes = below(first.pid)
    wrapper = int((tmp_path / "logs" / "rank_1.pid").read_text().split()[1])
    os.kill(below(wrapper)[1], signal.SIGKILL)
    assert first.wait(timeout=30) == 1  # the launcher's grace is 3 s; alone, msrun's scheduler would wait 30 s for the dead rank
    assert "error: rank 1 was killed by SIGKILL" in (tmp_path / "errors").read_text()
    assert len(processes) >= 7  # launcher, msrun, scheduler, and two wrappers with a rank each
    assert not [pid for pid in processes if is_alive(pid)]

    epoch = steps_done(out) // EPOCH_STEPS
    second = launch(tmp_path, "--resume", out, "--end_epoch", epoch + 1)
    assert second.wait(timeout=200) == 0, (tmp_path / "output").read_text() + (tmp_path / "errors").read_text()
    output = (tmp_path / "output").read_text()
    assert "ranks: 2" in output and f"epoch: {epoch + 1} step: 2," in output
    assert f"epoch: {epoch} step:" not in output
    assert [(tmp_path / "logs" / f"rank_{rank}.exit").read_text().split()[0] for rank in (0, 1)] == ["0", "0"]
