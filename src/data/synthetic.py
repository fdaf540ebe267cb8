"""Generate street scenes in the Cityscapes folder layout, to try and test everything without a download.

    python -m src.data.synthetic --data_path ROOT --num_train 200 --num_val 40 --size 256 512 --seed 1

writes leftImg8bit/ and gtFine/ with pictures, labelIds and polygons, train.lst and val.lst, and synthetic.json: what was asked for.
Running it again with the same request does nothing; with another request it replaces what it wrote before.
"""

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.data.cityscapes import LABELS
from src.data.street.canvas import develop, rasterize
from src.data.street.scene import paint_street

VERSION = 1  # raise it when pictures change, so that old ones are not reused
CITIES = {"train": ("aldermoor", "birkental", "corvanne"), "val": ("dunmere", "estholm")}
MANIFEST = "synthetic.json"
MIN_SIDE, MAX_SIDE = 32, 8192  # pixels
LABEL_ID = {label.name: label.id for label in LABELS}


@dataclass(frozen=True)
class Scene:
    """One picture to make; it depends on nothing but these values."""

    root: Path
    split: str
    index: int
    size_hw: tuple[int, int]
    seed: int

    def path(self, folder: str, suffix: str) -> Path:
        """Return e.g. ROOT/gtFine/val/dunmere/dunmere_000003_000019_gtFine_labelIds.png."""
        cities = CITIES[self.split]
        number, city = divmod(self.index, len(cities))
        return self.root / folder / self.split / cities[city] / f"{cities[city]}_{number:06d}_000019_{folder}{suffix}"

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """Return the paths of picture, polygons and label."""
        return self.path("leftImg8bit", ".png"), self.path("gtFine", "_polygons.json"), self.path("gtFine", "_labelIds.png")

    def is_complete(self) -> bool:
        """Return whether all files are there; each is complete or absent."""
        return all(path.is_file() for path in self.files)


def render_scene(split: str, index: int, size_hw: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return picture (HWC uint8 RGB), label (HW uint8, labelIds) and polygons (Cityscapes JSON form)."""
    rng = np.random.default_rng((seed, list(CITIES).index(split), index))
    canvas = paint_street(size_hw, rng)
    label = rasterize(canvas.objects, size_hw, LABEL_ID)
    picture = develop(canvas, label, LABEL_ID, rng)
    objects = [{"label": name, "polygon": polygon.tolist()} for name, polygon in canvas.objects]
    return picture, label, {"imgHeight": size_hw[0], "imgWidth": size_hw[1], "objects": objects}


def write_street_scenes(root: str | Path, num_train: int, num_val: int, size_hw: tuple[int, int] = (256, 512), seed: int = 1) -> None:
    """Write the scenes, or nothing where the same ones are there already.

    Args:
        root: folder to write into; made where it is absent.
        num_train: pictures in the train split.
        num_val: pictures in the val split, in other cities.
        size_hw: height and width, pixels.
        seed: the same seed gives the same bytes.

    Raises:
        UserError: if the numbers make no sense, `root` holds a data set that this function did not write, or it cannot be written.
    """
    root = Path(root)
    if num_train < 1 or num_val < 1 or seed < 0:
        raise UserError(f"num_train {num_train}, num_val {num_val} and seed {seed} must be at least 1, 1 and 0")
    if not (MIN_SIDE <= min(size_hw) and max(size_hw) <= MAX_SIDE):
        raise UserError(f"height {size_hw[0]} and width {size_hw[1]} must lie between {MIN_SIDE} and {MAX_SIDE} pixels")
    request = {"version": VERSION, "num_train": num_train, "num_val": num_val, "size_hw": list(size_hw), "seed": seed}
    scenes = list(_scenes(root, request))
    try:
        if _prepare(root, request):
            return
        _write_missing([scene for scene in scenes if not scene.is_complete()])
        for split in CITIES:
            rows = [f"{s.files[0].relative_to(root)}\t{s.files[2].relative_to(root)}\n" for s in scenes if s.split == split]
            _write(root / f"{split}.lst", "".join(rows).encode())
        _write(root / MANIFEST, json.dumps({**request, "complete": True}).encode())
    except OSError as error:
        raise UserError(f"{root}: cannot be written: {error.strerror}; choose another --data_path") from None


def _scenes(root: Path, request: dict[str, Any]) -> Iterator[Scene]:
    for split in CITIES:
        for index in range(request[f"num_{split}"]):
            yield Scene(root, split, index, tuple(request["size_hw"]), request["seed"])


def _prepare(root: Path, request: dict[str, Any]) -> bool:
    """Return whether all is there; otherwise note the request."""
    earlier = _read_manifest(root)
    if earlier is None and root.is_dir() and any(root.iterdir()):
        raise UserError(f"{root}: is not empty and was not generated here; choose an empty folder for synthetic scenes")
    if earlier == {**request, "complete": True} and all(scene.is_complete() for scene in _scenes(root, request)):
        return True
    if earlier is not None and {**earlier, "complete": None} != {**request, "complete": None}:
        there = ", ".join(f"{name} {value}" for name, value in earlier.items() if name != "complete")
        raise UserError(f"{root}: holds other scenes ({there}); choose another folder, or remove it first")
    root.mkdir(parents=True, exist_ok=True)
    _write(root / MANIFEST, json.dumps({**request, "complete": False}).encode())
    return False


def _read_manifest(root: Path) -> dict[str, Any] | None:
    path = root / MANIFEST
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        raise UserError(f"{path}: is damaged; remove {root} and generate it again") from None


def _write_missing(scenes: Sequence[Scene]) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        done = pool.map(_write_scene, scenes, chunksize=4)
        for _ in tqdm(done, total=len(scenes), desc="street scenes", unit="img", disable=not sys.stderr.isatty()):
            pass


def _write_scene(scene: Scene) -> None:
    cv2.setNumThreads(0)
    picture, label, polygons = render_scene(scene.split, scene.index, scene.size_hw, scene.seed)
    for path, data in zip(scene.files, (_png(picture), json.dumps(polygons).encode(), _png(label)), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, data)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m src.data.synthetic", description="Generate street scenes in Cityscapes folders.")
    parser.add_argument("--data_path", required=True, help="folder to write into")
    parser.add_argument("--num_train", type=int, default=200, help="training pictures (default 200)")
    parser.add_argument("--num_val", type=int, default=40, help="validation pictures, in other cities (default 40)")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 512), metavar=("H", "W"), help="pixels (default 256 512)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes (default 1)")
    args = parser.parse_args(argv)
    try:
        write_street_scenes(args.data_path, args.num_train, args.num_val, tuple(args.size), args.seed)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{args.num_train} + {args.num_val} street scenes in {args.data_path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
