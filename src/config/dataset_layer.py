"""What the name and the classes of a data set say of the configuration, as strong as where they are named."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from src.config.checking import check_tree
from src.config.classes import Classes, parse_classes, read_classes
from src.config.datasets import CLASSES_FILES, NUM_CLASSES, check_takes_classes
from src.config.errors import UserError
from src.config.schema import SCHEMA

NAMING = ("name", "classes_file", "classes")
SOURCE = "dataset.classes"
LISTS = (("train", "train_list"), ("eval", "eval_list"))
WEIGHTS, IGNORE_LABEL = ("loss", "class_weights"), ("dataset", "ignore_label")


class Named(NamedTuple):
    """A data set as layers name it: its name, the file of its classes and the content of one; content is stronger than a file."""

    name: str
    path: str | None
    classes: dict[str, Any] | None


def with_dataset(layers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the layers with what the data set says: its number of classes and, where they come from a file, content and ignore label.

    Number and ignore label come just below the last layer that names the data set: what that layer itself gives is stronger. What a layer
    says for another data set than the one that is named at last falls away (`_without_foreign`). The content is settled here once, since
    merging the classes of two files would mix them.

    Args:
        layers: checked, the weakest first.

    Raises:
        UserError: if a file of classes is missing or malformed, or the data set has its own classes, or needs some.
    """
    name, given, classes = named = _named(layers)
    path = _classes_file(name, given, layers) if classes is None else given
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
    own = [_without_foreign(layers[: index + 1], named._replace(classes=classes)) for index in range(len(layers))]
    return [*own[:place], {"dataset": facts}, *own[place:], {"dataset": {"classes_file": path, "classes": classes}}]


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


def other_classes(config: Any) -> str:
    """Return a line that says that the data folder lists other classes than the configuration, which counts; "" where it does not.

    Weights bring their classes along, values of label files among them: on other data those may mean something else.

    Args:
        config: reads `data_path` and `dataset`.
    """
    section = config.dataset
    if section.classes is None or config.data_path is None:
        return ""
    folder = Path(config.data_path)
    used = parse_classes(OmegaConf.to_container(section.classes), section.classes_file or SOURCE)
    names = (*CLASSES_FILES[section.name], *([Path(section.classes_file).name] if section.classes_file else []))
    files = [folder / name for name in names if (folder / name).is_file()]
    if not files or any(_lists(file, used) for file in files):
        return ""
    source = f"{section.classes_file}, as the configuration keeps them" if section.classes_file else "the configuration"
    return (
        f"the classes, and what values of labels mean, are those of {source}; {files[0]} lists others, "
        f"which dataset.classes_file={files[0]} takes"
    )


def _lists(file: Path, classes: Classes) -> bool:
    try:
        return parse_classes(read_classes(file), str(file)) == classes
    except UserError:
        return False


def _named(layers: Sequence[dict[str, Any]]) -> Named:
    """Return name, file and content of the strongest layers that give them."""
    name, path, classes = SCHEMA["dataset"]["name"].default, None, None
    for layer in layers:
        section = layer.get("dataset", {})
        if section.get("name", name) != name:
            if name in CLASSES_FILES or section["name"] not in CLASSES_FILES:
                path = classes = None  # of another data set, named by a weaker layer
            name = section["name"]
        if "classes_file" in section or "classes" in section:
            path, classes = section.get("classes_file"), section.get("classes")
    return Named(name, path, classes)


def _classes_file(name: str, path: str | None, layers: Sequence[dict[str, Any]]) -> str | None:
    """Return the file of classes: as given, else of that name in the data folder; or where it was not given, the data set's own."""
    folder = next((layer["data_path"] for layer in reversed(layers) if "data_path" in layer), None)
    if folder is None or (path is not None and Path(path).is_file()):
        return path
    names = (path,) if path is not None else CLASSES_FILES.get(name, ())
    return next((str(Path(folder) / each) for each in names if (Path(folder) / each).is_file()), path)


def _without_foreign(layers: Sequence[dict[str, Any]], final: Named) -> dict[str, Any]:
    """Return the last layer without its file of classes, which is settled, and without what it says for another data set than the final.

    That is the weights of classes; where the layer itself names the other data set its lists, and where it gives other classes the ignore
    label that goes with them.
    """
    layer, named = layers[-1], _named(layers)
    section = layer.get("dataset", {})
    foreign = [("dataset", "classes_file"), ("dataset", "classes")]
    if not _is_same(named, final):
        foreign.append(WEIGHTS)
        foreign += [IGNORE_LABEL] if "classes_file" in section or "classes" in section else []
    if section.get("name", final.name) != final.name:
        foreign += LISTS
    return {
        name: {key: value for key, value in content.items() if (name, key) not in foreign} if isinstance(content, dict) else content
        for name, content in layer.items()
    }


def _is_same(named: Named, final: Named) -> bool:
    """Whether layers name the final data set; a file that is still to be found may be the final one's."""
    if named.name != final.name:
        return False
    if named.classes is not None:
        return final.classes is not None and parse_classes(named.classes, SOURCE) == parse_classes(final.classes, SOURCE)
    if named.path is not None:
        return named.path == final.path
    return final.classes is None or NUM_CLASSES[final.name] is None
