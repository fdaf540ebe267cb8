"""Choose the device and prepare MindSpore's context, the process group and the seeds."""

import logging
import os
import random
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from src.config.errors import UserError
from src.runtime.distributed import Group, join_group

logger = logging.getLogger("ocrnet")

_INSTALL_HINTS = {
    "GPU": "needs an NVIDIA driver and CUDA 11 libraries: pip install -r requirements-gpu.txt (docs/DEVICES.md)",
    "Ascend": "needs the Ascend driver, firmware and CANN toolkit with its set_env.sh sourced (docs/DEVICES.md)",
}
_AMP_LEVELS = {"Ascend": "O3", "GPU": "O2", "CPU": "O0"}


@dataclass(frozen=True)
class Runtime:
    """Where and how a process computes.

    Attributes:
        device_target: "Ascend", "GPU" or "CPU".
        group: rank and size of the process group.
        amp_level: "O0", "O2" or "O3".
        sink_mode: feed batches through the device's queue.
    """

    device_target: str
    group: Group
    amp_level: str
    sink_mode: bool

    def __str__(self) -> str:
        feed = "device queue" if self.sink_mode else "host"
        return f"device: {self.device_target}, precision: {self.amp_level}, batches from: {feed}, ranks: {self.group.size}"


def setup_runtime(config: Any) -> Runtime:
    """Set device, mode, process group and seeds from the configuration.

    Raises:
        UserError: if the device is not available; says what to install.
    """
    target = config.device_target
    _set_device(target, config.device_id, config.run_distribute)
    ms.set_context(mode=ms.GRAPH_MODE if config.mode == "GRAPH" else ms.PYNATIVE_MODE)
    group = join_group() if config.run_distribute else Group()
    # The initial weights must be equal on all ranks: one seed. Ranks differ in data order and dropout, which are keyed by rank.
    ms.set_seed(config.seed)
    np.random.seed(config.seed)
    random.seed(config.seed)
    amp_level = _AMP_LEVELS[target] if config.amp_level == "auto" else config.amp_level
    sink_mode = config.sink_mode == "on" or (config.sink_mode == "auto" and target != "CPU")
    return Runtime(target, group, amp_level, sink_mode)


def _set_device(target: str, device_id: int, run_distribute: bool) -> None:
    by_rank_table = run_distribute and target == "Ascend" and _started_by_rank_table()
    if by_rank_table:
        device_id = _device_id_of_environment()
    logging.disable(logging.CRITICAL)  # MindSpore prints paragraphs about missing libraries; the hint below says it in a line
    try:
        ms.set_context(device_target=target)
        if target != "CPU" and (not run_distribute or by_rank_table):
            ms.set_context(device_id=device_id)
    except (RuntimeError, ValueError) as error:
        hint = _INSTALL_HINTS.get(target, "needs a working MindSpore: pip install -r requirements.txt")
        raise UserError(
            f"--device_target {target}: this machine has no usable {target}; it {hint}, or use --device_target CPU (scripts/run_*_cpu.sh)"
        ) from error
    finally:
        logging.disable(logging.NOTSET)


def _started_by_rank_table() -> bool:
    """Whether DEVICE_ID names the device: msrun and mpirun give each process the device of its local rank, a rank table gives DEVICE_ID."""
    launched = "MS_ROLE" in os.environ or "OMPI_COMM_WORLD_RANK" in os.environ
    return "RANK_TABLE_FILE" in os.environ and not launched


def _device_id_of_environment() -> int:
    text = os.environ.get("DEVICE_ID", "")
    if not text.isdecimal():
        raise UserError(
            f"DEVICE_ID is {text!r}; with RANK_TABLE_FILE it must be the number of this process's device; scripts/run_distribute_train.sh "
            "sets it from the rank table"
        )
    return int(text)


def choose_norm(runtime: Runtime, sync_bn: bool) -> type[nn.Cell]:
    """Return the batch norm Cell for the device and say which it is.

    SyncBatchNorm is used for several ranks on Ascend. One rank needs none, and MindSpore 2.8 has none for GPU and CPU.

    Source: nn.SyncBatchNorm of MindSpore 2.8 names Ascend alone under "Supported Platforms"; its Python code still knows NCCL's group, but
    libmindspore_gpu.so.11.6 holds kernels for BatchNorm and none for SyncBatchNorm (versions before 2.0 had one).
    """
    if sync_bn and runtime.group.size > 1 and runtime.device_target == "Ascend":
        logger.info("batch norm: synchronised over %d ranks", runtime.group.size)
        return nn.SyncBatchNorm
    if runtime.group.size == 1:
        logger.info("batch norm: one process, nothing to synchronise")
    else:
        reason = f"MindSpore has none for {runtime.device_target}" if sync_bn else "train.sync_bn is off"
        logger.info("batch norm: statistics of each of %d ranks alone (no SyncBatchNorm: %s)", runtime.group.size, reason)
    return nn.BatchNorm2d
