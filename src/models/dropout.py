"""Channel dropout whose masks depend on nothing but a seed and the number of the call.

MindSpore's own dropout kernels keep hidden random states, which a checkpoint cannot hold; a resumed run would then differ.
"""

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

COUNTER_NAME = "dropout_calls"

# The largest prime below 2^24: products stay below 2^48, because the CPU's FloorMod (2.8) divides int64 as doubles. x -> x^5 is a
# permutation of the numbers below it, because 5 does not divide PRIME - 1.
PRIME = 2**24 - 3
_ROUND_CONSTANTS = (9437189, 3141592, 14680083)
_SEED_FACTORS = (11400714, 7046029)


def is_training_state(name: str) -> bool:
    """Tell whether a parameter of this name belongs to the course of a training run and not to the weights."""
    return name.rsplit(".", 1)[-1] == COUNTER_NAME


class ChannelDropout(nn.Cell):
    """Set whole channels to zero in training and scale the others up; the identity in evaluation (torch's Dropout2d).

    Each (seed, call, picture, channel) has its own random number: the index of picture and channel, permuted under two keys that come
    from seed and call.

    Args:
        rate: chance that a channel is dropped, 0 < rate < 1.
        seed: selects the sequence of masks; ranks of a distributed run need different ones.

    Inputs:
        x: (B, C, H, W) float.

    Outputs:
        (B, C, H, W), dtype of x.

    Raises:
        ValueError: if rate is not between 0 and 1.

    Source: Tompson et al., arXiv 1411.4280, section 3.2 (dropping channels); the power map is that of the cipher MiMC (ASIACRYPT 2016).
    """

    def __init__(self, rate: float, seed: int) -> None:
        super().__init__()
        if not 0 < rate < 1:
            raise ValueError(f"rate must lie between 0 and 1; got {rate}")
        self.threshold = round(rate * PRIME)
        self.scale = 1 / (1 - rate)
        self.seed_keys = tuple((seed + 1) * factor % PRIME for factor in _SEED_FACTORS)
        self.dropout_calls = Parameter(Tensor(0, ms.int32), name=COUNTER_NAME, requires_grad=False)

    def construct(self, x: Tensor) -> Tensor:
        """Drop channels in training."""
        if not self.training:
            return x
        return x * self._mask(ops.shape(x)[0], ops.shape(x)[1]).astype(x.dtype)

    def _mask(self, batch: int, channels: int) -> Tensor:
        call = ops.assign_add(self.dropout_calls, Tensor(1, ms.int32)).astype(ms.int64)
        mixed = ops.arange(batch * channels).astype(ms.int64)  # (B * C,)
        for seed_key in self.seed_keys:
            # Two different keys: with one, the masks of two calls could be the same sequence, shifted.
            mixed = permute(mixed + permute(call + seed_key))
        kept = (mixed >= self.threshold).astype(ms.float32)
        return (kept * self.scale).reshape((batch, channels, 1, 1))


def channel_dropout(rate: float, seed: int) -> nn.Cell:
    """Return a `ChannelDropout`, or the identity where its rate is 0."""
    return ChannelDropout(rate, seed) if rate > 0 else nn.Identity()


def permute(x: Tensor) -> Tensor:
    """Return a fixed pseudo-random permutation of 0..PRIME - 1, by rounds of x -> (x + constant)^5 modulo PRIME.

    Args:
        x: int64, 0 or larger.
    """
    for constant in _ROUND_CONSTANTS:
        x = (x + constant) % PRIME
        square = x * x % PRIME
        x = square * square % PRIME * x % PRIME
    return x
