"""Two training steps of the tiny network with each loss: all of it gets gradients, and the loss falls."""

import mindspore as ms
import numpy as np
import pytest

from src.engine.assembly import build_train_step
from src.models.builder import build_network
from tests.tiny import tiny_config

pytestmark = pytest.mark.usefixtures("pynative")


@pytest.mark.parametrize(
    "words",
    [
        ["loss.terms=[focal]"],
        ["loss.terms=[dice]"],
        ["loss.terms=[lovasz]"],
        ["loss.terms=[cross_entropy,rmi]", "loss.term_weights=[0.5,0.5]"],
        ["loss.terms=[cross_entropy,lovasz]", "loss.term_weights=[1,0.5]", "loss.use_ohem=True", "loss.ohem_keep=100"],
    ],
    ids=lambda words: words[0],
)
def test_two_steps(words):
    ms.set_seed(1)
    config = tiny_config(None, "model.ocr.dropout=0", *words)
    network = build_network(config)
    step = build_train_step(config, network, np.full(2, 0.01, np.float32), None, world=1)
    step.set_train()
    before = {parameter.name: parameter.asnumpy().copy() for parameter in network.trainable_params()}
    rng = np.random.default_rng(0)
    image = ms.Tensor(rng.normal(size=(2, 3, 32, 48)).astype(np.float32))
    label = np.repeat(rng.integers(0, 3, (2, 4, 6)), 8, 1).repeat(8, 2).astype(np.int32)
    label[:, 0] = config.dataset.ignore_label
    losses = [float(step(image, ms.Tensor(label)).asnumpy()) for _ in range(2)]
    assert np.isfinite(losses).all() and losses[1] < losses[0]
    assert int(step.skipped_updates.asnumpy()) == 0
    unchanged = [name for name, value in before.items() if (value == dict(network.parameters_dict())[name].asnumpy()).all()]
    assert not unchanged
