"""What the configuration of a run makes of the file beside its weights, for the log."""

import logging
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from src.config.dataset_layer import other_classes
from src.config.loading import config_beside, load_config, read_beside
from src.config.schema import flatten


def report_facts(config: DictConfig, logger: logging.Logger) -> None:
    """Log which facts of the weights replaced the preset's values, and warn of those that the configuration overrides.

    Classes that the configuration keeps, and the data folder lists otherwise, are warned of too.

    Args:
        config: the complete configuration; without `checkpoint_path` there is nothing to say of weights.
        logger: of the program.

    Raises:
        UserError: if the file beside the weights cannot be read.
    """
    others = other_classes(config)
    if others:
        logger.warning("warning: %s", others)
    if config.checkpoint_path is None:
        return
    beside = read_beside(config.checkpoint_path)
    if beside is None:
        missing = config_beside(Path(config.checkpoint_path))
        logger.warning("warning: no %s: resizing, padding and normalisation of the weights are taken to be the configuration's", missing)
        return
    source, values = beside
    followed, overridden = _compare(config, OmegaConf.create(values))
    if followed:
        logger.info("from %s: %s", source, "; ".join(followed))
    if overridden:
        logger.warning("warning: the configuration overrides what %s says of the weights: %s", source, "; ".join(overridden))


def _compare(config: DictConfig, facts: DictConfig) -> tuple[list[str], list[str]]:
    """Return which facts replaced the preset's values, and which the configuration overrides."""
    preset = load_config(config.preset, ask_weights=False)
    followed, overridden = [], []
    for name, key in flatten().items():
        fact, value, usual = (OmegaConf.select(tree, name) for tree in (facts, config, preset))
        if not key.of_weights or fact is None:
            continue
        if value != fact:
            overridden.append(f"{name} is {value} instead of {fact}")
        elif value != usual:
            followed.append(f"{name} {value} (preset {config.preset}: {usual})")
    return followed, overridden
