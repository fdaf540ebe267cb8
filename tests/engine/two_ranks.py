"""What each rank of test_distributed.py runs, in one launch: train.py, then ten steps without what depends on the other half of a batch."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

# Nothing in these makes a picture's gradient depend on the others of its batch; and crops lie inside the pictures, so nothing is ignored.
INDEPENDENT = (
    "model.ocr.dropout=0",
    "loss.use_weights=False",
    "train.scale_range=[1.0,1.0]",
    "train.num_samples=8",
    "train.wd=0.01",
    "lr=0.002",
)
NUM_STEPS = 10
# The networks that take ten steps: the project's head on a small backbone uncompiled, and one of one layer with the reduction over ranks
# compiled, as for devices. train.py trains the whole network.
NETWORKS = {"ocr": INDEPENDENT, "one layer": (*INDEPENDENT, "model.name=seg_hrnet", "loss.balance_weights=[1.0]")}


def record_reading(source_class: Any) -> list[tuple[int, int]]:
    """Return a list that grows by (epoch, sample) whenever a training sample is read in this process."""
    read: list[tuple[int, int]] = []
    locate = source_class.locate

    def recorded(self: Any, position: int) -> tuple[int, int]:
        read.append(locate(self, position))
        return read[-1]

    source_class.locate = recorded
    return read


def weights(network: Any) -> dict[str, np.ndarray]:
    return {parameter.name: parameter.asnumpy().copy() for parameter in network.get_parameters()}


def ten_steps(name: str, config: Any, *, rank: int, world: int, initial: dict[str, np.ndarray] | None = None) -> tuple[Any, Any]:
    """Train one of NETWORKS without batch norm statistics; return the weights before and after."""
    import mindspore as ms
    from mindspore import nn

    from src.data.loader import build_dataset, build_train_loader
    from src.engine.optimizer import build_optimizer
    from src.engine.train_step import NetworkWithLoss, StepOptions, TrainStep
    from src.losses.segmentation import build_loss
    from src.models import builder
    from tests.engine.kill_training import OneLayer
    from tests.engine.two_layers import TwoLayers

    ms.set_seed(1)
    with mock.patch.object(builder, "HRNetV2", TwoLayers):
        network = builder.build_network(config) if name == "ocr" else OneLayer()
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.use_batch_statistics = False
    for parameter in network.get_parameters() if initial else ():
        parameter.set_data(ms.Tensor(initial[parameter.name]))
    before = weights(network)
    optimizer = build_optimizer(network, np.full(NUM_STEPS, config.lr, np.float32), config.train)
    step = TrainStep(NetworkWithLoss(network, build_loss(config, None)), optimizer, StepOptions.from_config(config), world).set_train()
    loader = build_train_loader(build_dataset(config, "train"), config, rank=rank, world=world, last_step=NUM_STEPS)
    for image, label in loader.create_tuple_iterator(num_epochs=1):
        assert (label.asnumpy() != config.dataset.ignore_label).all()
        step(image, label)
    return before, weights(network)


def main(folder: Path, arguments: Sequence[str]) -> int:
    """Leave in `folder` what each rank saw and had in the end."""
    import mindspore as ms

    import train
    from src.data.loader import TrainSource
    from src.engine.callback import EvalCallback
    from src.engine.guard import Guard
    from src.engine.trainer import Trainer
    from src.runtime.entry import run
    from tests.tiny import tiny_config

    trained, evaluated = Trainer.run, EvalCallback.run
    read = record_reading(TrainSource)
    matrices = []

    def run_and_keep(self: EvalCallback, guard: Guard) -> Any:
        result = evaluated(self, guard)
        matrices.append(result.matrix)
        return result

    def run_and_dump(self: Trainer) -> object:
        progress = trained(self)
        (matrix,) = matrices
        group = self.runtime.group
        np.savez(folder / f"rank_{group.rank}.npz", **weights(self.network))
        facts = {"matrix": matrix, "read": np.array(read), "group": np.array([group.size, group.local_rank, group.local_size])}
        for name, words in NETWORKS.items():
            ms.set_context(mode=ms.PYNATIVE_MODE if name == "ocr" else ms.GRAPH_MODE)
            read.clear()
            before, after = ten_steps(name, tiny_config(self.config.data_path, *words), rank=group.rank, world=group.size)
            facts[f"read by {name}"] = np.array(read)
            np.savez(folder / f"before {name}_{group.rank}.npz", **before)
            np.savez(folder / f"after {name}_{group.rank}.npz", **after)
        np.savez(folder / f"facts_{group.rank}.npz", **facts)
        return progress

    EvalCallback.run = run_and_keep  # type: ignore[method-assign]
    Trainer.run = run_and_dump  # type: ignore[method-assign, assignment]
    return run(train.main, arguments)


if __name__ == "__main__":
    # As train.py does: what MindSpore reads while it is imported stands in the environment before.
    from src.runtime.environment import prepare_environment

    prepare_environment("CPU")

    from tests.without_queues import end_with, leave_queues_out

    leave_queues_out()
    sys.exit(end_with(main(Path(sys.argv[1]), sys.argv[2:])))
