"""Launching scripts with tests/scripts/stubs in place of the interpreter: what they would start is written down and looked at."""

import os
import sys
from pathlib import Path

from tests.docs.markdown import PROJECT
from tests.docs.parsing import check_flags

STUBS = PROJECT / "tests" / "scripts" / "stubs"
# What the scripts read: none of the caller's.
ENVIRONMENT = (
    *("CONFIG", "RESUME", "DETACH", "OUTPUT_PATH", "LAUNCHER"),
    *("BACKEND", "PRECISION", "MODE", "STREAMS", "BATCH", "THREADS"),
    *("WORKER_NUM", "LOCAL_WORKER_NUM", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES"),
)


def stub_environment(folder: Path) -> dict[str, str]:
    """Put the stubs into a folder; return the variables with which scripts there use them."""
    place = folder / "stubs"
    binaries = place / "bin"
    binaries.mkdir(parents=True)
    (place / "records").mkdir()
    (place / "plugin").mkdir()
    (place / "plugin" / "libmindspore_gpu.so.11.6").touch()  # as in MindSpore's wheels, for gpu_env.sh
    for stub in STUBS.iterdir():
        (binaries / stub.name).symlink_to(stub)
    return {
        "OCRNET_VENV": str(place),
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PROJECT": str(PROJECT),
        "PLACE": str(place),
        "RECORDS": str(place / "records"),
        "REAL_PYTHON": sys.executable,
        "GPUS": "8",
    }


def check_started(folder: Path) -> None:
    """Let the parser of train.py or eval.py read the flags with which a script in this folder would have started it.

    Raises:
        ValueError: if nothing was started, or the parser refuses the flags.
    """
    record = folder / "stubs" / "records" / "launch"
    if not record.is_file():
        raise ValueError("the script started nothing")
    words = record.read_text(encoding="utf-8").splitlines()
    script = next(number for number, word in enumerate(words) if word.endswith(("/train.py", "/eval.py")))
    check_flags([Path(words[script]).name, *words[script + 1 :]])
