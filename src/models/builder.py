"""Build the configured network with its initial weights."""

import math
from typing import Any

from mindspore import nn
from mindspore.common.initializer import HeNormal, HeUniform, Initializer, Normal, TruncatedNormal, Uniform, Zero, initializer

from src.config.networks import parts_of
from src.models.conventions import Conventions
from src.models.dropout import channel_dropout
from src.models.heads import ContextHead, OCRHead, PlainHead, classifier, context_module, deep_supervision
from src.models.hrnet import HRNetV2
from src.models.ocnet import SelfAttention
from src.models.resnet import ResNet
from src.models.segmentation import SegmentationNetwork

BACKBONE_STD = 0.001

# A head's two dropouts drop different channels.
_AUX_SEED = 7_368_787

# Everything else belongs to a head, which is the same distinction as that between ImageNet weights and new ones.
_HRNET_CELLS = ("transition1", "stage2", "transition2", "stage3", "transition3", "stage4")
_RESNET_CELLS = ("conv3", "bn3", "layer2", "layer3", "layer4")
BACKBONE_CELLS = ("conv1", "bn1", "conv2", "bn2", "layer1", *_HRNET_CELLS, *_RESNET_CELLS)


def build_network(config: Any, *, norm: type[nn.Cell] = nn.BatchNorm2d, dropout_seed: int = 0) -> SegmentationNetwork:
    """Return the network of a configuration with fresh weights, which depend on `mindspore.set_seed` alone.

    Args:
        config: the complete configuration; `model`, `dataset.num_classes` and `train.param_initializer` are read.
        norm: class of every batch norm, such as nn.SyncBatchNorm.
        dropout_seed: seed of the dropout masks; ranks of a distributed run need different ones.

    Returns:
        A Cell from image (B, 3, H, W) to a tuple of logits at stride 4 (HRNet) or 8 (ResNet), the last of which is the main head's.
    """
    network = assemble_network(config, norm=norm, dropout_seed=dropout_seed)
    _initialise(network, config.train.param_initializer)
    return network


def assemble_network(config: Any, *, norm: type[nn.Cell] = nn.BatchNorm2d, dropout_seed: int = 0) -> SegmentationNetwork:
    """Return the same network for weights that are there already: its values mean nothing yet, and making them takes no time."""
    conventions = Conventions.of(config.model, norm)
    hrnet = parts_of(config.model.name)[0] == "hrnet"
    backbone = HRNetV2(config.model.extra, conventions) if hrnet else ResNet(config.model.resnet, norm)
    return SegmentationNetwork(backbone, _head(config, backbone, conventions, dropout_seed))


def _head(config: Any, backbone: Any, conventions: Conventions, dropout_seed: int) -> nn.Cell:
    model, num_classes, channels = config.model, config.dataset.num_classes, backbone.out_channels
    parts = parts_of(model.name)
    if parts == ("hrnet", "plain"):
        return PlainHead(channels, num_classes, model.extra.FINAL_CONV_KERNEL, conventions)
    if parts == ("hrnet", "ocr"):
        aux_head = classifier(conventions, backbone.aux_channels, num_classes, kernel=model.ocr.aux_kernel)
        return OCRHead(aux_head, channels, num_classes, model.ocr, conventions, dropout_seed)
    part = model.ocr if parts[1] == "ocr" else model.oc
    activated = parts[1] == "ocr" or model.oc.entry_activation
    aux_head = deep_supervision(
        conventions,
        backbone.aux_channels,
        part.mid_channels,
        num_classes,
        drop=channel_dropout(part.dropout, dropout_seed + _AUX_SEED),
        activated=activated,
    )
    if parts[1] == "ocr":
        return OCRHead(aux_head, channels, num_classes, model.ocr, conventions, dropout_seed)
    module = context_module(parts[1], model.oc, conventions, dropout_seed)
    return ContextHead(aux_head, channels, model.oc.mid_channels, num_classes, module, conventions, activated)


def is_backbone(name: str) -> bool:
    """Tell whether a parameter of this name belongs to the backbone."""
    return name.split(".", 1)[0] in BACKBONE_CELLS


def _initialise(network: SegmentationNetwork, backbone_initializer: str) -> None:
    for _, cell in network.backbone.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            _fill(cell.weight, _backbone_initializer(backbone_initializer))
    for _, cell in network.head.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            # torch's default, written out because MindSpore's own has changed between versions.
            _fill(cell.weight, HeUniform(negative_slope=math.sqrt(5)))
            if cell.has_bias:
                _fill(cell.bias, Uniform(1 / math.sqrt(math.prod(cell.weight.shape[1:]))))
    for _, cell in network.head.cells_and_names():
        if isinstance(cell, SelfAttention):
            _fill(cell.W.weight, Zero())
            _fill(cell.W.bias, Zero())


def _backbone_initializer(name: str) -> Initializer:
    if name == "HeNormal":
        return HeNormal(mode="fan_out", nonlinearity="relu")
    if name == "Normal":
        return Normal(BACKBONE_STD)
    # The bounds are absolute: MindSpore's default of -2..2 would cut nothing from so narrow a distribution.
    return TruncatedNormal(BACKBONE_STD, a=-2 * BACKBONE_STD, b=2 * BACKBONE_STD)


def _fill(parameter: Any, values: Initializer) -> None:
    parameter.set_data(initializer(values, parameter.shape, parameter.dtype).init_data())
