"""Write the golden picture and what must become of it: `python ascend310_infer/tests/golden/make_golden.py`.

Everything is computed in double precision by numpy, and the resizing of the picture by OpenCV, so that neither the C++ runner nor the
Python package is its own judge. Writes picture.png, colour.jpg and golden.json into this folder:

- input: what the model takes, as in a manifest; tensor: the normalised picture, (3, H, W) float32 in one list.
- logits_shape and logits: (K, h, w) at stride 4 of the input, in one list.
- masks: for each rule of resizing the labels at the picture's own size, a row of digits for each row of pixels.
"""

import json
from pathlib import Path

import cv2
import numpy as np

FOLDER = Path(__file__).parent
PICTURE_HW = (17, 23)
INPUT_HW = (16, 20)
NUM_CLASSES = 4
MEAN = (0.406, 0.456, 0.485)  # BGR
STD = (0.225, 0.224, 0.229)
JPEG_RGB = (200, 100, 50)
SMALLEST_MARGIN = 1e-4  # between the two largest logits of a pixel: float32 must not be able to decide otherwise


def main() -> None:
    """Write the three files."""
    rng = np.random.default_rng(310)
    picture = _picture(rng)
    cv2.imwrite(str(FOLDER / "picture.png"), picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    colour = np.empty((8, 16, 3), np.uint8)
    colour[:] = JPEG_RGB[::-1]
    cv2.imwrite(str(FOLDER / "colour.jpg"), colour)
    logits = _logits(rng)
    golden = {
        "format": 1,
        "picture": {"file": "picture.png", "height": PICTURE_HW[0], "width": PICTURE_HW[1]},
        "jpeg": {"file": "colour.jpg", "height": 8, "width": 16, "rgb": JPEG_RGB},
        "input": {"shape": [1, 3, *INPUT_HW], "dtype": "float32", "color_order": "BGR", "mean": MEAN, "std": STD},
        "tensor": [float(f"{value:.9g}") for value in _tensor(picture).ravel()],
        "logits_shape": list(logits.shape),
        "logits": logits.ravel().tolist(),
        "masks": [_mask(logits, align, half) for align, half in ((True, False), (False, True), (False, False))],
    }
    (FOLDER / "golden.json").write_text(json.dumps(golden, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")


def _picture(rng: np.random.Generator) -> np.ndarray:
    """Return (17, 23, 3) uint8 RGB: coarse blocks with a slope, so that every step of the preprocessing shows."""
    blocks = rng.integers(0, 216, (4, 5, 3))
    y, x = np.mgrid[: PICTURE_HW[0], : PICTURE_HW[1]]
    return (blocks[y // 5, x // 5] + (x + y)[..., None]).astype(np.uint8)


def _tensor(picture: np.ndarray) -> np.ndarray:
    """Return (3, 16, 20) float64 in BGR."""
    resized = cv2.resize(picture, INPUT_HW[::-1], interpolation=cv2.INTER_LINEAR)
    normalized = (resized[..., ::-1].astype(np.float64) / 255.0 - MEAN) / STD
    return normalized.transpose(2, 0, 1).astype(np.float32).astype(np.float64)


def _logits(rng: np.random.Generator) -> np.ndarray:
    """Return (4, 4, 5) float64 logits, all below zero, with few digits."""
    return np.round(rng.uniform(-9, -1, (NUM_CLASSES, INPUT_HW[0] // 4, INPUT_HW[1] // 4)), 2)


def _positions(before: int, after: int, align: bool, half: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return lower index, upper index and the weight of the upper one, of each of `after` pixels."""
    i = np.arange(after, dtype=np.float64)
    if align:
        at = i * (before - 1) / (after - 1)
    elif half:
        at = (i + 0.5) * before / after - 0.5
    else:
        at = i * before / after
    at = np.clip(at, 0, before - 1)
    lower = np.floor(at).astype(int)
    return lower, np.minimum(lower + 1, before - 1), at - lower


def _mask(logits: np.ndarray, align: bool, half: bool) -> dict[str, object]:
    top, bottom, down = _positions(logits.shape[1], PICTURE_HW[0], align, half)
    left, right, across = _positions(logits.shape[2], PICTURE_HW[1], align, half)
    rows = logits[:, top] * (1 - down)[:, None] + logits[:, bottom] * down[:, None]
    full = rows[..., left] * (1 - across) + rows[..., right] * across
    first, second = np.sort(full, axis=0)[:-3:-1]
    assert (first - second).min() > SMALLEST_MARGIN, "choose another seed: a pixel is undecided"
    labels = full.argmax(axis=0)
    return {"align_corners": align, "half_pixel_centers": half, "rows": ["".join(map(str, row)) for row in labels]}


if __name__ == "__main__":
    main()
