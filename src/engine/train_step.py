"""One training step as a Cell: forward, backward, reduction over ranks, loss scale, accumulation, clipping, update."""

from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn, ops

GROWTH_INTERVAL = 2000  # good updates before a dynamic loss scale is doubled, as in Micikevicius et al. (arXiv 1710.03740)


@dataclass(frozen=True)
class StepOptions:
    """What a training step does beside the plain update.

    Attributes:
        loss_scale: factor on the loss; gradients are divided by it.
        dynamic: halve the factor on overflow, double it after GROWTH_INTERVAL good updates.
        accumulate: batches averaged for one update.
        clip_norm: largest global gradient norm; 0 does not clip.
    """

    loss_scale: float = 1.0
    dynamic: bool = False
    accumulate: int = 1
    clip_norm: float = 0.0

    @classmethod
    def from_config(cls, config: Any) -> "StepOptions":
        """Read `loss.*` and `train.*`."""
        loss, train = config.loss, config.train
        return cls(loss.loss_scale, loss.dynamic_loss_scale, train.accumulate_steps, train.clip_grad_norm)


class NetworkWithLoss(nn.Cell):
    """A network and its loss.

    Inputs:
        image: float32 (B, 3, H, W), normalised.
        label: int32 (B, H, W).

    Outputs:
        float32 scalar.
    """

    def __init__(self, network: nn.Cell, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.loss = loss

    def construct(self, image: ms.Tensor, label: ms.Tensor) -> ms.Tensor:
        """Return the loss."""
        return self.loss(self.network(image), label)


class TrainStep(nn.Cell):
    """Forward, backward and, where all gradients are finite, one SGD update.

    An update whose gradients are not finite is skipped: weights, momenta and the schedule's position stay as they were, and
    `skipped_updates` grows by one. The gradients are summed over ranks before the check, so all ranks decide alike.

    Args:
        network: from image and label to the loss.
        optimizer: over its parameters.
        options: what is done beside the plain update.
        world: number of ranks.
        average: follows every update, not those that are skipped; None averages nothing.

    Inputs:
        image: float32 (B, 3, H, W), normalised.
        label: int32 (B, H, W).

    Outputs:
        float32 scalar, the unscaled loss of this rank's batch.
    """

    def __init__(
        self, network: nn.Cell, optimizer: nn.Optimizer, options: StepOptions, world: int = 1, average: nn.Cell | None = None
    ) -> None:
        super().__init__(auto_prefix=False)
        self.network = network.set_grad()  # without it PYNATIVE mode runs forward twice, once for the loss and once for the gradient
        self.optimizer = optimizer
        self.weights = optimizer.parameters
        self.average = average
        self.grad = ops.GradOperation(get_by_list=True, sens_param=True)
        self.reducer = nn.DistributedGradReducer(self.weights, True, world) if world > 1 else nn.Identity()
        self.multiply = ops.MultitypeFuncGraph("multiply")
        self.multiply.register("Tensor", "Tensor")(_multiply)
        self.hyper_map = ops.HyperMap()
        self.clip_norm = options.clip_norm
        self.dynamic = options.dynamic
        self.accumulate = options.accumulate
        # A factor of 1 on every gradient would cost a pass over all weights.
        self.is_scaled = options.dynamic or options.loss_scale != 1 or options.accumulate > 1
        self.loss_scale = _counter("loss_scale", options.loss_scale, ms.float32)
        self.good_updates = _counter("good_updates", 0, ms.int32)
        self.skipped_updates = _counter("skipped_updates", 0, ms.int32)
        self.num_accumulated = _counter("num_accumulated", 0, ms.int32)
        if self.accumulate > 1:
            self.sums = self.weights.clone(prefix="gradient_sum", init="zeros")

    def state(self) -> dict[str, ms.Parameter]:
        """Return what resuming restores: all parameters but those that the configuration gives, which may be changed on resuming.

        These are the optimizer's schedule and momentum, and a fixed loss scale.
        """
        configured = ("momentum",) if self.dynamic else ("momentum", "loss_scale")
        parameters = {parameter.name: parameter for parameter in self.get_parameters()}
        # Each group of parameters may have its schedule: learning_rate, learning_rate_group_1.
        return {name: value for name, value in parameters.items() if name not in configured and not name.startswith("learning_rate")}

    def construct(self, image: ms.Tensor, label: ms.Tensor) -> ms.Tensor:
        """Return the loss before the update."""
        loss = self.network(image, label)
        gradients = self.grad(self.network, self.weights)(image, label, ops.ones_like(loss) * self.loss_scale)
        gradients = self.reducer(gradients)
        if self.accumulate == 1:
            loss = ops.depend(loss, self._update(gradients))
        else:
            loss = ops.depend(loss, self._accumulate(gradients))
        return loss

    def _accumulate(self, gradients: tuple) -> ms.Tensor:
        added = self.hyper_map(ops.assign_add, self.sums, gradients)
        self.num_accumulated += 1
        done = ops.depend(self.num_accumulated, added)
        if done >= self.accumulate:
            done = ops.depend(done, self._update(self.sums))
            done = ops.depend(done, self.hyper_map(ops.assign, self.sums, self.hyper_map(ops.zeros_like, self.sums)))
            self.num_accumulated = ops.zeros_like(self.num_accumulated)
        return done

    def _update(self, gradients: tuple) -> ms.Tensor:
        if self.is_scaled:
            factor = 1.0 / (self.loss_scale * self.accumulate)
            gradients = self.hyper_map(ops.partial(self.multiply, factor), gradients)
        is_finite = ms.amp.all_finite(gradients)
        if self.clip_norm > 0:
            gradients = ops.clip_by_global_norm(gradients, self.clip_norm)
        if is_finite:
            is_finite = ops.depend(is_finite, self.optimizer(gradients))
            if self.average is not None:
                is_finite = ops.depend(is_finite, self.average(self.optimizer.global_step))
        else:
            self.skipped_updates += 1
        if self.dynamic:
            self._adjust_scale(is_finite)
        return is_finite

    def _adjust_scale(self, is_finite: ms.Tensor) -> None:
        if is_finite:
            self.good_updates += 1
            if self.good_updates >= GROWTH_INTERVAL:
                self.loss_scale *= 2.0
                self.good_updates = ops.zeros_like(self.good_updates)
        else:
            self.loss_scale = ops.maximum(self.loss_scale / 2.0, 1.0)
            self.good_updates = ops.zeros_like(self.good_updates)


def _counter(name: str, value: float, dtype: Any) -> ms.Parameter:
    return ms.Parameter(ms.Tensor(np.array(value), dtype), name=name, requires_grad=False)


def _multiply(factor: ms.Tensor, gradient: ms.Tensor) -> ms.Tensor:
    return gradient * factor.astype(gradient.dtype)
