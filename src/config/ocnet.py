"""What the ResNet-101 presets share: OCNet's training recipe on Cityscapes.

Source: OCNet.pytorch: run_resnet101_asp_oc.sh, config/__init__.py, dataset/cityscapes.py and utils/criterion.py; eval.py.
"""

import copy
from typing import Any

# Caffe's mean of blue, green and red, of values 0..1, and what leaves values of 0..255 undivided. OCNet subtracts it from RGB pictures
# although its order is BGR: what its weights were trained with.
CAFFE_MEAN = [value / 255 for value in (102.9801, 115.9465, 122.7717)]
CAFFE_STD = [1 / 255] * 3

_RECIPE: dict[str, Any] = {
    "lr": 0.01,
    "lr_power": 0.9,
    "total_epoch": 108,
    "batchsize": 2,
    "train": {
        "image_size": [769, 769],
        "base_size": 2048,
        "scale_range": [0.5, 2.1],
        "scale_step": 0.1,
        "param_initializer": "HeNormal",
        "schedule": "poly",
        "opt_momentum": 0.9,
        "wd": 0.0005,
    },
    "dataset": {"color_order": "RGB", "mean": CAFFE_MEAN, "std": CAFFE_STD},
    "eval": {"image_size": [1024, 2048], "fusion": "logits", "scale_list": [0.75, 1.0, 1.25]},
    "loss": {
        "loss_scale": 1024.0,
        "use_weights": True,
        "balance_weights": [0.4, 1.0],
        # In force with loss.use_ohem=True.
        "ohem_threshold": 0.7,
        "ohem_keep": 100000,
    },
}


def ocnet_recipe(model: dict[str, Any]) -> dict[str, Any]:
    """Return the preset of a network: 40k steps of 8 crops of 769x769 (108 epochs of 371 steps on 4 devices).

    Args:
        model: the section `model`: `name` and what differs from the schema's ResNet-101.
    """
    return copy.deepcopy(_RECIPE) | {"model": {"align_corners": True, **model}}
