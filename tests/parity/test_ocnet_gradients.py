"""Loss and every gradient of ResNets in training mode against torch in float64."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
import torch

from src.engine.train_step import NetworkWithLoss
from src.losses.segmentation import build_loss
from tests.parity.converted import convert, largest_difference, load
from tests.parity.references.ocnet_torch import Network, OCNet, Openseg, Size, save
from tests.parity.references.official_loss import OfficialLoss
from tests.parity.references.random_torch import randomise
from tests.parity.training import NUM_CLASSES, batches

SIZE = Size(blocks=(1, 1, 1, 1), width=4, stem=(6, 6, 8), middle=16, key=8)
NETWORKS = {"base_oc": OCNet, "isa": Openseg}
WORDS = ("model.oc.dropout=0.0", "loss.use_weights=False", "loss.balance_weights=[0.4,1.0]")

# Names there and here, where they differ: beginnings, then the numbers that openseg gives to what follows an activation.
RENAMED = {
    "base_oc": (("dsn.", "aux_head."), ("cls.", "cls_head."), ("context.2.", "context.3.")),
    "isa": (("dsn_head.", "aux_head."), ("isa_head.2.", "context.3."), ("isa_head.", "context.")),
}
NUMBERS = ((".f_query.2.", ".f_query.3."), (".f_query.3.0.", ".f_query.4."), (".f_key.2.", ".f_key.3."), (".f_key.3.0.", ".f_key.4."))
NORM_LEAVES = {"weight": "gamma", "bias": "beta"}
ROUNDING = 1e-4  # that is left of a gradient of 0, as a part of the largest gradient of the same convolution's weight


def name_here(name: str, head: str, norms: set[str]) -> str:
    layer, leaf = name.rsplit(".", 1)
    end = NORM_LEAVES[leaf] if layer in norms else leaf
    here = f"{layer}."
    for old, new in RENAMED[head]:
        if here.startswith(old):
            here = new + here.removeprefix(old)
            break
    if head == "isa":
        here = next((here.replace(old, new) for old, new in NUMBERS if old in here), here)
        here = here.replace(".1.0.", ".1.") if layer in norms and layer.endswith(".1.0") else here
    return here + end


def torch_side(model: Network, image: torch.Tensor, label: torch.Tensor) -> tuple[float, dict[str, np.ndarray]]:
    model.zero_grad()
    loss = OfficialLoss()(model(image), label)
    loss.backward()
    norms = {name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    gradients = {name_here(name, model.head, norms): parameter.grad.numpy().copy() for name, parameter in model.named_parameters()}
    return loss.item(), gradients


@pytest.mark.parametrize("head", NETWORKS)
def test_loss_and_gradients(head: str, tmp_path: Path, pynative: None, record_property: Callable[[str, object], None]) -> None:
    model = NETWORKS[head](head, NUM_CLASSES, SIZE)
    randomise(model, torch.from_numpy(next(batches(0)).image), 7)
    save(model, str(tmp_path / "weights.pth"))
    model.double().train()
    network, config = load(convert(tmp_path / "weights.pth", tmp_path), *WORDS)
    ours = NetworkWithLoss(network.set_train(), build_loss(config))
    parameters = ours.trainable_params()

    compared = []
    for batch in islice(batches(4), 2):
        expected_loss, expected = torch_side(model, *batch.of_torch())
        loss, gradients = ms.value_and_grad(ours, None, parameters)(*batch.of_mindspore())
        actual = {parameter.name: gradient.asnumpy() for parameter, gradient in zip(parameters, gradients, strict=True)}
        assert actual.keys() == expected.keys()
        assert abs(float(loss.asnumpy()) / expected_loss - 1) <= 1e-5
        # A bias in front of a batch norm has no gradient.
        zeros = {name for name, gradient in expected.items() if np.abs(gradient).max() < 1e-13}
        assert zeros and all(name.endswith(".bias") for name in zeros)
        for name in zeros:
            assert np.abs(actual[name]).max() <= ROUNDING * np.abs(expected[name.replace("bias", "weight")]).max(), name
        compared.append({name: largest_difference(actual[name], expected[name]) for name in expected.keys() - zeros})
    # A ReLU within rounding of 0 has two right gradients, which shows in one batch; what is wrong shows in both.
    differences = {name: min(one[name] for one in compared) for name in compared[0]}
    record_property("gradient_difference", f"{max(differences.values()):.1e}")
    assert {name: value for name, value in differences.items() if value > 1e-3} == {}
