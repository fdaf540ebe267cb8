"""Names and shapes against the official HRNet-OCR's rules, written out here a second time, and against its published sizes."""

import math
from typing import Any

import mindspore as ms
import pytest
from mindspore import nn
from mindspore.nn.utils import no_init_parameters
from omegaconf import OmegaConf

from src.config import load_config
from src.config.hrnet import (
    HRNET_W18,
    HRNET_W18_SMALL_V1,
    HRNET_W18_SMALL_V2,
    HRNET_W32,
    HRNET_W40,
    HRNET_W48,
)
from src.models.builder import assemble_network, build_network, is_backbone
from src.models.dropout import is_training_state

Shapes = dict[str, tuple[int, ...]]


def conv_shape(name: str, before: int, after: int, kernel: int, bias: bool = False) -> Shapes:
    return {f"{name}.weight": (after, before, kernel, kernel), **({f"{name}.bias": (after,)} if bias else {})}


def norm_shape(name: str, channels: int) -> Shapes:
    return {f"{name}.{part}": (channels,) for part in ("gamma", "beta", "moving_mean", "moving_variance")}


def pair(conv: str, norm: str, before: int, after: int, kernel: int, bias: bool = False) -> Shapes:
    return conv_shape(conv, before, after, kernel, bias) | norm_shape(norm, after)


def basic_block(name: str, width: int) -> Shapes:
    return pair(f"{name}.conv1", f"{name}.bn1", width, width, 3) | pair(f"{name}.conv2", f"{name}.bn2", width, width, 3)


def layer1(extra: dict) -> tuple[Shapes, int]:
    middle = extra["STAGE1"]["NUM_CHANNELS"][0]
    shapes: Shapes = {}
    before = 64
    for n in range(extra["STAGE1"]["NUM_BLOCKS"][0]):
        name = f"layer1.{n}"
        shapes |= pair(f"{name}.conv1", f"{name}.bn1", before, middle, 1) | pair(f"{name}.conv2", f"{name}.bn2", middle, middle, 3)
        shapes |= pair(f"{name}.conv3", f"{name}.bn3", middle, 4 * middle, 1)
        if before != 4 * middle:
            shapes |= pair(f"{name}.downsample.0", f"{name}.downsample.1", before, 4 * middle, 1)
        before = 4 * middle
    return shapes, before


def fuse(name: str, widths: list[int]) -> Shapes:
    shapes: Shapes = {}
    for i, to in enumerate(widths):
        for j, source in enumerate(widths):
            row = f"{name}.{i}.{j}"
            if j > i:
                shapes |= pair(f"{row}.0", f"{row}.1", source, to, 1)
            for k in range(i - j):
                shapes |= pair(f"{row}.{k}.0", f"{row}.{k}.1", source, to if k == i - j - 1 else source, 3)
    return shapes


def official_backbone(extra: dict) -> tuple[Shapes, int]:
    shapes, layer1_width = layer1(extra)
    shapes |= pair("conv1", "bn1", 3, 64, 3) | pair("conv2", "bn2", 64, 64, 3)
    first = extra["STAGE2"]["NUM_CHANNELS"]
    shapes |= pair("transition1.0.0", "transition1.0.1", layer1_width, first[0], 3)
    shapes |= pair("transition1.1.0.0", "transition1.1.0.1", layer1_width, first[1], 3)
    for number in (2, 3, 4):
        stage = extra[f"STAGE{number}"]
        widths = stage["NUM_CHANNELS"]
        if number > 2:
            new = f"transition{number - 1}.{number - 1}.0"
            shapes |= pair(f"{new}.0", f"{new}.1", widths[-2], widths[-1], 3)
        for m in range(stage["NUM_MODULES"]):
            for b, width in enumerate(widths):
                for n in range(stage["NUM_BLOCKS"][b]):
                    shapes |= basic_block(f"stage{number}.{m}.branches.{b}.{n}", width)
            shapes |= fuse(f"stage{number}.{m}.fuse_layers", widths)
    return shapes, sum(extra["STAGE4"]["NUM_CHANNELS"])


def official_ocr(
    extra: dict, mid: int, key: int, classes: int, *, head_bias: bool = True, transform_bias: bool = False, aux_kernel: int = 1
) -> Shapes:
    shapes, width = official_backbone(extra)
    shapes |= pair("aux_head.0", "aux_head.1", width, width, aux_kernel, head_bias)
    shapes |= conv_shape("aux_head.3", width, classes, 1, bias=True)
    shapes |= pair("conv3x3_ocr.0", "conv3x3_ocr.1", width, mid, 3, head_bias)
    block = "ocr_distri_head.object_context_block"
    for name in ("f_pixel", "f_object"):
        shapes |= pair(f"{block}.{name}.0", f"{block}.{name}.1.0", mid, key, 1, transform_bias)
        shapes |= pair(f"{block}.{name}.2", f"{block}.{name}.3.0", key, key, 1, transform_bias)
    shapes |= pair(f"{block}.f_down.0", f"{block}.f_down.1.0", mid, key, 1, transform_bias)
    shapes |= pair(f"{block}.f_up.0", f"{block}.f_up.1.0", key, mid, 1, transform_bias)
    shapes |= pair("ocr_distri_head.conv_bn_dropout.0", "ocr_distri_head.conv_bn_dropout.1.0", 2 * mid, mid, 1, transform_bias)
    return shapes | conv_shape("cls_head", mid, classes, 1, bias=True)


def official_plain(extra: dict, classes: int, *, head_bias: bool = True) -> Shapes:
    shapes, width = official_backbone(extra)
    shapes |= pair("last_layer.0", "last_layer.1", width, width, 1, head_bias)
    return shapes | conv_shape("last_layer.3", width, classes, extra["FINAL_CONV_KERNEL"], bias=True)


def trainable(shapes: Shapes) -> int:
    return sum(math.prod(shape) for name, shape in shapes.items() if "moving_" not in name)


def built(network: ms.nn.Cell) -> Shapes:
    return {parameter.name: parameter.shape for parameter in network.get_parameters() if not is_training_state(parameter.name)}


WIDTHS = {
    "w18_small_v1": HRNET_W18_SMALL_V1,
    "w18_small_v2": HRNET_W18_SMALL_V2,
    "w18": HRNET_W18,
    "w32": HRNET_W32,
    "w40": HRNET_W40,
    "w48": HRNET_W48,
}
PUBLISHED_OCR = {"w18_small_v2": 6_379_278, "w18": 12_080_818, "w32": 32_953_894, "w48": 70_372_678}


def described(extra: dict, **model: Any) -> nn.Cell:
    """Return the network of 19 classes with stage tables and further keys of `model`, without weights."""
    config = OmegaConf.merge(load_config("hrnetv2_w48"), {"model": {"extra": extra, **model}})
    with no_init_parameters():
        return assemble_network(config)


@pytest.mark.parametrize("width", PUBLISHED_OCR)
def test_the_rules_of_this_file_give_the_published_sizes(width):
    assert trainable(official_ocr(WIDTHS[width], 512, 256, 19)) == PUBLISHED_OCR[width]


@pytest.mark.parametrize("width", WIDTHS)
def test_ocr_networks_have_the_official_names_and_shapes(width):
    network = described(WIDTHS[width])
    assert built(network) == official_ocr(WIDTHS[width], 512, 256, 19)
    if width in PUBLISHED_OCR:
        assert sum(parameter.size for parameter in network.trainable_params()) == PUBLISHED_OCR[width]


# Counted in mmsegmentation 1.2.2 (ocrnet_hr18, ocrnet_hr48) and PaddleSeg 2.8.0 (OCRNet with HRNet_W18); openseg by its rules alone.
ELSEWHERE = {
    "mmseg W18": (HRNET_W18, False, False, 1, 12_080_036),
    "mmseg W48": (HRNET_W48, False, False, 1, 70_371_446),
    "PaddleSeg W18": (HRNET_W18, True, True, 1, 12_083_122),
    "openseg W48": (HRNET_W48, True, True, 3, None),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_heads_of_other_systems_have_their_sizes(name):
    extra, head_bias, transform_bias, aux_kernel, size = ELSEWHERE[name]
    network = described(extra, head_bias=head_bias, ocr={"aux_kernel": aux_kernel, "transform_bias": transform_bias})
    expected = official_ocr(extra, 512, 256, 19, head_bias=head_bias, transform_bias=transform_bias, aux_kernel=aux_kernel)
    assert built(network) == expected
    if size:
        assert sum(parameter.size for parameter in network.trainable_params()) == size


@pytest.mark.parametrize("width", WIDTHS)
def test_plain_networks_have_the_official_names_and_shapes(width):
    assert built(described(WIDTHS[width], name="seg_hrnet")) == official_plain(WIDTHS[width], 19)


def test_the_builder_reads_the_configuration(tiny_config, plain_words):
    config = tiny_config()
    extra = OmegaConf.to_container(config.model.extra)
    shapes = built(build_network(config))
    assert shapes == official_ocr(extra, 12, 5, 3)
    # The places where a list has gaps, spelled out.
    assert {"stage2.0.branches.0.0.conv1.weight", "transition1.1.0.0.weight", "stage3.0.fuse_layers.2.0.0.0.weight"} <= shapes.keys()
    assert "ocr_distri_head.object_context_block.f_pixel.1.0.gamma" in shapes
    plain = tiny_config(*plain_words, "model.extra.FINAL_CONV_KERNEL=3")
    assert built(build_network(plain)) == official_plain(extra | {"FINAL_CONV_KERNEL": 3}, 3)
    unbiased = tiny_config(*plain_words, "model.head_bias=False")
    assert built(build_network(unbiased)) == official_plain(extra, 3, head_bias=False)
    other = tiny_config("model.head_bias=False", "model.ocr.transform_bias=True", "model.ocr.aux_kernel=3")
    assert built(build_network(other)) == official_ocr(extra, 12, 5, 3, head_bias=False, transform_bias=True, aux_kernel=3)


def test_is_backbone_parts_the_names_as_imagenet_files_do(tiny_config):
    names = set(built(build_network(tiny_config())))
    backbone, _ = official_backbone(OmegaConf.to_container(tiny_config().model.extra))
    assert {name for name in names if is_backbone(name)} == set(backbone)


def test_stages_of_other_blocks_and_widths_fit_together(tiny_config):
    # Transitions convert where a branch's width changes, which no preset needs.
    config = tiny_config("model.extra.STAGE2.BLOCK=BOTTLENECK", "model.extra.STAGE1.BLOCK=BASIC")
    network = build_network(config).set_train(False)
    shapes = built(network)
    assert shapes["transition2.0.0.weight"] == (4, 16, 3, 3)
    assert shapes["layer1.0.conv1.weight"] == (4, 64, 3, 3)
    assert network(ms.ops.ones((1, 3, 32, 32), ms.float32))[1].shape == (1, 3, 8, 8)
