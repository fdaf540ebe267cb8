"""The family's heads, small, on one small ResNet: one graph to compile for all of them."""

from collections.abc import Iterable
from typing import Any

from mindspore import Tensor, nn

from src.models.builder import assemble_network
from tests.random_weights import randomize
from tests.tiny import tiny_config

WORDS = (
    "model.resnet.blocks=[1,1,1,1]",
    "model.resnet.channels=4",
    "model.resnet.stem_channels=[4,4,8]",
    "model.oc.mid_channels=8",
    "model.oc.key_channels=4",
    "model.oc.dropout=0.25",
    "model.oc.grids=[1,2]",
    "model.oc.dilations=[1,2,3]",
    "model.oc.down_factors=[2,3]",
)
# Each head, with what makes another graph of it.
HEADS = {
    "base_oc": ("model.oc.block=25",),
    "pyramid_oc": ("model.oc.entry_activation=False",),
    "asp_oc": ("model.ocr.negative_slope=0.01",),
    "isa": (),
    "ocr": (),
    "plain": (),
}


def family_config(name: str, *words: str) -> Any:
    """Return the small configuration of a `model.name`; `words` override it."""
    outputs = ("loss.balance_weights=[1.0]",) if name == "seg_hrnet" else ()
    return tiny_config(None, *WORDS, f"model.name={name}", *outputs, *words)


class Family(nn.Cell):
    """A backbone with several heads.

    Args:
        heads: names from `HEADS`.

    Inputs:
        image: (B, 3, H, W) float.

    Outputs:
        tuple of the sums of the auxiliary and of the main logits.
    """

    def __init__(self, heads: Iterable[str] = HEADS) -> None:
        super().__init__()
        networks = [assemble_network(family_config(_name(head), *HEADS[head])) for head in heads]
        self.backbone = networks[0].backbone
        self.heads = nn.CellList([network.head for network in networks])

    def construct(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sums of the logits."""
        aux_features, features = self.backbone(image)
        aux, out = self.heads[0](aux_features, features)
        for index in range(1, len(self.heads)):
            other_aux, other_out = self.heads[index](aux_features, features)
            aux, out = aux + other_aux, out + other_out
        return aux, out


def _name(head: str) -> str:
    return "seg_resnet" if head == "plain" else f"seg_resnet_{head}"


def random_family(heads: Iterable[str] = HEADS) -> Family:
    """Return a family in evaluation mode whose parameters are random and all in use."""
    family = Family(heads)
    randomize(family, seed=2)
    family.set_train(False)
    return family
