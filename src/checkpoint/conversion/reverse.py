"""The way back: this project's weights as a torch state dict with official or mmseg names."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from safetensors import SafetensorError

from src.checkpoint.atomic import atomic_path
from src.checkpoint.conversion.convert import check_fit, to_float32
from src.checkpoint.conversion.foreign import import_torch
from src.checkpoint.conversion.side_file import resolve_config
from src.checkpoint.conversion.structure import Structure
from src.checkpoint.naming import foreign_name, unwrap_names
from src.checkpoint.sources import SOURCES
from src.checkpoint.sources.hrnet import NORMS_BEHIND
from src.checkpoint.sources.source import Source
from src.checkpoint.weights import read_checkpoint
from src.config import UserError, load_config
from src.config.loading import config_beside
from src.config.schema import flatten

# What stands in front of all names: the official programs cut six letters off every name of a file that they test with.
_WRAPPERS = {"official": "model.", "mmseg": ""}
REVERSE_SOURCES = tuple(_WRAPPERS)


def reverse(checkpoint: Path, target: Path, wanted: str) -> list[str]:
    """Write a .ckpt file's weights as a torch state dict; return lines on what was done.

    Values are kept bit for bit but for the means of batch norms that take up a bias which the source's network has no place for.

    Args:
        checkpoint: this project's weights.
        target: .pth, .pt or .safetensors; `check_target` has passed it.
        wanted: "official" or "mmseg".

    Raises:
        UserError: if the file is no network of this project, or the source has none like it.
    """
    where = f"--mindspore_path {checkpoint}"
    row = next(source for source in SOURCES if source.name == wanted)
    arrays, _ = to_float32(unwrap_names(read_checkpoint(checkpoint, "--mindspore_path"), where), where)
    structure = Structure(arrays, where)
    _check_network(structure, where)
    report = check_fit(arrays, resolve_config(structure, row, None, None, where), where, structure)
    _check_kernels(structure, row, where)
    adapted, changes = _adapt_biases({name: arrays[name] for name in report.matched}, row)
    warnings = _differing_facts(checkpoint, row) if structure.head else []
    _save({_WRAPPERS[wanted] + foreign_name(name, row): array for name, array in adapted.items()}, target)
    return [f"{len(adapted)} parameters under {wanted} names", *changes, *warnings]


def _check_network(structure: Structure, where: str) -> None:
    head = structure.head.name if structure.head else "plain"
    if structure.backbone.name != "hrnet" or head not in ("plain", "ocr"):
        title = " + ".join(filter(None, (structure.backbone.title, structure.head.title if structure.head else "")))
        raise UserError(
            f"{where}: --reverse writes HRNets, plain or with OCR, for --source {' or '.join(REVERSE_SOURCES)}; {title} has no way back yet"
        )


def _check_kernels(structure: Structure, row: Source, where: str) -> None:
    settings = structure.settings()
    if settings.get("model.ocr.aux_kernel", 1) != 1:
        raise UserError(f"{where}: its aux_head.0 is a 3x3 convolution (openseg), {row.name}'s is 1x1 and cannot hold it")
    if row.name == "mmseg" and settings.get("model.extra.FINAL_CONV_KERNEL", 1) != 1:
        raise UserError(f"{where}: its last_layer.3 is a 3x3 convolution, mmseg's conv_seg is 1x1 and cannot hold it")


def _adapt_biases(arrays: Mapping[str, np.ndarray], row: Source) -> tuple[dict[str, np.ndarray], list[str]]:
    """Give each convolution in front of a batch norm a bias or none, as the source has it; evaluation stays the same."""
    adapted, added, folded = dict(arrays), 0, 0
    for conv, norm in NORMS_BEHIND.items():
        bias, mean = f"{conv}.bias", f"{norm}.moving_mean"
        if f"{conv}.weight" not in adapted:
            continue
        if conv in row.biased and bias not in adapted:
            adapted[bias] = np.zeros_like(adapted[mean])
            added += 1
        elif conv not in row.biased and bias in adapted:
            adapted[mean] = adapted[mean] - adapted.pop(bias)
            folded += 1
    lines = [f"{added} biases of zero were added, which {row.name}'s network has and this one has not"] if added else []
    if folded:
        lines.append(f"{folded} biases went into the mean of the batch norm behind them, because {row.name}'s network has none there")
    return adapted, lines


def _differing_facts(checkpoint: Path, row: Source) -> list[str]:
    side = config_beside(checkpoint)
    if not side.is_file():
        return [f"warning: without {side.name} beside the weights it is unknown whether {row.name}'s resizing and normalisation are theirs"]
    config = load_config(str(side), ask_weights=False)
    return [
        f"warning: these weights want {key}={OmegaConf.select(config, key)}, where {row.name}'s program has {value} unless told otherwise"
        for key, value in row.facts.items()
        if flatten()[key].of_weights and OmegaConf.select(config, key) != value
    ]


@contextmanager
def _named_failure(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # a full disk, as Python, torch and safetensors say it
        raise UserError(f"--torch_path {target}: cannot be written ({' '.join(str(error).split())[:100]})") from error


def _save(arrays: Mapping[str, np.ndarray], target: Path) -> None:
    contiguous: dict[str, Any] = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with _named_failure(target), atomic_path(target) as temporary:
        if target.suffix == ".safetensors":
            from safetensors.numpy import save_file

            save_file(contiguous, temporary)
        else:
            torch = import_torch(f"--torch_path {target}")
            torch.save({name: torch.from_numpy(array) for name, array in contiguous.items()}, temporary)
        temporary.chmod(0o644)
