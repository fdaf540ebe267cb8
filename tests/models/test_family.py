"""Every head on every backbone: outputs, one graph for all sizes, training in GRAPH as in PYNATIVE, names, first weights."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.config.networks import NAMES
from src.models.builder import assemble_network, build_network
from src.models.isa import InterlacedAttention
from tests.family import HEADS, Family, family_config, random_family
from tests.random_weights import randomize

IMAGE = np.random.default_rng(0).normal(size=(2, 3, 65, 49)).astype(np.float32)


@pytest.mark.parametrize("name", ["seg_hrnet_base_oc", "seg_hrnet_pyramid_oc", "seg_hrnet_asp_oc", "seg_hrnet_isa"])
def test_the_heads_stand_on_hrnet_too(name: str) -> None:
    network = assemble_network(family_config(name)).set_train(False)
    assert [logits.shape for logits in network(Tensor(IMAGE))] == [(2, 11, 17, 13)] * 2
    assert network.backbone.feature_hw((65, 49)) == (17, 13)


class Loss(nn.Cell):
    def __init__(self, family: Family) -> None:
        super().__init__()
        self.family = family

    def construct(self, image: Tensor) -> Tensor:
        aux, out = self.family(image)
        return (aux * aux).mean() + (out * out).mean()


@pytest.mark.parametrize("heads", [["isa", "plain"], pytest.param(list(HEADS), marks=pytest.mark.slow)], ids=["two", "all"])
def test_heads_train_in_a_graph_as_operator_by_operator(heads: list[str]) -> None:
    losses, gradients = [], []
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        family = random_family(heads)
        family.set_train(True)
        family.backbone.set_train(False)  # batch norms over few positions would enlarge rounding
        weights = family.trainable_params()
        loss, gradient = ms.value_and_grad(Loss(family), None, weights)(Tensor(IMAGE))
        losses.append(float(loss.asnumpy()))
        gradients.append([g.asnumpy() for g in gradient])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for weight, given, expected in zip(weights, *gradients, strict=True):
        # What batch norms behind it take out again has none but for rounding.
        assert np.abs(expected).max() > 1e-6 or weight.name.endswith(("bias", "context.1.beta")), f"{weight.name} has no gradient"
        np.testing.assert_allclose(given, expected, atol=2e-3 * max(1e-3, np.abs(expected).max()), err_msg=weight.name)


def test_one_graph_serves_all_sizes() -> None:
    family = random_family()
    images = [IMAGE, IMAGE[:1, :, :48, :43]]
    expected = [[logits.asnumpy() for logits in family(Tensor(image))] for image in images]
    ms.set_context(mode=ms.GRAPH_MODE)
    family.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))
    for image, wanted in zip(images, expected, strict=True):
        assert wanted[0].shape[2:] == family.backbone.feature_hw(image.shape[2:])
        for given, logits in zip(family(Tensor(image)), wanted, strict=True):
            np.testing.assert_allclose(given.asnumpy(), logits, atol=1e-5 * np.abs(logits).max())


def test_a_fresh_head_goes_by_the_features_alone() -> None:
    for head in ("base_oc", "pyramid_oc", "asp_oc"):
        network = build_network(family_config(f"seg_hrnet_{head}"))
        last = [p for p in network.get_parameters() if ".W." in p.name]
        assert last and not any(p.asnumpy().any() for p in last)
        assert network.head.cls_head.weight.asnumpy().any()


def test_dropouts_of_a_network_drop_different_channels() -> None:
    network = assemble_network(family_config("seg_resnet_base_oc"))
    drops = [cell for _, cell in network.cells_and_names() if type(cell).__name__ == "ChannelDropout"]
    assert len(drops) == 2
    masks = [drop.set_train(True)(Tensor(np.ones((8, 16, 1, 1), np.float32))).asnumpy() for drop in drops]
    assert not np.array_equal(*masks)


def interlaced_by_definition(block: InterlacedAttention, x: np.ndarray) -> np.ndarray:
    """Both attentions over all positions of the padded map, with all but the partners masked."""
    p, q = block.block_hw
    height, width = x.shape[2:]
    rows, columns = -(-height // p) * p, -(-width // q) * q
    top, left = (rows - height) // 2, (columns - width) // 2
    padded = np.pad(x, ((0, 0), (0, 0), (top, rows - height - top), (left, columns - width - left)))
    i, j = (index.ravel() for index in np.indices((rows, columns)))
    same_place = (i[:, None] % p == i % p) & (j[:, None] % q == j % q)
    same_block = (i[:, None] // p == i // p) & (j[:, None] // q == j // q)
    for cell, partners in ((block.long_range_sa, same_place), (block.short_range_sa, same_block)):
        query, key, value = (f(Tensor(padded)).asnumpy().reshape(1, -1, rows * columns) for f in (cell.f_query, cell.f_key, cell.f_value))
        similarity = np.where(partners, np.einsum("bdn,bdm->bnm", query, key) / np.sqrt(query.shape[1]), -np.inf)
        weights = np.exp(similarity - similarity.max(2, keepdims=True))
        context = np.einsum("bvm,bnm->bvn", value, weights / weights.sum(2, keepdims=True)).reshape(1, -1, rows, columns)
        padded = cell.W(Tensor(context.astype(np.float32))).asnumpy()
    return padded[:, :, top : top + height, left : left + width]


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (3, 2)])
def test_interlaced_attention_is_its_definition(size: tuple[int, int]) -> None:
    config = family_config("seg_resnet_isa")
    block = assemble_network(config).head.context[3].stages[0]
    randomize(block, seed=3)
    block.set_train(False)
    x = np.random.default_rng(1).normal(size=(1, 8, *size)).astype(np.float32)
    expected = interlaced_by_definition(block, x)
    np.testing.assert_allclose(block(Tensor(x)).asnumpy(), expected, atol=1e-5 * np.abs(expected).max())


def test_key_and_query_may_have_transforms_of_their_own() -> None:
    def names(head: str) -> set[str]:
        network = assemble_network(family_config(f"seg_resnet_{head}", "model.oc.separate_query=True"))
        return {p.name for p in network.get_parameters() if p.name.endswith("weight")}

    stage = "context.3.stages.0"
    assert {f"{stage}.f_{part}.{index}.weight" for part in ("query", "key") for index in (0, 3)} <= names("base_oc")
    assert f"{stage}.f_query.0.weight" not in {p.name for p in assemble_network(family_config("seg_resnet_base_oc")).get_parameters()}
    assert "context.3.context.3.conv_bn_dropout.0.weight" not in names("asp_oc")


def test_heads_of_this_file_are_all_heads() -> None:
    assert {f"seg_resnet_{head}" if head != "plain" else "seg_resnet" for head in HEADS} == {n for n in NAMES if "resnet" in n}
