import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.models.conventions import Conventions
from src.models.layers import BasicBlock, Bottleneck, batch_norm, conv, halving_conv, head_activation, residual_blocks


def padded_conv(x: np.ndarray, weight: np.ndarray, stride: int, before: tuple[int, int], behind: tuple[int, int]) -> np.ndarray:
    """Convolve (H, W) by its definition, with so many rows and columns of zeros in front and behind."""
    x = np.pad(x, tuple(zip(before, behind, strict=True)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape)[::stride, ::stride]
    return np.einsum("hwij,ij->hw", windows, weight)


@pytest.mark.parametrize("bias", [False, True])
def test_conv_keeps_the_size(bias):
    rng = np.random.default_rng(0)
    for kernel in (1, 3):
        layer = conv(1, 1, kernel, bias=bias)
        x, weight = rng.normal(size=(5, 8)).astype(np.float32), rng.normal(size=(kernel, kernel)).astype(np.float32)
        layer.weight.set_data(Tensor(weight[None, None]))
        assert (layer.bias is not None) == bias
        if bias:
            layer.bias.set_data(Tensor([2.0], ms.float32))
        pads = (kernel // 2, kernel // 2)
        y = layer(Tensor(x[None, None])).asnumpy()[0, 0]
        np.testing.assert_allclose(y, padded_conv(x, weight, 1, pads, pads) + 2 * bias, atol=1e-5)


@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_halving_conv_pads_by_its_convention_at_changing_sizes(mode, padding):
    rng = np.random.default_rng(0)
    layer = halving_conv(Conventions(stride2_padding=padding), 1, 1)
    layer.set_inputs(Tensor(shape=[None, 1, None, None], dtype=ms.float32))
    weight = rng.normal(size=(3, 3)).astype(np.float32)
    layer.weight.set_data(Tensor(weight[None, None]))
    for size_hw in ((4, 6), (5, 7), (4, 7), (5, 6), (1, 2)):
        x = rng.normal(size=size_hw).astype(np.float32)
        before = tuple(1 if padding == "symmetric" else side % 2 for side in size_hw)
        y = layer(Tensor(x[None, None])).asnumpy()[0, 0]
        expected = padded_conv(x, weight, 2, before, (1, 1))
        assert y.shape == tuple(-(-side // 2) for side in size_hw) == expected.shape
        np.testing.assert_allclose(y, expected, atol=1e-5)
    assert layer.bias is None


@pytest.mark.parametrize("padding", ["symmetric", "same"])
def test_the_gradient_of_halving_conv_is_the_transposed_map(mode, padding):
    rng = np.random.default_rng(0)
    layer = halving_conv(Conventions(stride2_padding=padding), 1, 1)
    kernel = rng.normal(size=(3, 3)).astype(np.float32)
    layer.weight.set_data(Tensor(kernel[None, None]))
    (x, other), weight = rng.normal(size=(2, 6, 7)).astype(np.float32), rng.normal(size=(3, 4)).astype(np.float32)

    def weighted_sum(x):
        return (layer(x) * Tensor(weight)).sum()

    gradient = ms.grad(weighted_sum)(Tensor(x[None, None])).asnumpy()[0, 0]
    before = (1, 1) if padding == "symmetric" else (0, 1)
    np.testing.assert_allclose((gradient * other).sum(), (padded_conv(other, kernel, 2, before, (1, 1)) * weight).sum(), rtol=1e-4)


def test_heads_have_a_leaky_relu_where_its_slope_is_not_0(mode):
    x = Tensor(np.array([-2.0, 0.0, 3.0], np.float32))
    np.testing.assert_allclose(head_activation(Conventions(negative_slope=0.01))(x).asnumpy(), [-0.02, 0, 3], rtol=1e-6)
    assert type(head_activation(Conventions())) is nn.ReLU


def test_batch_norm_keeps_nine_tenths_of_the_old_statistics():
    # Whatever the version's defaults are: that of momentum is announced to change.
    norm = batch_norm(nn.BatchNorm2d, 1).set_train()
    norm(Tensor(np.array([1.0, 3.0], np.float32).reshape(2, 1, 1, 1)))
    np.testing.assert_allclose(norm.moving_mean.asnumpy(), [0.2], rtol=1e-6)  # 0.9 * 0 + 0.1 * 2
    np.testing.assert_allclose(norm.moving_variance.asnumpy(), [1.1], rtol=1e-6)  # 0.9 * 1 + 0.1 * 2 (unbiased)


@pytest.mark.parametrize(("block", "expansion"), [(BasicBlock, 1), (Bottleneck, 4)])
def test_a_block_with_silent_convolutions_is_relu_of_its_shortcut(block, expansion):
    cell = block(2 * expansion, 2, nn.BatchNorm2d).set_train(False)
    for parameter in cell.get_parameters():
        if "conv" in parameter.name:
            parameter.set_data(ms.ops.zeros_like(parameter))
    x = np.random.default_rng(0).normal(size=(1, 2 * expansion, 3, 3)).astype(np.float32)
    np.testing.assert_array_equal(cell(Tensor(x)).asnumpy(), np.maximum(x, 0))


def test_residual_blocks_change_the_channels_in_the_first_block_only():
    names = [name for name, _ in residual_blocks("BOTTLENECK", 8, 4, 2, nn.BatchNorm2d).parameters_and_names()]
    assert "0.downsample.0.weight" in names
    assert not any(name.startswith("1.downsample") for name in names)
