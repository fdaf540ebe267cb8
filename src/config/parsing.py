"""Read YAML files and key=value words into nested dicts; what cannot be read is named in one line."""

from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from src.config.errors import UserError


def read_yaml(path: Path, source: str) -> dict[str, Any]:
    """Return the nested dict of a YAML file.

    Args:
        path: the file.
        source: what the user knows it by, for messages.

    Raises:
        FileNotFoundError: if there is no such file.
        UserError: if it is no YAML file of keys and values.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = yaml.safe_load(text)
        if not isinstance(values, dict):
            found = {type(None): "nothing", list: "a list", str: "text"}.get(type(values), "a single value")
            raise UserError(f"{source}: expected 'key: value' lines, found {found}")
        # Through OmegaConf, so that 1e-3 is a number as it is in key=value words (YAML 1.1 reads it as text).
        return _plain(OmegaConf.create(text))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError, yaml.YAMLError, OmegaConfBaseException) as error:
        raise UserError(f"{source}: cannot be read as YAML: {' '.join(str(error).split())}") from None


def parse_word(word: str) -> dict[str, Any]:
    """Return the nested dict of `key.sub=value`, the value in YAML.

    Raises:
        UserError: if it is not of that form.
    """
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
