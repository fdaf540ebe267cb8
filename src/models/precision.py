"""Mixed precision per layer."""

import mindspore as ms
from mindspore import nn


def apply_amp(network: nn.Cell, level: str) -> nn.Cell:
    """Set the precision in which a network's layers compute; parameters and batch norm statistics stay float32.

    Args:
        network: changed in place.
        level: "O0": all in float32. "O2": convolutions in float16, batch norms in float32. "O3": convolutions in float16, and batch
            norms take float16 activations with float32 parameters and statistics, so that no casts stand between the two.

    Returns:
        The network.
    """
    if level == "O0":
        return network
    for _, cell in network.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            cell.to_float(ms.float16)
        elif level == "O2" and isinstance(cell, nn.BatchNorm2d | nn.SyncBatchNorm):
            cell.to_float(ms.float32)
    return network
