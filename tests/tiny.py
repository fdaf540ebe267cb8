"""A network, a configuration and a data set that are as small as the code allows."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from src.config import load_config
from src.config.hrnet import hrnet_extra

TINY_EXTRA = hrnet_extra(4, modules=(1, 1, 1), blocks=1, stem_blocks=1, stem_channels=4)


TINY_WORDS = (
    f"model.extra={json.dumps(TINY_EXTRA)}",
    "model.ocr.mid_channels=8",
    "model.ocr.key_channels=4",
    "model.ocr.dropout=0.25",
    "train.image_size=[32,48]",
    "train.warmup_steps=2",
    "batchsize=2",
    "total_epoch=4",
    "save_checkpoint_epochs=1",
    "eval_interval=2",
    "log_interval=1",
    "eval.overlays=1",
    "workers=1",
    "compile_cache=never",  # tests that are about it turn it on
)


def tiny_config(data_path: Path | str | None = None, *words: str) -> Any:
    """Return the CamVid preset made tiny."""
    flags = {"data_path": str(data_path)} if data_path else {}
    return load_config("camvid_w18_small", flags, [*TINY_WORDS, *words])


def write_camvid(root: Path, num_train: int = 5, num_val: int = 3, size_hw: tuple[int, int] = (40, 56)) -> Path:
    """Write pictures whose left and right halves are of two classes, in CamVid's layout."""
    rng = np.random.default_rng(0)
    for split, count in (("train", num_train), ("val", num_val)):
        lines = []
        for folder in (split, f"{split}annot"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            label = np.zeros(size_hw, np.uint8)
            label[:, rng.integers(10, size_hw[1] - 10) :] = 3
            label[0] = 11  # void
            image = np.where(label[..., None] == 3, (40, 60, 80), (200, 180, 160)) + rng.integers(-20, 20, (*size_hw, 3))
            cv2.imwrite(str(root / split / f"{i}.png"), image.clip(0, 255).astype(np.uint8))
            cv2.imwrite(str(root / f"{split}annot" / f"{i}.png"), label)
            lines.append(f"{split}/{i}.png {split}annot/{i}.png")
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return root
