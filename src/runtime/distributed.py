"""The process group: rank, size, and sums over ranks."""

from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from mindspore.communication import get_group_size, get_rank, init

from src.config.errors import UserError

_LIMB_BITS = 20


@dataclass(frozen=True)
class Group:
    """Rank and size as the communication library tells them, never from DEVICE_ID."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files that all ranks share."""
        return self.rank == 0

    def sum_int64(self, array: np.ndarray) -> np.ndarray:
        """Return the element-wise sum over all ranks of an int64 array of values in 0..2**60; every rank must call it.

        The CPU and Ascend back ends reduce float32 and int32 alone: the number travels as three limbs of 20 bits, whose sums over up to
        2048 ranks fit int32.
        """
        if self.size == 1:
            return array
        mask = (1 << _LIMB_BITS) - 1
        limbs = np.stack([(array >> (_LIMB_BITS * i)) & mask for i in range(3)]).astype(np.int32)
        summed = _SumOverRanks()(ms.Tensor(limbs)).asnumpy().astype(np.int64)
        return sum(summed[i] << (_LIMB_BITS * i) for i in range(3))

    def average_buffers(self, network: nn.Cell) -> None:
        """Give all ranks the mean of their batch norm statistics, so that they evaluate and save one and the same network."""
        if self.size == 1:
            return
        for parameter in network.get_parameters():
            if parameter.name.endswith(("moving_mean", "moving_variance")):
                parameter.set_data(_SumOverRanks()(ms.Tensor(parameter.asnumpy())) / self.size)


class _SumOverRanks(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce()

    def construct(self, array: ms.Tensor) -> ms.Tensor:
        return self.all_reduce(array)


def join_group() -> Group:
    """Join the process group that the launcher prepared and switch MindSpore to data parallel with averaged gradients.

    Raises:
        UserError: if the process was not started by a launcher.
    """
    try:
        init()
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(
            f"run_distribute=True: no process group ({' '.join(str(error).split())[:160]}); start with msrun, mpirun or a script of scripts/"
        ) from error
    group = Group(get_rank(), get_group_size())
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=group.size)
    return group
