"""timm's ImageNet ResNets, dilated by timm to output stride 8: random weights, state dict, features. Run in a process of its own.

    python -m tests.parity.references.timm_resnet resnet50 FOLDER PICTURE ...

writes FOLDER/weights.safetensors and, for each picture, FOLDER/STEM.layer3.npy and FOLDER/STEM.layer4.npy: (C, h, w) float32.
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

import timm.models.resnet  # noqa: E402

from tests.parity.references.timm_hrnet import prepare  # noqa: E402


@torch.no_grad()
def main(name: str, folder: Path, pictures: list[str]) -> None:
    model = getattr(timm.models.resnet, name)(output_stride=8)
    images = [prepare(cv2.imread(picture, cv2.IMREAD_COLOR), model.default_cfg) for picture in pictures]
    randomise(model, torch.nn.functional.interpolate(torch.cat(images), (64, 96)), 7)
    save_file(model.state_dict(), folder / "weights.safetensors")
    for picture, image in zip(pictures, images, strict=True):
        x = model.maxpool(model.act1(model.bn1(model.conv1(image))))
        third = model.layer3(model.layer2(model.layer1(x)))
        for stage, features in (("layer3", third), ("layer4", model.layer4(third))):
            np.save(folder / f"{Path(picture).stem}.{stage}.npy", features[0].numpy())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
