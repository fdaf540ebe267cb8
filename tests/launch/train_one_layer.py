"""train.py with a network of one layer and without curves: for ranks that train, whatever they train."""

import sys

from src.runtime.environment import prepare_environment

prepare_environment("CPU")

import train  # noqa: E402
from src.engine import assembly, history  # noqa: E402
from src.runtime.entry import run  # noqa: E402
from tests.engine.kill_training import OneLayer  # noqa: E402

if __name__ == "__main__":
    assembly.build_network = lambda config, **_: OneLayer()
    history.draw_curves = lambda records, path: path.touch()
    sys.exit(run(train.main))
