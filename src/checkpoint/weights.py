"""Reading and writing weight files (.ckpt), with a report of what was loaded."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from src.checkpoint.atomic import atomic_path
from src.checkpoint.matching import LoadReport, check_enough, check_shapes, match
from src.checkpoint.naming import unwrap_names
from src.checkpoint.run_folder import check_weight_file
from src.config.errors import UserError
from src.config.loading import config_beside, save_config
from src.models.dropout import is_training_state

logger = logging.getLogger("ocrnet")


def network_weights(network: nn.Cell) -> dict[str, ms.Parameter]:
    """Return the parameters that belong into a weight file: all but counters that only training needs."""
    return {parameter.name: parameter for parameter in network.get_parameters() if not is_training_state(parameter.name)}


def save_weights(network: nn.Cell, path: Path, config: Any) -> None:
    """Write a network's weights and, beside them, the configuration that builds it; each file is complete or absent."""
    with atomic_path(config_beside(path)) as temporary:
        save_config(config, temporary)
    with atomic_path(path) as temporary:
        write_checkpoint(network_weights(network), temporary)


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
        parameters = ms.load_checkpoint(str(path))
    except (ValueError, RuntimeError, TypeError) as error:
        raise UserError(f"{flag} {path}: not a readable MindSpore checkpoint; it may be cut off or of another format") from error
    return {name: value.asnumpy() for name, value in parameters.items() if isinstance(value, ms.Tensor)}


def load_weights(network: nn.Cell, path: Path, *, complete: bool) -> LoadReport:
    """Copy a file's weights into a network.

    Args:
        network: the network, changed in place only when the file fits.
        path: a .ckpt file with official names, with or without the `model.` or `network.` that some writers put in front.
        complete: True for evaluation: every parameter must be there with its shape. False for training: at least 90 % of the backbone, and
            layers whose shape depends on the number of classes are left at their initial values when that number differs.

    Returns:
        What was matched, dropped on purpose, missing, unexpected and left at its initial value.

    Raises:
        UserError: if the file does not fit; names a parameter with both shapes.
    """
    where = f"--checkpoint_path {path}"
    arrays = unwrap_names(read_checkpoint(path), where)
    weights = network_weights(network)
    shapes = {name: tuple(parameter.shape) for name, parameter in weights.items()}
    report = match(arrays, shapes)
    check_shapes(where, report, arrays, shapes, classes_may_differ=not complete)
    check_enough(where, report, shapes, complete=complete)
    for name in report.matched:
        weights[name].set_data(ms.Tensor(arrays[name].astype(np.float32), weights[name].dtype))
    logger.info("weights from %s: %s", path, report)
    return report
