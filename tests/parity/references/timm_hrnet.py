"""timm's ImageNet HRNet: random weights, its state dict, its features. Run in a process of its own.

    python -m tests.parity.references.timm_hrnet hrnet_w18 FOLDER PICTURE ...

writes FOLDER/weights.safetensors and, for each picture, FOLDER/STEM.npy: the four branches' features, resized bilinearly to stride 4 and
joined, (15C, H/4, W/4) float32. Pictures' sides must be multiples of 32, because timm resizes by whole factors.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from tests.parity.references.random_torch import randomise
from tests.parity.references.stand_ins import stand_in

stand_in("torchvision")

import timm.models.hrnet  # noqa: E402


def prepare(bgr: np.ndarray, statistics: dict) -> torch.Tensor:
    """Return a picture, HWC uint8, as timm's evaluation transform gives it: (1, 3, H, W) float32."""
    image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.float32) / 255
    image = (image - np.float32(statistics["mean"])) / np.float32(statistics["std"])
    return torch.from_numpy(image.transpose(2, 0, 1)[None].copy())


def features(model: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Return the joined features, as HRNetV2 joins them for segmentation (arXiv 1904.04514, section 3)."""
    image = model.act1(model.bn1(model.conv1(image)))
    branches = model.stages(model.act2(model.bn2(model.conv2(image))))
    size = branches[0].shape[2:]
    resize = torch.nn.functional.interpolate
    return torch.cat([resize(branch, size, mode="bilinear", align_corners=False) for branch in branches], 1)


@torch.no_grad()
def main(name: str, folder: Path, pictures: list[str]) -> None:
    model = getattr(timm.models.hrnet, name)()
    images = [cv2.imread(picture, cv2.IMREAD_COLOR) for picture in pictures]
    randomise(model, torch.cat([prepare(cv2.resize(image, (256, 128)), model.default_cfg) for image in images]), 7)
    save_file(model.state_dict(), folder / "weights.safetensors")
    for picture, image in zip(pictures, images, strict=True):
        np.save(folder / f"{Path(picture).stem}.npy", features(model, prepare(image, model.default_cfg))[0].numpy())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
