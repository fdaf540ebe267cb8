"""OCNet's and openseg's networks on a dilated ResNet in torch, under their own names, with their preprocessing. Written for these tests.

Sources: arXiv 1809.00916, 1907.12273, 1909.11065; names, activations, dilations and means: OCNet.pytorch, openseg.pytorch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from tests.parity.references.context_torch import INPLACE, ISA, PLAIN, AspOC, BaseOC, Norms, ObjectRegions, PyramidOC
from tests.parity.references.random_torch import randomise
from tests.parity.references.resnet_torch import DilatedResNet, flip_signs

CAFFE_MEAN_BGR = np.float32([102.9801, 115.9465, 122.7717])


@dataclass(frozen=True)
class Size:
    """How large a network is: blocks and channels of the backbone, and the heads' features and keys."""

    blocks: tuple[int, ...] = (1, 2, 2, 2)
    width: int = 4
    stem: tuple[int, ...] = (6, 6, 8)
    middle: int = 16
    key: int = 8


RESNET101 = Size((3, 4, 23, 3), 64, (64, 64, 128), 512, 256)


class OCNet(DilatedResNet):
    """OCNet's network: in-place norms throughout, every block of a stage equally dilated.

    Args:
        head: base_oc, asp_oc, pyramid_oc or plain, which has no auxiliary head.
        num_classes: K.
        size: of the network.
    """

    is_bgr = False  # its pictures are RGB, its mean is BGR's

    def __init__(self, head: str, num_classes: int, size: Size) -> None:
        super().__init__(size.blocks, size.width, size.stem, first_half=False, ceil=True, norm=INPLACE.norm)
        self.head, middle, third, fourth = head, size.middle, size.width * 16, size.width * 32
        # The pyramid network's norms outside its module have no activation.
        act = INPLACE.norm if head == "pyramid_oc" else INPLACE.norm_act
        entry = [nn.Conv2d(fourth, middle, 3, padding=1), act(middle)]
        if head == "plain":
            self.layer5, self.layer6 = nn.Sequential(*entry, nn.Dropout2d(0)), nn.Conv2d(middle, num_classes, 1)
            return
        if head == "pyramid_oc":
            self.layer5, self.context = nn.Sequential(*entry), PyramidOC(INPLACE, middle, (1, 2, 3, 6))
        else:
            module = AspOC(INPLACE, middle, False) if head == "asp_oc" else BaseOC(INPLACE, middle, size.key, False)
            self.context = nn.Sequential(*entry, module)
        self.cls = nn.Conv2d(middle, num_classes, 1)
        self.dsn = nn.Sequential(nn.Conv2d(third, middle, 3, padding=1), act(middle), nn.Dropout2d(0), nn.Conv2d(middle, num_classes, 1))

    @property
    def classifiers(self) -> tuple[str, ...]:
        return ("layer6",) if self.head == "plain" else ("dsn.3", "cls")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return auxiliary and main logits; the plain network has the latter alone."""
        third, fourth = self.features(image)
        if self.head == "plain":
            return (self.layer6(self.layer5(fourth)),)
        features = self.layer5(fourth) if self.head == "pyramid_oc" else fourth
        return self.dsn(third), self.cls(self.context(features))

    def file_names(self) -> dict[str, str]:
        """Return what each array is called in a file."""
        return {name: name for name in self.state_dict()}


class Openseg(DilatedResNet):
    """openseg's network: plain norms or in-place ones, half the dilation in a stage's first block.

    Args:
        head: ocr, isa, base_oc, asp_oc or plain.
        num_classes: K.
        size: of the network.
        inplace: with in-place norms.
    """

    is_bgr = True

    def __init__(self, head: str, num_classes: int, size: Size, inplace: bool = False) -> None:
        norms: Norms = INPLACE if inplace else PLAIN
        super().__init__(size.blocks, size.width, size.stem, first_half=True, ceil=True, norm=norms.norm)
        self.head, middle, third, fourth = head, size.middle, size.width * 16, size.width * 32
        entry = [nn.Conv2d(fourth, middle, 3, padding=1), norms.norm_act(middle)]
        dsn = [nn.Conv2d(third, middle, 3, padding=1), norms.norm_act(middle)]
        last = nn.Conv2d(middle, num_classes, 1)
        dropped = [*dsn, nn.Dropout2d(0), nn.Conv2d(middle, num_classes, 1, bias=head != "plain")]
        if head == "ocr":
            self.conv_3x3, self.spatial_ocr_head = nn.Sequential(*entry), ObjectRegions(norms, middle, size.key)
            self.head_, self.dsn_head = last, nn.Sequential(*dropped)
        elif head == "isa":
            self.isa_head, self.cls_head = nn.Sequential(*entry, ISA(norms, middle, size.key)), last
            self.dsn_head = nn.Sequential(*dropped)
        elif head == "plain":
            self.cls_head = nn.Sequential(*entry, nn.Dropout2d(0), nn.Conv2d(middle, num_classes, 1, bias=False))
            self.dsn_head = nn.Sequential(*dropped)
        elif head == "base_oc":
            self.oc_module_pre, self.oc_module, self.cls = nn.Sequential(*entry), BaseOC(norms, middle, size.key, True), last
            self.dsn = nn.Sequential(*dsn, nn.Conv2d(middle, num_classes, 1))
        else:
            self.context, self.cls = nn.Sequential(*entry, AspOC(norms, middle, True)), last
            self.dsn = nn.Sequential(*dsn, nn.Conv2d(middle, num_classes, 1))

    @property
    def classifiers(self) -> tuple[str, ...]:
        return {"ocr": ("dsn_head.3", "head_"), "isa": ("dsn_head.3", "cls_head"), "plain": ()}.get(self.head, ("dsn.2", "cls"))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return auxiliary and main logits."""
        third, fourth = self.features(image)
        if self.head == "ocr":
            aux = self.dsn_head(third)
            return aux, self.head_(self.spatial_ocr_head(self.conv_3x3(fourth), aux))
        if self.head == "isa":
            return self.dsn_head(third), self.cls_head(self.isa_head(fourth))
        if self.head == "plain":
            return self.dsn_head(third), self.cls_head(fourth)
        if self.head == "base_oc":
            return self.dsn(third), self.cls(self.oc_module(self.oc_module_pre(fourth)))
        return self.dsn(third), self.cls(self.context(fourth))

    def file_names(self) -> dict[str, str]:
        """Return what each array is called in a file: the backbone is a module in it, and the stem one in that."""
        names = {}
        for name in self.state_dict():
            prefix = "resinit." if name.startswith(("conv1.", "conv2.", "conv3.", "bn")) else ""
            in_backbone = prefix or name.startswith("layer")
            names[name] = f"module.backbone.{prefix}{name}" if in_backbone else f"module.{name.replace('head_.', 'head.')}"
        return names


Network = OCNet | Openseg


def prepare(bgr: np.ndarray, is_bgr: bool) -> Tensor:
    """Return a picture (1, 3, H, W) float32: the mean of blue is subtracted from the first channel, whichever that is."""
    image = (bgr if is_bgr else bgr[..., ::-1]).astype(np.float32) - CAFFE_MEAN_BGR
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))[None])


def random_network(source: str, head: str, size: Size, images: Sequence[np.ndarray], num_classes: int = 19) -> Network:
    """Return a network with random weights that suit some pictures of one size.

    Args:
        source: ocnet, openseg or openseg_inplace.
        head: of the network.
        size: of the network.
        images: (H, W, 3) uint8, BGR.
        num_classes: K.
    """
    model: Network = (
        OCNet(head, num_classes, size) if source == "ocnet" else Openseg(head, num_classes, size, inplace=source == "openseg_inplace")
    )
    randomise(model, torch.cat([prepare(image, model.is_bgr) for image in images]), 7, model.classifiers)
    flip_signs(model)
    return model


@torch.no_grad()
def answer(model: Network, bgr: np.ndarray) -> np.ndarray:
    """Return the main logits (K, H, W) at the picture's size."""
    logits = model(prepare(bgr, model.is_bgr))[-1]
    return F.interpolate(logits, bgr.shape[:2], mode="bilinear", align_corners=True)[0].numpy()


def save(model: Network, path: str) -> None:
    """Write the weights as the source's own program does."""
    names = model.file_names()
    state = {names[name]: value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state} if isinstance(model, Openseg) else state, path)
