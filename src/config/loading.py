"""Build the one configuration: preset < YAML file < flags < key=value words."""

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.config import presets
from src.config.checking import check_combinations, check_tree, nearest
from src.config.errors import UserError
from src.config.schema import SCHEMA, defaults

DEFAULT_PRESET: str = SCHEMA["preset"].default


def preset_names() -> list[str]:
    """Return the names of all presets."""
    return sorted(module.name for module in pkgutil.iter_modules(presets.__path__))


def load_preset(name: str) -> dict[str, Any]:
    """Return the nested dict of a preset.

    Raises:
        UserError: if there is no preset of that name.
    """
    known = preset_names()
    if name not in known:
        raise UserError(f"there is no preset '{name}'{nearest(str(name), known)}; presets: {', '.join(known)}")
    return importlib.import_module(f"src.config.presets.{name}").PRESET


def load_config(config: str | None = None, flags: dict[str, Any] | None = None, words: Sequence[str] = ()) -> DictConfig:
    """Merge all sources, check the result and return it read-only.

    Args:
        config: a preset's name or the path of a YAML file, whose key `preset` names what it builds on; None is the default preset.
        flags: top-level keys that were really given on the command line.
        words: `key.sub=value` overrides, values in YAML.

    Raises:
        UserError: on an unknown preset, a file that cannot be read, or a wrong key, value or combination.
    """
    layers = [(f"--{name}", {name: value}) for name, value in (flags or {}).items()]
    layers += [(word, _parse_word(word)) for word in words]
    preset = DEFAULT_PRESET
    if config is not None and Path(config).suffix in (".yaml", ".yml"):
        layers.insert(0, (config, _read_yaml(config)))
        preset = layers[0][1].get("preset", DEFAULT_PRESET)
    elif config is not None:
        preset = config
    layers.insert(0, (f"preset {preset}", {**load_preset(preset), "preset": preset}))
    checked = [check_tree(values, source) for source, values in layers]
    merged = OmegaConf.merge(defaults(), *checked)
    assert isinstance(merged, DictConfig)
    check_combinations(merged)
    OmegaConf.set_struct(merged, True)
    OmegaConf.set_readonly(merged, True)
    return merged


def save_config(config: DictConfig, path: Path) -> None:
    """Write the complete configuration as YAML; `--config path` repeats the run."""
    path.write_text(to_yaml(config), encoding="utf-8")


def to_yaml(config: DictConfig) -> str:
    """Return the complete configuration as YAML text."""
    return OmegaConf.to_yaml(config)


def _read_yaml(path: str) -> dict[str, Any]:
    try:
        text = Path(path).read_text(encoding="utf-8")
        values = yaml.safe_load(text)
        if not isinstance(values, dict):
            raise UserError(f"--config {path}: expected 'key: value' lines, found {type(values).__name__}")
        # Through OmegaConf, so that 1e-3 is a number as it is in key=value words (YAML 1.1 reads it as text).
        return _plain(OmegaConf.create(text))
    except FileNotFoundError:
        raise UserError(f"--config {path}: no such file; give a YAML file or one of {', '.join(preset_names())}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"--config {path}: cannot be read as YAML: {' '.join(str(error).split())}") from None


def _parse_word(word: str) -> dict[str, Any]:
    if "=" not in word:
        raise UserError(f"'{word}' is not understood; overrides look like train.wd=0.0005")
    try:
        return _plain(OmegaConf.from_dotlist([word]))
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        raise UserError(f"'{word}': cannot be read: {' '.join(str(error).split())}") from None


def _plain(config: Any) -> dict[str, Any]:
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return dict(values)
