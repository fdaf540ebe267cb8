"""HRNetV2 backbone.

Source: Wang et al., Deep High-Resolution Representation Learning for Visual Recognition, arXiv 1908.07919, section 3.
"""

from collections.abc import Sequence
from typing import Any

from mindspore import Tensor, nn, ops

from src.models.conventions import Conventions
from src.models.layers import BLOCKS, batch_norm, conv, conv_bn_relu, halving_conv, residual_blocks
from src.models.resizing import Resize, fuse_resize

STEM_CHANNELS = 64


class KeepBranch(nn.Cell):
    """A branch's way to its own resolution: nothing to do."""

    def construct(self, x: Tensor, reference: Tensor) -> Tensor:
        """Return x as it is."""
        return x


class DownBranch(nn.SequentialCell):
    """A branch's way to a lower resolution: one 3x3 stride-2 convolution per halving, ReLU after all but the last."""

    def __init__(self, in_channels: int, out_channels: int, halvings: int, conventions: Conventions) -> None:
        norm = conventions.norm
        steps = [conv_bn_relu(norm, halving_conv(conventions, in_channels, in_channels)) for _ in range(halvings - 1)]
        last = nn.SequentialCell([halving_conv(conventions, in_channels, out_channels), batch_norm(norm, out_channels)])
        super().__init__([*steps, last])

    def construct(self, x: Tensor, reference: Tensor) -> Tensor:
        """Return x at the lower resolution."""
        for step in self.cell_list:
            x = step(x)
        return x


class UpBranch(nn.SequentialCell):
    """A branch's way to a higher resolution: 1x1 convolution, batch norm, resizing."""

    def __init__(self, in_channels: int, out_channels: int, doublings: int, conventions: Conventions) -> None:
        super().__init__([conv(in_channels, out_channels, 1), batch_norm(conventions.norm, out_channels)])
        self.resize = fuse_resize(conventions, doublings)

    def construct(self, x: Tensor, reference: Tensor) -> Tensor:
        """Return x at the reference's resolution."""
        for step in self.cell_list:
            x = step(x)
        return self.resize(x, reference)


class FuseRow(nn.SequentialCell):
    """The sum of all branches at the resolution and width of one of them.

    Args:
        target: index of that branch.
        channels: channels of each branch.
        conventions: what frameworks do differently.
    """

    def __init__(self, target: int, channels: Sequence[int], conventions: Conventions) -> None:
        super().__init__([_fuse_cell(source, target, channels, conventions) for source in range(len(channels))])
        self.target = target
        self.relu = nn.ReLU()

    def construct(self, branches: tuple[Tensor, ...]) -> Tensor:
        """Return the sum at the target branch's resolution."""
        reference = branches[self.target]
        total = self.cell_list[0](branches[0], reference)
        for source in range(1, len(branches)):
            total = total + self.cell_list[source](branches[source], reference)
        return self.relu(total)


def _fuse_cell(source: int, target: int, channels: Sequence[int], conventions: Conventions) -> nn.Cell:
    if source == target:
        return KeepBranch()
    if source > target:
        return UpBranch(channels[source], channels[target], source - target, conventions)
    return DownBranch(channels[source], channels[target], target - source, conventions)


class HighResolutionModule(nn.Cell):
    """Residual blocks on each branch, then an exchange between all branches.

    Args:
        in_channels: channels of each branch's input.
        stage: `model.extra.STAGE*` of the configuration.
        conventions: what frameworks do differently.

    Inputs:
        branches: tuple of (B, in_channels[i], H_i, W_i) float.

    Outputs:
        tuple of (B, stage_channels(stage)[i], H_i, W_i).
    """

    def __init__(self, in_channels: Sequence[int], stage: Any, conventions: Conventions) -> None:
        super().__init__()
        widths = zip(in_channels, stage.NUM_CHANNELS, stage.NUM_BLOCKS, strict=True)
        self.branches = nn.CellList(
            [residual_blocks(stage.BLOCK, before, width, count, conventions.norm) for before, width, count in widths]
        )
        channels = stage_channels(stage)
        self.fuse_layers = nn.CellList([FuseRow(target, channels, conventions) for target in range(len(channels))])

    def construct(self, branches: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the branches after residual blocks and exchange."""
        deep: tuple[Tensor, ...] = ()
        for index, branch in enumerate(self.branches):
            deep = deep + (branch(branches[index]),)
        fused: tuple[Tensor, ...] = ()
        for row in self.fuse_layers:
            fused = fused + (row(deep),)
        return fused


class Transition(nn.SequentialCell):
    """Lead the branches of one stage to the next, which has one branch more.

    Args:
        before: channels of each branch of the stage before.
        after: channels of each branch of the stage behind.
        conventions: what frameworks do differently.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int], conventions: Conventions) -> None:
        super().__init__([_transition_cell(index, before, after, conventions) for index in range(len(after))])
        self.num_before = len(before)

    def construct(self, branches: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the next stage's branches."""
        led: tuple[Tensor, ...] = ()
        for index, cell in enumerate(self.cell_list):
            led = led + (cell(branches[min(index, self.num_before - 1)]),)
        return led


def _transition_cell(index: int, before: Sequence[int], after: Sequence[int], conventions: Conventions) -> nn.Cell:
    if index >= len(before):
        # A new branch: from the lowest resolution, down by 2. The extra level of nesting is the official one.
        halvings = index - len(before) + 1
        widths = [before[-1]] * halvings + [after[index]]
        steps = [halving_conv(conventions, widths[i], widths[i + 1]) for i in range(halvings)]
        return nn.SequentialCell([conv_bn_relu(conventions.norm, step) for step in steps])
    if before[index] == after[index]:
        return nn.Identity()
    return conv_bn_relu(conventions.norm, conv(before[index], after[index], 3))


def stage_channels(stage: Any) -> list[int]:
    """Return the channels of each branch behind a stage."""
    return [channels * BLOCKS[stage.BLOCK].expansion for channels in stage.NUM_CHANNELS]


class HRNetV2(nn.Cell):
    """The backbone: four parallel resolutions, joined at stride 4.

    Args:
        extra: `model.extra` of the configuration, with STAGE1 to STAGE4.
        conventions: what frameworks do differently.

    Inputs:
        image: (B, 3, H, W) float, normalised; H and W of any size from 32 on.

    Outputs:
        tuple of the features for the auxiliary head and for the main one, here the same: (B, `out_channels`, ceil(H / 4), ceil(W / 4)).

    Attributes:
        aux_channels: channels of the features for the auxiliary head.
        out_channels: channels of the features for the main head.
    """

    def __init__(self, extra: Any, conventions: Conventions) -> None:
        super().__init__()
        norm = conventions.norm
        self.conv1 = halving_conv(conventions, 3, STEM_CHANNELS)
        self.bn1 = batch_norm(norm, STEM_CHANNELS)
        self.conv2 = halving_conv(conventions, STEM_CHANNELS, STEM_CHANNELS)
        self.bn2 = batch_norm(norm, STEM_CHANNELS)
        self.relu = nn.ReLU()
        first = extra.STAGE1
        self.layer1 = residual_blocks(first.BLOCK, STEM_CHANNELS, first.NUM_CHANNELS[0], first.NUM_BLOCKS[0], norm)
        widths = [stage_channels(extra[f"STAGE{number}"]) for number in (1, 2, 3, 4)]
        self.transition1 = Transition(widths[0], widths[1], conventions)
        self.stage2 = _stage(widths[1], extra.STAGE2, conventions)
        self.transition2 = Transition(widths[1], widths[2], conventions)
        self.stage3 = _stage(widths[2], extra.STAGE3, conventions)
        self.transition3 = Transition(widths[2], widths[3], conventions)
        self.stage4 = _stage(widths[3], extra.STAGE4, conventions)
        self.resize = Resize(conventions.align_corners, conventions.half_pixel_centers)
        self.aux_channels = self.out_channels = sum(widths[3])

    def construct(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the joined features of the four resolutions, twice."""
        x = self.relu(self.bn1(self.conv1(image)))
        x = self.relu(self.bn2(self.conv2(x)))
        x = self.layer1(x)
        branches = self.stage2(self.transition1((x,)))
        branches = self.stage3(self.transition2(branches))
        branches = self.stage4(self.transition3(branches))
        joined: tuple[Tensor, ...] = (branches[0],)
        for branch in branches[1:]:
            joined = joined + (self.resize(branch, branches[0]),)
        features = ops.concat(joined, 1)
        return features, features

    def feature_hw(self, size_hw: Sequence[int]) -> tuple[int, int]:
        """Return height and width of the features of a picture of a height and width."""
        height, width = (-(-side // 4) for side in size_hw)
        return height, width


def _stage(channels: Sequence[int], stage: Any, conventions: Conventions) -> nn.SequentialCell:
    # A transition already gives each branch its width, so every module of a stage takes what it returns.
    return nn.SequentialCell([HighResolutionModule(channels, stage, conventions) for _ in range(stage.NUM_MODULES)])
