"""Train, kill and resume, again and again, in children of one process that has imported everything and computed nothing.

    python kill_training.py FOLDER SEED

FOLDER/data holds CamVid. Leaves FOLDER/whole, a run that nobody killed, FOLDER/killed, and kills.json: for each kill what it met.
"""

import dataclasses
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
from src.engine import assembly, callback, evaluator, history, trainer  # noqa: E402, F401
from src.engine.guard import Guard  # noqa: E402
from src.runtime import device, logging  # noqa: E402, F401
from src.runtime.entry import run  # noqa: E402
from tests import without_queues  # noqa: E402

# Renamings that the last five of twenty children do not survive: what is lost after the run's last state is written by nobody any more.
LAST_NAMES = ("epoch_0014.ckpt", "last.ckpt", "last.state", "best.ckpt", "last.state")
NUM_KILLS = 20 - len(LAST_NAMES)
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


def start(arguments: list[str], slow: bool = False, dies_before: int | str = 0) -> int:
    """Train in a child; return its process id.

    Args:
        arguments: of train.py.
        slow: take time to write files.
        dies_before: which renaming of a file it does not survive, counted from 1, or the first one to a name.
    """
    child = os.fork()
    if child:
        return child
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.environ[without_queues.VARIABLE] = "1"  # it ends by _exit, without destructors
    assembly.build_network = lambda config, **_: OneLayer()
    # Drawing takes longer than all these steps.
    history.draw_curves = lambda records, path: path.write_text(" ".join(str(record["step"]) for record in records))
    evaluator.confusion_picture = lambda path, matrix, names: path.touch()
    callback.EvalCallback.run = better_each_time
    if slow:
        flush = os.fsync
        os.fsync = lambda number: (time.sleep(0.03), flush(number))[1]
    if dies_before:
        die_before(dies_before)
    os._exit(run(train.main, arguments))


def better_each_time(evaluation: callback.EvalCallback, guard: Guard) -> evaluator.EvalResult:
    """Evaluate, and find the later the better: best.ckpt is due at the run's end, where nothing makes up for its loss."""
    result = evaluate(evaluation, guard)
    return dataclasses.replace(result, scores=dataclasses.replace(result.scores, miou=steps_done(evaluation._folder) / 100))


evaluate = callback.EvalCallback.run


def die_before(renaming: int | str) -> None:
    """Have this process killed before it gives a file its name."""
    rename, process, names = os.replace, os.getpid(), []

    def die_or_rename(source: Path, target: Path) -> None:
        names.append(Path(target).name)
        if renaming in (len(names), names[-1]):
            os.kill(process, signal.SIGKILL)
        rename(source, target)

    os.replace = die_or_rename


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
    whole = status_of(start([*begin, str(folder / "whole")]))
    kills, killed = [], folder / "killed"
    resume = ["--resume", str(killed)]
    for number in range(NUM_KILLS + len(LAST_NAMES)):
        arguments = resume if (killed / "last.state").exists() else [*begin, str(killed)]
        if number >= NUM_KILLS:
            child = start(arguments, dies_before=LAST_NAMES[number - NUM_KILLS])
        elif number % 3 == 1:
            child = start(arguments, dies_before=chance.randint(1, 12))
        else:
            writing = number % 3 == 0
            child = start(arguments, slow=writing)
            kill_somewhere(killed, child, chance, writing)
        kills.append({"status": status_of(child), "unfinished": sorted(temporaries(killed, child)), "step": steps_done(killed)})
    last = status_of(start(resume))
    (folder / "kills.json").write_text(json.dumps({"whole": whole, "last": last, "kills": kills}))
    return 0


def status_of(child: int) -> int:
    """Wait for a child's end."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main())
