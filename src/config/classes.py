"""One's own classes: names, colours, the values that stand for them in label files, and what is ignored.

A file of them (YAML, or Mapillary's config.json) becomes `dataset.classes`, so that a run's configuration holds all that is needed to
repeat it: weights, model files and their manifests can be moved without the file.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from src.config.checking import nearest
from src.config.errors import UserError
from src.config.parsing import read_yaml

Color = tuple[int, int, int]
IGNORED = "ignored"
NUM_VALUES = 256  # of a uint8 label
KEYS = ("classes", IGNORED, "ignore_label", "background")
MEANING_KEYS = ("labels", "colors", "values")
CLASS_KEYS = ("name", "color", *MEANING_KEYS, "mirror")


@dataclass(frozen=True)
class ClassEntry:
    """A class, or what is ignored.

    Attributes:
        name: what it is called.
        color: RGB of the palette.
        labels: further names in annotations.
        colors: RGB colours in masks.
        values: values in label files, 0..255.
    """

    name: str
    color: Color
    labels: tuple[str, ...]
    colors: tuple[Color, ...]
    values: tuple[int, ...]


@dataclass(frozen=True)
class Classes:
    """The classes of a data set.

    Attributes:
        entries: in the order of their numbers.
        ignored: what is no class.
        ignore_label: number of ignored pixels.
        background: name of what no shape of an annotation covers: a class, or "ignored".
        flip_pairs: numbers of classes that change places when a picture is mirrored.
    """

    entries: tuple[ClassEntry, ...]
    ignored: ClassEntry
    ignore_label: int
    background: str
    flip_pairs: tuple[tuple[int, int], ...]

    @property
    def label_ids(self) -> dict[int, int | None]:
        """The number of each value that a label file may hold; None is ignored."""
        ids: dict[int, int | None] = dict.fromkeys(self.ignored.values)
        return {**ids, **{value: number for number, entry in enumerate(self.entries) for value in entry.values}}


def voc_color(number: int) -> Color:
    """Return a colour of its own for each of 256 numbers, black for 0. Source: the colour map of the PASCAL VOC devkit."""
    red, green, blue = (sum((number >> (3 * bit + channel) & 1) << (7 - bit) for bit in range(8)) for channel in range(3))
    return red, green, blue


def read_classes(path: Path) -> dict[str, Any]:
    """Return the content of a file of classes as `dataset.classes` holds it.

    Raises:
        UserError: if it is missing or malformed.
    """
    try:
        tree = _read_mapillary(path) if path.suffix == ".json" else read_yaml(path, str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; it lists the classes (docs/DATASETS.md)") from None
    parse_classes(tree, str(path))
    return tree


def parse_classes(tree: Any, source: str) -> Classes:
    """Return the classes that a file's content describes (docs/DATASETS.md, Your own classes).

    Args:
        tree: the content.
        source: where it comes from, for messages.

    Raises:
        UserError: if it is malformed, or a name or value stands for two things.
    """
    _known_keys(tree, KEYS, source)
    classes = tree.get("classes")
    if not isinstance(classes, list) or not 1 <= len(classes) <= NUM_VALUES - 1:
        raise UserError(
            f"{source}: 'classes' must be a list of 1 to {NUM_VALUES - 1} entries such as {{name: road, color: [128, 64, 128]}}"
        )
    ignore_label = tree.get("ignore_label", NUM_VALUES - 1)
    if type(ignore_label) is not int or not len(classes) <= ignore_label < NUM_VALUES:
        raise UserError(
            f"{source}: ignore_label must be a whole number from {len(classes)} (after the classes) to 255; got {ignore_label!r}"
        )
    entries = tuple(_class_entry(entry, number, source) for number, entry in enumerate(classes))
    ignored = _ignored_entry(tree.get(IGNORED) or {}, ignore_label, entries, source)
    names = _refuse_doubles((*entries, ignored), source)
    background = tree.get("background", IGNORED)
    if background not in names:
        raise UserError(f"{source}: background {background!r} is no class{nearest(str(background), names)}; or '{IGNORED}'")
    return Classes(entries, ignored, ignore_label, background, _flip_pairs(classes, source))


def _class_entry(entry: Any, number: int, source: str) -> ClassEntry:
    where = f"{source}: class {number}"
    if isinstance(entry, dict):
        _known_keys(entry, CLASS_KEYS, where)
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"]:
        raise UserError(f"{where} needs a name (text: quote 'no'), as in {{name: road, color: [128, 64, 128]}}; got {entry!r}")
    if entry.get("values") == []:
        raise UserError(f"{where}: 'values' of {entry['name']} is empty; leave it out where labels hold {number}")
    found = _entry(entry["name"], entry, voc_color(number + 1), [number], source)
    if IGNORED in (found.name, *found.labels):
        raise UserError(f"{where}: '{IGNORED}' is what is no class; name the class otherwise, or put what it means under '{IGNORED}:'")
    return found


def _ignored_entry(entry: Any, ignore_label: int, classes: Sequence[ClassEntry], source: str) -> ClassEntry:
    _known_keys(entry, MEANING_KEYS, f"{source}: '{IGNORED}'")
    ignored = _entry(IGNORED, entry, (0, 0, 0), [], source)
    # The label that label files are written with is read too, unless the file says that it is a class (masks of 0 and 255).
    own = [] if any(ignore_label in each.values for each in classes) else [ignore_label]
    return replace(ignored, values=tuple(dict.fromkeys((*own, *ignored.values))))


def _entry(name: str, entry: Mapping[str, Any], color: Color, values: list[int], source: str) -> ClassEntry:
    lists = {key: entry.get(key, values if key == "values" else []) for key in MEANING_KEYS}
    for key, content in lists.items():
        if not isinstance(content, list):
            raise UserError(f"{source}: '{key}' of {name} must be a list; got {content!r}")
    for label in lists["labels"]:
        if not isinstance(label, str):
            raise UserError(f"{source}: the name {label!r} must be text; quote it")
    for value in lists["values"]:
        if type(value) is not int or not 0 <= value < NUM_VALUES:
            raise UserError(f"{source}: a value of {name} must be a whole number 0..{NUM_VALUES - 1}; got {value!r}")
    own = [_color(entry["color"], name, source)] if "color" in entry else []
    colors = own + [_color(content, name, source) for content in lists["colors"]]
    return ClassEntry(name, own[0] if own else color, tuple(lists["labels"]), tuple(colors), tuple(lists["values"]))


def _color(color: Any, name: str, source: str) -> Color:
    if not isinstance(color, list) or len(color) != 3 or not all(type(part) is int and 0 <= part < 256 for part in color):
        raise UserError(f"{source}: a colour of {name} must be [red, green, blue], each 0..255; got {color!r}")
    red, green, blue = color
    return red, green, blue


def _refuse_doubles(entries: Sequence[ClassEntry], source: str) -> list[str]:
    """Refuse a name or value that comes twice; return the names that a background may have."""
    names: list[str] = []
    owners: dict[int, str] = {}
    for entry in entries:
        for name in (entry.name, *entry.labels):
            if name in names and name != IGNORED:
                raise UserError(f"{source}: the name {name!r} comes twice")
            names.append(name)
        for value in entry.values:
            if value in owners:
                raise UserError(
                    f"{source}: the value {value} means both {owners[value]} and {entry.name}; without 'values' a class has its number"
                )
            owners[value] = entry.name
    return names


def _flip_pairs(classes: Sequence[Mapping[str, Any]], source: str) -> tuple[tuple[int, int], ...]:
    numbers = {entry["name"]: number for number, entry in enumerate(classes)}
    partner: dict[int, int] = {}
    for number, entry in enumerate(classes):
        if "mirror" not in entry:
            continue
        other = numbers.get(entry["mirror"]) if isinstance(entry["mirror"], str) else None
        if other is None:
            raise UserError(
                f"{source}: mirror of {entry['name']}: {entry['mirror']!r} is no class{nearest(str(entry['mirror']), list(numbers))}"
            )
        if other == number or partner.get(number, other) != other or partner.get(other, number) != number:
            raise UserError(f"{source}: mirror of {entry['name']}: two classes mirror each other, and no third one")
        partner[number], partner[other] = other, number
    return tuple((a, b) for a, b in sorted(partner.items()) if a < b)


def _known_keys(entry: Any, known: Sequence[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise UserError(f"{where} must have the keys {', '.join(known)}; got {entry!r}")
    for key in entry:
        if key not in known:
            raise UserError(f"{where}: unknown key '{key}'{nearest(str(key), list(known))}; known: {', '.join(known)}")


def _read_mapillary(path: Path) -> dict[str, Any]:
    """Return the classes of Mapillary Vistas' config.json: the labels that are evaluated, by their place in the list, in its order."""
    try:
        labels = json.loads(path.read_text(encoding="utf-8"))["labels"]
        readable = [label["readable"] for label in labels]
        key = "readable" if len(set(readable)) == len(readable) else "name"
        entries = [
            {"name": label[key], "color": list(label["color"]), "values": [value]}
            for value, label in enumerate(labels)
            if label["evaluate"]
        ]
        ignored = [value for value, label in enumerate(labels) if not label["evaluate"]]
    except FileNotFoundError:
        raise
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = " ".join(f"{type(error).__name__} {error}".split())
        raise UserError(f"{path}: is no config.json of Mapillary Vistas (a list 'labels' with name, color, evaluate): {reason}") from None
    return {"classes": entries, IGNORED: {"values": ignored}}
