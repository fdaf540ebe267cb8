"""The configuration that converted weights mean: the network that they fit, and the facts that no shape tells."""

import json
from typing import Any

import yaml
from omegaconf import OmegaConf

from src.checkpoint.conversion.structure import Structure
from src.checkpoint.sources.source import Source
from src.config import load_config
from src.config.networks import parts_of
from src.config.schema import flatten

_CLASSES = "dataset.num_classes"
# Keys that mean something in networks of one backbone, or with one of some heads, alone: beginnings of their names.
_OF_BACKBONE = {"hrnet": ("model.extra.", "model.fuse_resize", "model.stride2_padding"), "resnet": ("model.resnet.",)}
_OF_HEADS = {
    "model.ocr.scale": ("ocr",),
    "model.ocr.aux_kernel": ("ocr",),
    "model.ocr.transform_bias": ("ocr",),
    "model.oc.entry_activation": ("plain", "base_oc", "pyramid_oc", "asp_oc", "isa"),
    "model.oc.separate_query": ("base_oc", "pyramid_oc", "asp_oc"),
    "model.oc.grids": ("pyramid_oc",),
    "model.oc.dilations": ("asp_oc",),
    "model.oc.pool": ("asp_oc",),
    "model.oc.down_factors": ("isa",),
}


def resolve_config(structure: Structure, row: Source, config: str | None, num_classes: int | None, where: str) -> Any:
    """Return the complete configuration of the network that is to hold the weights.

    Args:
        structure: of the weights.
        row: their source.
        config: a preset, whose network counts with the facts of the weights; None: the source's preset with the network of the weights.
        num_classes: the number of classes wanted, None: as in the file.
        where: the flag and the file, for messages.

    Raises:
        UserError: if the configuration is unknown, or the values do not fit together.
    """
    values = {**structure.settings(), **(row.facts if structure.head else {})}
    if config is not None:
        values = {key: value for key, value in values.items() if flatten()[key].of_weights}
    preset = config or row.presets.get(structure.backbone.width, structure.usual_preset())
    wanted = structure.head.num_classes if num_classes is None and config is None and structure.head else num_classes
    if wanted is not None:
        values[_CLASSES] = wanted
        if wanted != load_config(preset, ask_weights=False).dataset.num_classes:
            values["loss.class_weights"] = None  # the preset's belong to its own classes
    return load_config(preset, words=[f"{key}={json.dumps(value)}" for key, value in values.items()], ask_weights=False)


def side_values(config: Any, has_head: bool) -> dict[str, Any]:
    """Return what goes beside the weights: configuration key -> value.

    Args:
        config: the complete configuration of their network.
        has_head: False for a backbone alone, whose facts are the recipe's choice.
    """
    preset = load_config(config.preset, ask_weights=False)
    values = {"preset": config.preset}
    for name, key in flatten().items():
        value, usual = OmegaConf.select(config, name), OmegaConf.select(preset, name)
        is_fact = has_head and (key.of_weights or name == _CLASSES) and _is_of_network(name, config.model.name)
        if is_fact or value != usual:
            values[name] = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    return values


def _is_of_network(key: str, network: str) -> bool:
    backbone, head = parts_of(network)
    is_hrnets_own = (backbone, head) == ("hrnet", "plain")  # HRNet's plain head has nothing of OCNet's
    if head not in _OF_HEADS.get(key, (head,)) or (is_hrnets_own and key.startswith("model.oc.")):
        return False
    return not any(key.startswith(own) for name, keys in _OF_BACKBONE.items() if name != backbone for own in keys)


def side_text(values: dict[str, Any], comment: str) -> str:
    """Return the YAML of the side file, headed by a comment of one line."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        place = tree
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return f"# {' '.join(comment.split())}\n" + yaml.safe_dump(tree, sort_keys=False, default_flow_style=None)
