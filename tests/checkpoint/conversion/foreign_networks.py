"""A tiny network's layers as each source would name them, listed from the sources' module definitions and not from the tables.

Each row pairs a layer there with the same layer here, so that values can be followed through a conversion.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

WIDTH, MID, KEY = 4, 8, 6
CHANNELS = [WIDTH * 2**i for i in range(4)]
JOINED = sum(CHANNELS)
MODULES = {2: 1, 3: 2, 4: 1}
BLOCKS = {2: 2, 3: 1, 4: 1}  # residual blocks of each branch
LAYER1_BLOCKS, LAYER1_CHANNELS = 2, 4
EXTRA = {
    "STAGE1": {"NUM_MODULES": 1, "BLOCK": "BOTTLENECK", "NUM_BLOCKS": [2], "NUM_CHANNELS": [4]},
    "STAGE2": {"NUM_MODULES": 1, "BLOCK": "BASIC", "NUM_BLOCKS": [2, 2], "NUM_CHANNELS": [4, 8]},
    "STAGE3": {"NUM_MODULES": 2, "BLOCK": "BASIC", "NUM_BLOCKS": [1, 1, 1], "NUM_CHANNELS": [4, 8, 16]},
    "STAGE4": {"NUM_MODULES": 1, "BLOCK": "BASIC", "NUM_BLOCKS": [1, 1, 1, 1], "NUM_CHANNELS": [4, 8, 16, 32]},
}
BLOCK, FUSE = "ocr_distri_head.object_context_block", "ocr_distri_head.conv_bn_dropout"

TORCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
PADDLE_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "_mean", "moving_variance": "_variance"}
MINDSPORE_NORM = {name: name for name in TORCH_NORM}


@dataclass(frozen=True)
class Layer:
    """A convolution (shape of 4, with or without bias) or a batch norm (shape of 1)."""

    there: str
    here: str
    shape: tuple[int, ...]
    bias: bool = False


def pair(there: tuple[str, str], here: tuple[str, str], before: int, after: int, kernel: int, bias: bool = False) -> list[Layer]:
    return [Layer(there[0], here[0], (after, before, kernel, kernel), bias), Layer(there[1], here[1], (after,))]


def official_backbone(prefix: str = "") -> list[Layer]:
    """The official names, with a prefix there."""
    return [Layer(prefix + layer.here, layer.here, layer.shape) for layer in paddle_backbone("")]


def paddle_backbone(prefix: str) -> list[Layer]:
    """PaddleSeg's HRNet: everything counts from 1, `_conv` and `_batch_norm` hang below one layer."""
    rows: list[Layer] = []

    def add(there: str, conv: str, norm: str, before: int, after: int, kernel: int) -> None:
        rows.extend(pair((f"{prefix}{there}._conv", f"{prefix}{there}._batch_norm"), (conv, norm), before, after, kernel))

    add("conv_layer1_1", "conv1", "bn1", 3, 64, 3)
    add("conv_layer1_2", "conv2", "bn2", 64, 64, 3)
    middle, wide = LAYER1_CHANNELS, 4 * LAYER1_CHANNELS
    for n in range(LAYER1_BLOCKS):
        there, here, before = f"la1.bb_layer2_{n + 1}", f"layer1.{n}", wide if n else 64
        add(f"{there}.conv1", f"{here}.conv1", f"{here}.bn1", before, middle, 1)
        add(f"{there}.conv2", f"{here}.conv2", f"{here}.bn2", middle, middle, 3)
        add(f"{there}.conv3", f"{here}.conv3", f"{here}.bn3", middle, wide, 1)
        if n == 0:
            add(f"{there}.conv_down", f"{here}.downsample.0", f"{here}.downsample.1", before, wide, 1)
    add("tr1.transition_tr1_layer_1", "transition1.0.0", "transition1.0.1", wide, CHANNELS[0], 3)
    add("tr1.transition_tr1_layer_2", "transition1.1.0.0", "transition1.1.0.1", wide, CHANNELS[1], 3)
    add("tr2.transition_tr2_layer_3", "transition2.2.0.0", "transition2.2.0.1", CHANNELS[1], CHANNELS[2], 3)
    add("tr3.transition_tr3_layer_4", "transition3.3.0.0", "transition3.3.0.1", CHANNELS[2], CHANNELS[3], 3)
    for s in (2, 3, 4):
        for m in range(MODULES[s]):
            there, here = f"st{s}.stage_st{s}_{m + 1}", f"stage{s}.{m}"
            for b in range(s):
                for n in range(BLOCKS[s]):
                    for c in (1, 2):
                        block = f"{there}.branches_func.bb_st{s}_{m + 1}_branch_layer_{b + 1}_{n + 1}.conv{c}"
                        add(block, f"{here}.branches.{b}.{n}.conv{c}", f"{here}.branches.{b}.{n}.bn{c}", CHANNELS[b], CHANNELS[b], 3)
            for i in range(s):
                for j in range(s):
                    step = f"{there}.fuse_func.residual_st{s}_{m + 1}_layer_{i + 1}_{j + 1}"
                    row = f"{here}.fuse_layers.{i}.{j}"
                    if j > i:
                        add(step, f"{row}.0", f"{row}.1", CHANNELS[j], CHANNELS[i], 1)
                    for k in range(i - j):
                        after = CHANNELS[i] if k == i - j - 1 else CHANNELS[j]
                        add(f"{step}_{k + 1}", f"{row}.{k}.0", f"{row}.{k}.1", CHANNELS[j], after, 3)
    return rows


def ocr_head(
    aux: tuple[str, str, str],
    ocr: tuple[str, str],
    transforms: dict[str, tuple[str, ...]],
    cls: str,
    classes: int,
    head_bias: bool,
    transform_bias: bool,
    aux_kernel: int = 1,
) -> list[Layer]:
    """An OCR head; `transforms` gives conv, norm (, conv, norm) there for f_pixel, f_object, f_down, f_up and fuse."""
    rows = pair(aux[:2], ("aux_head.0", "aux_head.1"), JOINED, JOINED, aux_kernel, head_bias)
    rows += [Layer(aux[2], "aux_head.3", (classes, JOINED, 1, 1), True)]
    rows += pair(ocr, ("conv3x3_ocr.0", "conv3x3_ocr.1"), JOINED, MID, 3, head_bias)
    for name in ("f_pixel", "f_object"):
        there = transforms[name]
        rows += pair(there[:2], (f"{BLOCK}.{name}.0", f"{BLOCK}.{name}.1.0"), MID, KEY, 1, transform_bias)
        rows += pair(there[2:], (f"{BLOCK}.{name}.2", f"{BLOCK}.{name}.3.0"), KEY, KEY, 1, transform_bias)
    rows += pair(transforms["f_down"], (f"{BLOCK}.f_down.0", f"{BLOCK}.f_down.1.0"), MID, KEY, 1, transform_bias)
    rows += pair(transforms["f_up"], (f"{BLOCK}.f_up.0", f"{BLOCK}.f_up.1.0"), KEY, MID, 1, transform_bias)
    rows += pair(transforms["fuse"], (f"{FUSE}.0", f"{FUSE}.1.0"), 2 * MID, MID, 1, transform_bias)
    return [*rows, Layer(cls, "cls_head", (classes, MID, 1, 1), True)]


def _sequential(norm: str) -> dict[str, tuple[str, ...]]:
    """The transforms of official, openseg and model zoo code; `norm` is what stands between Sequential and batch norm."""
    twice = {name: tuple(f"{BLOCK}.{name}.{part}" for part in ("0", f"1{norm}", "2", f"3{norm}")) for name in ("f_pixel", "f_object")}
    once = {name: (f"{BLOCK}.{name}.0", f"{BLOCK}.{name}.1{norm}") for name in ("f_down", "f_up")}
    return {**twice, **once, "fuse": (f"{FUSE}.0", f"{FUSE}.1{norm}")}


def official(classes: int = 19, head_bias: bool = True) -> list[Layer]:
    aux, ocr = ("aux_head.0", "aux_head.1", "aux_head.3"), ("conv3x3_ocr.0", "conv3x3_ocr.1")
    return official_backbone() + ocr_head(aux, ocr, _sequential(".0"), "cls_head", classes, head_bias, False)


def modelzoo(classes: int = 19) -> list[Layer]:
    return official(classes, head_bias=False)


def official_plain(classes: int = 19) -> list[Layer]:
    rows = official_backbone() + pair(("last_layer.0", "last_layer.1"), ("last_layer.0", "last_layer.1"), JOINED, JOINED, 1, True)
    return [*rows, Layer("last_layer.3", "last_layer.3", (classes, JOINED, 1, 1), True)]


def openseg(classes: int = 19, inplace: bool = False) -> list[Layer]:
    norm = "" if inplace else ".0"
    aux, ocr = ("aux_head.0", f"aux_head.1{norm}", "aux_head.2"), ("conv3x3.0", f"conv3x3.1{norm}")
    return official_backbone("backbone.") + ocr_head(aux, ocr, _sequential(norm), "cls_head", classes, True, True, aux_kernel=3)


def mmseg(classes: int = 19) -> list[Layer]:
    first, second = "decode_head.0", "decode_head.1"
    block = f"{second}.object_context_block"
    transforms: dict[str, tuple[str, ...]] = {
        "f_pixel": tuple(f"{block}.query_project.{part}" for part in ("0.conv", "0.bn", "1.conv", "1.bn")),
        "f_object": tuple(f"{block}.key_project.{part}" for part in ("0.conv", "0.bn", "1.conv", "1.bn")),
        "f_down": (f"{block}.value_project.conv", f"{block}.value_project.bn"),
        "f_up": (f"{block}.out_project.conv", f"{block}.out_project.bn"),
        "fuse": (f"{block}.bottleneck.conv", f"{block}.bottleneck.bn"),
    }
    aux = (f"{first}.convs.0.conv", f"{first}.convs.0.bn", f"{first}.conv_seg")
    ocr = (f"{second}.bottleneck.conv", f"{second}.bottleneck.bn")
    return official_backbone("backbone.") + ocr_head(aux, ocr, transforms, f"{second}.conv_seg", classes, False, False)


def mmseg_plain(classes: int = 19) -> list[Layer]:
    there = ("decode_head.convs.0.conv", "decode_head.convs.0.bn")
    rows = official_backbone("backbone.") + pair(there, ("last_layer.0", "last_layer.1"), JOINED, JOINED, 1)
    return [*rows, Layer("decode_head.conv_seg", "last_layer.3", (classes, JOINED, 1, 1), True)]


def paddleseg(classes: int = 19) -> list[Layer]:
    block = "head.spatial_ocr.attention_block"

    def layers(*names: str) -> tuple[str, ...]:
        return tuple(f"{name}.{part}" for name in names for part in ("_conv", "_batch_norm"))

    transforms = {
        "f_pixel": layers(f"{block}.f_pixel.0", f"{block}.f_pixel.1"),
        "f_object": layers(f"{block}.f_object.0", f"{block}.f_object.1"),
        "f_down": layers(f"{block}.f_down"),
        "f_up": layers(f"{block}.f_up"),
        "fuse": layers("head.spatial_ocr.conv1x1.0"),
    }
    aux = ("head.aux_head.0._conv", "head.aux_head.0._batch_norm", "head.aux_head.1")
    ocr = ("head.conv3x3_ocr._conv", "head.conv3x3_ocr._batch_norm")
    return paddle_backbone("backbone.") + ocr_head(aux, ocr, transforms, "head.cls_head", classes, True, True)


def paddleseg_plain(classes: int = 19) -> list[Layer]:
    there = ("head.conv_1._conv", "head.conv_1._batch_norm")
    rows = paddle_backbone("backbone.") + pair(there, ("last_layer.0", "last_layer.1"), JOINED, JOINED, 1, True)
    return [*rows, Layer("head.cls", "last_layer.3", (classes, JOINED, 1, 1), True)]


def parameters(layers: list[Layer], norm: dict[str, str]) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """Yield (name there, name here, shape) of every parameter."""
    for layer in layers:
        if len(layer.shape) == 1:
            yield from ((f"{layer.there}.{there}", f"{layer.here}.{here}", layer.shape) for here, there in norm.items())
            continue
        yield f"{layer.there}.weight", f"{layer.here}.weight", layer.shape
        if layer.bias:
            yield f"{layer.there}.bias", f"{layer.here}.bias", layer.shape[:1]


def random_weights(layers: list[Layer], norm: dict[str, str] = TORCH_NORM) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the same random values by name there and by name here."""
    rng = np.random.default_rng(0)
    there, here = {}, {}
    for name, official_name, shape in parameters(layers, norm):
        there[name] = here[official_name] = rng.normal(0, 1, shape).astype(np.float32)
    return there, here


def counters(layers: list[Layer]) -> dict[str, np.ndarray]:
    """The counters that torch's batch norms hold besides."""
    return {f"{layer.there}.num_batches_tracked": np.array(7, np.int64) for layer in layers if len(layer.shape) == 1}
