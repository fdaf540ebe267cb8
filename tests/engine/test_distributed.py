"""Two real processes, launched once: equal weights, those of one process on the whole batch, each sample once, one evaluation."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import eval as evaluation
from src.engine import evaluate_weights as evaluation_of_weights
from src.launch.starting import free_port
from src.runtime.distributed import Group
from src.runtime.entry import run
from tests.engine.two_ranks import NETWORKS, ten_steps
from tests.tiny import TINY_WORDS, tiny_config, write_camvid

PROJECT = Path(__file__).resolve().parents[2]


def write_data(folder: Path) -> Path:
    """9 pictures to train on; the first 8 have no ignored pixel, because ranks average means of as many pixels each."""
    data = write_camvid(folder / "data", num_train=9, num_val=3)
    for number in range(8):
        path = str(data / "trainannot" / f"{number}.png")
        label = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        label[label == 11] = 0
        cv2.imwrite(path, label)
    return data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    data = write_data(folder)
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
    command = [*launch, PROJECT / "tests/engine/two_ranks.py", folder, *arguments, *TINY_WORDS, "total_epoch=1", "mode=PYNATIVE"]
    # tensorboardX would import torch where that is installed: 2 s for each rank.
    (folder / "lean").mkdir()
    (folder / "lean" / "torch.py").write_text("raise ImportError")
    # msrun starts "python" from PATH; the scripts' own folder is all that Python puts onto its path by itself.
    paths = {"PATH": f"{msrun.parent}:{os.environ['PATH']}", "PYTHONPATH": f"{folder / 'lean'}:{PROJECT}"}
    environment = {**os.environ, **paths, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    logs = "\n".join(path.read_text()[-2000:] for path in sorted((folder / "logs").glob("worker_*.log")))
    assert result.returncode == 0, result.stderr[-2000:] + logs
    return folder


def load(folder: Path, name: str) -> list[Any]:
    """Return what each rank left under a name."""
    return [np.load(folder / f"{name}_{rank}.npz") for rank in (0, 1)]


def test_ranks_know_the_group_and_end_with_equal_weights(folder: Path) -> None:
    assert [facts["group"].tolist() for facts in load(folder, "facts")] == [[2, 0, 2], [2, 1, 2]]
    for name in ("rank", *(f"{when} {network}" for when in ("before", "after") for network in NETWORKS)):
        first, second = load(folder, name)
        for parameter in first.files:
            if not parameter.endswith("dropout_calls"):
                assert (first[parameter] == second[parameter]).all(), parameter


@pytest.mark.parametrize("name", NETWORKS)
def test_half_batches_give_the_weights_of_whole_batches(name: str, folder: Path, pynative: None) -> None:
    before, after = load(folder, f"before {name}")[0], load(folder, f"after {name}")[0]
    config = tiny_config(folder / "data", *NETWORKS[name], "batchsize=4")
    _, alone = ten_steps(name, config, rank=0, world=1, initial=before)
    largest = max(float(np.abs(values).max()) for values in alone.values())
    difference = max(float(np.abs(alone[name] - after[name]).max()) for name in after.files)
    change = max(float(np.abs(alone[name] - before[name]).max()) for name in after.files)
    print(
        f"largest weight {largest:.3g}, largest change {change:.3g}, difference {difference:.3g}: {difference / largest:.2g} of the largest"
    )
    assert change > 0.01 * largest
    assert difference < 1e-5 * largest


def by_epoch(folder: Path, name: str) -> Iterator[Counter[int]]:
    """Yield how often each sample was read in each epoch, by both ranks together."""
    read = np.concatenate([facts[name] for facts in load(folder, "facts")])
    for epoch in np.unique(read[:, 0]):
        yield Counter(read[read[:, 0] == epoch, 1].tolist())


def test_each_sample_is_read_once_in_an_epoch(folder: Path) -> None:
    for network in NETWORKS:
        divisible = list(by_epoch(folder, f"read by {network}"))
        assert divisible == [Counter(range(8))] * 5
    (not_divisible,) = by_epoch(folder, "read")
    assert len(not_divisible) == 8 and set(not_divisible.values()) == {1}  # 9 pictures, 2 ranks, batches of 2: one is left out


def test_main_rank_alone_writes_one_run(folder: Path) -> None:
    steps = [json.loads(line)["step"] for line in (folder / "out" / "metrics.jsonl").read_text().splitlines() if '"train"' in line]
    assert steps == [1, 2]  # 9 pictures, 2 ranks, batches of 2


def test_shared_evaluation_equals_that_of_one_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = json.loads((folder / "out" / "eval.json").read_text())
    assert shared["images"] == 3
    results, evaluate = [], evaluation_of_weights.evaluate_weights
    monkeypatch.setattr(evaluation_of_weights, "evaluate_weights", lambda *args: (results.append(evaluate(*args)), results[-1])[1])
    assert run(evaluation.main, ["--checkpoint_path", str(folder / "out" / "last.ckpt")]) == 0
    alone = json.loads((folder / "out" / "eval.json").read_text())
    for name in ("miou", "iou", "pixels", "images"):
        assert alone[name] == shared[name], name
    for facts in load(folder, "facts"):
        assert facts["matrix"].sum() > 0 and (facts["matrix"] == results[0].matrix).all()


def test_sums_over_one_rank_are_the_numbers() -> None:
    numbers = np.array([0, 1, 2**59 + 12345], np.int64)
    assert (Group().sum_int64(numbers) == numbers).all()
