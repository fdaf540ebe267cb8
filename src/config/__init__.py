"""Presets, their merging with files and flags, and their checking."""

from src.config.errors import UserError
from src.config.loading import load_config, preset_names, save_config, to_yaml

__all__ = ["UserError", "load_config", "preset_names", "save_config", "to_yaml"]
