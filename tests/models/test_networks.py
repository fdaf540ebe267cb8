import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.models.builder import build_network
from src.models.conventions import Conventions
from src.models.ocr import ObjectAttentionBlock, SpatialGather


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def image(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def test_outputs_are_logits_at_stride_4_of_any_size(tiny_config, plain_words):
    ocr, plain = build_network(tiny_config()).set_train(False), build_network(tiny_config(*plain_words)).set_train(False)
    for height, width in ((32, 32), (33, 47), (64, 40)):
        expected = (2, 3, -(-height // 4), -(-width // 4))
        assert [logits.shape for logits in ocr(image(2, 3, height, width))] == [expected, expected]
        assert [logits.shape for logits in plain(image(2, 3, height, width))] == [expected]


# Each system's choices, in as few networks as hold them all.
PADDLESEG = ("model.stride2_padding=same", "model.ocr.transform_bias=True")
MMSEG = ("model.fuse_resize=stepwise", "model.head_bias=False")
MODELZOO = ("model.half_pixel_centers=False", "model.fuse_resize=nearest", "model.head_bias=False")
OPENSEG = ("model.align_corners=True", "model.ocr.transform_bias=True", "model.ocr.aux_kernel=3", "model.ocr.negative_slope=0.01")
SYSTEMS = (PADDLESEG, MMSEG, (*MODELZOO, "model.ocr.scale=2"), OPENSEG)
# Training compiles for longest: what goes together in one network stands in one. Stepwise resizing's gradient: test_resizing.py.
TRAINED = ((*OPENSEG, *PADDLESEG), MODELZOO)


@pytest.mark.parametrize("words", SYSTEMS, ids=["paddleseg", "mmseg", "modelzoo", "openseg"])
def test_one_compiled_graph_serves_all_sizes_and_equals_pynative(tiny_config, words):
    network = build_network(tiny_config("train.param_initializer=HeNormal", *words)).set_train(False)
    images = [image(1, 3, 32, 48), image(2, 3, 37, 61)]
    expected = [[logits.asnumpy() for logits in network(x)] for x in images]
    ms.set_context(mode=ms.GRAPH_MODE)
    network.set_inputs(Tensor(shape=[None, 3, None, None], dtype=ms.float32))
    for x, outputs in zip(images, expected, strict=True):
        for logits, wanted in zip(network(x), outputs, strict=True):
            np.testing.assert_allclose(logits.asnumpy(), wanted, atol=1e-5 * np.abs(wanted).max())
    assert len(network.compile_cache) == 1


class SumOfSquares(nn.Cell):
    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, x: Tensor) -> Tensor:
        aux, out = self.network(x)
        return (aux**2).mean() + (out**2).mean()


@pytest.mark.parametrize("words", TRAINED, ids=["openseg and paddleseg", "modelzoo"])
def test_training_in_graph_and_pynative_gives_the_same_gradients_and_statistics(tiny_config, words):
    results = []
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        ms.set_seed(3)
        network = build_network(tiny_config("model.ocr.dropout=0.5", *words), dropout_seed=4).set_train()
        parameters = network.trainable_params()
        gradient = ms.value_and_grad(SumOfSquares(network).set_train(), None, parameters)
        _, gradients = gradient(image(2, 3, 65, 64))
        # Not the biases in front of a batch norm, which takes them away again: their gradients are rounding errors.
        named = {
            p.name: g.asnumpy()
            for p, g in zip(parameters, gradients, strict=True)
            if not p.name.endswith(".bias") or p.name in ("aux_head.3.bias", "cls_head.bias")
        }
        results.append(named | {p.name: p.asnumpy() for p in network.get_parameters() if not p.requires_grad})
    for name, values in results[0].items():
        np.testing.assert_allclose(values, results[1][name], rtol=1e-3, atol=1e-3 * np.abs(values).max(), err_msg=name)
        assert np.abs(values).max() > 0, name


def test_the_stem_and_every_way_down_pad_by_the_convention(tiny_config):
    for padding, pad_mode in (("symmetric", "pad"), ("same", "same")):
        network = build_network(tiny_config(f"model.stride2_padding={padding}"))
        halving = {name: cell for name, cell in network.backbone.cells_and_names() if isinstance(cell, nn.Conv2d) and cell.stride == (2, 2)}
        assert {"conv1", "conv2", "transition1.1.0.0", "transition2.2.0.0", "transition3.3.0.0"} <= halving.keys()
        assert {"stage3.0.fuse_layers.2.0.0.0", "stage3.0.fuse_layers.2.0.1.0"} <= halving.keys()
        assert {cell.pad_mode for cell in halving.values()} == {pad_mode}
        others = [cell for _, cell in network.cells_and_names() if isinstance(cell, nn.Conv2d) and cell.stride == (1, 1)]
        assert {cell.pad_mode for cell in others} == {"pad"}


def test_heads_alone_have_leaky_relus(tiny_config, plain_words):
    for words in ((), plain_words):
        network = build_network(tiny_config(*words, "model.ocr.negative_slope=0.01"))
        leaky = {name for name, cell in network.head.cells_and_names() if isinstance(cell, nn.LeakyReLU)}
        assert {name.split(".")[0] for name in leaky} == ({"last_layer"} if words else {"aux_head", "conv3x3_ocr", "ocr_distri_head"})
        assert len(leaky) == (1 if words else 9)  # aux_head, conv3x3_ocr, 2 + 2 + 1 + 1 transforms, the fusion
        assert not any(isinstance(cell, nn.LeakyReLU) for _, cell in network.backbone.cells_and_names())
        assert not any(isinstance(cell, nn.ReLU) for _, cell in network.head.cells_and_names())


def test_spatial_gather_averages_features_under_each_class(mode):
    rng = np.random.default_rng(0)
    features, logits = rng.normal(size=(2, 4, 3, 5)).astype(np.float32), rng.normal(size=(2, 3, 3, 5)).astype(np.float32)
    masks = softmax(logits.reshape(2, 3, 15).astype(np.float64), 2)
    expected = np.einsum("bkp,bcp->bck", masks, features.reshape(2, 4, 15))[..., None]
    np.testing.assert_allclose(SpatialGather()(Tensor(features), Tensor(logits)).asnumpy(), expected, atol=1e-6)


def test_spatial_gather_of_a_sharp_mask_picks_one_pixel():
    logits = np.full((1, 2, 2, 2), -100, np.float32)
    logits[0, 0, 0, 1] = logits[0, 1, 1, 0] = 100
    features = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    assert SpatialGather()(Tensor(features), Tensor(logits)).asnumpy().ravel().tolist() == [1, 2]


def attention_by_definition(block: ObjectAttentionBlock, features: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """The attention in float64, with the block's own transforms taken as given. features are pooled already."""
    query, key, value = (
        f(Tensor(x)).asnumpy().astype(np.float64)
        for f, x in ((block.f_pixel, features), (block.f_object, regions), (block.f_down, regions))
    )
    similarity = np.einsum("bdhw,bdk->bhwk", query, key[..., 0]) / np.sqrt(query.shape[1])
    context = np.einsum("bhwk,bdk->bdhw", softmax(similarity, 3), value[..., 0])
    return block.f_up(Tensor(context.astype(np.float32))).asnumpy()


def attention_block(scale: int) -> ObjectAttentionBlock:
    block = ObjectAttentionBlock(6, 4, scale, Conventions()).set_train(False)
    rng = np.random.default_rng(1)
    for parameter in block.get_parameters():
        if parameter.ndim == 4:
            parameter.set_data(Tensor(rng.normal(size=parameter.shape).astype(np.float32)))
    return block


def test_object_attention_equals_its_definition(mode):
    rng = np.random.default_rng(2)
    features, regions = rng.normal(size=(2, 6, 4, 5)).astype(np.float32), rng.normal(size=(2, 6, 3, 1)).astype(np.float32)
    block = attention_block(scale=1)
    expected = attention_by_definition(block, features, regions)
    np.testing.assert_allclose(block(Tensor(features), Tensor(regions)).asnumpy(), expected, rtol=1e-4, atol=1e-4)


def test_object_attention_pools_the_query_map_by_its_scale():
    rng = np.random.default_rng(2)
    features, regions = rng.normal(size=(1, 6, 4, 6)).astype(np.float32), rng.normal(size=(1, 6, 3, 1)).astype(np.float32)
    block = attention_block(scale=2)
    pooled = features.reshape(1, 6, 2, 2, 3, 2).max((3, 5))
    context = block(Tensor(features), Tensor(regions)).asnumpy()
    assert context.shape == features.shape
    # With align_corners the corners of the restored map are those of the pooled one.
    np.testing.assert_allclose(context[..., ::3, ::5], attention_by_definition(block, pooled, regions)[..., ::1, ::2], rtol=1e-4, atol=1e-4)


def test_the_seed_alone_decides_the_weights(tiny_config):
    def weights(seed: int) -> dict[str, np.ndarray]:
        ms.set_seed(seed)
        return {parameter.name: parameter.asnumpy() for parameter in build_network(tiny_config()).get_parameters()}

    first, again, other = weights(1), weights(1), weights(2)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["conv1.weight"], other["conv1.weight"])
    assert not np.array_equal(first["cls_head.weight"], other["cls_head.weight"])
    assert not np.array_equal(first["stage2.0.branches.0.0.conv1.weight"], first["stage2.0.branches.0.0.conv2.weight"])


@pytest.mark.parametrize(
    ("initializer", "deviation"),
    [("Normal", 0.001), ("TruncatedNormal", 0.001 * 0.8796), ("HeNormal", np.sqrt(2 / (64 * 9)))],
)
def test_backbone_convolutions_follow_the_initializer(tiny_config, initializer, deviation):
    weight = build_network(tiny_config(f"train.param_initializer={initializer}")).backbone.conv2.weight.asnumpy()  # 64 x 64 x 3 x 3
    assert abs(weight.mean()) < 5 * deviation / np.sqrt(weight.size)
    np.testing.assert_allclose(weight.std(), deviation, rtol=0.02)
    if initializer == "TruncatedNormal":
        assert np.abs(weight).max() <= 0.002  # cut at 2 sigma, which leaves 0.8796 of the deviation


def test_heads_start_as_in_torch_and_batch_norms_at_1_and_0(tiny_config):
    network = build_network(tiny_config("model.ocr.mid_channels=200", "train.param_initializer=Normal"))
    weight, bias = network.head.conv3x3_ocr[0].weight.asnumpy(), network.head.conv3x3_ocr[0].bias.asnumpy()
    bound = 1 / np.sqrt(28 * 9)
    for values in (weight, bias):
        assert 0.9 * bound < np.abs(values).max() <= bound
    np.testing.assert_allclose(weight.std(), bound / np.sqrt(3), rtol=0.02)  # uniform
    for name, cell in network.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            assert (cell.momentum, cell.eps) == (pytest.approx(0.1), 1e-5), name  # MindSpore keeps 1 - momentum
            for values, start in ((cell.gamma, 1), (cell.beta, 0), (cell.moving_mean, 0), (cell.moving_variance, 1)):
                np.testing.assert_array_equal(values.asnumpy(), start)


class MarkedNorm(nn.BatchNorm2d):
    pass


def test_every_batch_norm_is_of_the_given_class(tiny_config, plain_words):
    for config in (tiny_config(), tiny_config(*plain_words)):
        norms = [cell for _, cell in build_network(config, norm=MarkedNorm).cells_and_names() if isinstance(cell, nn.BatchNorm2d)]
        assert norms
        assert all(type(cell) is MarkedNorm for cell in norms)


def test_dropout_zero_leaves_no_counter(tiny_config):
    def counters(*words):
        return [p.name for p in build_network(tiny_config(*words)).get_parameters() if "dropout_calls" in p.name]

    assert not counters("model.ocr.dropout=0")
    assert counters() == ["ocr_distri_head.conv_bn_dropout.2.dropout_calls"]
