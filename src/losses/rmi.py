"""Region mutual information: how well the prediction around a pixel tells the labels around it."""

import mindspore as ms
from mindspore import Tensor, nn, ops

from src.losses.probabilities import ClassMaps

POOLING = 3  # pixels pooled into one, each way
RADIUS = 3  # side of the squares of pooled pixels whose distribution is looked at
PLACES = tuple((y, x) for y in range(RADIUS) for x in range(RADIUS))  # in a square
BORDER = ops.Pad(((0, 0), (0, 0), (POOLING // 2, POOLING // 2), (POOLING // 2, POOLING // 2)))
FLOOR = 1e-5  # variance added to all; float32 covariances of values 0..1 are exact to some 1e-7, and differences of them are taken
MIN_SIZE = POOLING * RADIUS - 2 * (POOLING // 2)  # pixels; a smaller picture holds no whole square


class RegionMutualInformation(nn.Cell):
    """What is left unknown of the labels in a square when the prediction there is known, if both were normally distributed.

    Per picture and class: 0.5 / 9 log det(M / a), M = S_yy - S_yp S_pp^-1 S_py of 9 labels y and 9 probabilities p (sigmoid) in 3x3
    squares of maps that are pooled (mean of 3x3, with a border of zeros); a = FLOOR is added to the variances. It is 0 for classes without
    labels, and at most log(2) / 2 where the prediction explains all. Mean over pictures, sum over classes.

    A prediction and its opposite explain the labels equally well, so it belongs beside a loss of single pixels: the source takes half of
    each. Classes count once each, however few pixels they have: class weights are for losses of single pixels. Pixels that do not count
    are 0 in labels and probabilities, as in the source, and have no gradient.

    Args:
        num_classes: K.
        ignore_label: label value of pixels that do not count.

    Inputs:
        logits: (B, K, H, W) float, H and W at least MIN_SIZE.
        label: (B, H, W) int32, 0..K-1 or ignore_label.

    Outputs:
        scalar float32, 0 or larger.

    Raises:
        ValueError: if the picture holds no whole square.

    Source: Zhao et al., NeurIPS 2019 (arXiv 1910.12037), and its authors' losses/rmi/rmi.py, whose value is this plus the constant
    K / 2 log(a N), N squares, if their 5e-4 is a N: they add it to sums over the squares, in
    float64; float32 does not resolve that.
    """

    def __init__(self, num_classes: int, ignore_label: int) -> None:
        super().__init__()
        self.class_maps = ClassMaps(num_classes, ignore_label)

    def construct(self, logits: Tensor, label: Tensor) -> Tensor:
        """Return the mean over pictures of the sum over classes."""
        if label.shape[1] < MIN_SIZE or label.shape[2] < MIN_SIZE:
            raise ValueError(f"the RMI loss needs pictures of {MIN_SIZE} pixels or more each way")
        truth, counted = self.class_maps(label)
        probabilities = ops.sigmoid(logits.astype(ms.float32)) * counted
        points = ops.concat((_squares(_pool(probabilities)), _squares(_pool(truth))), 2)  # (B, K, 18, N)
        points = points - points.mean(3, keep_dims=True)
        covariance = ops.matmul(points, points.transpose(0, 1, 3, 2)) / points.shape[3]
        return _log_det_of_rest(covariance).mean(0).sum() * (0.5 / RADIUS**2)


def _pool(maps: Tensor) -> Tensor:
    """Return (B, K, H, W) averaged over 3x3 blocks, the first of which begin one pixel outside; what fills no block is left out."""
    # Not ops.pad: in MindSpore 2.8 a graph's gradients of it are right in its first run on the CPU alone.
    maps = BORDER(maps)
    batch, classes, height, width = maps.shape
    rows, columns = height // POOLING, width // POOLING
    blocks = maps[:, :, : rows * POOLING, : columns * POOLING].reshape(batch, classes, rows, POOLING, columns, POOLING)
    return blocks.mean((3, 5))


def _squares(maps: Tensor) -> Tensor:
    """Return the 9 values of every 3x3 square of (B, K, h, w) as (B, K, 9, N)."""
    batch, classes, height, width = maps.shape
    height, width = height - RADIUS + 1, width - RADIUS + 1
    shifted = [maps[:, :, y : y + height, x : x + width] for y, x in PLACES]
    return ops.stack(shifted, 2).reshape(batch, classes, RADIUS**2, height * width)


def _log_det_of_rest(matrix: Tensor) -> Tensor:
    """Return log det(M / FLOOR), M what is left of the last half of (B, K, 2n, 2n) covariances when the first half is known, as (B, K).

    Elimination leaves M in the last rows, and its pivots multiply to the determinant. Written out because MindSpore 2.8 has Cholesky and
    inverse not on Ascend. No pivot of a matrix whose variances are FLOOR larger is below FLOOR, but for rounding.
    """
    size = matrix.shape[-1]
    matrix = matrix + FLOOR * ops.eye(size, size, ms.float32)
    pivots = []
    for _ in range(size):
        pivot = ops.maximum(matrix[:, :, :1, :1], FLOOR)
        pivots.append(pivot)
        row = matrix[:, :, :1, 1:]
        matrix = matrix[:, :, 1:, 1:] - row.transpose(0, 1, 3, 2) * row / pivot
    return ops.log(ops.concat(pivots[size // 2 :], 2) / FLOOR).sum((2, 3))
