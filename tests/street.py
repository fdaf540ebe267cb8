"""Street scenes in Cityscapes' layout, and weights of a tiny network that tells several classes apart in them."""

from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from src.checkpoint.weights import save_weights
from src.config import load_config
from src.data.cityscapes import LABELS
from src.data.synthetic import render_scene
from src.inference.predictor import Predictor
from src.models.builder import assemble_network
from tests.data.make_data import write_png
from tests.random_weights import randomize
from tests.tiny import TINY_WORDS

SIZE_HW = (64, 128)


def write_streets(root: Path, num: int = 3) -> Path:
    """Write validation scenes; the label of the second one holds all 34 labelIds."""
    for index in range(num):
        picture, label, _ = render_scene("val", index, SIZE_HW, seed=1)
        if index == 1:
            label[:4, : 3 * len(LABELS)] = np.repeat([max(entry.id, 0) for entry in LABELS], 3)
        city = ("dunmere", "estholm")[index % 2]
        stem = f"{city}_{index:06d}_000019"
        write_png(root / f"leftImg8bit/val/{city}/{stem}_leftImg8bit.png", picture)
        write_png(root / f"gtFine/val/{city}/{stem}_gtFine_labelIds.png", label)
    return root


def write_street_weights(path: Path, picture: np.ndarray, *words: str) -> Path:
    """Write random weights, and their configuration for PYNATIVE, that give all classes the same mean logit in a picture."""
    mode = ms.get_context("mode")
    ms.set_context(mode=ms.PYNATIVE_MODE)
    config = load_config("demo", {"device_target": "CPU", "mode": "PYNATIVE", "workers": 2}, [*TINY_WORDS, *words])
    network = assemble_network(config)
    randomize(network, seed=7)
    scores = Predictor.from_config(network, config).scores([picture])
    weight, bias = network.head.cls_head.weight, network.head.cls_head.bias
    mean, spread = scores.mean(axis=(0, 2, 3)), scores.std(axis=(0, 2, 3))
    weight.set_data(Tensor(weight.asnumpy() / spread[:, None, None, None]))
    bias.set_data(Tensor((bias.asnumpy() - mean) / spread))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_weights(network, path, config)
    ms.set_context(mode=mode)
    return path
