"""The random state of a torch module."""

import numpy as np
import torch
from torch import nn

from tests.parity.references.random_state import bias, conv_weight, disturbed, norm_weight


@torch.no_grad()
def randomise(model: nn.Module, images: torch.Tensor, seed: int, classifiers: tuple[str, ...] = ()) -> None:
    """Give a module random weights, and statistics that are near those of the activations of some images.

    Args:
        model: changed in place; left in evaluation mode.
        images: (B, 3, H, W), normalised; several different ones, so that no statistics are those of one picture.
        seed: the same seed gives the same weights.
        classifiers: names of the convolutions that end in logits. Their biases make every class's mean logit 0, so that no class wins
            everywhere.
    """
    rng = np.random.default_rng(seed)
    modules = dict(model.named_modules())
    for name, module in modules.items():
        if isinstance(module, nn.Conv2d):
            _set(module.weight, conv_weight(rng, module.weight.shape, is_classifier=name in classifiers))
            if module.bias is not None:
                _set(module.bias, bias(rng, module.bias.shape))
        elif isinstance(module, nn.BatchNorm2d):
            _set(module.weight, norm_weight(rng, module.weight.shape))
            _set(module.bias, bias(rng, module.bias.shape))
    norms = [module for module in modules.values() if isinstance(module, nn.BatchNorm2d)]
    _measure(model, norms, images)
    for norm in norms:
        for target, values in zip(
            (norm.running_mean, norm.running_var), disturbed(rng, norm.running_mean.numpy(), norm.running_var.numpy()), strict=True
        ):
            _set(target, values)
    hooks = [modules[name].register_forward_hook(_centre) for name in classifiers]
    model(images)
    for hook in hooks:
        hook.remove()


def _set(target: torch.Tensor, values: np.ndarray) -> None:
    target.copy_(torch.from_numpy(values))


def _measure(model: nn.Module, norms: list[nn.BatchNorm2d], images: torch.Tensor) -> None:
    """Set the running statistics to those of one batch."""
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    model.train()
    model(images)
    model.eval()
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum


def _centre(module: nn.Conv2d, _: tuple[torch.Tensor, ...], logits: torch.Tensor) -> None:
    module.bias -= logits.mean((0, 2, 3))
