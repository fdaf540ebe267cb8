"""The process group: rank, size, and sums over ranks."""

import functools
from dataclasses import dataclass

import mindspore as ms
import numpy as np
from mindspore import nn, ops
from mindspore.communication import get_group_size, get_local_rank, get_local_rank_size, get_rank, init

from src.config.errors import UserError

# A sum over up to 4096 ranks of 12-bit numbers is exact in float32.
_LIMB_BITS, _NUM_LIMBS = 12, 5


@dataclass(frozen=True)
class Group:
    """Rank and size as the communication library tells them, never from DEVICE_ID.

    Attributes:
        rank: number of this process among all, from 0.
        size: number of processes.
        local_rank: number of this process among those of its host, from 0.
        local_size: number of processes on this host.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes the files that all ranks share."""
        return self.rank == 0

    def sum_int64(self, array: np.ndarray) -> np.ndarray:
        """Return the element-wise sum over all ranks of an int64 array of values in 0..2**60 - 1; every rank must call it.

        The CPU back end reduces floats alone, so the numbers travel as limbs of 12 bits, whose sums over up to 4096 ranks float32 holds.
        """
        if self.size == 1:
            return array
        mask = (1 << _LIMB_BITS) - 1
        limbs = np.stack([(array >> (_LIMB_BITS * i)) & mask for i in range(_NUM_LIMBS)]).astype(np.float32)
        summed = _sum_over_ranks()(ms.Tensor(limbs)).asnumpy().astype(np.int64)
        return sum((summed[i] << (_LIMB_BITS * i) for i in range(_NUM_LIMBS)), np.zeros_like(array))

    def average_buffers(self, network: nn.Cell) -> None:
        """Give all ranks the mean of their batch norm statistics, so that they evaluate and save one and the same network.

        Args:
            network: a Cell with all of them, such as the training step, which has those of averaged weights too.
        """
        if self.size == 1:
            return
        buffers = [parameter for parameter in network.get_parameters() if parameter.name.endswith(("moving_mean", "moving_variance"))]
        # One vector, one reduction: hundreds of small ones cost more than the numbers.
        vector = np.concatenate([buffer.asnumpy() for buffer in buffers])
        mean = _sum_over_ranks()(ms.Tensor(vector)).asnumpy() / np.float32(self.size)
        ends = np.cumsum([buffer.size for buffer in buffers])
        for buffer, values in zip(buffers, np.split(mean, ends[:-1]), strict=True):
            # Not set_data: a compiled graph would not see it where it uses the buffer under a condition alone. (MindSpore 2.8, CPU)
            ops.assign(buffer, ms.Tensor(values, buffer.dtype))


class _SumOverRanks(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.all_reduce = ops.AllReduce()

    def construct(self, array: ms.Tensor) -> ms.Tensor:
        return self.all_reduce(array)


@functools.cache
def _sum_over_ranks() -> nn.Cell:
    """Return the one reduction of this process: each new Cell would be compiled anew."""
    return _SumOverRanks()


def join_group() -> Group:
    """Join the process group that the launcher prepared and switch MindSpore to data parallel with averaged gradients.

    Raises:
        UserError: if the process was not started by a launcher.
    """
    try:
        init()
    except (RuntimeError, ValueError, TypeError) as error:
        raise UserError(
            "run_distribute True, and no launcher has made a process group: start the processes by scripts/run_distribute_train*.sh "
            f"(RESUME=1 goes on with a run), msrun or mpirun, or give --run_distribute False ({' '.join(str(error).split())[:60]}...)"
        ) from error
    group = Group(get_rank(), get_group_size(), get_local_rank(), get_local_rank_size())
    ms.set_auto_parallel_context(parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=group.size)
    return group
