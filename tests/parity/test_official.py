"""The official structure, openseg's and the MindSpore model zoo's with random weights: converted, they give the same logits and labels.

None of the three installs from a package index; the torch module that stands for them was written for these tests.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
import pytest
import torch

from src.config.hrnet import HRNET_W18, HRNET_W18_SMALL_V1
from tests.parity.converted import Agreement, Case
from tests.parity.pictures import NAMES
from tests.parity.references.official_torch import MODEL_ZOO, OFFICIAL, OPENSEG, Conventions, OfficialOCRNet
from tests.parity.references.random_torch import randomise

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
CLASSIFIERS = ("aux_head.3", "cls_head")

# openseg keeps a batch norm and its ReLU in one Sequential, puts the backbone into a module, and trains inside DataParallel.
OPENSEG_NAMES = (
    ("aux_head.1.", "aux_head.1.0."),
    ("aux_head.3.", "aux_head.2."),
    ("conv3x3_ocr.0.", "conv3x3.0."),
    ("conv3x3_ocr.1.", "conv3x3.1.0."),
)
MINDSPORE_NAMES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def save_official(model: OfficialOCRNet, folder: Path) -> Path:
    weights = folder / "weights.pth"
    torch.save({f"model.{name}": values for name, values in model.state_dict().items()}, weights)
    return weights


def save_openseg(model: OfficialOCRNet, folder: Path) -> Path:
    named = {}
    for name, values in model.state_dict().items():
        new = next((new + name.removeprefix(old) for old, new in OPENSEG_NAMES if name.startswith(old)), None)
        in_head = new or name.startswith(("ocr_distri_head.", "cls_head."))
        named[f"module.{new or name}" if in_head else f"module.backbone.{name}"] = values
    weights = folder / "weights.pth"
    torch.save({"state_dict": named}, weights)
    return weights


def save_model_zoo(model: OfficialOCRNet, folder: Path) -> Path:
    """Write MindSpore's format: batch norms have names of their own and do not count batches."""
    norms = {name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    parameters = []
    for name, values in model.state_dict().items():
        cell, last = name.rsplit(".", 1)
        if last != "num_batches_tracked":
            new = f"{cell}.{MINDSPORE_NAMES[last]}" if cell in norms else name
            parameters.append({"name": new, "data": ms.Tensor(values.numpy())})
    weights = folder / "weights.ckpt"
    ms.save_checkpoint(parameters, str(weights))
    return weights


@dataclass(frozen=True)
class Source:
    """An implementation: its file, its network, its preprocessing."""

    name: str
    save: Callable[[OfficialOCRNet, Path], Path]
    conventions: Conventions
    extra: dict
    is_bgr: bool = False
    pictures: tuple[str, ...] = NAMES[1:]

    def prepare(self, bgr: np.ndarray) -> torch.Tensor:
        """Return (1, 3, H, W) float32; openseg gives its network OpenCV's channel order under statistics for RGB."""
        image = bgr if self.is_bgr else bgr[..., ::-1]
        image = (image.astype(np.float32) / 255 - MEAN) / STD
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))[None])

    def model(self, pictures: list[Path]) -> OfficialOCRNet:
        """Return a network with a random state that suits the pictures."""
        model = OfficialOCRNet(self.extra, 19, conventions=self.conventions)
        small = [self.prepare(cv2.resize(cv2.imread(str(path)), (256, 128))) for path in pictures]
        randomise(model, torch.cat(small), 7, CLASSIFIERS)
        return model

    @torch.no_grad()
    def answer(self, model: OfficialOCRNet, picture: Path) -> np.ndarray:
        """Return the main logits (K, H, W) at the picture's size."""
        bgr = cv2.imread(str(picture))
        return self.conventions.resize(model(self.prepare(bgr))[1], bgr.shape[:2])[0].numpy()


SOURCES = (
    Source("official", save_official, OFFICIAL, HRNET_W18, pictures=NAMES),
    Source("openseg", save_openseg, OPENSEG, HRNET_W18_SMALL_V1, is_bgr=True),
    Source("modelzoo", save_model_zoo, MODEL_ZOO, HRNET_W18_SMALL_V1),
)


@pytest.fixture(scope="module", params=SOURCES, ids=lambda source: source.name)
def case(request: pytest.FixtureRequest, pictures: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Case:
    source, folder = request.param, tmp_path_factory.mktemp("official")
    asked = [pictures[name] for name in source.pictures if name in pictures]
    model = source.model(asked)
    for picture in asked:
        np.save(folder / f"{picture.stem}.npy", source.answer(model, picture))
    return Case.of(source.save(model, folder))


CASES = [pytest.param(source, picture, id=f"{source.name}-{picture}") for source in SOURCES for picture in source.pictures]


@pytest.mark.parametrize(("case", "picture"), CASES, indirect=["case"])
def test_logits_and_labels(case: Case, picture: str, need_picture: Callable[[str], Path], check: Callable[[Agreement], None]) -> None:
    check(case.agreement(need_picture(picture)))
