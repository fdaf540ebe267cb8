"""This project's side of a comparison: convert a file, load what came out, answer for a picture."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mindspore import nn

import convert_from_torch
from src.checkpoint.weights import load_weights
from src.config import load_config
from src.data.pictures import read_image
from src.inference.predictor import Predictor
from src.models.builder import assemble_network

# What the configuration beside the weights does not decide: one pass over the picture as it is, whose scores are the logits.
PLAIN = ("eval.image_size=null", "eval.fusion=logits")

NORM_NAMES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def convert(weights: Path, folder: Path, *arguments: str) -> Path:
    """Return the checkpoint that `convert_from_torch.py` makes of a file; its configuration lies beside it."""
    checkpoint = folder / "converted.ckpt"
    status = convert_from_torch.main(["--torch_path", str(weights), "--mindspore_path", str(checkpoint), *arguments])
    assert status == 0
    return checkpoint


def load(checkpoint: Path, *words: str) -> tuple[nn.Cell, Any]:
    """Return the network with a checkpoint's weights, in evaluation mode, and the configuration: that beside it, and `words`."""
    config = load_config(str(checkpoint.with_suffix(".yaml")), {"device_target": "CPU"}, words)
    network = assemble_network(config)
    load_weights(network, checkpoint, complete=True)
    return network.set_train(False), config


def mindspore_names(model: torch.nn.Module) -> dict[str, str]:
    """Return, for each array of an official state dict that MindSpore has too, the name that it has there."""
    norms = {name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    names = {}
    for name in model.state_dict():
        cell, last = name.rsplit(".", 1)
        if last != "num_batches_tracked":
            names[name] = f"{cell}.{NORM_NAMES[last]}" if cell in norms else name
    return names


def largest_difference(ours: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest difference of two arrays of one shape as a part of the reference's largest magnitude."""
    assert ours.shape == reference.shape
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


@dataclass(frozen=True)
class Agreement:
    """How near two answers are.

    Attributes:
        difference: largest difference of two logits, as a part of the reference's largest logit.
        equal_labels: part of the pixels with the same label.
        classes: number of classes among the reference's labels.
    """

    difference: float
    equal_labels: float
    classes: int

    @classmethod
    def of(cls, ours: np.ndarray, reference: np.ndarray) -> "Agreement":
        """Compare logits (K, H, W) float32."""
        labels = reference.argmax(0)
        return cls(
            largest_difference(ours, reference),
            float((ours.argmax(0) == labels).mean()),
            len(np.unique(labels)),
        )


@dataclass(frozen=True)
class Case:
    """A converted network beside the answers of its reference.

    Attributes:
        folder: holds the reference's answers, one STEM.npy per picture.
        predictor: of the converted network.
    """

    folder: Path
    predictor: Predictor

    @classmethod
    def of(cls, weights: Path, *words: str) -> "Case":
        """Convert weights, beside which the reference's answers lie; `words` are of the configuration."""
        network, config = load(convert(weights, weights.parent), *PLAIN, *words)
        return cls(weights.parent, Predictor.from_config(network, config))

    def agreement(self, picture: Path) -> Agreement:
        """Ask the converted network; compare at the picture's size."""
        ours = self.predictor.scores([read_image(picture)])[0]
        return Agreement.of(ours, np.load(self.folder / f"{picture.stem}.npy"))
