"""The pictures of the report, as JPEG."""

import cv2
import numpy as np

from src.data.basedataset import DatasetInfo
from src.data.loader import EvalSample
from src.inference.palette import overlay

MAX_WIDTH = 640  # pixels
WRONG = (255, 0, 140)  # RGB, a pink that is far from every class's colour in Cityscapes
STRIPES = ((70, 78, 92), (112, 122, 138))  # RGB, of what is ignored
STRIPE_WIDTH = 5  # pixels
_JPEG_QUALITY = 82


def draw_pictures(sample: EvalSample, prediction: np.ndarray, ignored: np.ndarray, info: DatasetInfo) -> tuple[bytes, ...]:
    """Return the truth over the picture, the prediction over it, and the error map, each as a JPEG at most MAX_WIDTH wide.

    Args:
        sample: picture and label.
        prediction: (H, W) uint8 classes.
        ignored: (H, W) bool.
        info: names and colours of the classes.
    """
    height, width = prediction.shape
    size = (min(width, MAX_WIDTH), max(1, round(height * min(width, MAX_WIDTH) / width)))
    picture = cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA)
    truth, predicted = (cv2.resize(label, size, interpolation=cv2.INTER_NEAREST) for label in (sample.label, prediction))
    errors = ((prediction != sample.label) & ~ignored).astype(np.float32)
    # By area, not by nearest neighbour: a wrong line one pixel wide must not vanish.
    wrong = cv2.resize(errors, size, interpolation=cv2.INTER_AREA)
    left_out = cv2.resize(ignored.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(bool)
    pictures = (overlay(picture, truth, info.palette), overlay(picture, predicted, info.palette), error_map(picture, wrong, left_out))
    return tuple(encode_jpeg(drawn) for drawn in pictures)


def error_map(picture: np.ndarray, wrong: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Return the picture in grey, with what is wrong in pink and what is ignored under stripes.

    Args:
        picture: (H, W, 3) uint8 RGB.
        wrong: (H, W) float32, 0..1, part of each pixel that is wrong.
        ignored: (H, W) bool.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    # Brightened, so that the colour stands out from dark streets too.
    grey = 96 + 0.6 * cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].astype(np.float32)
    share = wrong[..., None]
    drawn = (1 - share) * grey + share * np.asarray(WRONG, np.float32)
    rows, columns = np.indices(ignored.shape, sparse=True)
    stripes = np.asarray(STRIPES, np.float32)[(rows + columns) // STRIPE_WIDTH % 2]
    return np.where(ignored[..., None], stripes, drawn).clip(0, 255).astype(np.uint8)


def encode_jpeg(picture: np.ndarray) -> bytes:
    """Return a picture, (H, W, 3) uint8 RGB, as a JPEG file."""
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done, "OpenCV writes JPEG"
    return encoded.tobytes()
