"""Read polygon annotations: LabelMe's JSON and Cityscapes' (gtFine_polygons.json, gtCoarse_polygons.json)."""

import json
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from src.config.errors import UserError
from src.data.pictures import picture_size_hw

Point = tuple[float, float]  # x, y in pixels
MAX_SIDE = 65500  # pixels; Pillow and the formats end there
MAX_COORDINATE = 1e6  # pixels; shapes may lie outside the picture, but not where Pillow's numbers end
NUM_POINTS = {"polygon": 3, "rectangle": 2, "circle": 2}  # a polygon: at least


@dataclass(frozen=True)
class Shape:
    """One shape of an annotation.

    Attributes:
        label: the name that it was given.
        kind: "polygon", "rectangle" (two corners) or "circle" (its centre and a point of its edge).
        points: (x, y) in pixels; they may lie outside the picture.
    """

    label: str
    kind: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Annotation:
    """The shapes of a picture, in the order in which they cover each other.

    Attributes:
        form: "LabelMe" or "Cityscapes".
        size_hw: height and width of the picture, pixels.
        shapes: the last one lies on top.
    """

    form: str
    size_hw: tuple[int, int]
    shapes: tuple[Shape, ...]


def read_annotation(path: Path) -> Annotation:
    """Return the annotation in a JSON file.

    Raises:
        UserError: if it is of neither form, its size or a label is missing, or a shape has too few points or is no area.
    """
    try:
        tree = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON: {' '.join(str(error).split())}") from None
    if isinstance(tree, dict) and isinstance(tree.get("objects"), list):
        return _cityscapes(tree, path)
    if isinstance(tree, dict) and isinstance(tree.get("shapes"), list):
        return _labelme(tree, path)
    raise UserError(f"{path}: neither LabelMe's JSON (a list 'shapes') nor Cityscapes' (a list 'objects')")


def _cityscapes(tree: dict[str, Any], path: Path) -> Annotation:
    size = _size(tree, "imgHeight", "imgWidth", path)
    shapes = []
    for number, entry in enumerate(tree["objects"]):
        where = f"{path}: object {number}"
        if not isinstance(entry, dict):
            raise UserError(f"{where} must have 'label' and 'polygon'; got {str(entry)[:60]}")
        if not entry.get("deleted", 0):
            shapes.append(_shape(entry.get("label"), "polygon", entry.get("polygon"), where))
    return Annotation("Cityscapes", size, tuple(shapes))


def _labelme(tree: dict[str, Any], path: Path) -> Annotation:
    size = _size(tree, "imageHeight", "imageWidth", path)
    _check_picture(tree.get("imagePath"), size, path)
    shapes = []
    for number, entry in enumerate(tree["shapes"]):
        where = f"{path}: shape {number}"
        if not isinstance(entry, dict):
            raise UserError(f"{where} must have 'label' and 'points'; got {str(entry)[:60]}")
        kind = entry.get("shape_type") or "polygon"
        if kind == "mask":
            raise UserError(f"{where} ({entry.get('label')!r}) is a mask; LabelMe's AI masks are not supported: convert it to a polygon")
        if kind not in NUM_POINTS:
            raise UserError(f"{where} ({entry.get('label')!r}) is a {kind}; only {', '.join(NUM_POINTS)} cover an area: draw it as one")
        shapes.append(_shape(entry.get("label"), kind, entry.get("points"), where))
    return Annotation("LabelMe", size, tuple(shapes))


def _size(tree: dict[str, Any], height: str, width: str, path: Path) -> tuple[int, int]:
    sides = tree.get(height), tree.get(width)
    for name, side in zip((height, width), sides, strict=True):
        if type(side) is not int or not 0 < side <= MAX_SIDE:
            raise UserError(f"{path}: '{name}' must be the picture's size, 1..{MAX_SIDE} pixels; got {side!r}")
    return sides  # type: ignore[return-value]


def _check_picture(name: Any, size_hw: tuple[int, int], path: Path) -> None:
    """Refuse another size than the picture has, where it lies beside its annotation."""
    if not isinstance(name, str) or not name:
        return
    picture = path.parent / PureWindowsPath(name).as_posix()  # LabelMe on Windows writes backslashes
    if picture.is_file() and (found := picture_size_hw(picture)) != size_hw:
        raise UserError(
            f"{path}: says {size_hw[1]}x{size_hw[0]} pixels but {picture} is {found[1]}x{found[0]}; "
            "they must agree (a picture that is rotated by its EXIF data must be stored upright)"
        )


def _shape(label: Any, kind: str, points: Any, where: str) -> Shape:
    if label is None or label == "":
        raise UserError(f"{where} has no label")
    if not isinstance(label, str):
        raise UserError(f"{where}: its label must be text; got {label!r}")
    where = f"{where} ({label!r})"
    if not isinstance(points, list) or not all(_is_point(point) for point in points):
        raise UserError(f"{where}: its points must be a list of [x, y]; got {str(points)[:60]}")
    far = next((x for point in points for x in point if not abs(x) <= MAX_COORDINATE), None)
    if far is not None:
        raise UserError(f"{where}: the coordinate {far} is not finite, or no place near a picture; draw it again")
    expected = NUM_POINTS[kind]
    if len(points) < expected or (kind != "polygon" and len(points) > expected):
        at_least = "at least " if kind == "polygon" else ""
        raise UserError(f"{where}: a {kind} has {at_least}{expected} points; got {len(points)}; remove it or draw it again")
    return Shape(label, kind, tuple((x, y) for x, y in points))


def _is_point(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(type(x) in (int, float) for x in point)
