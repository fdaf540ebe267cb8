"""What frameworks do differently with the same weights."""

from dataclasses import dataclass
from typing import Any

from mindspore import nn


@dataclass(frozen=True)
class Conventions:
    """The choices of a framework that the shapes of its weights do not tell; the defaults are the authors' (HRNet-OCR).

    Attributes:
        norm: class of every batch norm.
        align_corners: bilinear resizing maps corner pixels onto each other.
        half_pixel_centers: without align_corners, it scales pixel centres; otherwise upper left corners.
        fuse_resize: how a lower resolution joins a higher one in a stage: "bilinear", "stepwise" or "nearest", see `fuse_resize`.
        stride2_padding: zeros around the input of 3x3 stride-2 convolutions: "symmetric" or "same", see `halving_conv`.
        head_bias: biases in front of the batch norms of aux_head, conv3x3_ocr, context and last_layer.
        transform_bias: the same for the object context block and the fusion behind it.
        negative_slope: slope of the heads' ReLUs below 0.

    Source: the models of HRNet-OCR, openseg.pytorch, mmsegmentation, PaddleSeg and the MindSpore model zoo.
    """

    norm: type[nn.Cell] = nn.BatchNorm2d
    align_corners: bool = True
    half_pixel_centers: bool = True
    fuse_resize: str = "bilinear"
    stride2_padding: str = "symmetric"
    head_bias: bool = True
    transform_bias: bool = False
    negative_slope: float = 0.0

    @classmethod
    def of(cls, model: Any, norm: type[nn.Cell] = nn.BatchNorm2d) -> "Conventions":
        """Return the conventions of `config.model` with a class of batch norm."""
        return cls(
            norm=norm,
            align_corners=model.align_corners,
            half_pixel_centers=model.half_pixel_centers,
            fuse_resize=model.fuse_resize,
            stride2_padding=model.stride2_padding,
            head_bias=model.head_bias,
            transform_bias=model.ocr.transform_bias,
            negative_slope=model.ocr.negative_slope,
        )
