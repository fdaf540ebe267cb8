"""From pictures to labels: whole picture or sliding window, at one scale or many, with or without flip."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.config.errors import UserError
from src.config.networks import grid_side
from src.data.registry import dataset_info
from src.data.transforms import network_input
from src.inference.fusion import FUSIONS
from src.inference.sliding import SizeHW, sliding_logits
from src.models.resizing import bilinear

MAX_CLASSES = 256  # of a uint8 label


class MainLogits(nn.Cell):
    """The main head's logits at any size; compiled once for all picture and output sizes.

    Args:
        network: from image (B, 3, H, W) to a tuple of logits, the last of which is the main head's. Its parameters keep their names.
        align_corners: of the resizing, as inside the network.
        half_pixel_centers: likewise.

    Inputs:
        image: (B, 3, H, W) float32.
        size_hw: (2,) int64, height and width of the output.

    Outputs:
        (B, K, *size_hw) float32.
    """

    def __init__(self, network: nn.Cell, align_corners: bool, half_pixel_centers: bool) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.resize = bilinear(align_corners, half_pixel_centers)
        self.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32), Tensor(shape=[2], dtype=ms.int64))

    def construct(self, image: Tensor, size_hw: Tensor) -> Tensor:
        """Return the resized logits."""
        logits = self.network(image)[-1].astype(ms.float32)
        return self.resize(logits, size_hw)


class Predictor:
    """Predict labels with the protocol of an evaluation. Weights are read at each call: a network in training can be shared.

    Args:
        network: from image (B, 3, H, W) float32 to a tuple of logits at any stride, the last of which is the main head's.
        num_classes: K, at most 256.
        mean: of each channel in color_order, of values 0..1.
        std: likewise.
        align_corners: bilinear resizing of logits maps corner pixels onto each other.
        half_pixel_centers: without align_corners, it scales pixel centres; otherwise upper left corners.
        color_order: order of the channels that the network sees, "RGB" or "BGR"; pictures are given in RGB.
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
        network: nn.Cell,
        *,
        num_classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        align_corners: bool,
        half_pixel_centers: bool = True,
        color_order: str = "RGB",
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
        self._network = network
        self._logits = MainLogits(network, align_corners, half_pixel_centers)
        self._resize = bilinear(align_corners, half_pixel_centers)
        self._argmax = ops.Argmax(axis=1, output_type=ms.int32)
        self._mean, self._std, self._color_order = tuple(mean), tuple(std), color_order
        self._align_corners, self._half_pixel_centers = align_corners, half_pixel_centers
        self._image_size, self._flip, self._scales, self._fusion = image_size, flip, tuple(scales), fusion
        self._mirrored_classes = np.arange(num_classes) if mirrored_classes is None else mirrored_classes
        self._window, self._stride, self._batch_size, self._min_side = window, stride, batch_size, min_side

    @classmethod
    def from_config(cls, network: nn.Cell, config: Any) -> "Predictor":
        """Return the predictor of a configuration; reads `dataset`, `eval` and the resizing of `model`."""
        protocol = config.eval
        return cls(
            network,
            num_classes=config.dataset.num_classes,
            mean=tuple(config.dataset.mean),
            std=tuple(config.dataset.std),
            align_corners=config.model.align_corners,
            half_pixel_centers=config.model.half_pixel_centers,
            color_order=config.dataset.color_order,
            image_size=tuple(protocol.image_size) if protocol.image_size else None,
            flip=protocol.flip,
            mirrored_classes=dataset_info(config).mirrored_classes,
            scales=tuple(protocol.scale_list) if protocol.multi_scale else (1.0,),
            fusion=protocol.fusion,
            window=tuple(protocol.window) if protocol.slide else None,
            stride=tuple(protocol.stride) if protocol.slide else None,
            batch_size=protocol.batch_size,
            min_side=grid_side(config.model),
        )

    @property
    def network(self) -> nn.Cell:
        """The network, whose parts tell how it comes to its logits."""
        return self._network

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

    def predict(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Return the class of each pixel.

        Args:
            images: B pictures of one size, (H, W, 3) uint8 RGB each.

        Returns:
            (B, H, W) uint8.

        Raises:
            ValueError: if there is no picture, or they differ in size or are no uint8 RGB pictures.
            UserError: if they are too small for the network.
        """
        _check_images(images)
        with evaluating(self._network):
            if self._is_single_pass():
                # The classes are chosen on the device: of a 2048x1024 picture 2 MB come back, not 160.
                return self._to_labels(self._whole_logits(self._scaled(images, self._scales[0]), _size_hw(images)))
            return self._fused_scores(images).argmax(axis=1).astype(np.uint8)

    def scores(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Return the joined scores of each class, (B, K, H, W) float32; `predict` is their argmax.

        They are logits, or log(sum of exp(logits)) for several scales joined by "exp", or probabilities for "softmax".

        Args:
            images: as in `predict`.

        Raises:
            ValueError: as in `predict`.
            UserError: as in `predict`.
        """
        _check_images(images)
        with evaluating(self._network):
            return self._fused_scores(images)

    def network_images(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Return the pictures as the network sees them at scale 1, (B, 3, H', W') float32.

        Args:
            images: as in `predict`.

        Raises:
            ValueError: as in `predict`.
            UserError: as in `predict`.
        """
        _check_images(images)
        return self._scaled(images, 1.0)

    def _is_single_pass(self) -> bool:
        return len(self._scales) == 1 and not self._flip and self._window is None

    def _to_labels(self, logits: Tensor) -> np.ndarray:
        return self._argmax(logits).asnumpy().astype(np.uint8)

    def _fused_scores(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        size_hw = _size_hw(images)
        fusion = FUSIONS[self._fusion]()
        for scale in self._scales:
            image = self._scaled(images, scale)
            mirrored = self._mirrored_logits(image, size_hw) if self._flip else None
            fusion.add(self._sized_logits(image, size_hw), mirrored)
        return fusion.result()

    def _mirrored_logits(self, image: np.ndarray, size_hw: SizeHW) -> np.ndarray:
        """Return the logits of the mirrored pictures, mirrored back: what looks like a left arm there is a right one here."""
        logits = self._sized_logits(image[..., ::-1], size_hw)
        return np.ascontiguousarray(logits[:, self._mirrored_classes, :, ::-1])

    def _scaled(self, images: Sequence[np.ndarray] | np.ndarray, scale: float) -> np.ndarray:
        """Return the pictures at a scale, (B, 3, round(scale * H), round(scale * W)) float32, normalised."""
        base_hw = self._image_size or _size_hw(images)
        height, width = (max(1, round(side * scale)) for side in base_hw)
        if self._window is None and min(height, width) < self._min_side:
            raise UserError(
                f"a picture of {_size_hw(images)} (height, width) reaches the network as {(height, width)}, which needs {self._min_side} "
                "pixels each way (model.oc.grids); set a larger eval.image_size, or leave small scales out of eval.scale_list"
            )
        return np.stack([network_input(image, (height, width), self._mean, self._std, self._color_order) for image in images])

    def _sized_logits(self, image: np.ndarray, size_hw: SizeHW) -> np.ndarray:
        """Return the logits of normalised pictures at the output's size, a new (B, K, *size_hw) float32 array."""
        if self._window is None or self._stride is None:
            return self._whole_logits(image, size_hw).asnumpy().copy()
        window = self._window
        logits = sliding_logits(
            image, lambda windows: self._whole_logits(windows, window).asnumpy(), window, self._stride, self._batch_size
        )
        if logits.shape[2:] == size_hw:
            return logits
        return self._resize(Tensor(np.ascontiguousarray(logits)), size_hw).asnumpy().copy()

    def _whole_logits(self, image: np.ndarray, size_hw: SizeHW) -> Tensor:
        return self._logits(Tensor(np.ascontiguousarray(image)), Tensor(size_hw, ms.int64))


@contextmanager
def evaluating(network: nn.Cell) -> Iterator[None]:
    """Put a network into evaluation mode, and every part of it back into the mode that it had."""
    modes = [(cell, cell.training) for _, cell in network.cells_and_names()]
    network.set_train(False)
    try:
        yield
    finally:
        network.set_train(modes[0][1])
        for cell, mode in modes:
            cell.add_flags(training=mode)


def _listed(size_hw: SizeHW | None) -> list[int] | None:
    return list(size_hw) if size_hw else None


def _size_hw(images: Sequence[np.ndarray] | np.ndarray) -> SizeHW:
    height, width = images[0].shape[:2]
    return height, width


def _check_images(images: Sequence[np.ndarray] | np.ndarray) -> None:
    if len(images) == 0:
        raise ValueError("no picture to predict")
    for image in images:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"a picture has shape {image.shape} and dtype {image.dtype}; expected (H, W, 3) uint8 RGB")
        if image.shape != images[0].shape:
            raise ValueError(f"pictures of one batch differ in size: {images[0].shape[:2]} and {image.shape[:2]}; give them one by one")
