"""The same network in PyTorch, as the other side of `forward.py`, which starts this script under another Python.

    TORCH_PYTHON benchmarks/torch_forward.py CONFIG.json WEIGHTS.npz OUTPUT.npy

Needs torch and numpy only. Each line on stdin asks for one forward; its answer on stdout is {"seconds": ..., "peak_mib": ...} in JSON.
The logits of the last forward are written to OUTPUT.npy when stdin ends.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu, softmax

SUFFIXES = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def conv_bn(before: int, after: int, kernel: int, stride: int = 1, *, relu: bool = False, bias: bool = False) -> nn.Sequential:
    """Return convolution, batch norm and, if asked, ReLU."""
    conv = nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=bias)
    return nn.Sequential(conv, nn.BatchNorm2d(after), *([nn.ReLU(inplace=True)] if relu else []))


class Block(nn.Module):
    """A basic block or a bottleneck."""

    def __init__(self, before: int, width: int, kind: str) -> None:
        super().__init__()
        kernels, after = ((3, 3), width) if kind == "BASIC" else ((1, 3, 1), 4 * width)
        widths = [before, *[width] * (len(kernels) - 1), after]
        for i, kernel in enumerate(kernels):
            self.add_module(f"conv{i + 1}", nn.Conv2d(widths[i], widths[i + 1], kernel, 1, kernel // 2, bias=False))
            self.add_module(f"bn{i + 1}", nn.BatchNorm2d(widths[i + 1]))
        self.count = len(kernels)
        self.downsample = conv_bn(before, after, 1) if before != after else nn.Identity()
        self.out_channels = after

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output."""
        y = x
        for i in range(1, self.count + 1):
            y = self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(y))
            if i < self.count:
                y = relu(y, inplace=True)
        return relu(y + self.downsample(x), inplace=True)


def blocks(kind: str, before: int, width: int, count: int) -> nn.Sequential:
    """Return `count` residual blocks."""
    first = Block(before, width, kind)
    return nn.Sequential(first, *[Block(first.out_channels, width, kind) for _ in range(count - 1)])


def resize(x: Tensor, like: Tensor, align_corners: bool) -> Tensor:
    """Return x, bilinearly resized to the height and width of `like`."""
    return interpolate(x, like.shape[-2:], mode="bilinear", align_corners=align_corners)


class Exchange(nn.Module):
    """A high-resolution module."""

    def __init__(self, stage: dict[str, Any], align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        widths = stage["NUM_CHANNELS"]
        pairs = zip(widths, stage["NUM_BLOCKS"], strict=True)
        self.branches = nn.ModuleList([blocks(stage["BLOCK"], width, width, count) for width, count in pairs])
        self.fuse_layers = nn.ModuleList(
            [nn.ModuleList([self._path(widths, i, j) for j in range(len(widths))]) for i in range(len(widths))]
        )

    @staticmethod
    def _path(widths: Sequence[int], to: int, source: int) -> nn.Module:
        if source == to:
            return nn.Identity()
        if source > to:
            return conv_bn(widths[source], widths[to], 1)
        steps = [conv_bn(widths[source], widths[source], 3, 2, relu=True) for _ in range(to - source - 1)]
        return nn.Sequential(*steps, conv_bn(widths[source], widths[to], 3, 2))

    def forward(self, xs: list[Tensor]) -> list[Tensor]:
        """Return the branches after blocks and exchange."""
        xs = [branch(x) for branch, x in zip(self.branches, xs, strict=True)]
        return [relu(self._sum(row, xs, i), inplace=True) for i, row in enumerate(self.fuse_layers)]

    def _sum(self, row: Any, xs: list[Tensor], to: int) -> Tensor:
        total = torch.zeros((), dtype=xs[0].dtype)
        for j, (path, x) in enumerate(zip(row, xs, strict=True)):
            y = path(x)
            y = resize(y, xs[to], self.align_corners) if j > to else y
            total = y if j == 0 else total + y
        return total


class Attention(nn.Module):
    """The object attention block, without pooling."""

    def __init__(self, mid: int, key: int) -> None:
        super().__init__()
        self.f_pixel, self.f_object = (nn.Sequential(*self._step(mid, key), *self._step(key, key)) for _ in range(2))
        self.f_down, self.f_up = nn.Sequential(*self._step(mid, key)), nn.Sequential(*self._step(key, mid))

    @staticmethod
    def _step(before: int, after: int) -> list[nn.Module]:
        return [nn.Conv2d(before, after, 1, bias=False), nn.Sequential(nn.BatchNorm2d(after), nn.ReLU(inplace=True))]

    def forward(self, features: Tensor, regions: Tensor) -> Tensor:
        """Return the object context of each pixel."""
        query = self.f_pixel(features).flatten(2).transpose(1, 2)
        key, value = self.f_object(regions).flatten(2), self.f_down(regions).flatten(2).transpose(1, 2)
        attention = softmax(torch.matmul(query, key) * key.shape[1] ** -0.5, -1)
        context = torch.matmul(attention, value).transpose(1, 2)
        return self.f_up(context.reshape(*context.shape[:2], *features.shape[2:]))


class HRNetOCR(nn.Module):
    """HRNetV2 + OCR in evaluation, under the official names; for presets whose branches keep their width from stage to stage."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        extra, ocr, classes = config["model"]["extra"], config["model"]["ocr"], config["dataset"]["num_classes"]
        head_bias = config["model"]["head_bias"]
        self.align_corners = config["model"]["align_corners"]
        self.conv1, self.bn1 = conv_bn(3, 64, 3, 2)
        self.conv2, self.bn2 = conv_bn(64, 64, 3, 2)
        first = extra["STAGE1"]
        self.layer1 = blocks(first["BLOCK"], 64, first["NUM_CHANNELS"][0], first["NUM_BLOCKS"][0])
        before = [self.layer1[0].out_channels]
        for number in (2, 3, 4):
            stage, widths = extra[f"STAGE{number}"], extra[f"STAGE{number}"]["NUM_CHANNELS"]
            kept = conv_bn(before[0], widths[0], 3, relu=True) if number == 2 else nn.Identity()
            new = nn.Sequential(conv_bn(before[-1], widths[-1], 3, 2, relu=True))
            self.add_module(f"transition{number - 1}", nn.ModuleList([kept, *[nn.Identity() for _ in before[1:]], new]))
            self.add_module(f"stage{number}", nn.Sequential(*[Exchange(stage, self.align_corners) for _ in range(stage["NUM_MODULES"])]))
            before = widths
        width, mid = sum(before), ocr["mid_channels"]
        self.aux_head = nn.Sequential(*conv_bn(width, width, 1, relu=True, bias=head_bias), nn.Conv2d(width, classes, 1))
        self.conv3x3_ocr = conv_bn(width, mid, 3, relu=True, bias=head_bias)
        fuse = [nn.Conv2d(2 * mid, mid, 1, bias=False), nn.Sequential(nn.BatchNorm2d(mid), nn.ReLU(inplace=True))]
        self.ocr_distri_head = nn.ModuleDict(
            {"object_context_block": Attention(mid, ocr["key_channels"]), "conv_bn_dropout": nn.Sequential(*fuse)}
        )
        self.cls_head = nn.Conv2d(mid, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return the main head's logits at stride 4."""
        x = relu(self.bn2(self.conv2(relu(self.bn1(self.conv1(image)), inplace=True))), inplace=True)
        xs = [self.layer1(x)]
        for number in (2, 3, 4):
            paths: Any = self.get_submodule(f"transition{number - 1}")
            xs = self.get_submodule(f"stage{number}")([path(xs[min(i, len(xs) - 1)]) for i, path in enumerate(paths)])
        features = torch.cat([xs[0], *[resize(x, xs[0], self.align_corners) for x in xs[1:]]], 1)
        masks = softmax(self.aux_head(features).flatten(2), 2)
        features = self.conv3x3_ocr(features)
        regions = torch.matmul(masks, features.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)
        context = self.ocr_distri_head["object_context_block"](features, regions)
        return self.cls_head(self.ocr_distri_head["conv_bn_dropout"](torch.cat([context, features], 1)))


def peak_mib() -> float:
    """Return the largest resident memory that this process has had (VmHWM), MiB."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def load(config_path: str, weights_path: str) -> tuple[HRNetOCR, Tensor]:
    """Return the network with its weights, in evaluation, and the picture that lies beside them."""
    with open(config_path, encoding="utf-8") as file:
        network = HRNetOCR(json.load(file)).eval()
    with np.load(weights_path) as arrays:
        network.load_state_dict(_state(arrays, network), strict=True)
        return network, torch.from_numpy(arrays["image"])


def main(config_path: str, weights_path: str, output_path: str) -> int:
    """Load the network, then answer one forward per line."""
    network, image = load(config_path, weights_path)
    logits = torch.zeros(0)
    with torch.inference_mode():
        for _ in sys.stdin:
            start = time.perf_counter()
            logits = network(image)
            print(json.dumps({"seconds": time.perf_counter() - start, "peak_mib": peak_mib()}), flush=True)
    np.save(output_path, logits.numpy())
    return 0


def _state(arrays: Any, network: nn.Module) -> dict[str, Tensor]:
    state = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    for name in arrays.files:
        if name != "image":
            stem, suffix = name.rsplit(".", 1)
            state[f"{stem}.{SUFFIXES.get(suffix, suffix)}"] = torch.from_numpy(arrays[name])
    return state


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
