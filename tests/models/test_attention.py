"""Attention against torch and against its definition, whole and by blocks, forward and backward."""

import mindspore as ms
import numpy as np
import pytest
import torch
from mindspore import Tensor, nn

from src.models.attention import DotProductAttention, GridAttention, MapAttention


class Weighted(nn.Cell):
    """A loss that weights every output."""

    def __init__(self, attention: nn.Cell) -> None:
        super().__init__()
        self.attention = attention

    def construct(self, query: Tensor, key: Tensor, value: Tensor, weight: Tensor) -> Tensor:
        return (self.attention(query, key, value) * weight).sum()


def random(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def by_torch(arrays: list[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return context and gradients of query, key and value in float64."""
    query, key, value, weight = (torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in arrays)
    context = value @ torch.softmax(query.mT @ key / query.shape[1] ** 0.5, -1).mT
    (context * weight).sum().backward()
    return context.detach().numpy(), [tensor.grad.numpy() for tensor in (query, key, value)]  # type: ignore[union-attr]


# 1: a query at a time; 7: 22 queries leave one over; 11: none; 22: one block; 30: more than there are.
@pytest.mark.parametrize("block", [0, 1, 7, 11, 22, 30])
def test_attention_and_its_gradients_are_torchs(block: int) -> None:
    arrays = [random(0, 2, 5, 22), random(1, 2, 5, 9), random(2, 2, 3, 9), random(3, 2, 3, 22)]
    context, gradients = by_torch(arrays)
    attention = DotProductAttention(5, block)
    np.testing.assert_allclose(attention(*map(Tensor, arrays[:3])).asnumpy(), context, atol=1e-6)
    given = ms.grad(Weighted(attention), (0, 1, 2))(*map(Tensor, arrays))
    for mine, expected in zip(given, gradients, strict=True):
        np.testing.assert_allclose(mine.asnumpy(), expected, atol=3e-6)


def test_blocks_in_a_graph_for_all_sizes_and_their_gradient_in_one_of_its_own() -> None:
    arrays = [random(0, 2, 5, 22), random(1, 2, 5, 9), random(2, 2, 3, 9), random(3, 2, 3, 22)]
    ms.set_context(mode=ms.GRAPH_MODE)
    given = ms.grad(Weighted(DotProductAttention(5, block=7)), (0, 1, 2))(*map(Tensor, arrays))
    for mine, expected in zip(given, by_torch(arrays)[1], strict=True):
        np.testing.assert_allclose(mine.asnumpy(), expected, atol=3e-6)
    attention = DotProductAttention(5, block=7)
    attention.set_inputs(*(Tensor(shape=[None, channels, None], dtype=ms.float32) for channels in (5, 5, 3)))
    for count in (22, 7, 3):
        sliced = [arrays[0][..., :count], *arrays[1:3], arrays[3][..., :count]]
        np.testing.assert_allclose(attention(*map(Tensor, sliced[:3])).asnumpy(), by_torch(sliced)[0], atol=1e-6)


@pytest.mark.parametrize("block", [0, 64])
def test_float16_does_not_lose_small_weights(block: int) -> None:
    # Weights of 1/9409 are subnormal in float16, and gradients of similarities below its smallest number.
    key = random(1, 1, 4, 9409)  # the value too, so that the small gradients add up
    arrays = [random(0, 1, 4, 70), key, key, random(3, 1, 4, 70) / 4096]
    halves = [array.astype(np.float16) for array in arrays]
    context, gradients = by_torch(halves)
    attention = DotProductAttention(4, block).set_train()
    given = attention(*map(Tensor, halves[:3]))
    assert given.dtype == ms.float16
    np.testing.assert_allclose(given.asnumpy(), context, atol=1e-3)
    for mine, expected in zip(ms.grad(Weighted(attention), (0, 1, 2))(*map(Tensor, halves)), gradients, strict=True):
        assert mine.dtype == ms.float16
        np.testing.assert_allclose(mine.asnumpy(), expected, atol=max(0.02 * np.abs(expected).max(), 2**-24))


def test_evaluation_attends_by_blocks_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = [random(0, 2, 5, 22), random(1, 2, 5, 9), random(2, 2, 3, 9)]
    sizes: list[int] = []
    attend = DotProductAttention._attend
    monkeypatch.setattr("src.models.attention.EVALUATION_BLOCK", 8)
    monkeypatch.setattr(DotProductAttention, "_attend", lambda self, *given: sizes.append(given[0].shape[2]) or attend(self, *given))
    attention = DotProductAttention(5)
    contexts = [attention.set_train(training)(*map(Tensor, arrays)).asnumpy() for training in (False, True)]
    assert sizes == [6, 8, 8, 22]
    np.testing.assert_allclose(*contexts, atol=1e-6)


def test_a_uniform_map_gives_the_mean_of_the_values() -> None:
    value = random(0, 1, 2, 3, 4)
    zeros = Tensor(np.zeros((1, 6, 3, 4), np.float32))
    context = MapAttention(6)(zeros, zeros, Tensor(value)).asnumpy()
    np.testing.assert_allclose(context, np.broadcast_to(value.mean((2, 3), keepdims=True), value.shape), atol=1e-6)


def test_cells_of_a_grid_attend_to_themselves_and_the_last_ones_take_the_rest() -> None:
    query, key, value = (random(seed, 1, 2, 5, 7) for seed in range(3))
    context = GridAttention(2, grid=2)(Tensor(query), Tensor(key), Tensor(value)).asnumpy()
    for rows in (slice(0, 2), slice(2, 5)):
        for columns in (slice(0, 3), slice(3, 7)):
            cell = [x[:, :, rows, columns].reshape(1, 2, -1) for x in (query, key, value)]
            expected = by_torch([*cell, cell[0]])[0].reshape(value[:, :, rows, columns].shape)
            np.testing.assert_allclose(context[:, :, rows, columns], expected, atol=1e-6)
