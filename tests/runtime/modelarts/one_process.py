"""One process of a job, without MindSpore: opens the job, prints its flags, and stays until its stdin is closed."""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence

from src.runtime.entry import run
from src.runtime.modelarts.job import add_modelarts_flags, open_job


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
    parser.add_argument("words", nargs="*", default=[])
    parser.add_argument("--fork", action="store_true")
    add_modelarts_flags(parser)
    arguments = parser.parse_args(argv)
    with open_job(arguments, {}) as job:
        assert "mindspore" not in sys.modules
        child = os.fork() if hasattr(arguments, "fork") else -1
        if child == 0:
            time.sleep(60)  # as a reader of data that nobody tells of its parent's death
            os._exit(0)
        print(json.dumps({"flags": job.flags, "child": child}), flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
