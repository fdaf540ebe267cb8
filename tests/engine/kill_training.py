"""Train, kill and resume, again and again, in children of one process that has imported everything and computed nothing.

    python kill_training.py FOLDER SEED

FOLDER/data holds CamVid. Leaves FOLDER/whole, a run that nobody killed, FOLDER/killed, and kills.json: for each kill what it met.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from src.runtime.environment import prepare_environment

prepare_environment("CPU")

import mindspore as ms  # noqa: E402
import numpy as np  # noqa: E402
from mindspore import nn  # noqa: E402

import train  # noqa: E402
from src.engine import assembly, evaluator, history, trainer  # noqa: E402, F401
from src.runtime import device, logging  # noqa: E402, F401
from src.runtime.entry import run  # noqa: E402

NUM_KILLS = 20
WORDS = (
    *(
        "model.name=seg_hrnet",
        "loss.balance_weights=[1.0]",
        "train.image_size=[16,24]",
        "train.warmup_steps=2",
        "batchsize=2",
        "total_epoch=14",
        "workers=1",
    ),
    *("eval.image_size=[16,24]", "eval.overlays=0", "eval_interval=2", "save_checkpoint_epochs=3", "save_state_steps=3", "log_interval=1"),
    "mode=PYNATIVE",
)


class OneLayer(nn.Cell):
    """A network with weights and statistics, of few operations: what each costs uncompiled is most of this test's time."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 11, 5, stride=4, pad_mode="pad", padding=2)
        self.norm = nn.BatchNorm2d(11)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor]:
        """Return the logits."""
        return (self.norm(self.layer(image)),)


def start(arguments: list[str], slow: bool) -> int:
    """Train in a child; return its process id. A slow one takes its time to write files."""
    child = os.fork()
    if child:
        return child
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    assembly.build_network = lambda config, **_: OneLayer()
    history.draw_curves = lambda records, path: path.touch()  # drawing takes longer than all these steps
    evaluator.confusion_picture = lambda path, matrix, names: path.touch()
    if slow:
        flush = os.fsync
        os.fsync = lambda number: (time.sleep(0.03), flush(number))[1]
    os._exit(run(train.main, arguments))


def temporaries(folder: Path, child: int) -> set[str]:
    """Return the names of the files that a process has not finished."""
    return {path.name for path in folder.rglob(f".{child}.*")}


def steps_done(folder: Path) -> int:
    """Return after which step a run can be continued."""
    path = folder / "last.state"
    if not path.exists():
        return 0
    with np.load(path) as state:
        return int(json.loads(state["__progress__"].tobytes())["step"])


def is_alive(child: int) -> bool:
    """Whether a child has not ended; it can still be waited for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def changes(look: Callable[[], set[Any]], child: int) -> Iterator[None]:
    """Yield whenever there is something new to see; end with the child."""
    before = look()
    while is_alive(child):
        now = look()
        if now - before:
            yield
        before = now
        time.sleep(0.001)


def kill_somewhere(folder: Path, child: int, chance: random.Random, writing: bool) -> None:
    """Kill a child shortly after it has begun to write one of its next files, or between its steps."""
    metrics = folder / "metrics.jsonl"
    if writing:
        moments = changes(lambda: temporaries(folder, child), child)
    else:
        moments = changes(lambda: {metrics.stat().st_size if metrics.exists() else 0}, child)
    for _ in range(chance.randint(0, 12) if writing else chance.randint(0, 6)):
        next(moments, None)
    time.sleep(chance.uniform(0, 0.03 if writing else 0.1))
    os.kill(child, signal.SIGKILL)


def main() -> int:
    """Run the whole of it."""
    folder, chance = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    begin = ["--config", "camvid_w18_small", "--data_path", str(folder / "data"), *WORDS, "--output_path"]
    whole = os.waitstatus_to_exitcode(os.waitpid(start([*begin, str(folder / "whole")], slow=False), 0)[1])
    kills, killed = [], folder / "killed"
    resume = ["--resume", str(killed)]
    for number in range(NUM_KILLS):
        writing = number % 2 == 0
        child = start(resume if (killed / "last.state").exists() else [*begin, str(killed)], slow=writing)
        kill_somewhere(killed, child, chance, writing)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        kills.append({"status": status, "unfinished": sorted(temporaries(killed, child)), "step": steps_done(killed)})
    last = os.waitstatus_to_exitcode(os.waitpid(start(resume, slow=False), 0)[1])
    (folder / "kills.json").write_text(json.dumps({"whole": whole, "last": last, "kills": kills}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
