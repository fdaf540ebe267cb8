"""Small data sets on disk for the tests of this folder."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE_HW = (24, 32)


def write_png(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_camvid(root: Path, num: int = 6, size_hw: tuple[int, int] = SIZE_HW) -> Path:
    """Write a CamVid folder; all of picture k has the value 10 * k and its label holds all 12 values in columns."""
    label = np.resize(np.arange(12, dtype=np.uint8), size_hw)
    lines = []
    for k in range(num):
        write_png(root / "train" / f"p{k}.png", np.full((*size_hw, 3), 10 * k, np.uint8))
        write_png(root / "trainannot" / f"p{k}.png", label)
        lines.append(f"train/p{k}.png trainannot/p{k}.png")
    (root / "train.txt").write_text("\n".join(lines) + "\n")
    (root / "val.txt").write_text("\n".join(lines) + "\n")
    return root


def make_cityscapes(root: Path, value: int, kind: str = "labelIds", split: str = "train") -> Path:
    """Write one Cityscapes picture whose label holds one value."""
    write_png(root / f"leftImg8bit/{split}/aa/aa_000000_000019_leftImg8bit.png", np.zeros((*SIZE_HW, 3), np.uint8))
    write_png(root / f"gtFine/{split}/aa/aa_000000_000019_gtFine_{kind}.png", np.full(SIZE_HW, value, np.uint8))
    return root


def polygon_tree(*objects, size_hw=(6, 8)):
    """Return the content of a Cityscapes polygon file with these (label, polygon) pairs."""
    return {"imgHeight": size_hw[0], "imgWidth": size_hw[1], "objects": [dict(zip(("label", "polygon"), o, strict=True)) for o in objects]}


def write_json(path, tree):
    """Write a tree as JSON, or text as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
    return path
