"""The official training loss and learning rate in torch, from their definitions."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

IGNORED = 255


@dataclass(frozen=True)
class OfficialLoss:
    """Cross entropy at the label's size: 0.4 of the auxiliary output's and the main output's, the latter of hard pixels alone if wanted.

    Attributes:
        class_weights: one per class, or None.
        ohem_keep: pixels of the batch that count at least; 0: all pixels count.
        ohem_threshold: a pixel is hard while its true class has a lower probability.
        align_corners: of the bilinear resizing to the label's size.
    """

    class_weights: Sequence[float] | None = None
    ohem_keep: int = 0
    ohem_threshold: float = 0.9
    align_corners: bool = True

    def __call__(self, outputs: tuple[Tensor, Tensor], label: Tensor) -> Tensor:
        """Return the loss of (aux, out), (B, K, h, w) each, and label (B, H, W) int64."""
        aux, out = (F.interpolate(x, label.shape[1:], mode="bilinear", align_corners=self.align_corners) for x in outputs)
        main = self._hard if self.ohem_keep else self._plain
        return 0.4 * self._plain(aux, label) + main(out, label)

    def _weights(self, logits: Tensor) -> Tensor | None:
        return None if self.class_weights is None else torch.tensor(self.class_weights, dtype=logits.dtype)

    def _plain(self, logits: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(logits, label, weight=self._weights(logits), ignore_index=IGNORED)

    def _hard(self, logits: Tensor, label: Tensor) -> Tensor:
        """The mean of the weighted losses of the pixels whose true class is less probable than a limit.

        The limit is the threshold, or the probability of pixel number `ohem_keep` in ascending order, from 0, if that is higher.
        """
        counted = label != IGNORED
        losses = F.cross_entropy(logits, label, weight=self._weights(logits), ignore_index=IGNORED, reduction="none")[counted]
        true_class = label.masked_fill(~counted, 0).unsqueeze(1)
        probabilities = logits.softmax(1).gather(1, true_class).squeeze(1)[counted].detach()
        ordered = probabilities.sort().values
        limit = max(ordered[min(self.ohem_keep, len(ordered) - 1)].item(), self.ohem_threshold)
        return losses[probabilities < limit].mean()


def poly_rates(lr: float, steps: int, power: float = 0.9) -> list[float]:
    """Return the learning rate of each update: lr * (1 - t / T) ^ power."""
    return [lr * (1 - step / steps) ** power for step in range(steps)]
