"""Reading and writing weight files (.ckpt), with a report of what was loaded."""

import logging
import math
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from google.protobuf.message import DecodeError
from mindspore import nn
from mindspore.train.checkpoint_pb2 import Checkpoint

from src.checkpoint.atomic import atomic_path
from src.checkpoint.matching import LoadReport, check_enough, check_shapes, match
from src.checkpoint.naming import unwrap_names
from src.checkpoint.run_folder import check_weight_file
from src.config.errors import UserError
from src.config.loading import config_beside, save_config
from src.models.dropout import is_training_state

logger = logging.getLogger("ocrnet")

AVERAGE_PREFIX = "ema."  # of parameters that hold averages of weights (train.ema_decay); files call them as the weights

_ENTRY_SIZE = 256  # bytes that a .ckpt file holds for a tensor beside its numbers, at most: name, type and shape
_CRC_SIZE = 17  # "crc_num" and ten digits
# Bytes of one number by MindSpore's names of types.
_ITEM_SIZES = {"Bool": 1, "BFloat16": 2, "Float16": 2, "Float32": 4, "Float64": 8, "Complex64": 8, "Complex128": 16} | {
    f"{kind}{bits}": bits // 8 for kind in ("Int", "UInt") for bits in (8, 16, 32, 64)
}


def network_weights(network: nn.Cell) -> dict[str, ms.Parameter]:
    """Return the parameters that belong into a weight file: all but counters that only training needs."""
    parameters = {parameter.name.removeprefix(AVERAGE_PREFIX): parameter for parameter in network.get_parameters()}
    return {name: parameter for name, parameter in parameters.items() if not is_training_state(name)}


def weights_size(network: nn.Cell) -> int:
    """Return how many bytes `save_weights` writes into the weight file, at most."""
    return sum(weight.nbytes + _ENTRY_SIZE for weight in network_weights(network).values())


def save_weights(network: nn.Cell, path: Path, config: Any) -> None:
    """Write a network's weights and, beside them, the configuration that builds it; each file is complete or absent.

    Raises:
        NoRoomError: if they do not fit onto the disk.
    """
    weights = network_weights(network)
    with atomic_path(path, weights_size(network)) as temporary, atomic_path(config_beside(path)) as beside:
        save_config(config, beside)
        write_checkpoint(weights, temporary)


def write_checkpoint(tensors: Mapping[str, ms.Tensor], path: Path) -> None:
    """Write tensors or parameters as a .ckpt file that everybody may read."""
    logging.disable(logging.CRITICAL)  # what goes wrong is raised; MindSpore guesses at its cause in a paragraph besides
    try:
        ms.save_checkpoint([{"name": name, "data": tensor} for name, tensor in tensors.items()], str(path))
    finally:
        logging.disable(logging.NOTSET)
        path.with_suffix(".tmp").unlink(missing_ok=True)  # MindSpore leaves its own half-written file behind
    path.chmod(0o644)


def read_checkpoint(path: Path, flag: str = "--checkpoint_path") -> dict[str, np.ndarray]:
    """Return the arrays of a .ckpt file by name.

    Args:
        path: the file.
        flag: the flag that named it, for messages.

    Raises:
        UserError: if the file is missing or is no MindSpore checkpoint.
    """
    check_weight_file(path, flag)
    try:
        _check_sizes(path)
        parameters = ms.load_checkpoint(str(path))
    except (ValueError, RuntimeError, TypeError, DecodeError) as error:
        raise UserError(f"{flag} {path}: not a readable MindSpore checkpoint; it may be cut off or of another format") from error
    return {name: value.asnumpy() for name, value in parameters.items() if isinstance(value, ms.Tensor)}


def _check_sizes(path: Path) -> None:
    """Refuse a file whose arrays do not hold what their shapes say: MindSpore 2.8 writes beyond its memory for them.

    Raises:
        DecodeError: if it is no checkpoint.
        ValueError: if a shape and its content disagree.
    """
    content = path.read_bytes()
    if content[-_CRC_SIZE:].startswith(b"crc_num"):  # MindSpore's checksum behind the last entry
        content = content[:-_CRC_SIZE]
    checkpoint = Checkpoint()
    checkpoint.ParseFromString(content)
    # A large array is spread over several entries of its name, each with the whole shape.
    for name, entries in groupby(checkpoint.value, key=lambda entry: entry.tag):
        tensors = [entry.tensor for entry in entries if not entry.HasField("maptensor")]
        size = sum(len(tensor.tensor_content) for tensor in tensors)
        for tensor in tensors:
            count = 1 if list(tensor.dims) == [0] else math.prod(tensor.dims)  # a number without dimensions is written as [0]
            item = _ITEM_SIZES.get(tensor.tensor_type)
            if min(tensor.dims, default=0) < 0 or (item is not None and size != count * item):
                raise ValueError(f"{name} holds {size} bytes for the shape {list(tensor.dims)}")


def load_weights(network: nn.Cell, path: Path, *, complete: bool, flag: str = "--checkpoint_path") -> LoadReport:
    """Copy a file's weights into a network.

    Args:
        network: the network, changed in place only when the file fits.
        path: a .ckpt file with official names, with or without the `model.` or `network.` that some writers put in front.
        complete: True for evaluation: every parameter must be there with its shape. False for training: at least 90 % of the backbone, and
            layers whose shape depends on the number of classes are left at their initial values when that number differs.
        flag: the flag that named the file, for messages.

    Returns:
        What was matched, dropped on purpose, missing, unexpected and left at its initial value.

    Raises:
        UserError: if the file does not fit; names a parameter with both shapes.
    """
    where = f"{flag} {path}"
    arrays = unwrap_names(read_checkpoint(path, flag), where)
    weights = network_weights(network)
    shapes = {name: tuple(parameter.shape) for name, parameter in weights.items()}
    report = match(arrays, shapes)
    check_shapes(where, report, arrays, shapes, classes_may_differ=not complete)
    check_enough(where, report, shapes, complete=complete)
    for name in report.matched:
        weights[name].set_data(ms.Tensor(arrays[name].astype(np.float32), weights[name].dtype))
    logger.info("weights from %s: %s", path, report)
    return report
