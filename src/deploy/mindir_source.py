"""A MindIR file as the source of a prediction: is it whole, what are its classes, and which protocol can it follow. Without MindSpore."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from src.config.errors import UserError
from src.config.loading import load_config
from src.data.basedataset import DatasetInfo
from src.data.registry import dataset_info
from src.deploy.manifest import Manifest, file_sha256, manifest_path, read_manifest

_CHECKPOINT_CAN = "a checkpoint (.ckpt) can do that"
_FIXED_SECTIONS = ("model", "dataset", "loss", "train")


def open_mindir(path: Path) -> Manifest:
    """Return the manifest of a model file that Python can run.

    Raises:
        UserError: if the file or its manifest is missing, they do not belong together, or the file is lowered.
    """
    if not path.is_file():
        raise UserError(f"--checkpoint_path {path}: no such file")
    manifest = read_manifest(manifest_path(path))
    if manifest.kind not in ("native", "lite2"):
        raise UserError(
            f"--checkpoint_path {path}: its manifest {manifest_path(path)} is of {manifest.model_file}, of the kind {manifest.kind}; "
            "export the MindIR anew, under a name of its own"
        )
    if manifest.kind != "native":
        raise UserError(
            f"--checkpoint_path {path}: a model of the kind {manifest.kind}, lowered for MindSpore Lite's C++, which Python cannot run; "
            "give the native .mindir file that export.py wrote beside it"
        )
    if file_sha256(path) != manifest.sha256:
        raise UserError(f"--checkpoint_path {path}: not the file that {manifest_path(path)} describes (SHA-256 differs); export it anew")
    return manifest


def config_of_model(
    path: Path, manifest: Manifest, given: str | None, flags: dict[str, Any], words: Sequence[str], changeable: Sequence[str] = ()
) -> Any:
    """Return the configuration of a prediction; the protocol is the plain one, unless flags and words say otherwise.

    Args:
        path: the model file.
        manifest: its own.
        given: what --config names.
        flags: top-level keys that were given.
        words: `key.sub=value` overrides.
        changeable: keys that may be given though the file has decided on their section.

    Raises:
        UserError: if something is given that the file has decided.
    """
    if given is not None:
        raise UserError(f"--config {given}: a model file has its configuration in its manifest; leave --config out")
    keys = {word: word.split("=")[0] for word in words}
    fixed = [word for word, key in keys.items() if key.split(".")[0] in _FIXED_SECTIONS and key not in changeable]
    if fixed:
        raise UserError(f"{fixed[0]}: the model file has decided that; {_CHECKPOINT_CAN}")
    # What the weights were evaluated with may be more than one graph of one size can do.
    plain = {"flip": False, "multi_scale": False, "slide": False, "image_size": None}
    content = {**manifest.config, "eval": {**manifest.config.get("eval", {}), **plain}}
    return load_config((str(manifest_path(path)), content), flags, words, ask_weights=False)


def info_of_model(manifest: Manifest, config: Any) -> DatasetInfo:
    """Return the names and colours of the file's classes."""
    info = dataset_info(config)
    if info.class_names == manifest.class_names:
        return replace(info, palette=np.array(manifest.palette, np.uint8))
    return DatasetInfo(info.name, manifest.class_names, np.array(manifest.palette, np.uint8))


def check_protocol(path: Path, manifest: Manifest, config: Any, wants_probabilities: bool) -> None:
    """Refuse a protocol that a graph of one size and one output cannot follow.

    Raises:
        UserError: saying what to do.
    """
    protocol, size = config.eval, list(manifest.input.size_hw)
    shown = f"{path.name} takes pictures of {size[0]}x{size[1]} (height x width) alone"
    if protocol.multi_scale and list(protocol.scale_list) != [1.0]:
        raise UserError(f"--scales {list(protocol.scale_list)}: {shown}; {_CHECKPOINT_CAN}")
    if protocol.image_size and list(protocol.image_size) != size:
        raise UserError(f"eval.image_size={list(protocol.image_size)}: {shown}; {_CHECKPOINT_CAN}")
    if protocol.slide and list(protocol.window) != size:
        raise UserError(f"--tile {protocol.window[0]} {protocol.window[1]}: {shown}; give --tile {size[0]} {size[1]}")
    if manifest.output.kind == "labels":
        unfit = {"--flip": protocol.flip, "--tile": protocol.slide, "--save probabilities": wants_probabilities}
        for name, is_wanted in unfit.items():
            if is_wanted:
                raise UserError(f"{name}: {path.name} gives labels, and that needs logits; export it with --outputs logits")
