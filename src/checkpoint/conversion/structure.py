"""What network a set of weights belongs to, read from official names and shapes."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from src.config.errors import UserError

_BLOCK = "ocr_distri_head.object_context_block"


class Structure:
    """Reads the settings of `model` and the number of classes from arrays under official names.

    Args:
        arrays: by official names.
        where: the flag and the file, for messages.

    Attributes:
        has_head: False for a backbone alone.
        is_ocr: the head is OCR's.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], where: str) -> None:
        self._arrays = arrays
        self._where = where
        self.is_ocr = "cls_head.weight" in arrays
        self.has_head = self.is_ocr or "last_layer.3.weight" in arrays

    def num_classes(self) -> int:
        """Return K, the channels of the logits; only where there is a head."""
        return self._shape("cls_head.weight" if self.is_ocr else "last_layer.3.weight")[0]

    def width(self) -> int:
        """Return the channels of the first branch, which name the network (W18, W48)."""
        return self._shape("stage4.0.branches.0.0.conv1.weight")[0]

    def settings(self) -> dict[str, Any]:
        """Return configuration key -> value for everything that names and shapes tell, but for the number of classes."""
        found = {f"model.extra.{key}": value for number in (1, 2, 3, 4) for key, value in self._stage(number).items()}
        if not self.has_head:
            return found
        if not self.is_ocr:
            found["model.extra.FINAL_CONV_KERNEL"] = self._shape("last_layer.3.weight")[2]
            # One output, one weight: the presets' two would not fit.
            return found | {"model.name": "seg_hrnet", "model.head_bias": self._has_bias("last_layer.0"), "loss.balance_weights": [1.0]}
        return found | {
            "model.name": "seg_hrnet_ocr",
            "model.head_bias": self._has_bias("aux_head.0"),
            "model.ocr.mid_channels": self._shape("conv3x3_ocr.0.weight")[0],
            "model.ocr.key_channels": self._shape(f"{_BLOCK}.f_down.0.weight")[0],
            "model.ocr.aux_kernel": self._shape("aux_head.0.weight")[2],
            "model.ocr.transform_bias": self._has_bias(f"{_BLOCK}.f_down.0"),
        }

    def _stage(self, number: int) -> dict[str, Any]:
        if number == 1:
            return self._stage_keys(1, 1, ["layer1"])
        modules = self._count(rf"stage{number}\.(\d+)\.")
        return self._stage_keys(number, modules, [f"stage{number}.0.branches.{branch}" for branch in range(number)])

    def _stage_keys(self, number: int, modules: int, branches: list[str]) -> dict[str, Any]:
        is_bottleneck = f"{branches[0]}.0.conv3.weight" in self._arrays
        return {
            f"STAGE{number}.NUM_MODULES": modules,
            f"STAGE{number}.BLOCK": "BOTTLENECK" if is_bottleneck else "BASIC",
            f"STAGE{number}.NUM_BLOCKS": [self._count(rf"{re.escape(branch)}\.(\d+)\.") for branch in branches],
            f"STAGE{number}.NUM_CHANNELS": [self._shape(f"{branch}.0.conv1.weight")[0] for branch in branches],
        }

    def _count(self, pattern: str) -> int:
        """Return how far names count from 0 at the pattern's group without a gap."""
        numbers = {int(match[1]) for name in self._arrays if (match := re.match(pattern, name))}
        return next(number for number in range(len(numbers) + 1) if number not in numbers)

    def _has_bias(self, layer: str) -> bool:
        return f"{layer}.bias" in self._arrays

    def _shape(self, name: str) -> tuple[int, ...]:
        if name not in self._arrays or self._arrays[name].ndim != 4:
            raise UserError(f"{self._where}: the file has no complete HRNet: the convolution {name} is missing")
        return self._arrays[name].shape
