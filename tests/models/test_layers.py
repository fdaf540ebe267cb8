import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.models.layers import BasicBlock, Bottleneck, Resize, batch_norm, conv, residual_blocks


def resize_axis(x: np.ndarray, size: int, axis: int, align_corners: bool) -> np.ndarray:
    """Linear interpolation along one axis, from its definition."""
    length = x.shape[axis]
    if align_corners:
        source = np.arange(size) * ((length - 1) / (size - 1) if size > 1 else 0.0)
    else:
        source = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, None)
    low = np.clip(np.floor(source).astype(int), 0, length - 1)
    high = np.minimum(low + 1, length - 1)
    shape = [1] * x.ndim
    shape[axis] = size
    part = np.clip(source - low, 0, 1).reshape(shape)
    return np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part


@pytest.mark.parametrize("align_corners", [True, False])
def test_resize_equals_the_definition_up_and_down(mode, align_corners):
    rng = np.random.default_rng(0)
    resize = Resize(align_corners)
    for before, after in (((3, 5), (7, 9)), ((8, 6), (3, 4)), ((4, 4), (4, 4)), ((1, 3), (5, 2)), ((5, 7), (1, 1))):
        x = rng.normal(size=(2, 3, *before)).astype(np.float32)
        expected = resize_axis(resize_axis(x, after[0], 2, align_corners), after[1], 3, align_corners)
        y = resize(Tensor(x), Tensor(np.zeros((1, 1, *after), np.float32)))
        np.testing.assert_allclose(y.asnumpy(), expected, atol=1e-5)


def test_resize_of_a_ramp_by_hand():
    ramp = Tensor(np.array([[[[0.0, 3.0]]]], np.float32))
    reference = Tensor(np.zeros((1, 1, 1, 4), np.float32))
    np.testing.assert_allclose(Resize(True)(ramp, reference).asnumpy().ravel(), [0, 1, 2, 3], atol=1e-6)
    np.testing.assert_allclose(Resize(False)(ramp, reference).asnumpy().ravel(), [0, 0.75, 2.25, 3], atol=1e-6)


@pytest.mark.parametrize(("stride", "size"), [(1, (5, 8)), (2, (3, 4))])
def test_conv_pads_every_side_alike(stride, size):
    layer = conv(1, 1, 3, stride)
    layer.weight.set_data(ms.ops.ones((1, 1, 3, 3), ms.float32))
    y = layer(ms.ops.ones((1, 1, 5, 8), ms.float32)).asnumpy()[0, 0]
    assert y.shape == size
    assert y[0, 0] == 4  # the corner sees 2x2 of 3x3
    assert layer.bias is None
    assert conv(1, 1, 1, bias=True).bias is not None


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
