"""Two real processes: equal weights on both ranks, and an evaluation that is shared but counts every picture once."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import eval as evaluation
from src.runtime.distributed import Group
from src.runtime.entry import run
from tests.tiny import TINY_WORDS, write_camvid

PROJECT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    data = write_camvid(folder / "data", num_train=9, num_val=3)
    msrun = Path(sys.executable).with_name("msrun")
    launch = [
        msrun,
        "--worker_num=2",
        "--local_worker_num=2",
        f"--master_port={free_port()}",
        "--join=True",
        f"--log_dir={folder / 'logs'}",
    ]
    arguments = ["--config", "camvid_w18_small", "--data_path", data, "--output_path", folder / "out", "--run_distribute", "True"]
    command = [*launch, PROJECT / "tests/engine/two_ranks.py", folder, *arguments, *TINY_WORDS, "total_epoch=2"]
    # msrun starts "python" from PATH; the scripts' own folder is all that Python puts onto its path by itself.
    environment = {**os.environ, "PATH": f"{msrun.parent}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}
    result = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    logs = "\n".join(path.read_text()[-2000:] for path in sorted((folder / "logs").glob("worker_*.log")))
    assert result.returncode == 0, result.stderr[-2000:] + logs
    return folder


def test_ranks_end_with_equal_weights(folder: Path) -> None:
    first, second = (np.load(folder / f"rank_{rank}.npz") for rank in (0, 1))
    assert int(first["size"]) == 2
    for name in first.files:
        assert (first[name] == second[name]).all(), name


def test_main_rank_alone_writes_one_run(folder: Path) -> None:
    steps = [json.loads(line)["step"] for line in (folder / "out" / "metrics.jsonl").read_text().splitlines() if '"train"' in line]
    assert steps == [1, 2, 3, 4]  # 9 pictures, 2 ranks, batches of 2: 2 steps per epoch


def test_shared_evaluation_equals_that_of_one_process(folder: Path) -> None:
    shared = json.loads((folder / "out" / "eval.json").read_text())
    assert shared["images"] == 3
    assert run(evaluation.main, ["--checkpoint_path", str(folder / "out" / "last.ckpt")]) == 0
    alone = json.loads((folder / "out" / "eval.json").read_text())
    for name in ("miou", "iou", "pixels", "images"):
        assert alone[name] == shared[name], name


def test_sums_over_one_rank_are_the_numbers() -> None:
    numbers = np.array([0, 1, 2**59 + 12345], np.int64)
    assert (Group().sum_int64(numbers) == numbers).all()
