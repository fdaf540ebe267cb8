"""Stage tables of the HRNetV2 family, in the form of `model.extra`.

Source: Wang et al., Deep High-Resolution Representation Learning (arXiv 1908.07919), section 3 and appendix; W18-small-v1/v2 from the
official HRNet configurations.
"""

from typing import Any


def _stage(modules: int, block: str, blocks: int, channels: list[int]) -> dict[str, Any]:
    return {
        "NUM_MODULES": modules,
        "NUM_BRANCHES": len(channels),
        "BLOCK": block,
        "NUM_BLOCKS": [blocks] * len(channels),
        "NUM_CHANNELS": channels,
        "FUSE_METHOD": "SUM",
    }


def hrnet_extra(
    width: int,
    *,
    modules: tuple[int, int, int] = (1, 4, 3),
    blocks: int = 4,
    stem_blocks: int = 4,
    stem_channels: int = 64,
) -> dict[str, Any]:
    """Return `model.extra` of an HRNetV2.

    Args:
        width: channels of the highest-resolution branch; branch i has width * 2**i.
        modules: exchange modules in stages 2, 3 and 4.
        blocks: residual blocks per branch in stages 2 to 4.
        stem_blocks: bottlenecks in stage 1.
        stem_channels: channels of stage 1 before the bottleneck's expansion by 4.
    """
    stages = {"STAGE1": _stage(1, "BOTTLENECK", stem_blocks, [stem_channels])}
    for number, num_modules in enumerate(modules, start=2):
        stages[f"STAGE{number}"] = _stage(num_modules, "BASIC", blocks, [width * 2**i for i in range(number)])
    return {"FINAL_CONV_KERNEL": 1, **stages}


HRNET_W18_SMALL_V1 = hrnet_extra(16, modules=(1, 1, 1), blocks=2, stem_blocks=1, stem_channels=32)
HRNET_W18_SMALL_V2 = hrnet_extra(18, modules=(1, 3, 2), blocks=2, stem_blocks=2)
HRNET_W18 = hrnet_extra(18)
HRNET_W32 = hrnet_extra(32)
HRNET_W40 = hrnet_extra(40)
HRNET_W48 = hrnet_extra(48)
