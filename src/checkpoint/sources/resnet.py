"""How each source names the layers of its dilated ResNets, and what their weights mean beyond their values.

Names on the right are this project's: torchvision's for the backbone, and for the heads OCNet's, whose sequences count activations here.

Source: OCNet.pytorch (network/resnet101_*.py, oc_module/*.py, dataset/cityscapes.py, eval.py), openseg.pytorch (lib/models/nets and
modules, lib/models/backbones/resnet, configs/cityscapes/R_101_D_8.json, R_50_D_8.json), torchvision, timm, MindCV and mmsegmentation 1.2.2.
"""

import re
from collections.abc import Mapping
from typing import Any

from src.checkpoint.sources.hrnet import OFFICIAL_LAYERS
from src.checkpoint.sources.source import Source
from src.config.ocnet import CAFFE_MEAN, CAFFE_STD

_MAX_GRIDS = 10
_ABN_SHIFT = 1e-5


def _conv_bn(there: str, here: str | None = None) -> dict[str, str]:
    """Return the table of a convolution with batch norm; the norm and its activation are a sequence of their own there."""
    return {f"{there}.0": f"{here or there}.0", f"{there}.1.0": f"{here or there}.1"}


def _below(there: str, here: str, layers: Mapping[str, str]) -> dict[str, str]:
    """Return a table with names put in front of its layers' names."""
    return {f"{there}.{name}": f"{here}.{layer}" for name, layer in layers.items()}


def _inplace(layers: Mapping[str, str]) -> dict[str, str]:
    """Return a table for InPlaceABN, which is batch norm and activation in one layer."""
    return {re.sub(r"(\.\d)\.0$", r"\1", there): here for there, here in layers.items()}


# OCNet's query and key are one transform; openseg's are two, each of two convolutions.
_COMMON = _conv_bn("f_key")
_SEPARATE = {
    f"{name}.{there}": f"{name}.{here}" for name in ("f_query", "f_key") for there, here in (("0", 0), ("1.0", 1), ("2", 3), ("3.0", 4))
}
_CONTEXT = {"f_value": "f_value", "W": "W"}
_BASE_OC = {**_below("stages.0", "stages.0", {**_COMMON, **_CONTEXT}), **_conv_bn("conv_bn_dropout")}
_BASE_OC_SEPARATE = {**_below("stages.0", "stages.0", {**_SEPARATE, **_CONTEXT}), **_conv_bn("conv_bn_dropout")}
_PYRAMID_OC = {
    **{
        there: here
        for grid in range(_MAX_GRIDS)
        for there, here in _below(f"stages.{grid}", f"stages.{grid}", {**_COMMON, **_CONTEXT}).items()
    },
    **_conv_bn("up_dr"),
    **_conv_bn("conv_bn_dropout"),
}
_ASP_BRANCHES = {
    **_conv_bn("context"),
    **{there: here for name in ("conv2", "conv3", "conv4", "conv5", "conv_bn_dropout") for there, here in _conv_bn(name).items()},
}
_ASP_OC = {**_ASP_BRANCHES, **_below("context.2", "context.3", _BASE_OC)}
_ASP_OC_SEPARATE = {
    **_ASP_BRANCHES,
    **_below("context.2.stages.0", "context.3.stages.0", {**_SEPARATE, **_CONTEXT}),
    "context.2.conv_bn_dropout.0.0": "context.3.conv_bn_dropout.1",  # behind no convolution of its own
}
_ISA = {
    **{
        there: here
        for span in ("stages.0.long_range_sa", "stages.0.short_range_sa")
        for there, here in _below(span, span, {**_SEPARATE, "f_value": "f_value", **_conv_bn("W")}).items()
    },
    **_conv_bn("conv_bn"),
}

_OCNET_END = {**_conv_bn("dsn", "aux_head"), "dsn.3": "aux_head.3", "cls": "cls_head"}
_OCNET_ENTRY = _conv_bn("context")
_OPENSEG_AUX = {**_conv_bn("dsn_head", "aux_head"), "dsn_head.3": "aux_head.3"}
_OPENSEG_OCR = {
    **_conv_bn("conv_3x3", "conv3x3_ocr"),
    **{layer.replace("ocr_distri_head", "spatial_ocr_head"): layer for layer in OFFICIAL_LAYERS if layer.startswith("ocr_distri_head")},
    **_OPENSEG_AUX,
    "head": "cls_head",
}
_OPENSEG_ISA = {**_conv_bn("isa_head", "context"), **_below("isa_head.2", "context.3", _ISA), **_OPENSEG_AUX, "cls_head": "cls_head"}
_OPENSEG_END = {**_conv_bn("dsn", "aux_head"), "dsn.2": "aux_head.3", "cls": "cls_head"}
_OPENSEG_BASE = {**_conv_bn("oc_module_pre", "context"), **_below("oc_module", "context.3", _BASE_OC_SEPARATE), **_OPENSEG_END}
_OPENSEG_ASP = {**_conv_bn("context"), **_below("context.2", "context.3", _ASP_OC_SEPARATE), **_OPENSEG_END}
_OPENSEG_FCN = {**_conv_bn("cls_head", "context"), "cls_head.3": "cls_head", **_OPENSEG_AUX}

# OCNet's pictures are turned from BGR to RGB, while the mean that it subtracts stays in the order of BGR.
_OCNET_FACTS: dict[str, Any] = {
    "model.align_corners": True,
    "model.half_pixel_centers": True,
    "model.resnet.ceil_pool": True,
    "model.resnet.first_dilation": "full",
    "model.oc.entry_activation": True,
    "model.oc.grids": [1, 2, 3, 6],
    "model.oc.dilations": [12, 24, 36],
    "model.oc.pool": 2,
    "model.oc.down_factors": [8, 8],
    "model.ocr.scale": 1,
    "model.ocr.negative_slope": 0.01,
    "dataset.color_order": "RGB",
    "dataset.mean": CAFFE_MEAN,
    "dataset.std": CAFFE_STD,
    "eval.fusion": "logits",
}
_OPENSEG_FACTS = {
    **_OCNET_FACTS,
    "model.resnet.first_dilation": "half",
    "model.ocr.negative_slope": 0.0,
    "dataset.color_order": "BGR",
}


def _ocnet(signature: str, layers: Mapping[str, str], facts: Mapping[str, Any] | None = None) -> Source:
    return Source(
        "ocnet",
        signature=(r"layer4\.", r"bn1\.running_mean", signature),
        absent=(r"backbone\.",),
        layers=_inplace(layers),
        copies=(".f_query.", ".f_key."),
        facts={**_OCNET_FACTS, **(facts or {})},
        gamma_shift=_ABN_SHIFT,
    )


_BLOCK = r"layer(?P<s>\d)\.(?P<b>\d+)"
_OPENSEG_BACKBONE = (
    *((rf"resinit\.{kind}(?P<c>\d)", f"{kind}{{c}}") for kind in ("conv", "bn")),
    *((rf"{_BLOCK}\.{kind}(?P<c>\d)", f"layer{{s}}.{{b}}.{kind}{{c}}") for kind in ("conv", "bn")),
    (rf"{_BLOCK}\.downsample\.(?P<d>[01])", "layer{s}.{b}.downsample.{d}"),
)


def _openseg(entry: str, module: str, layers: Mapping[str, str]) -> tuple[Source, Source]:
    """Return the rows of a network with plain and with in-place batch norms, by its head's first sequence and what follows it."""

    def row(norm: str, layers: Mapping[str, str], slope: float, shift: float | None) -> Source:
        return Source(
            "openseg",
            signature=(r"backbone\.layer4\.", r"backbone\.resinit\.", rf"{entry}\.1{norm}\.running_mean", module),
            prefix="backbone.",
            backbone=_OPENSEG_BACKBONE,
            layers=layers,
            facts={**_OPENSEG_FACTS, "model.ocr.negative_slope": slope},
            unbiased=("cls_head", "aux_head.3") if entry == "cls_head" else (),
            gamma_shift=shift,
        )

    return row(r"\.0", layers, 0.0, None), row("", _inplace(layers), 0.01, _ABN_SHIFT)


_MINDCV_BACKBONE = ((rf"{_BLOCK}\.down_sample\.(?P<d>[01])", "layer{s}.{b}.downsample.{d}"),)

_STEM = ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")
_TIMM_STEM = dict(zip(("conv1.0", "conv1.1", "conv1.3", "conv1.4", "conv1.6", "bn1"), _STEM, strict=True))
_HEADS = "aux_head cls cls_head dsn dsn_head head decode_head context layer5 layer6 oc_module isa_head spatial_ocr_head asp_ocr_head"
_ANY_HEAD = rf"({'|'.join(_HEADS.split())})\."


def _imagenet(
    signature: tuple[str, ...], prefix: str = "", layers: Mapping[str, str] | None = None, backbone: tuple[tuple[str, str], ...] = ()
) -> Source:
    found, absent = (rf"{re.escape(prefix)}layer4\.", *signature), (_ANY_HEAD, r".*resinit\.")
    return Source("imagenet", signature=found, absent=absent, prefix=prefix, backbone=backbone, layers=layers or {})


def _mmseg_stem(prefix: str) -> dict[str, str]:
    return {f"{prefix}stem.{there}": here for there, here in zip((0, 1, 3, 4, 6, 7), _STEM, strict=True)}


RESNETS: tuple[Source, ...] = (
    _imagenet((r"conv1\.6\.weight",), layers=_TIMM_STEM),
    _imagenet((r"stem\.7\.running_mean",), layers=_mmseg_stem("")),
    _imagenet((r"backbone\.stem\.7\.running_mean",), "backbone.", _mmseg_stem("backbone.")),
    _imagenet((r"conv1\.weight", r"bn1\.running_mean")),
    _imagenet((r"conv1\.weight", r"bn1\.moving_mean", r"layer1\.0\.down_sample\."), backbone=_MINDCV_BACKBONE),
    _imagenet((r"backbone\.conv1\.weight", r"backbone\.bn1\.running_mean"), "backbone."),  # torchvision's segmentation networks
    _ocnet(r"context\.2\.conv5\.", {**_OCNET_ENTRY, **_below("context.2", "context.3", _ASP_OC), **_OCNET_END}),
    _ocnet(r"context\.2\.stages\.", {**_OCNET_ENTRY, **_below("context.2", "context.3", _BASE_OC), **_OCNET_END}),
    _ocnet(
        r"context\.stages\.",
        {**_conv_bn("layer5", "context"), **_below("context", "context.3", _PYRAMID_OC), **_OCNET_END},
        {"model.oc.entry_activation": False},  # its batch norms there, and there alone, have no activation
    ),
    _ocnet(r"layer6\.", {**_conv_bn("layer5", "context"), "layer6": "cls_head"}),
    *_openseg("conv_3x3", r"spatial_ocr_head\.", _OPENSEG_OCR),
    *_openseg("isa_head", r"isa_head\.2\.", _OPENSEG_ISA),
    *_openseg("oc_module_pre", r"oc_module\.", _OPENSEG_BASE),
    *_openseg("context", r"context\.2\.conv5\.", _OPENSEG_ASP),
    *_openseg("cls_head", r"cls_head\.3\.", _OPENSEG_FCN),
)
