"""How each source names the layers of its HRNets, and what its weights mean beyond their values.

Names on the right are the official HRNet-OCR's, which this project uses. In patterns, a group whose name ends in 1 counts from 1 there
and from 0 here.

Source: the model definitions of HRNet-Semantic-Segmentation (branches HRNetV2 and HRNet-OCR), openseg.pytorch, mmsegmentation 1.2.2,
PaddleSeg 2.8 and the MindSpore model zoo's research/cv/OCRNet.
"""

import re
from collections.abc import Mapping
from typing import Any

from src.checkpoint.sources.source import ALWAYS_DROPPED, Source

_BLOCK = "ocr_distri_head.object_context_block"
_FUSE = "ocr_distri_head.conv_bn_dropout"
IMAGENET_MEAN, IMAGENET_STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]

OFFICIAL_LAYERS: tuple[str, ...] = (
    *("aux_head.0", "aux_head.1", "aux_head.3", "conv3x3_ocr.0", "conv3x3_ocr.1", "cls_head"),
    *(f"{_BLOCK}.{name}.{part}" for name in ("f_pixel", "f_object") for part in ("0", "1.0", "2", "3.0")),
    *(f"{name}.{part}" for name in (f"{_BLOCK}.f_down", f"{_BLOCK}.f_up", _FUSE) for part in ("0", "1.0")),
    *("last_layer.0", "last_layer.1", "last_layer.3"),
)
# Convolutions of the heads and the batch norms behind them; a bias between the two can be folded into the mean.
NORMS_BEHIND: dict[str, str] = {
    conv: norm for conv, norm in zip(OFFICIAL_LAYERS[:-1], OFFICIAL_LAYERS[1:], strict=True) if norm.endswith((".1", ".1.0", ".3.0"))
}
_OFFICIAL_HEADS = {name: name for name in OFFICIAL_LAYERS}

_OPENSEG_HEADS = {
    **{name: name for name in OFFICIAL_LAYERS if name.startswith("ocr_distri_head") or name == "cls_head"},
    "conv3x3.0": "conv3x3_ocr.0",
    "conv3x3.1.0": "conv3x3_ocr.1",
    "aux_head.0": "aux_head.0",
    "aux_head.1.0": "aux_head.1",
    "aux_head.2": "aux_head.3",
}
# InPlaceABN is batch norm and activation in one layer, without the nn.Sequential around the two.
_OPENSEG_INPLACE_HEADS = {re.sub(r"(\.[13])\.0$", r"\1", there): here for there, here in _OPENSEG_HEADS.items()}


def _conv_and_norm(pairs: Mapping[str, tuple[str, str]], conv: str, norm: str) -> dict[str, str]:
    """Return the table of single layers: each pair is a convolution and its batch norm here, which there differ in their ends alone."""
    return {f"{there}{end}": layer for there, here in pairs.items() for end, layer in zip((conv, norm), here, strict=True)}


def _head_layers(convs: Mapping[str, str], conv: str, norm: str) -> dict[str, str]:
    """Return the same for layers of the heads, whose batch norm follows from the convolution."""
    return _conv_and_norm({there: (here, NORMS_BEHIND[here]) for there, here in convs.items()}, conv, norm)


_MMSEG_BLOCK = "decode_head.1.object_context_block"
_MMSEG_HEADS = {
    **_head_layers(
        {
            "decode_head.0.convs.0": "aux_head.0",
            "decode_head.1.bottleneck": "conv3x3_ocr.0",
            f"{_MMSEG_BLOCK}.query_project.0": f"{_BLOCK}.f_pixel.0",
            f"{_MMSEG_BLOCK}.query_project.1": f"{_BLOCK}.f_pixel.2",
            f"{_MMSEG_BLOCK}.key_project.0": f"{_BLOCK}.f_object.0",
            f"{_MMSEG_BLOCK}.key_project.1": f"{_BLOCK}.f_object.2",
            f"{_MMSEG_BLOCK}.value_project": f"{_BLOCK}.f_down.0",
            f"{_MMSEG_BLOCK}.out_project": f"{_BLOCK}.f_up.0",
            f"{_MMSEG_BLOCK}.bottleneck": f"{_FUSE}.0",
            "decode_head.convs.0": "last_layer.0",
        },
        ".conv",
        ".bn",
    ),
    "decode_head.0.conv_seg": "aux_head.3",
    "decode_head.1.conv_seg": "cls_head",
    "decode_head.conv_seg": "last_layer.3",
}

_PADDLE_BLOCK = "head.spatial_ocr.attention_block"
_PADDLE_HEADS = {
    **_head_layers(
        {
            "head.aux_head.0": "aux_head.0",
            "head.conv3x3_ocr": "conv3x3_ocr.0",
            f"{_PADDLE_BLOCK}.f_pixel.0": f"{_BLOCK}.f_pixel.0",
            f"{_PADDLE_BLOCK}.f_pixel.1": f"{_BLOCK}.f_pixel.2",
            f"{_PADDLE_BLOCK}.f_object.0": f"{_BLOCK}.f_object.0",
            f"{_PADDLE_BLOCK}.f_object.1": f"{_BLOCK}.f_object.2",
            f"{_PADDLE_BLOCK}.f_down": f"{_BLOCK}.f_down.0",
            f"{_PADDLE_BLOCK}.f_up": f"{_BLOCK}.f_up.0",
            "head.spatial_ocr.conv1x1.0": f"{_FUSE}.0",
            "head.conv_1": "last_layer.0",
        },
        "._conv",
        "._batch_norm",
    ),
    "head.aux_head.1": "aux_head.3",
    "head.cls_head": "cls_head",
    "head.cls": "last_layer.3",
}

_MODULE = r"st(?P<s>\d)\.stage_st\d_(?P<m1>\d+)"
_PADDLE_BACKBONE = tuple(
    _conv_and_norm(
        {
            r"conv_layer1_(?P<c>\d)": ("conv{c}", "bn{c}"),
            r"la1\.bb_layer2_(?P<n1>\d+)\.conv(?P<c>\d)": ("layer1.{n1}.conv{c}", "layer1.{n1}.bn{c}"),
            r"la1\.bb_layer2_(?P<n1>\d+)\.conv_down": ("layer1.{n1}.downsample.0", "layer1.{n1}.downsample.1"),
            # The branch that a transition adds has one more level of names.
            r"tr1\.transition_tr1_layer_2": ("transition1.1.0.0", "transition1.1.0.1"),
            r"tr2\.transition_tr2_layer_3": ("transition2.2.0.0", "transition2.2.0.1"),
            r"tr3\.transition_tr3_layer_4": ("transition3.3.0.0", "transition3.3.0.1"),
            r"tr(?P<t>\d)\.transition_tr\d_layer_(?P<b1>\d)": ("transition{t}.{b1}.0", "transition{t}.{b1}.1"),
            _MODULE + r"\.branches_func\.bb_st\d_\d+_branch_layer_(?P<b1>\d)_(?P<n1>\d+)\.conv(?P<c>\d)": (
                "stage{s}.{m1}.branches.{b1}.{n1}.conv{c}",
                "stage{s}.{m1}.branches.{b1}.{n1}.bn{c}",
            ),
            _MODULE + r"\.fuse_func\.residual_st\d_\d+_layer_(?P<i1>\d)_(?P<j1>\d)": (
                "stage{s}.{m1}.fuse_layers.{i1}.{j1}.0",
                "stage{s}.{m1}.fuse_layers.{i1}.{j1}.1",
            ),
            _MODULE + r"\.fuse_func\.residual_st\d_\d+_layer_(?P<i1>\d)_(?P<j1>\d)_(?P<k1>\d)": (
                "stage{s}.{m1}.fuse_layers.{i1}.{j1}.{k1}.0",
                "stage{s}.{m1}.fuse_layers.{i1}.{j1}.{k1}.1",
            ),
        },
        r"\._conv",
        r"\._batch_norm",
    ).items()
)

_OFFICIAL_FACTS: dict[str, Any] = {
    "model.align_corners": True,
    "model.half_pixel_centers": True,
    "model.fuse_resize": "bilinear",
    "model.stride2_padding": "symmetric",
    "model.ocr.scale": 1,
    "model.ocr.negative_slope": 0.0,
    "dataset.color_order": "RGB",
    "dataset.mean": IMAGENET_MEAN,
    "dataset.std": IMAGENET_STD,
    "eval.fusion": "exp",
}
# openseg reads BGR pictures and subtracts the statistics in RGB order all the same.
_OPENSEG_FACTS = {**_OFFICIAL_FACTS, "dataset.color_order": "BGR", "eval.fusion": "logits"}
_MMSEG_FACTS = {**_OFFICIAL_FACTS, "model.align_corners": False, "model.fuse_resize": "stepwise", "eval.fusion": "softmax"}
_PADDLE_FACTS = {
    **_OFFICIAL_FACTS,
    "model.align_corners": False,
    "model.stride2_padding": "same",
    "dataset.mean": [0.5, 0.5, 0.5],
    "dataset.std": [0.5, 0.5, 0.5],
    "eval.fusion": "logits",
}
_MODELZOO_FACTS = {**_OFFICIAL_FACTS, "model.align_corners": False, "model.half_pixel_centers": False, "model.fuse_resize": "nearest"}

_ANY_HEAD = r"(cls_head|aux_head|last_layer|decode_head|head|conv3x3|conv3x3_ocr)\."
_PADDLE_PRESETS = {18: "hrnetv2_w18_paddleseg"}

HRNETS: tuple[Source, ...] = (
    Source("imagenet", signature=(r"conv_layer1_1\.",), absent=(_ANY_HEAD,), backbone=_PADDLE_BACKBONE, presets=_PADDLE_PRESETS),
    Source("imagenet", signature=(r"stage4\.", r"bn1\.(running|moving)_mean"), absent=(_ANY_HEAD,), presets={18: "hrnetv2_w18"}),
    Source(
        "imagenet",  # the backbone of an mmseg network alone
        signature=(r"backbone\.stage4\.", r"backbone\.bn1\.running_mean"),
        absent=(_ANY_HEAD,),
        prefix="backbone.",
        presets={18: "hrnetv2_w18"},
    ),
    Source(
        "official",
        signature=(r"stage4\.", r"cls_head\.|last_layer\.", r"bn1\.running_mean"),
        layers=_OFFICIAL_HEADS,
        facts=_OFFICIAL_FACTS,
        presets={48: "hrnetv2_w48_official"},
        biased=("aux_head.0", "conv3x3_ocr.0", "last_layer.0"),
    ),
    Source(
        "openseg",
        signature=(r"backbone\.stage4\.", r"conv3x3\.1\.0\.running_mean"),
        prefix="backbone.",
        layers=_OPENSEG_HEADS,
        dropped=(*ALWAYS_DROPPED, r"backbone\.(incre_modules|downsamp_modules|final_layer|classifier)\..*"),
        facts=_OPENSEG_FACTS,
    ),
    Source(
        "openseg",
        signature=(r"backbone\.stage4\.", r"conv3x3\.1\.running_mean"),
        prefix="backbone.",
        layers=_OPENSEG_INPLACE_HEADS,
        dropped=(*ALWAYS_DROPPED, r"backbone\.(incre_modules|downsamp_modules|final_layer|classifier)\..*"),
        facts={**_OPENSEG_FACTS, "model.ocr.negative_slope": 0.01},
        gamma_shift=1e-5,
    ),
    Source(
        "mmseg",
        signature=(r"backbone\.stage4\.", r"decode_head\."),
        prefix="backbone.",
        layers=_MMSEG_HEADS,
        dropped=(*ALWAYS_DROPPED, r"auxiliary_head\..*"),
        facts=_MMSEG_FACTS,
        presets={18: "hrnetv2_w18"},
    ),
    Source(
        "paddleseg",
        signature=(r"backbone\.conv_layer1_1\.", r"head\."),
        prefix="backbone.",
        backbone=_PADDLE_BACKBONE,
        layers=_PADDLE_HEADS,
        facts=_PADDLE_FACTS,
        presets=_PADDLE_PRESETS,
    ),
    Source(
        "modelzoo",
        signature=(r"stage4\.", r"cls_head\.|last_layer\.", r"bn1\.moving_mean"),
        absent=(r"(aux_head|last_layer)\.0\.bias", r"context\."),
        layers=_OFFICIAL_HEADS,
        facts=_MODELZOO_FACTS,
        presets={48: "hrnetv2_w48"},
    ),
)
