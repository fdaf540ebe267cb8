"""Two training steps of the tiny network with the sum of all losses, which falls."""

import mindspore as ms
import numpy as np
import pytest

from src.engine.assembly import build_train_step
from src.models.builder import build_network
from tests.tiny import tiny_config

pytestmark = pytest.mark.usefixtures("pynative")


def batch(ignore: int) -> tuple[ms.Tensor, ms.Tensor]:
    """Noisy pictures whose brightness is the class."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, (2, 4, 6)).repeat(8, 1).repeat(8, 2).astype(np.int32)
    image = (label[:, None] + rng.normal(0, 0.1, (2, 3, 32, 48))).astype(np.float32)
    label[:, 0] = ignore
    return ms.Tensor(image), ms.Tensor(label)


def test_two_steps_with_every_term():
    ms.set_seed(1)
    words = [
        "loss.terms=[cross_entropy,focal,dice,lovasz,rmi]",
        "loss.term_weights=[1,1,1,1,0.5]",
        "loss.use_ohem=True",
        "loss.ohem_keep=9",
    ]
    config = tiny_config(None, "model.ocr.dropout=0", *words)
    step = build_train_step(config, build_network(config), np.full(2, 0.1, np.float32), None, world=1)
    step.set_train()
    first, second = (float(step(*batch(config.dataset.ignore_label)).asnumpy()) for _ in range(2))
    assert second < first
    assert int(step.skipped_updates.asnumpy()) == 0
