"""Turn polygon annotations into label files.

    python -m src.data.polygons gtFine/val labels                           # Cityscapes: *_labelIds.png
    python -m src.data.polygons gtFine/val labels --labels trainIds         # *_labelTrainIds.png
    python -m src.data.polygons annotations masks --classes classes.yaml    # LabelMe or Cityscapes JSON, your own classes

IN is a JSON file or a folder of them. All label files are written, or none. docs/LABELS.md has the formats.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from tqdm import tqdm

from src.config.checking import nearest
from src.config.errors import UserError
from src.data.annotations import Annotation, Shape, read_annotation
from src.data.class_table import ClassTable, cityscapes_table, read_class_table
from src.data.label_files import describe_written, find_inputs, palette_picture, staging, target_of
from src.runtime.entry import OneLineParser, run

GROUP = "group"
POLYGONS = "_polygons"
ENDINGS = {"labelIds": "_labelIds", "trainIds": "_labelTrainIds", "color": "_color"}


def draw_labels(annotation: Annotation, table: ClassTable, source: str = "") -> np.ndarray:
    """Return the label of an annotation; later shapes cover earlier ones.

    Cityscapes' polygons are filled as cityscapesScripts' json2labelImg.py does, without an outline; LabelMe's shapes as LabelMe's own
    `shapes_to_label` does, with one.

    Args:
        annotation: the shapes.
        table: what their labels mean.
        source: the file of classes that the table is from, if it is, for messages.

    Returns:
        (H, W) uint8.

    Raises:
        UserError: if a label is no name of the table.
    """
    height, width = annotation.size_hw
    picture = Image.new("L", (width, height), table.background)
    draw = ImageDraw.Draw(picture)
    for shape in annotation.shapes:
        value = _value(shape.label, annotation.form, table, source)
        if value is None:
            continue
        if annotation.form == "Cityscapes":
            draw.polygon(shape.points, fill=value)
        else:
            _draw_labelme(draw, shape, value)
    return np.asarray(picture)


def _value(label: str, form: str, table: ClassTable, source: str) -> int | None:
    # "cargroup" is drawn as car, but "polegroup" has an id of its own. Source: json2labelImg.py.
    if label not in table.values and form == "Cityscapes":
        label = label.removesuffix(GROUP)
    if label not in table.values:
        hint = f"add it to the `labels` of a class, or of `ignored`, in {source}" if source else "--classes FILE.yaml says what labels mean"
        raise UserError(f"the label {label!r} is no class{nearest(label, list(table.values))}; {hint}")
    return table.values[label]


def _draw_labelme(draw: ImageDraw.ImageDraw, shape: Shape, value: int) -> None:
    # Source: LabelMe 5.5.0, labelme/utils/shape.py, shape_to_mask.
    if shape.kind == "polygon":
        draw.polygon(shape.points, fill=value, outline=value)
        return
    (x0, y0), (x1, y1) = shape.points
    if shape.kind == "rectangle":
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))  # drawn from any corner
        draw.rectangle(box, fill=value, outline=value)
    else:
        radius = math.hypot(x1 - x0, y1 - y0)
        draw.ellipse((x0 - radius, y0 - radius, x0 + radius, y0 + radius), fill=value, outline=value)


def convert(source: Path, out: Path, labels: str, classes: Path | None) -> tuple[int, int]:
    """Write the label of each annotation.

    Args:
        source: a JSON file, or a folder with them at any depth.
        out: a PNG file, or the folder to write into.
        labels: "labelIds", "trainIds" or "color"; with `classes` only "color" changes anything.
        classes: YAML file of one's own classes; None: Cityscapes' names.

    Returns:
        How many labels there are, and how many of them were there before.

    Raises:
        UserError: if an annotation cannot be used, or a file that is there differs; then nothing is written.
    """
    table = read_class_table(classes) if classes else cityscapes_table("trainIds" if labels == "trainIds" else "labelIds")
    ending = ENDINGS[labels] if classes is None or labels == "color" else ""
    paths = find_inputs(source, (".json",))
    targets = [target_of(path, source, out, _name(path, ending)) for path in paths]
    with staging(targets[0].parent if source.is_file() else out) as stage:
        for path, target in zip(tqdm(paths, desc="labels", unit="img", disable=not sys.stderr.isatty()), targets, strict=True):
            annotation = read_annotation(path)
            try:
                label = draw_labels(annotation, table, str(classes or ""))
            except UserError as error:
                raise UserError(f"{path}: {error}") from None
            stage.write(path, target, _picture(label, table, labels).save)
        return len(paths), stage.finish()


def _picture(label: np.ndarray, table: ClassTable, labels: str) -> Image.Image:
    if labels != "color":
        return palette_picture(label, table.palette)
    return Image.fromarray(table.palette[label]).convert("RGBA")  # as cityscapesScripts' colour pictures are


def _name(path: Path, ending: str) -> str:
    """Return Cityscapes' own name for X_polygons.json; LabelMe's X.json becomes X.png, or X_color.png."""
    stem = path.stem
    if stem.endswith(POLYGONS):
        return f"{stem.removesuffix(POLYGONS)}{ending}.png"
    return f"{stem}{ending if ending == ENDINGS['color'] else ''}.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, convert, report; return the exit status."""
    parser = OneLineParser(prog="python -m src.data.polygons", description="Turn LabelMe or Cityscapes polygon JSON into label PNGs.")
    parser.add_argument("source", metavar="IN", type=Path, help="a JSON file, or a folder with them at any depth")
    parser.add_argument("out", metavar="OUT", type=Path, help="a PNG file for one JSON file, else a folder; made where it is absent")
    parser.add_argument("--labels", choices=tuple(ENDINGS), help="what to write (default: labelIds, or the numbers of --classes)")
    parser.add_argument("--classes", metavar="FILE.yaml", type=Path, help="your own classes (default: those of Cityscapes)")
    arguments = parser.parse_args(argv)
    if arguments.classes and arguments.labels not in (None, "color"):
        parser.error(f"--labels {arguments.labels} means Cityscapes' numbers and --classes your own: give one of them")
    number, before = convert(arguments.source, arguments.out, arguments.labels or "labelIds", arguments.classes)
    print(describe_written(number, before, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
