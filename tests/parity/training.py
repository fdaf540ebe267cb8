"""One network in torch, in float64, and here, in float32, with the same weights; and batches for both."""

import copy
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import torch
from mindspore import nn

from src.config.hrnet import HRNET_W18_SMALL_V1
from src.losses.segmentation import build_loss
from tests.parity.converted import convert, load
from tests.parity.references.official_loss import IGNORED, OfficialLoss, poly_rates
from tests.parity.references.official_torch import OfficialOCRNet
from tests.parity.references.random_torch import randomise
from tests.tiny import TINY_EXTRA

NUM_CLASSES = 5
EXTRAS = {"tiny": TINY_EXTRA, "w18_small": HRNET_W18_SMALL_V1}
WIDTHS = (24, 12)
SIZE_HW = (96, 128)
STEPS_BEFORE, MOMENTUM = 60, 0.9

# Batch norm in training subtracts the mean and with it any bias in front of it: its gradient is 0, and what remains is rounding.
WITHOUT_GRADIENT = ("aux_head.0.bias", "conv3x3_ocr.0.bias")


@dataclass(frozen=True)
class Batch:
    """Two pictures with labels, of which a part is ignored.

    Attributes:
        image: (2, 3, H, W) float32.
        label: (2, H, W) int32.
    """

    image: np.ndarray
    label: np.ndarray

    def of_torch(self, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.from_numpy(self.image).to(dtype), torch.from_numpy(self.label).long()

    def of_mindspore(self) -> tuple[ms.Tensor, ms.Tensor]:
        return ms.Tensor(self.image), ms.Tensor(self.label)


def batches(seed: int) -> Iterator[Batch]:
    """Yield batches without end: coarse patches, of one colour for each class under noise, and ignored borders."""
    rng = np.random.default_rng(seed)
    patch = np.ones((8, 8), np.int32)
    colors = np.random.default_rng(0).normal(size=(NUM_CLASSES, 3))
    while True:
        label = np.kron(rng.integers(0, NUM_CLASSES, (2, SIZE_HW[0] // 8, SIZE_HW[1] // 8), np.int32), patch)
        image = colors[label].transpose(0, 3, 1, 2) + rng.normal(0, 0.5, (2, 3, *SIZE_HW))
        label[:, :, :11] = IGNORED
        label[0, -17:] = IGNORED
        yield Batch(np.ascontiguousarray(image, np.float32), label)


def train_torch(model: OfficialOCRNet, data: Sequence[Batch], lr: float, decay: float) -> list[float]:
    """Train with momentum 0.9 and the poly schedule; return the loss before each update."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=MOMENTUM, weight_decay=decay)
    criterion, losses = OfficialLoss(), []
    for rate, batch in zip(poly_rates(lr, len(data)), data, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        image, label = batch.of_torch(model.cls_head.weight.dtype)
        loss = criterion(model(image), label)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@functools.cache
def _trained(name: str) -> OfficialOCRNet:
    model = OfficialOCRNet(EXTRAS[name], NUM_CLASSES, WIDTHS)
    randomise(model, torch.from_numpy(next(batches(0)).image), 7)
    train_torch(model.train(), list(islice(batches(1), STEPS_BEFORE)), lr=0.05, decay=0.0005)
    return model


def trained(name: str) -> OfficialOCRNet:
    """Return a torch network in float32, in training mode, without dropout, that has learned a little.

    Untrained, all regions are nearly alike, and the batch norms behind them enlarge rounding tenfold with every step: torch in float32
    does not follow torch in float64 either. Some training makes comparisons as well posed as they are in fine-tuning.
    """
    return copy.deepcopy(_trained(name))


def twins(model: OfficialOCRNet, folder: Path, *words: str) -> tuple[OfficialOCRNet, nn.Cell, nn.Cell, Any]:
    """Return a float32 torch network in float64, ours with its weights, our loss and configuration; both networks in training mode."""
    torch.save(model.state_dict(), folder / "weights.pth")
    network, config = load(convert(folder / "weights.pth", folder), "model.ocr.dropout=0.0", "loss.balance_weights=[0.4,1.0]", *words)
    return model.double(), network.set_train(), build_loss(config), config
