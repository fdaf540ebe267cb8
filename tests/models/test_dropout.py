import functools

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn

from src.models.dropout import PRIME, ChannelDropout, is_training_state, permute


def masks(dropout: ChannelDropout, calls: int, batch: int = 4, channels: int = 256) -> np.ndarray:
    """Return (calls, batch, channels) of what ones become."""
    ones = Tensor(np.ones((batch, channels, 1, 1), np.float32))
    return np.stack([dropout(ones).asnumpy()[:, :, 0, 0] for _ in range(calls)])


@functools.cache
def long_run(rate: float) -> np.ndarray:
    """Return which channels 64 calls keep; compiled, because that many calls are slow without."""
    ms.set_context(mode=ms.GRAPH_MODE)
    return masks(ChannelDropout(rate, seed=3).set_train(), 64) > 0


def test_permute_is_exact_integer_arithmetic(mode):
    constants = (9437189, 3141592, 14680083)
    values = [0, 1, 2, PRIME - 2, PRIME - 1, 2 * PRIME - 2, *range(5, 2 * PRIME, 99991)]
    expected = []
    for value in values:
        for constant in constants:
            value = pow(value + constant, 5, PRIME)
        expected.append(value)
    assert permute(Tensor(values, ms.int64)).asnumpy().tolist() == expected
    assert len(set(expected)) >= len({value % PRIME for value in values})  # a permutation: no two of them meet


def test_evaluation_is_the_identity_and_counts_nothing(mode):
    dropout = ChannelDropout(0.5, seed=1).set_train(False)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(dropout(Tensor(x)).asnumpy(), x)
    assert dropout.dropout_calls.asnumpy() == 0


def test_whole_channels_are_dropped_and_the_others_scaled():
    dropout = ChannelDropout(0.25, seed=1).set_train()
    x = np.random.default_rng(0).normal(size=(2, 64, 3, 2)).astype(np.float32)
    ratio = (dropout(Tensor(x)).asnumpy() / x).reshape(2, 64, 6)
    assert np.ptp(ratio, axis=2).max() < 1e-6
    kept = ratio[:, :, 0] > 0
    assert 0 < kept.mean() < 1
    np.testing.assert_allclose(ratio[:, :, 0], np.where(kept, 1 / 0.75, 0), rtol=1e-6)


def test_graph_and_pynative_give_the_same_masks_and_the_same_count():
    drawn = []
    for mode in (ms.GRAPH_MODE, ms.PYNATIVE_MODE):
        ms.set_context(mode=mode)
        dropout = ChannelDropout(0.3, seed=5).set_train()
        drawn.append(masks(dropout, 4))
        assert dropout.dropout_calls.asnumpy() == 4
    np.testing.assert_array_equal(*drawn)


def test_statistics_of_the_masks():
    rate = 0.2
    kept = long_run(rate)  # 64 x 4 x 256 draws
    deviation = np.sqrt(rate * (1 - rate) / kept.size)
    assert abs(1 - kept.mean() - rate) < 4 * deviation
    # The number kept in each call is binomial: its variance over the calls is n * rate * (1 - rate), give or take sqrt(2 / 63) of it.
    counts = kept.reshape(64, -1).sum(1)
    assert 0.4 < counts.var() / (1024 * rate * (1 - rate)) < 1.8


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["calls", "pictures", "channels"])
def test_neighbours_are_independent(axis):
    kept = long_run(0.5) - 0.5
    for lag in (1, 2, 3):
        first, second = np.take(kept, range(kept.shape[axis] - lag), axis), np.take(kept, range(lag, kept.shape[axis]), axis)
        correlation = 4 * (first * second).mean()
        assert abs(correlation) < 4 / np.sqrt(first.size)


def test_seeds_give_different_masks_that_are_no_shift_of_each_other():
    first, second = masks(ChannelDropout(0.5, seed=0).set_train(), 16) - 1, masks(ChannelDropout(0.5, seed=1).set_train(), 16) - 1
    agreement = [(first[a] * second[b]).mean() for a in range(16) for b in range(16)]
    assert np.abs(agreement).max() < 5 / np.sqrt(first[0].size)


def test_a_restored_counter_continues_the_sequence():
    whole = masks(ChannelDropout(0.5, seed=2).set_train(), 5)
    resumed = ChannelDropout(0.5, seed=2).set_train()
    resumed.dropout_calls.set_data(Tensor(3, ms.int32))
    np.testing.assert_array_equal(masks(resumed, 2), whole[3:])


class Scaled(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = ChannelDropout(0.5, seed=2)
        self.factor = Parameter(Tensor(2.0, ms.float32), name="factor")

    def construct(self, x: Tensor) -> Tensor:
        return (self.dropout(x) * self.factor).sum()


def test_the_gradient_uses_the_mask_of_its_forward_and_counts_once(mode):
    network = Scaled().set_train()
    gradient = ms.value_and_grad(network, 0, network.trainable_params())
    x = Tensor(np.ones((2, 32, 1, 1), np.float32))
    for call in (1, 2, 3):
        value, (by_input, _) = gradient(x)
        assert network.dropout.dropout_calls.asnumpy() == call
        np.testing.assert_allclose(by_input.asnumpy().sum(), value.asnumpy(), rtol=1e-6)


def test_the_counter_is_told_from_weights():
    dropout = ChannelDropout(0.5, seed=2)
    assert [is_training_state(parameter.name) for parameter in dropout.get_parameters()] == [True]
    assert dropout.trainable_params() == []
    assert is_training_state("ocr_distri_head.conv_bn_dropout.2.dropout_calls")
    assert not is_training_state("conv1.weight")


@pytest.mark.parametrize("rate", [0, 1, -0.1, 1.5])
def test_a_rate_outside_0_to_1_is_refused(rate):
    with pytest.raises(ValueError, match="between 0 and 1"):
        ChannelDropout(rate, seed=0)


def test_float16_stays_float16():
    dropout = ChannelDropout(0.5, seed=2).set_train()
    assert dropout(Tensor(np.ones((1, 4, 2, 2), np.float16))).dtype == ms.float16
