"""From pictures to labels by a network in memory, whose weights may change from call to call."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.config.networks import grid_side
from src.data.registry import dataset_info
from src.inference.protocol import Images, ProtocolPredictor, check_images
from src.inference.sliding import SizeHW
from src.models.resizing import bilinear


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


class Predictor(ProtocolPredictor):
    """Predict labels with the protocol of an evaluation. Weights are read at each call: a network in training can be shared.

    Args:
        network: from image (B, 3, H, W) float32 to a tuple of logits at any stride, the last of which is the main head's.
        align_corners: bilinear resizing of logits maps corner pixels onto each other.
        half_pixel_centers: without align_corners, it scales pixel centres; otherwise upper left corners.
        options: the other arguments of `ProtocolPredictor`.

    Raises:
        UserError: as in `ProtocolPredictor`.
        ValueError: likewise.
    """

    def __init__(self, network: nn.Cell, *, align_corners: bool, half_pixel_centers: bool = True, **options: Any) -> None:
        super().__init__(align_corners=align_corners, half_pixel_centers=half_pixel_centers, **options)
        self._network = network
        self._logits = MainLogits(network, align_corners, half_pixel_centers)

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

    def network_images(self, images: Images) -> np.ndarray:
        """Return the pictures as the network sees them at scale 1, (B, 3, H', W') float32.

        Args:
            images: as in `predict`.

        Raises:
            ValueError: as in `predict`.
            UserError: as in `predict`.
        """
        check_images(images)
        return self._network_input(images, 1.0)

    def _computing(self) -> AbstractContextManager[None]:
        return evaluating(self._network)

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
