"""The graph that is exported: a network, with what stands in front of it and behind it."""

from collections.abc import Sequence

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from src.models.resizing import bilinear


class Normalize(nn.Cell):
    """(value / 255 - mean) / std in the graph, so that pictures are handed over as bytes.

    Args:
        mean: of each channel, of values 0..1.
        std: likewise.

    Inputs:
        image: (B, 3, H, W) uint8, channels in the order of mean and std.

    Outputs:
        (B, 3, H, W) float32, equal to `src.data.transforms.normalize` within float32 rounding.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        factor = 1 / (255 * np.asarray(std, np.float64))
        shift = -np.asarray(mean, np.float64) / np.asarray(std, np.float64)
        # Tensors, because MindSpore Lite's converter rejects scalar constants.
        self.factor, self.shift = (Tensor(values.astype(np.float32).reshape(1, 3, 1, 1)) for values in (factor, shift))

    def construct(self, image: Tensor) -> Tensor:
        """Return the normalised image."""
        return image.astype(ms.float32) * self.factor + self.shift


class Labels(nn.Cell):
    """Logits to the class of each pixel of the image.

    Args:
        align_corners: of the bilinear resizing of logits, as inside the network.
        half_pixel_centers: likewise.

    Inputs:
        logits: (B, K, h, w) float32.
        image: (B, 3, H, W), of which only the size counts.

    Outputs:
        (B, H, W) uint8; the first of equal logits wins.
    """

    def __init__(self, align_corners: bool, half_pixel_centers: bool) -> None:
        super().__init__()
        self.resize = bilinear(align_corners, half_pixel_centers)
        self.argmax = ops.Argmax(axis=1, output_type=ms.int32)

    def construct(self, logits: Tensor, image: Tensor) -> Tensor:
        """Return the labels."""
        labels = self.argmax(self.resize(logits, ops.shape(image)[-2:]))
        # By way of float32: MindSpore Lite 2.0.0 has no cast from int32 to uint8 on the CPU.
        return labels.astype(ms.float32).astype(ms.uint8)


class ModelGraph(nn.Cell):
    """What a model file computes: one input, one output.

    Args:
        network: from image (B, 3, H, W) float32 to a tuple of logits, the last of which is the main head's; parameters keep their names.
        prepare: from the graph's input to that image; None: the input is the image.
        finish: from the logits and the graph's input to the graph's output; None: the output is the logits.

    Inputs:
        image: (B, 3, H, W), float32 or what `prepare` takes.

    Outputs:
        (B, K, h, w) float32, or what `finish` gives.
    """

    def __init__(self, network: nn.Cell, prepare: nn.Cell | None = None, finish: nn.Cell | None = None) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.prepare = prepare or nn.Identity()
        self.finish = finish

    def construct(self, image: Tensor) -> Tensor:
        """Return the graph's output."""
        logits = self.network(self.prepare(image))[-1]
        return logits if self.finish is None else self.finish(logits, image)
