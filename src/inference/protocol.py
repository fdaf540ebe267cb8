"""The protocol of a prediction: whole picture or sliding window, at one scale or many, with or without flip."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import cv2
import mindspore as ms
import numpy as np
from mindspore import Tensor, ops

from src.config.errors import UserError
from src.data.pictures import Box
from src.data.transforms import network_input
from src.inference.fusion import FUSIONS
from src.inference.sliding import Band, SizeHW, WindowGrid, WindowReader, sliding_bands, sliding_logits
from src.models.resizing import bilinear

MAX_CLASSES = 256  # of a uint8 label
Images = Sequence[np.ndarray] | np.ndarray


class ProtocolPredictor(ABC):
    """Predict labels with the protocol of an evaluation, by whatever gives logits.

    Args:
        num_classes: K, at most 256.
        mean: of each channel in color_order, of values 0..1.
        std: likewise.
        align_corners: bilinear resizing of logits maps corner pixels onto each other.
        half_pixel_centers: without align_corners, it scales pixel centres; otherwise upper left corners.
        color_order: order of the channels that the network sees, "RGB" or "BGR"; pictures are given in RGB.
        input_dtype: "float32": the network sees normalised values; "uint8": values 0..255.
        image_size: height and width that the network sees at scale 1, pixels; None: the picture's own.
        flip: average with the mirrored picture.
        mirrored_classes: (K,), what each class is in a mirrored picture, for classes such as left and right arms; None: itself.
        scales: factors on the height and width.
        fusion: "exp", "logits" or "softmax", see `src.inference.fusion`.
        window: height and width of a sliding window, pixels; None: the whole picture.
        stride: its step down and across, pixels; needed with `window`.
        batch_size: windows given to the network at once; whole pictures are taken as `predict` gets them.
        min_side: smallest height and width that the network takes, pixels.

    Raises:
        UserError: if windows would leave gaps, there is no scale, or the fusion is unknown.
        ValueError: if K does not fit a uint8 label.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        align_corners: bool,
        half_pixel_centers: bool = True,
        color_order: str = "RGB",
        input_dtype: str = "float32",
        image_size: SizeHW | None = None,
        flip: bool = False,
        mirrored_classes: np.ndarray | None = None,
        scales: Sequence[float] = (1.0,),
        fusion: str = "exp",
        window: SizeHW | None = None,
        stride: SizeHW | None = None,
        batch_size: int = 1,
        min_side: int = 1,
    ) -> None:
        if not 1 <= num_classes <= MAX_CLASSES:
            raise ValueError(f"num_classes is {num_classes}; uint8 labels hold 1..{MAX_CLASSES}")
        if fusion not in FUSIONS:
            raise UserError(f"eval.fusion is {fusion!r}; choose one of {', '.join(FUSIONS)}")
        if not scales or min(scales) <= 0:
            raise UserError(f"eval.scale_list is {list(scales)}; it needs at least one scale, all above 0")
        if window and (stride is None or any(not 0 < step <= side for step, side in zip(stride, window, strict=True))):
            raise UserError(f"eval.stride is {stride} for windows of {window}; each step must be 1..the window's side")
        self.num_classes = num_classes
        self._resize = bilinear(align_corners, half_pixel_centers)
        self._argmax = ops.Argmax(axis=1, output_type=ms.int32)
        self._mean, self._std, self._color_order, self._input_dtype = tuple(mean), tuple(std), color_order, input_dtype
        self._align_corners, self._half_pixel_centers = align_corners, half_pixel_centers
        self._image_size, self._flip, self._scales, self._fusion = image_size, flip, tuple(scales), fusion
        self._mirrored_classes = np.arange(num_classes) if mirrored_classes is None else mirrored_classes
        self._window, self._stride, self._batch_size, self._min_side = window, stride, batch_size, min_side

    @abstractmethod
    def _computing(self) -> AbstractContextManager[None]:
        """Return a block in which `_whole_logits` is called."""

    @abstractmethod
    def _whole_logits(self, image: np.ndarray, size_hw: SizeHW) -> Tensor:
        """Return the logits of pictures as the network takes them, (B, 3, h, w), at another size: (B, K, *size_hw) float32."""

    @property
    def protocol(self) -> dict[str, Any]:
        """What decides the numbers, for reports; JSON types."""
        return {
            "image_size": _listed(self._image_size),
            "align_corners": self._align_corners,
            "half_pixel_centers": self._half_pixel_centers,
            "flip": self._flip,
            "scales": list(self._scales),
            "fusion": self._fusion,
            "window": _listed(self._window),
            "stride": _listed(self._stride),
        }

    def predict(self, images: Images) -> np.ndarray:
        """Return the class of each pixel.

        Args:
            images: B pictures of one size, (H, W, 3) uint8 RGB each.

        Returns:
            (B, H, W) uint8.

        Raises:
            ValueError: if there is no picture, or they differ in size or are no uint8 RGB pictures.
            UserError: if they are too small for the network.
        """
        check_images(images)
        size_hw = _size_hw(images)
        with self._computing():
            if self._window is None and len(self._scales) == 1 and not self._flip:
                # The classes are chosen on the device: of a 2048x1024 picture 2 MB come back, not 160.
                logits = self._whole_logits(self._network_input(images, self._scales[0]), size_hw)
                return self._argmax(logits).asnumpy().astype(np.uint8)
            if self._window and len(self._scales) == 1 and self._scaled_hw(size_hw, self._scales[0]) == size_hw:
                return self._labels_of_bands(images)
            return self._fused_scores(images).argmax(axis=1).astype(np.uint8)

    def scores(self, images: Images) -> np.ndarray:
        """Return the joined scores of each class, (B, K, H, W) float32; `predict` is their argmax.

        They are logits, or log(sum of exp(logits)) for several scales joined by "exp", or probabilities for "softmax".

        Args:
            images: as in `predict`.

        Raises:
            ValueError: as in `predict`.
            UserError: as in `predict`.
        """
        check_images(images)
        with self._computing():
            return self._fused_scores(images)

    def labels_and_probabilities(self, images: Images) -> tuple[np.ndarray, np.ndarray]:
        """Return the class of each pixel, (B, H, W) uint8, and the probability of each class, (B, K, H, W) float32.

        Raises:
            ValueError: as in `predict`.
            UserError: as in `predict`.
        """
        scores = self.scores(images)
        return scores.argmax(axis=1).astype(np.uint8), FUSIONS[self._fusion].probabilities(scores)

    def _fused_scores(self, images: Images) -> np.ndarray:
        fusion = FUSIONS[self._fusion]()
        for scale in self._scales:
            mirrored = self._mirrored_back(self._logits_at(images, scale, is_mirrored=True)) if self._flip else None
            fusion.add(self._logits_at(images, scale), mirrored)
        return fusion.result()

    def _mirrored_back(self, logits: np.ndarray) -> np.ndarray:
        """Return the logits of mirrored pictures, mirrored: what looks like a left arm there is a right one here."""
        return np.ascontiguousarray(logits[:, self._mirrored_classes, :, ::-1])

    def _logits_at(self, images: Images, scale: float, is_mirrored: bool = False) -> np.ndarray:
        """Return the logits of pictures, or of their mirror images, at a scale: a new (B, K, H, W) float32 array."""
        size_hw = _size_hw(images)
        if self._window is None:
            image = self._network_input(images, scale)
            return self._whole_logits(image[..., ::-1] if is_mirrored else image, size_hw).asnumpy().copy()
        reader, grid = self._windows(images, scale, is_mirrored)
        logits = sliding_logits(reader, len(images), grid, self._window_logits, self._batch_size)
        if grid.size_hw == size_hw:
            return logits
        return self._resize(Tensor(logits), size_hw).asnumpy().copy()

    def _labels_of_bands(self, images: Images) -> np.ndarray:
        """Return labels without holding all logits of a picture: those of an aerial picture of 8000x8000 and 19 classes are 4.9 GB."""
        labels = np.empty((len(images), *_size_hw(images)), np.uint8)
        mirrored = self._bands(images, is_mirrored=True) if self._flip else None
        for band in self._bands(images):
            back = self._mirrored_back(next(mirrored).logits[None]) if mirrored else None
            fusion = FUSIONS[self._fusion]()
            fusion.add(band.logits[None], back)
            scores = fusion.result()[0]
            for row in range(scores.shape[1]):  # NumPy would copy all scores, transposed
                labels[band.picture, band.top + row] = scores[:, row].argmax(axis=0)
        return labels

    def _bands(self, images: Images, is_mirrored: bool = False) -> Iterator[Band]:
        reader, grid = self._windows(images, self._scales[0], is_mirrored)
        return sliding_bands(reader, len(images), grid, self._window_logits, self._batch_size)

    def _windows(self, images: Images, scale: float, is_mirrored: bool) -> tuple[WindowReader, WindowGrid]:
        """Return what reads windows of pictures at a scale, normalised one by one, and where they lie."""
        assert self._window and self._stride
        size_hw = self._scaled_hw(_size_hw(images), scale)
        is_scaled = size_hw != _size_hw(images)
        scaled = [cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_LINEAR) for image in images] if is_scaled else images
        pictures = [picture[:, ::-1] for picture in scaled] if is_mirrored else scaled

        def read(number: int, box: Box) -> np.ndarray:
            top, left, bottom, right = box
            return self._prepare(np.ascontiguousarray(pictures[number][top:bottom, left:right]), (bottom - top, right - left))

        fill = 0.0 if self._input_dtype == "float32" else np.rint(255 * np.reshape(self._mean, (3, 1, 1)))
        return read, WindowGrid(size_hw, self._window, self._stride, fill)

    def _window_logits(self, windows: np.ndarray) -> np.ndarray:
        assert self._window
        return self._whole_logits(windows, self._window).asnumpy()

    def _network_input(self, images: Images, scale: float) -> np.ndarray:
        """Return pictures at a scale as the network takes them, (B, 3, round(scale * H), round(scale * W))."""
        size_hw = self._scaled_hw(_size_hw(images), scale)
        return np.stack([self._prepare(image, size_hw) for image in images])

    def _prepare(self, image: np.ndarray, size_hw: SizeHW) -> np.ndarray:
        return network_input(image, size_hw, self._mean, self._std, self._color_order, self._input_dtype)

    def _scaled_hw(self, size_hw: SizeHW, scale: float) -> SizeHW:
        """Return the height and width at which the network sees pictures of a size, in whole or in windows."""
        height, width = (max(1, round(side * scale)) for side in self._image_size or size_hw)
        if self._window is None and min(height, width) < self._min_side:
            raise UserError(
                f"a picture of {size_hw} (height, width) reaches the network as {(height, width)}, which needs {self._min_side} "
                "pixels each way (model.oc.grids); set a larger eval.image_size, or leave small scales out of eval.scale_list"
            )
        return height, width


def _listed(size_hw: SizeHW | None) -> list[int] | None:
    return list(size_hw) if size_hw else None


def _size_hw(images: Images) -> SizeHW:
    height, width = images[0].shape[:2]
    return height, width


def check_images(images: Images) -> None:
    """Raise a ValueError unless these are pictures, (H, W, 3) uint8 RGB, of one size."""
    if len(images) == 0:
        raise ValueError("no picture to predict")
    for image in images:
        _check_image(image)
        if image.shape != images[0].shape:
            raise ValueError(f"pictures of one batch differ in size: {images[0].shape[:2]} and {image.shape[:2]}; give them one by one")


def _check_image(image: Any) -> None:
    if not isinstance(image, np.ndarray):
        what = f"{type(image).__name__} {str(image)[:200]!r}"
        if image is None:
            what = "None (as cv2.imread gives for a file that it cannot read)"
        raise ValueError(f"a picture is {what}; expected its pixels, an array (H, W, 3) uint8 RGB")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"a picture has shape {image.shape} and dtype {image.dtype}; expected (H, W, 3) uint8 RGB, H and W 1 or more")
