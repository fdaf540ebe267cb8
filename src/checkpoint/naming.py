"""Apply the tables of src/checkpoint/sources: recognise a file by its names, and call its parameters as this project does."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from src.checkpoint.sources import SOURCES
from src.checkpoint.sources.source import Source
from src.config.errors import UserError

# Parameters of a batch norm, which a layer is where there is a running mean; MindSpore's own names pass as they are.
_RUNNING_MEANS = ("running_mean", "_mean")
_NORM_NAMES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
    "_mean": "moving_mean",
    "_variance": "moving_variance",
}
_MAX_NAME = 200
# What programs put in front of all names: torch's DataParallel and compile, wrappers of a network with its loss.
_WRAPPERS = re.compile(r"^(?:(?:module|model|network|net|_orig_mod)\.)+")


def unwrap_names(arrays: Mapping[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """Return the arrays without `module.`, `model.` and the like in front of their names.

    Args:
        arrays: by the names in the file.
        where: the flag and the file, for the message.

    Raises:
        UserError: if two parameters would then have the same name, or one has an impossible one.
    """
    bare: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if len(name) > _MAX_NAME or not name.isprintable():
            raise UserError(f"{where}: it holds a parameter called {name[:40]!a}, which is no network's")
        short = _WRAPPERS.sub("", name)
        if short in bare:
            raise UserError(f"{where}: {short} is there twice, under different prefixes such as {name}: the file mixes two networks")
        bare[short] = array
    return bare


def recognise(names: Iterable[str], wanted: str, where: str) -> Source:
    """Return the row of the table that a file's names belong to.

    Args:
        names: without wrappers' prefixes.
        wanted: a source's name, or "auto".
        where: the flag and the file, for the message.

    Raises:
        UserError: if the names belong to no source, to another than the wanted one, or to a network that this project does not have.
    """
    names = list(names)
    fitting = [source for source in SOURCES if _fits(source, names)]
    if not fitting:
        head = next((name for name in names if not name.startswith("backbone.")), names[0])
        raise UserError(f"{where}: its names, such as {head}, are those of no HRNet or ResNet that can be converted (docs/WEIGHTS.md)")
    row = next((source for source in fitting if wanted in ("auto", source.name)), None)
    if row is None:
        raise UserError(f"{where}: --source {wanted} does not fit, its names, such as {names[0]}, are those of {fitting[0].name}")
    return row


def _fits(source: Source, names: list[str]) -> bool:
    def begins(pattern: str) -> bool:
        return any(re.match(pattern, name) for name in names)

    return all(begins(pattern) for pattern in source.signature) and not any(begins(pattern) for pattern in source.absent)


def merge_copies(arrays: Mapping[str, np.ndarray], source: Source, where: str) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the arrays with layers that two parts of the network share under one name, and the names that were left out for it.

    Args:
        arrays: by the source's names, without wrappers' prefixes.
        source: the row that they belong to.
        where: the flag and the file, for the message.

    Raises:
        UserError: if the two copies of a layer differ: then they are no copies, and the file is another network's.
    """
    if source.copies is None:
        return dict(arrays), []
    merged, left_out = dict(arrays), []
    for name in [name for name in arrays if source.copies[0] in name]:
        copy, original = merged.pop(name), name.replace(*source.copies)
        if original not in arrays:
            merged[original] = copy
        elif np.array_equal(copy, arrays[original], equal_nan=copy.dtype.kind == "f"):
            left_out.append(name)
        else:
            raise UserError(
                f"{where}: {name} and {original} differ, while {source.name}'s networks share the layer: it is another network's"
            )
    return merged, left_out


def translate(arrays: Mapping[str, np.ndarray], source: Source) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return the arrays under this project's names, and the names of those that are dropped on purpose.

    Args:
        arrays: by the source's names, without wrappers' prefixes.
        source: the row that they belong to. Names that it does not know stay as they are.
    """
    official: dict[str, np.ndarray] = {}
    dropped = []
    for name, array in arrays.items():
        if any(re.fullmatch(pattern, name) for pattern in source.dropped):
            dropped.append(name)
            continue
        layer, _, leaf = name.rpartition(".")
        if any(f"{layer}.{mean}" in arrays for mean in _RUNNING_MEANS):
            leaf = _NORM_NAMES.get(leaf, leaf)
        official[f"{layer_here(layer, source)}.{leaf}" if layer else name] = array
    return official, dropped


def apply_gamma_shift(arrays: Mapping[str, np.ndarray], source: Source) -> dict[str, np.ndarray]:
    """Return the arrays with the batch norms' factors that are in effect: |gamma| + shift, where the source has a shift.

    Args:
        arrays: by this project's names, float32.
        source: the row that they belong to.

    Source: Rota Bulo et al., arXiv 1712.02616 (In-Place Activated BatchNorm), whose factor must not be 0.
    """
    if source.gamma_shift is None:
        return dict(arrays)
    shift = np.float32(source.gamma_shift)
    return {name: np.abs(array) + shift if name.endswith(".gamma") else array for name, array in arrays.items()}


def layer_here(layer: str, source: Source) -> str:
    """Return a layer's name in this project; one that the source's table does not know keeps its own."""
    if layer in source.layers:
        return source.layers[layer]
    if not layer.startswith(source.prefix):
        return layer
    bare = layer.removeprefix(source.prefix)
    if not source.backbone:
        return bare
    for pattern, template in source.backbone:
        match = re.fullmatch(pattern, bare)
        if match:
            # A group that counts from 1 has a name that ends in 1.
            return template.format(**{name: int(text) - name.endswith("1") for name, text in match.groupdict().items()})
    return layer


def foreign_name(name: str, source: Source) -> str:
    """Return a parameter's name in a source whose backbone has the official names: the way back of `translate`."""
    layers = {here: there for there, here in source.layers.items()}
    leaves = {here: there for there, here in reversed(_NORM_NAMES.items())}  # torch's names come first in the table
    layer, _, leaf = name.rpartition(".")
    return f"{layers.get(layer, source.prefix + layer)}.{leaves.get(leaf, leaf)}"
