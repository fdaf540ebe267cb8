"""The losses over regions in float64, pixel by pixel or set by set as their sources define them."""

import numpy as np

FLOOR = 1e-5  # variance that RMI adds


def counted_rows(logits: np.ndarray, label: np.ndarray, ignore: int) -> tuple[np.ndarray, np.ndarray]:
    """Softmax probabilities (P, K) and labels (P,) of the counted pixels."""
    rows = logits.astype(np.float64).transpose(0, 2, 3, 1).reshape(-1, logits.shape[1])[label.ravel() != ignore]
    powers = np.exp(rows - rows.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True), label.ravel()[label.ravel() != ignore]


def focal(logits: np.ndarray, label: np.ndarray, ignore: int, weights: np.ndarray, gamma: float) -> float:
    probabilities, labels = counted_rows(logits, label, ignore)
    p = probabilities[np.arange(len(labels)), labels]
    return float((weights[labels] * -((1 - p) ** gamma) * np.log(p)).sum() / weights[labels].sum())


def dice(logits: np.ndarray, label: np.ndarray, ignore: int) -> float:
    probabilities, labels = counted_rows(logits, label, ignore)
    losses = []
    for c in np.unique(labels):
        p, g = probabilities[:, c], (labels == c).astype(float)
        losses.append(1 - 2 * (p * g).sum() / ((p**2).sum() + (g**2).sum()))
    return float(np.mean(losses))


def jaccard_loss(mispredicted: set[int], truth: set[int]) -> float:
    """1 - IoU of a class if these pixels are predicted wrongly: equation 6."""
    return len(mispredicted) / len(truth | mispredicted)


def lovasz(logits: np.ndarray, label: np.ndarray, ignore: int) -> float:
    """The Lovasz extension by its definition (8): the errors, falling, times what each adds to the set function."""
    probabilities, labels = counted_rows(logits, label, ignore)
    losses = []
    for c in np.unique(labels):
        errors = np.abs((labels == c) - probabilities[:, c])
        truth, before, loss = set(np.flatnonzero(labels == c)), set(), 0.0
        for pixel in np.argsort(-errors):
            loss += errors[pixel] * (jaccard_loss(before | {pixel}, truth) - jaccard_loss(before, truth))
            before.add(pixel)
        losses.append(loss)
    return float(np.mean(losses))


def squares(values: np.ndarray) -> np.ndarray:
    """All 3x3 squares (9, N) of a map that is averaged over 3x3 blocks, with one row and column of zeros before the first."""
    height, width = (values.shape[0] + 2) // 3, (values.shape[1] + 2) // 3
    padded = np.zeros((3 * height + 3, 3 * width + 3))
    padded[1 : values.shape[0] + 1, 1 : values.shape[1] + 1] = values
    pooled = np.array([[padded[3 * y : 3 * y + 3, 3 * x : 3 * x + 3].mean() for x in range(width)] for y in range(height)])
    return np.array([pooled[y : y + 3, x : x + 3].ravel() for y in range(height - 2) for x in range(width - 2)]).T


def rmi(logits: np.ndarray, label: np.ndarray, ignore: int) -> float:
    """Picture by picture and class by class, with numpy's covariance, inverse and determinant."""
    total = 0.0
    for picture, labels in zip(logits.astype(np.float64), label, strict=True):
        for c, scores in enumerate(picture):
            p, y = (squares(np.where(labels == ignore, 0, values)) for values in (1 / (1 + np.exp(-scores)), labels == c))
            covariance = np.cov(np.concatenate([p, y]), bias=True) if p.shape[1] > 1 else np.zeros((18, 18))
            of_p, of_y, cross = covariance[:9, :9], covariance[9:, 9:], covariance[9:, :9]
            rest = of_y - cross @ np.linalg.inv(of_p + FLOOR * np.eye(9)) @ cross.T + FLOOR * np.eye(9)
            total += 0.5 * (np.linalg.slogdet(rest)[1] - 9 * np.log(FLOOR)) / 9
    return total / len(logits)
