"""Build the one configuration: preset < what the weights mean < YAML file < flags < key=value words."""

import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from src.config import presets
from src.config.checking import check_combinations, check_tree, nearest
from src.config.dataset_layer import check_dataset, with_dataset
from src.config.errors import UserError
from src.config.network_layer import with_network
from src.config.parsing import parse_word, read_yaml
from src.config.schema import SCHEMA, Key, defaults

DEFAULT_PRESET: str = SCHEMA["preset"].default

# What belongs to a network beside `model`: its classes, and of the loss its weights, as many as the network has outputs and classes.
OF_NETWORK = (
    *(f"dataset.{name}" for name in ("name", "classes_file", "classes", "num_classes")),
    "loss.balance_weights",
    "loss.class_weights",
)

Layer = tuple[str, dict[str, Any]]  # where values come from, for messages, and the nested dict of them


def preset_names() -> list[str]:
    """Return the names of all presets."""
    return sorted(module.name for module in pkgutil.iter_modules(presets.__path__))


def load_preset(name: str, source: str = "--config") -> dict[str, Any]:
    """Return the nested dict of a preset.

    Args:
        name: the preset.
        source: where the name was read, for the message.

    Raises:
        UserError: if there is no preset of that name.
    """
    known = preset_names()
    if name not in known:
        raise UserError(f"{source}: there is no preset '{name}'{nearest(str(name), known)}; presets: {', '.join(known)}")
    return importlib.import_module(f"src.config.presets.{name}").PRESET


def load_config(
    config: str | Layer | None = None, flags: dict[str, Any] | None = None, words: Sequence[str] = (), *, ask_weights: bool = True
) -> DictConfig:
    """Merge all sources, check the result and return it read-only.

    The file beside `checkpoint_path` (`config_beside`) gives the keys that say what its weights mean (`Key.of_weights`), weaker than all
    that the user gave. Where no configuration was given it names the preset and gives the network too.

    Args:
        config: a preset's name or the path of a YAML file, whose key `preset` names what it builds on, or the content of such a file
            with its source for messages; None is the preset of the file beside the weights, or else the default preset.
        flags: top-level keys that were really given on the command line.
        words: `key.sub=value` overrides, values in YAML.
        ask_weights: False reads nothing beside the weights: a run that is continued has decided already.

    Raises:
        UserError: on an unknown preset, a file that cannot be read, or a wrong key, value or combination.
    """
    given = _given_layers(config, flags or {}, words)
    beside = read_beside(_checkpoint_path(given)) if ask_weights else None
    layers = [_preset_layer(config, given, beside), *given]
    if beside:
        layers.insert(1, _layer_of_weights(beside, with_network=config is None))
    checked = [check_tree(values, source) for source, values in layers]
    # What is given on the command line is one layer: its order means nothing.
    command_line = [checked.pop() for _ in range(len(flags or {}) + len(words))][::-1]
    checked = with_network(with_dataset([*checked, _one_layer(command_line)]))
    merged = OmegaConf.merge(_defaults(), *checked)
    assert isinstance(merged, DictConfig)
    check_dataset(merged)
    check_combinations(merged)
    OmegaConf.set_struct(merged, True)
    OmegaConf.set_readonly(merged, True)
    return merged


def config_beside(checkpoint: Path) -> Path:
    """Return the path of the configuration that belongs to a weight file: the same name with .yaml."""
    return checkpoint.with_suffix(".yaml")


def read_beside(checkpoint_path: Any) -> Layer | None:
    """Return the checked content of the file beside the weights, with its name for messages; None where there is none.

    Raises:
        UserError: if it cannot be read, or has unknown keys or wrong values.
    """
    if not isinstance(checkpoint_path, str) or not Path(checkpoint_path).is_file():
        return None  # load_weights says what is wrong with it
    path = config_beside(Path(checkpoint_path))
    source = f"{path} beside the weights"
    try:
        return source, check_tree(read_yaml(path, source), source)
    except FileNotFoundError:
        return None


def save_config(config: DictConfig, path: Path) -> None:
    """Write the complete configuration as YAML; `--config path` repeats the run."""
    path.write_text(to_yaml(config), encoding="utf-8")


def to_yaml(config: DictConfig) -> str:
    """Return the complete configuration as YAML text."""
    return OmegaConf.to_yaml(config)


def _given_layers(config: str | Layer | None, flags: dict[str, Any], words: Sequence[str]) -> list[Layer]:
    layers = [config] if isinstance(config, tuple) else []
    if isinstance(config, str) and _is_file(config):
        layers = [_file_layer(config, flags.get("checkpoint_path"))]
    layers += [(f"--{name}", {name: value}) for name, value in flags.items()]
    return layers + [(word, parse_word(word)) for word in words]


@functools.cache
def _defaults() -> DictConfig:
    """Return what is merged into; OmegaConf copies it."""
    return OmegaConf.create(defaults())


def _one_layer(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return checked layers of few keys each, such as words, merged: key by key, a quarter of the time of merging trees."""
    merged = OmegaConf.create()
    for values in layers:
        for name, value in _leaves(values):
            OmegaConf.update(merged, name, value)
    whole = OmegaConf.to_container(merged)
    assert isinstance(whole, dict)
    return {str(name): value for name, value in whole.items()}


def _leaves(values: dict[str, Any], schema: dict[str, Any] = SCHEMA, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys of a checked nested dict by dotted name."""
    for name, value in values.items():
        entry = schema[name]
        if isinstance(entry, Key):
            yield prefix + name, value
        else:
            yield from _leaves(value, entry, f"{prefix}{name}.")


def _is_file(config: str) -> bool:
    return Path(config).suffix in (".yaml", ".yml")


def _file_layer(config: str, checkpoint_path: str | None) -> Layer:
    is_beside = checkpoint_path is not None and Path(config) == config_beside(Path(checkpoint_path))
    source = f"{config} beside the weights" if is_beside else f"--config {config}"
    try:
        return source, read_yaml(Path(config), source)
    except FileNotFoundError:
        raise UserError(f"{source}: no such file; give a YAML file or one of {', '.join(preset_names())}") from None


def _preset_layer(config: str | Layer | None, given: list[Layer], beside: Layer | None) -> Layer:
    if isinstance(config, str) and not _is_file(config):
        source, name = "--config", config
    else:
        # The content that was given, or else the one beside the weights, names what it builds on.
        source, values = given[0] if config is not None else beside or ("", {})
        name = values.get("preset", DEFAULT_PRESET)
    return f"preset {name}", {**load_preset(name, source), "preset": name}


def _checkpoint_path(layers: list[Layer]) -> Any:
    return next((values["checkpoint_path"] for _, values in reversed(layers) if "checkpoint_path" in values), None)


def _layer_of_weights(beside: Layer, with_network: bool) -> Layer:
    def wanted(name: str, key: Key) -> bool:
        is_network = name.startswith("model.") or name in OF_NETWORK
        return key.of_weights or (with_network and is_network)

    source, values = beside
    return source, _part(values, wanted)


def _part(values: dict[str, Any], wanted: Callable[[str, Key], bool], schema: dict[str, Any] = SCHEMA, prefix: str = "") -> dict[str, Any]:
    """Return the part of a checked nested dict whose keys are wanted, by dotted name."""
    part: dict[str, Any] = {}
    for name, value in values.items():
        entry = schema[name]
        if isinstance(entry, Key):
            part.update({name: value} if wanted(prefix + name, entry) else {})
        else:
            part[name] = _part(value, wanted, entry, f"{prefix}{name}.")
    return part
