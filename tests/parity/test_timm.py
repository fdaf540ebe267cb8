"""timm's ImageNet backbones with random weights: converted, they give the same features."""

from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from src.checkpoint.weights import load_weights
from src.config import load_config
from src.data.pictures import read_image
from src.data.transforms import normalize
from src.models.builder import assemble_network, is_backbone
from tests.parity.converted import convert, largest_difference

PICTURE = "even_480x352"  # timm resizes by whole factors, so sides are multiples of 32

# ImageNet classifiers join their branches to the nearest pixel; a segmentation recipe trains them on with its own rule.
AS_TIMM = ("model.name=seg_hrnet", "model.align_corners=False", "model.fuse_resize=nearest", "loss.balance_weights=[1.0]")


IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def backbone(checkpoint: Path, words: tuple[str, ...]) -> tuple[nn.Cell, object]:
    config = load_config(str(checkpoint.with_suffix(".yaml")), {"device_target": "CPU"}, words)
    network = assemble_network(config)
    report = load_weights(network, checkpoint, complete=False)
    assert not any(is_backbone(name) for name in report.missing), report
    return network.set_train(False), config


@pytest.mark.parametrize(
    "name", ["hrnet_w18", *(pytest.param(name, marks=pytest.mark.slow) for name in ("hrnet_w18_small_v2", "hrnet_w48"))]
)
def test_features(
    name: str,
    run_reference: Callable[..., Path],
    pictures: dict[str, Path],
    tmp_path: Path,
    pynative: None,
    record_property: Callable[[str, object], None],
) -> None:
    folder = run_reference("timm_hrnet", name, tmp_path, [PICTURE])
    network, config = backbone(convert(folder / "weights.safetensors", folder), AS_TIMM)
    image = normalize(read_image(pictures[PICTURE]), config.dataset.mean, config.dataset.std)
    features = network.backbone(ms.Tensor(image[None]))[1].asnumpy()[0]
    difference = largest_difference(features, np.load(folder / f"{PICTURE}.npy"))
    record_property("difference", f"{difference:.1e}")
    assert difference <= 1e-3


# timm pools like torchvision and gives the first block of a dilated stage half the dilation.
RESNET_AS_TIMM = ("model.name=seg_resnet", "model.resnet.ceil_pool=False", "model.resnet.first_dilation=half")


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("resnet50", "even_176x112"),
        pytest.param("resnet101", "odd_481x321", marks=pytest.mark.slow),
        pytest.param("resnet101c", "odd_481x321", marks=pytest.mark.slow),  # a deep stem
    ],
)
def test_resnet_features(
    name: str,
    picture: str,
    run_reference: Callable[..., Path],
    pictures: dict[str, Path],
    tmp_path: Path,
    pynative: None,
    record_property: Callable[[str, object], None],
) -> None:
    folder = run_reference("timm_resnet", name, tmp_path, [picture])
    network, config = backbone(convert(folder / "weights.safetensors", folder), RESNET_AS_TIMM)
    # A recipe chooses the normalisation of ImageNet weights; timm's is this one.
    image = normalize(read_image(pictures[picture]), *IMAGENET)
    third, fourth = network.backbone(ms.Tensor(image[None]))
    differences = [
        largest_difference(features.asnumpy()[0], np.load(folder / f"{picture}.{stage}.npy"))
        for stage, features in (("layer3", third), ("layer4", fourth))
    ]
    record_property("difference", f"{max(differences):.1e}")
    assert max(differences) <= 1e-3
