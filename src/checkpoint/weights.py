"""Reading and writing weight files (.ckpt), with a report of what was loaded."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.config.loading import config_beside, save_config
from src.models.builder import is_backbone
from src.models.dropout import is_training_state

logger = logging.getLogger("ocrnet")

# Layers of files that hold more than a segmentation network: ImageNet classifiers, and the optimizer state of MindSpore's own callbacks.
_DROPPED_PREFIXES = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.", "accum.", "moments.", "stat.")
_DROPPED_NAMES = frozenset(
    {"global_step", "learning_rate", "momentum", "scale_sense", "current_iterator_step", "last_overflow_iterator_step"}
)
_CLASSIFIER_PREFIXES = ("aux_head.3.", "cls_head.", "last_layer.3.")
_MIN_BACKBONE = 0.9


@dataclass
class LoadReport:
    """Which parameters a file gave a network, by name."""

    matched: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    reinitialised: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.matched)} matched"]
        for title in ("dropped", "missing", "unexpected", "reinitialised"):
            names = getattr(self, title)
            parts.append(f"{len(names)} {title}" + (f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""))
        return ", ".join(parts)


def network_weights(network: nn.Cell) -> dict[str, ms.Parameter]:
    """Return the parameters that belong into a weight file: all but counters that only training needs."""
    return {parameter.name: parameter for parameter in network.get_parameters() if not is_training_state(parameter.name)}


def save_weights(network: nn.Cell, path: Path, config: Any) -> None:
    """Write a network's weights and, beside them, the configuration that builds it; each file is complete or absent."""
    with atomic_path(config_beside(path)) as temporary:
        save_config(config, temporary)
    with atomic_path(path) as temporary:
        logging.disable(logging.CRITICAL)  # what goes wrong is raised; MindSpore guesses at its cause in a paragraph besides
        try:
            ms.save_checkpoint([{"name": name, "data": parameter} for name, parameter in network_weights(network).items()], str(temporary))
        finally:
            logging.disable(logging.NOTSET)
        temporary.chmod(0o644)


def read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a .ckpt file by name.

    Raises:
        UserError: if the file is missing or is no MindSpore checkpoint.
    """
    if not path.is_file():
        raise UserError(f"--checkpoint_path {path}: no such file")
    if path.suffix != ".ckpt":
        raise UserError(f"--checkpoint_path {path}: expected a MindSpore .ckpt file")
    try:
        parameters = ms.load_checkpoint(str(path))
    except (ValueError, RuntimeError, TypeError) as error:
        raise UserError(f"--checkpoint_path {path}: not a readable MindSpore checkpoint; it may be cut off or of another format") from error
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
    arrays = {_strip(name): array for name, array in read_checkpoint(path).items()}
    weights = network_weights(network)
    report = _match(arrays, weights)
    _check_shapes(path, report, arrays, weights, complete)
    _check_enough(path, report, weights, complete)
    for name in report.matched:
        weights[name].set_data(ms.Tensor(arrays[name].astype(np.float32), weights[name].dtype))
    logger.info("weights from %s: %s", path, report)
    return report


def _strip(name: str) -> str:
    for prefix in ("network.", "model."):
        name = name.removeprefix(prefix)
    return name


def _is_dropped(name: str) -> bool:
    return name.startswith(_DROPPED_PREFIXES) or name in _DROPPED_NAMES or is_training_state(name)


def _match(arrays: dict[str, np.ndarray], weights: dict[str, ms.Parameter]) -> LoadReport:
    report = LoadReport(missing=[name for name in weights if name not in arrays])
    for name, array in arrays.items():
        if name in weights:
            same_shape = tuple(weights[name].shape) == array.shape
            (report.matched if same_shape else report.reinitialised).append(name)
        else:
            (report.dropped if _is_dropped(name) else report.unexpected).append(name)
    return report


def _check_shapes(path: Path, report: LoadReport, arrays: dict[str, np.ndarray], weights: dict[str, ms.Parameter], complete: bool) -> None:
    for name in report.reinitialised:
        in_file, in_network = arrays[name].shape, tuple(weights[name].shape)
        differs_in_classes = name.startswith(_CLASSIFIER_PREFIXES) and in_file[1:] == in_network[1:]
        if complete or not differs_in_classes:
            raise UserError(
                f"--checkpoint_path {path}: {name} is {in_file} in the file and {in_network} in the network; "
                "the file belongs to another network: give the --config that it was trained with"
            )


def _check_enough(path: Path, report: LoadReport, weights: dict[str, ms.Parameter], complete: bool) -> None:
    backbone = [name for name in weights if is_backbone(name)]
    matched = len(set(backbone) & set(report.matched))
    if matched < _MIN_BACKBONE * len(backbone):
        raise UserError(
            f"--checkpoint_path {path}: only {matched} of {len(backbone)} backbone parameters are in the file "
            f"({report}); it belongs to another network or names its layers differently"
        )
    if complete and report.missing:
        raise UserError(
            f"--checkpoint_path {path}: {len(report.missing)} parameters of the network are not in the file, such as {report.missing[0]}; "
            "give the --config that it was trained with"
        )
