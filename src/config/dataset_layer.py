"""What the name and the classes of a data set say of the configuration, as strong as where they are named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from src.config.checking import check_tree
from src.config.classes import parse_classes, read_classes
from src.config.datasets import CLASSES_FILES, NUM_CLASSES, check_takes_classes
from src.config.errors import UserError
from src.config.schema import SCHEMA

NAMING = ("name", "classes_file", "classes")
SOURCE = "dataset.classes"


def with_dataset(layers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the layers with what the data set says: its number of classes and, where they come from a file, content and ignore label.

    Number and ignore label come just below the last layer that names the data set: what that layer itself gives is stronger, and class
    weights of a weaker layer, made for another data set, end there. The content is settled here once, since merging the classes of two
    files would mix them.

    Args:
        layers: checked, the weakest first.

    Raises:
        UserError: if a file of classes is missing or malformed, or the data set has its own classes, or needs some.
    """
    name, path, classes = _named(layers)
    if classes is None:
        path = _classes_file(name, path, layers)
    check_takes_classes(name, path is not None or classes is not None)
    if path is not None and classes is None:
        classes = read_classes(Path(path))
    facts: dict[str, Any] = {} if NUM_CLASSES[name] is None else {"num_classes": NUM_CLASSES[name]}
    if classes is not None:
        spec = parse_classes(classes, path or SOURCE)
        facts = {"num_classes": len(spec.entries), "ignore_label": spec.ignore_label}
        check_tree({"dataset": facts}, path or SOURCE)
    naming = [index for index, layer in enumerate(layers) if any(key in layer.get("dataset", {}) for key in NAMING)]
    place = naming[-1] if naming else 0
    said: dict[str, Any] = {"dataset": facts}
    if _named(layers[:place]) != _named(layers):
        said["loss"] = {"class_weights": None}  # those of a weaker layer are for another data set's classes
    others = [_without_classes(layer) for layer in layers]
    return [*others[:place], said, *others[place:], {"dataset": {"classes_file": path, "classes": classes}}]


def check_dataset(config: Any) -> None:
    """Check that what is given agrees with the file of classes.

    Raises:
        UserError: naming both.
    """
    section = config.dataset
    if section.classes is None:
        return
    source = section.classes_file or SOURCE
    spec = parse_classes(OmegaConf.to_container(section.classes), source)
    for key, value in (("num_classes", len(spec.entries)), ("ignore_label", spec.ignore_label)):
        if section[key] != value:
            raise UserError(f"dataset.{key} is {section[key]} but {source} says {value}; leave dataset.{key} out")


def _named(layers: Sequence[dict[str, Any]]) -> tuple[str, str | None, dict[str, Any] | None]:
    """Return name, file and content of the strongest layers that give them; content is stronger than the file that it was read from."""
    name, path, classes = SCHEMA["dataset"]["name"].default, None, None
    for layer in layers:
        section = layer.get("dataset", {})
        name = section.get("name", name)
        if "name" in section and name not in CLASSES_FILES:
            path = classes = None  # of another data set, named by a weaker layer
        if "classes_file" in section or "classes" in section:
            path, classes = section.get("classes_file"), section.get("classes")
    return name, path, classes


def _classes_file(name: str, path: str | None, layers: Sequence[dict[str, Any]]) -> str | None:
    """Return the file of classes: as given, else of that name in the data folder; or where it was not given, the data set's own."""
    folder = next((layer["data_path"] for layer in reversed(layers) if "data_path" in layer), None)
    if folder is None or (path is not None and Path(path).is_file()):
        return path
    names = (path,) if path is not None else CLASSES_FILES.get(name, ())
    return next((str(Path(folder) / each) for each in names if (Path(folder) / each).is_file()), path)


def _without_classes(layer: dict[str, Any]) -> dict[str, Any]:
    section = {key: value for key, value in layer.get("dataset", {}).items() if key not in ("classes_file", "classes")}
    return {**layer, "dataset": section}
