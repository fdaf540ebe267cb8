"""mmsegmentation's OCRNet: random weights, its checkpoint, its answers. Run in a process of its own.

    python -m tests.parity.references.mmseg_ocrnet hr18s|hr18|hr48 FOLDER PICTURE ...

writes FOLDER/weights.pth and, for each picture, FOLDER/STEM.npy: logits (K, H, W) float32 at the picture's size.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch

from tests.parity.references.stand_ins import stand_in

stand_in("mmcv._ext", "mmcv.ops")

import mmseg  # noqa: E402
import mmseg.models  # noqa: E402, F401
from mmengine.config import Config  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmseg.registry import MODELS  # noqa: E402
from mmseg.structures import SegDataSample  # noqa: E402

from tests.parity.references.random_torch import randomise  # noqa: E402

CLASSIFIERS = ("decode_head.0.conv_seg", "decode_head.1.conv_seg")


def build(name: str) -> torch.nn.Module:
    """Return the network of mmsegmentation's own Cityscapes configuration."""
    file = Path(mmseg.__file__).parent / f".mim/configs/ocrnet/ocrnet_{name}_4xb2-40k_cityscapes-512x1024.py"
    # Synchronised batch norm needs a process group; its arithmetic in evaluation is the same.
    text = Config.fromfile(file).pretty_text.replace("SyncBN", "BN")
    model = Config.fromstring(text, ".py").model
    model.pretrained = None
    init_default_scope("mmseg")
    return MODELS.build(model)


def read(picture: str) -> tuple[torch.Tensor, SegDataSample]:
    """Return what mmsegmentation's loading gives: a BGR picture, CHW uint8, and its size."""
    image = cv2.imread(picture, cv2.IMREAD_COLOR)
    sample = SegDataSample(metainfo={"img_shape": image.shape[:2], "ori_shape": image.shape[:2]})
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))), sample


@torch.no_grad()
def main(name: str, folder: Path, pictures: list[str]) -> None:
    model = build(name)
    small = [torch.from_numpy(cv2.resize(cv2.imread(picture), (256, 128)).transpose(2, 0, 1).copy()) for picture in pictures]
    prepared = model.data_preprocessor({"inputs": small, "data_samples": [SegDataSample() for _ in small]}, False)
    randomise(_Whole(model), prepared["inputs"], 7, tuple(f"model.{classifier}" for classifier in CLASSIFIERS))
    torch.save({"meta": {"mmseg_version": mmseg.__version__}, "state_dict": model.state_dict()}, folder / "weights.pth")
    for picture in pictures:
        image, sample = read(picture)
        answer = model.test_step({"inputs": [image], "data_samples": [sample]})[0]
        np.save(folder / f"{Path(picture).stem}.npy", answer.seg_logits.data.numpy())


class _Whole(torch.nn.Module):
    """Backbone and both heads, called with a picture alone."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.model._forward(image)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
