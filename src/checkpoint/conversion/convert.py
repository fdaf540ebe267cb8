"""Conversion of another framework's weights into a .ckpt file, with the configuration that they mean beside it."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore.nn.utils import no_init_parameters

from src.checkpoint.atomic import atomic_path
from src.checkpoint.conversion.foreign import read_foreign
from src.checkpoint.conversion.side_file import resolve_config, side_text, side_values
from src.checkpoint.conversion.structure import Structure
from src.checkpoint.matching import LoadReport, Shape, check_enough, check_shapes, match
from src.checkpoint.naming import apply_gamma_shift, merge_copies, recognise, translate, unwrap_names
from src.checkpoint.sources.source import Source
from src.checkpoint.weights import network_weights, write_checkpoint
from src.config import UserError
from src.config.loading import config_beside
from src.models.builder import assemble_network, build_network, is_backbone

_SEED = 1  # of new classifier layers
_AUX_HEAD = "aux_head."


@dataclass
class Conversion:
    """What a conversion found and did.

    Attributes:
        source: the source's name.
        network: name, width and classes, in words.
        report: which parameters came through.
        notes: what else changed on the way, a line each.
        side: configuration key -> value, as written beside the weights.
    """

    source: str
    network: str
    report: LoadReport
    notes: list[str]
    side: dict[str, Any]


def check_target(flag: str, path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse an output file that cannot be written or is there already; nothing is written.

    Raises:
        UserError: saying what to do.
    """
    if path.suffix not in suffixes:
        raise UserError(f"{flag} {path}: the name must end in {' or '.join(suffixes)}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{flag} {path}: {path.parent} is not a folder that can be written to; make it first")
    for existing in (path, config_beside(path)) if path.suffix == ".ckpt" else (path,):
        if existing.exists():
            raise UserError(f"{flag} {path}: {existing} is there already; remove it, or choose another name")


def convert(source: Path, target: Path, wanted: str, config: str | None, num_classes: int | None) -> Conversion:
    """Read foreign weights and write `target` (.ckpt) with a .yaml beside it, or neither.

    Args:
        source: the file to read, see `read_foreign`.
        target: the file to write; `check_target` has passed it.
        wanted: the source's name, or "auto".
        config: a preset whose network the weights have to fit; None builds the network that the file tells of.
        num_classes: number of classes wanted; where the file's differs, classifier layers are new. None keeps the file's.

    Raises:
        UserError: if the file cannot be read, its names are unknown, or it does not fit the network.
    """
    where = f"--torch_path {source}"
    if source.suffix == ".ckpt" and config_beside(source).is_file():
        raise UserError(
            f"{where}: {config_beside(source).name} is beside it, so it is this project's own and needs no conversion; "
            "if it is another's, move it into a folder of its own"
        )
    file = read_foreign(source)
    found = unwrap_names(file.arrays, where)
    row = recognise(found, wanted, where)
    found, copies = merge_copies(found, row, where)
    arrays, dropped = translate(found, row)
    structure = Structure(arrays, where)
    resolved = resolve_config(structure, row, config, num_classes, where)
    may_differ = config is not None or num_classes is not None
    arrays |= _zero_biases(arrays, row)
    report = check_fit(arrays, resolved, where, structure, row=row, classes_may_differ=may_differ)
    if num_classes is None and structure.head and any(name in arrays for name in report.reinitialised):
        raise UserError(_other_classes(structure.head.num_classes, resolved.dataset.num_classes, f"{where}: --config {config}"))
    arrays, notes = to_float32({name: arrays[name] for name in report.matched}, where)
    arrays = apply_gamma_shift(arrays, row)
    if file.bfloat16:
        notes.append(f"{len(file.bfloat16)} arrays of bfloat16 became float32")
    report.dropped = dropped + copies + report.dropped
    side = side_values(resolved, structure.head is not None)
    network = structure.describe(resolved.dataset.num_classes)
    notes += _warnings(row, structure, report)
    weights = arrays | _fresh(report.reinitialised, resolved)
    _write(weights, side_text(side, f"What the weights in {target.name} mean: {network}, from {source.name} ({row.name})."), target)
    return Conversion(row.name, network, report, notes, side)


def _zero_biases(arrays: Mapping[str, np.ndarray], row: Source) -> dict[str, np.ndarray]:
    """Return the biases of the classifiers that have none in the source's networks and one here."""
    weights = {f"{layer}.bias": arrays[f"{layer}.weight"] for layer in row.unbiased if f"{layer}.weight" in arrays}
    return {name: np.zeros(len(weight), weight.dtype) for name, weight in weights.items() if name not in arrays}


def _warnings(row: Source, structure: Structure, report: LoadReport) -> list[str]:
    lines = []
    if row.name == "modelzoo":
        lines.append("if the file is this project's own, and its .yaml is lost, this is wrong: convert again what it was made of")
    if any(name.startswith(_AUX_HEAD) for name in report.reinitialised) and not (structure.head and structure.head.has_aux):
        lines.append("the file has no auxiliary head: aux_head is new, which training alone looks at")
    return lines


def _other_classes(in_file: int, in_config: int, where: str) -> str:
    return (
        f"{where} has {in_config} classes, the file {in_file}; --num_classes {in_config} converts it with new classifier layers, "
        f"--num_classes {in_file} keeps the file's"
    )


def to_float32(arrays: Mapping[str, np.ndarray], where: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the arrays in float32, and a line for each other type that there was.

    Raises:
        UserError: if a parameter is not made of finite floating-point numbers.
    """
    converted, kinds = {}, Counter[str]()
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise UserError(f"{where}: {name} holds {array.dtype}, not floating-point numbers; quantised weights cannot be converted")
        with np.errstate(over="ignore"):
            converted[name] = array.astype(np.float32)
        if not np.isfinite(converted[name]).all():
            raise UserError(f"{where}: {name} holds values that are not finite; the weights are of no use")
        kinds[str(array.dtype)] += array.dtype != np.float32
    return converted, [f"{count} arrays of {kind} became float32" for kind, count in kinds.items() if count]


def network_shapes(config: Any) -> dict[str, Shape]:
    """Return name -> shape of what a weight file of a configuration's network holds."""
    with no_init_parameters():
        network = assemble_network(config)
    return {name: tuple(parameter.shape) for name, parameter in network_weights(network).items()}


def check_fit(
    arrays: Mapping[str, np.ndarray],
    config: Any,
    where: str,
    structure: Structure,
    *,
    row: Source | None = None,
    classes_may_differ: bool = False,
) -> LoadReport:
    """Compare arrays under this project's names with a configuration's network.

    Args:
        arrays: the file's, by this project's names.
        config: the complete configuration of the network.
        where: the flag and the file, for messages.
        structure: of the arrays; a backbone is compared alone, and 90 % of it are enough; an auxiliary head may be absent as a whole, but
            not OCR's.
        row: the source of the arrays, in whose parts of a network a name that the table does not know is a layer too much.
        classes_may_differ: let classifier layers of another number of classes stand under `reinitialised`.

    Raises:
        UserError: if a shape differs, something is missing, or the file's network has layers that this one has not.
    """
    shapes = network_shapes(config)
    roots = {re.escape(name.split(".")[0]) for name in shapes} | (_roots(row) if row else set())
    if structure.head is None:
        shapes = {name: shape for name, shape in shapes.items() if is_backbone(name)}
    report = match(arrays, shapes)
    check_shapes(where, report, arrays, shapes, classes_may_differ=classes_may_differ)
    # What OCR's auxiliary head says, its main head looks at.
    if structure.head and not structure.head.has_aux and structure.head.name != "ocr":
        report.reinitialised += [name for name in report.missing if name.startswith(_AUX_HEAD)]
        report.missing = [name for name in report.missing if not name.startswith(_AUX_HEAD)]
    check_enough(where, report, shapes, complete=structure.head is not None)
    # A layer too much in a known place, such as another module or an attention inside a block, is another network.
    odd = next((name for name in report.unexpected if any(re.fullmatch(root, name.split(".")[0]) for root in roots)), None)
    if odd is not None:
        raise UserError(
            f"{where}: the file has {odd}, which the network of preset {config.preset} lacks; it belongs to another network ({report})"
        )
    return report


def _roots(row: Source) -> set[str]:
    """Return patterns of the first parts of a source's names, all of whose layers its table knows."""
    return {re.escape(name.split(".")[0]) for name in (row.prefix, *row.layers) if name} | {
        pattern.split(r"\.")[0] for pattern, _ in row.backbone
    }


def _fresh(names: list[str], config: Any) -> dict[str, np.ndarray]:
    if not names:
        return {}
    ms.set_seed(_SEED)
    weights = network_weights(build_network(config))
    return {name: weights[name].asnumpy() for name in names}


def _write(weights: Mapping[str, np.ndarray], side: str, target: Path) -> None:
    try:
        with atomic_path(target) as temporary, atomic_path(config_beside(target)) as beside:
            write_checkpoint({name: ms.Tensor(array) for name, array in weights.items()}, temporary)
            beside.write_text(side, encoding="utf-8")
            beside.chmod(0o644)
    except BaseException as error:
        config_beside(target).unlink(missing_ok=True)  # one without the other would mislead
        if isinstance(error, OSError):
            raise UserError(f"--mindspore_path {target}: cannot be written ({error.strerror})") from error
        raise
