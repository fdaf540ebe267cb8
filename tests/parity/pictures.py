"""The pictures that references and this project are asked about."""

from pathlib import Path

import cv2
import numpy as np

from src.data.pictures import read_image
from src.data.synthetic import render_scene

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
FRAME, CAMVID = DATA / "cityscapes_demo.png", DATA / "camvid" / "val" / "0016E5_07959.jpg"

NAMES = ("frame", "camvid", "odd_481x321", "odd_389x517")  # width x height; a frame is 2048x1024, a CamVid picture 480x360
SMALL = NAMES[1:]
WHOLE = {"frame": FRAME, "camvid": CAMVID}
CROPS = {
    "odd_481x321": (330, 700, 651, 1181),
    "odd_389x517": (400, 900, 917, 1289),
    "even_480x352": (300, 400, 652, 880),
    "odd_193x129": (430, 1100, 559, 1293),
    "even_176x112": (420, 1000, 532, 1176),
}


def write_pictures(folder: Path) -> dict[str, Path]:
    """Write every picture that can be had as PNG; return the paths by name.

    Frame and CamVid picture are left out where the data is absent; the crops are then of synthetic streets.
    """
    pictures = {name: read_image(path) for name, path in WHOLE.items() if path.is_file()}
    scene = pictures["frame"] if "frame" in pictures else _synthetic_frame()
    for name, (top, left, bottom, right) in CROPS.items():
        pictures[name] = scene[top:bottom, left:right]
    paths = {name: folder / f"{name}.png" for name in pictures}
    for name, picture in pictures.items():
        assert cv2.imwrite(str(paths[name]), np.ascontiguousarray(picture[..., ::-1]))
    return paths


def _synthetic_frame() -> np.ndarray:
    """Return 4 x 4 small scenes side by side, 1024x2048x3: a crop of one large scene holds little that a network could tell apart."""
    scenes = [render_scene("val", index, (256, 512), seed=1)[0] for index in range(16)]
    return np.vstack([np.hstack(scenes[row : row + 4]) for row in range(0, 16, 4)])
