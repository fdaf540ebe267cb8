"""What each rank of test_distributed.py runs: train.py, then leave this rank's weights in a file."""

import sys
from pathlib import Path

import numpy as np

import train
from src.runtime.entry import run


def main() -> int:
    from src.engine import trainer

    folder = Path(sys.argv[1])
    trained = trainer.Trainer.run

    def run_and_dump(self: trainer.Trainer) -> object:
        progress = trained(self)
        arrays = {parameter.name: parameter.asnumpy() for parameter in self.network.get_parameters()}
        np.savez(folder / f"rank_{self.runtime.group.rank}.npz", best_miou=progress.best_miou, size=self.runtime.group.size, **arrays)
        return progress

    trainer.Trainer.run = run_and_dump  # type: ignore[method-assign]
    return run(train.main, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
