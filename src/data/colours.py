"""Turn colour-coded masks into label files of class numbers.

    python -m src.data.colours masks labels --palette camvid
    python -m src.data.colours masks labels --palette classes.yaml

IN is a mask or a folder of them (PNG, BMP, TIFF; RGB or palette pictures). Every colour must be one of the palette; all label files are
written, or none. docs/LABELS.md has the formats.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from src.config.checking import nearest
from src.config.errors import UserError
from src.data.class_table import ClassTable, Color, camvid_table, cityscapes_table, read_class_table
from src.data.label_files import describe_written, find_inputs, palette_picture, staging, target_of
from src.data.pictures import EQUAL_CHANNELS, UNREADABLE, check_end
from src.runtime.entry import OneLineParser, run

SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif", ".jpg", ".jpeg")  # JPEG: found, and refused with its reason
MODES = ("RGB", "RGBA", "P")
NUM_COLORS = 1 << 24
UNKNOWN = -1
SHOWN = 5


def palette_table(palette: str) -> ClassTable:
    """Return the table of "cityscapes" (trainIds), "camvid" or a YAML file.

    Raises:
        UserError: if it is none of them, or the file names no colour.
    """
    if palette == "cityscapes":
        return cityscapes_table("trainIds")
    if palette == "camvid":
        return camvid_table()
    if Path(palette).suffix not in (".yaml", ".yml"):
        raise UserError(f"--palette {palette}: expected cityscapes, camvid or a YAML file{nearest(palette, ['cityscapes', 'camvid'])}")
    table = read_class_table(Path(palette))
    if not table.colors:
        raise UserError(f"{palette}: names no colour; give each class its color: [red, green, blue]")
    return table


def value_by_code(table: ClassTable) -> np.ndarray:
    """Return (2**24,) int16: the value of each RGB colour, -1 where it has none; a colour's code is red * 65536 + green * 256 + blue."""
    values = np.full(NUM_COLORS, UNKNOWN, np.int16)
    for (red, green, blue), value in table.colors.items():
        values[red << 16 | green << 8 | blue] = value
    return values


def read_codes(path: Path) -> np.ndarray:
    """Return the colours of a mask as codes, (H, W) int32.

    Raises:
        UserError: if it is a JPEG, has no colours or is partly transparent, or cannot be read.
    """
    try:
        with Image.open(path) as mask:
            if mask.format == "JPEG":
                raise UserError(f"{path}: a JPEG mask, whose compression changes colours; expected PNG, BMP or TIFF")
            if mask.mode not in MODES:
                raise UserError(f"{path}: a mask of mode {mask.mode}; expected colours (RGB), this looks like class numbers or a depth map")
            if mask.mode == "RGBA" and np.asarray(mask.getchannel("A")).min() < 255:
                raise UserError(f"{path}: is partly transparent; expected full colours")
            check_end(path)
            pixels = np.asarray(mask.convert("RGB")).astype(np.int32)
    except UserError:
        raise
    except UNREADABLE as error:
        raise UserError(f"{path}: the mask cannot be read: {' '.join(str(error).split())}") from None
    return pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]


def convert(source: Path, out: Path, table: ClassTable) -> tuple[int, int]:
    """Write the label of each mask.

    Args:
        source: a mask, or a folder with them at any depth.
        out: a PNG file, or the folder to write into, which does not lie in `source`.
        table: what colours mean.

    Returns:
        How many labels there are, and how many of them were there before.

    Raises:
        UserError: if a mask cannot be used or holds colours of no class, or a file that is there differs; then nothing is written.
    """
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{out}: lies in {source}, where labels would be taken for masks; choose a folder elsewhere")
    paths = find_inputs(source, SUFFIXES)
    targets = [target_of(path, source, out, f"{path.stem}.png") for path in paths]
    values = value_by_code(table)
    unknown: Counter[int] = Counter()
    files: dict[int, Path] = {}  # an unknown colour -> the first file that holds it
    with staging(targets[0].parent if source.is_file() else out) as stage:
        for path, target in zip(tqdm(paths, desc="labels", unit="img", disable=not sys.stderr.isatty()), targets, strict=True):
            codes = read_codes(path)
            label = values[codes]
            strange, pixels = np.unique(codes[label == UNKNOWN], return_counts=True)
            for code, number in zip(strange.tolist(), pixels.tolist(), strict=True):
                unknown[code] += number
                files.setdefault(code, path)
            if not unknown:
                stage.write(path, target, palette_picture(label.astype(np.uint8), table.palette).save)
        if unknown:
            raise UserError(_describe(unknown, files, table))
        return len(paths), stage.finish()


def _describe(unknown: Counter[int], files: dict[int, Path], table: ClassTable) -> str:
    """Return what is wrong, the commonest colours first."""
    parts = []
    for code, pixels in unknown.most_common(SHOWN):
        color = (code >> 16, code >> 8 & 255, code & 255)
        closest = _nearest_color(color, table)
        parts.append(f"{_text(color)} {pixels} pixels, first in {files[code]}, nearest {_text(closest)} {table.color_names[closest]}")
    more = f" | and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
    blurred = "; many colours: were the masks resized smoothly, or saved as JPEG once?" if len(unknown) > 50 else ""
    is_grey = all(code % 0x010101 == 0 for code in unknown)  # red = green = blue
    grey = f"; all of them are grey: if these are class numbers, {EQUAL_CHANNELS}" if is_grey else ""
    return f"colours of no class ({len(unknown)}): {' | '.join(parts)}{more}; nothing was written{blurred}{grey}"


def _nearest_color(color: Color, table: ClassTable) -> Color:
    return min(table.colors, key=lambda known: sum((a - b) ** 2 for a, b in zip(color, known, strict=True)))


def _text(color: Color) -> str:
    return f"({color[0]},{color[1]},{color[2]})"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, convert, report; return the exit status."""
    parser = OneLineParser(prog="python -m src.data.colours", description="Turn colour-coded masks into label PNGs of class numbers.")
    parser.add_argument("source", metavar="IN", type=Path, help="a mask, or a folder with them at any depth")
    parser.add_argument("out", metavar="OUT", type=Path, help="a PNG file for one mask, else a folder outside IN; made where it is absent")
    parser.add_argument("--palette", required=True, metavar="cityscapes|camvid|FILE.yaml", help="what the colours mean")
    arguments = parser.parse_args(argv)
    number, before = convert(arguments.source, arguments.out, palette_table(arguments.palette))
    print(describe_written(number, before, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
