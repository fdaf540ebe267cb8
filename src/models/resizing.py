"""Resizing of feature maps and logits by the rules of several frameworks."""

from mindspore import Tensor, nn, ops

from src.models.conventions import Conventions


def bilinear(align_corners: bool, half_pixel_centers: bool) -> ops.ResizeBilinearV2:
    """Return the bilinear resizing of (B, C, H, W) to a height and width; with align_corners the other rule has no meaning."""
    return ops.ResizeBilinearV2(align_corners, half_pixel_centers and not align_corners)


class Resize(nn.Cell):
    """Bilinear resizing to the height and width of a reference, which may change from call to call.

    Args:
        align_corners: corner pixels map onto each other.
        half_pixel_centers: without align_corners, pixel centres are scaled (torch's align_corners=False), not upper left corners.

    Inputs:
        x: (B, C, H, W) float.
        reference: any tensor whose last two dimensions are the height and width wanted.

    Outputs:
        (B, C, height, width), dtype of x.
    """

    def __init__(self, align_corners: bool, half_pixel_centers: bool = True) -> None:
        super().__init__()
        self.resize = bilinear(align_corners, half_pixel_centers)

    def construct(self, x: Tensor, reference: Tensor) -> Tensor:
        """Return x at the reference's height and width."""
        return self.resize(x, ops.shape(reference)[-2:])


class StepwiseResize(nn.Cell):
    """Bilinear resizing by a power of two and then to the size of a reference; differs from one step where sizes are not its multiples.

    Args:
        doublings: how often the reference's resolution halves to that of x.

    Inputs:
        x: (B, C, H, W) float.
        reference: any tensor whose last two dimensions are the height and width wanted.

    Outputs:
        (B, C, height, width), dtype of x.

    Source: mmseg/models/backbones/hrnet.py of mmsegmentation 1.2.2: align_corners is off in both steps, whatever its heads do.
    """

    def __init__(self, doublings: int) -> None:
        super().__init__()
        self.factor = 2**doublings
        self.resize = bilinear(align_corners=False, half_pixel_centers=True)

    def construct(self, x: Tensor, reference: Tensor) -> Tensor:
        """Return x at the reference's height and width."""
        height, width = ops.shape(x)[-2:]
        doubled = self.resize(x, (height * self.factor, width * self.factor))
        return self.resize(doubled, ops.shape(reference)[-2:])


class NearestResize(nn.Cell):
    """Nearest-neighbour resizing to the size of a reference: pixel i comes from floor(i * before / after).

    Inputs:
        x: (B, C, H, W) float.
        reference: any tensor whose last two dimensions are the height and width wanted.

    Outputs:
        (B, C, height, width), dtype of x.
    """

    def __init__(self) -> None:
        super().__init__()
        self.resize = ops.ResizeNearestNeighborV2(align_corners=False, half_pixel_centers=False)

    def construct(self, x: Tensor, reference: Tensor) -> Tensor:
        """Return x at the reference's height and width."""
        return self.resize(x, ops.shape(reference)[-2:])


def fuse_resize(conventions: Conventions, doublings: int) -> nn.Cell:
    """Return how a branch comes to a resolution that is 2**doublings times its own; a Cell from (x, reference)."""
    if conventions.fuse_resize == "stepwise":
        return StepwiseResize(doublings)
    if conventions.fuse_resize == "nearest":
        return NearestResize()
    return Resize(conventions.align_corners, conventions.half_pixel_centers)
