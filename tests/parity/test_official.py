"""The official structure, openseg's and the MindSpore model zoo's with random weights: converted, they give the same logits and labels.

None of the three installs from a package index; the torch module that stands for them was written for these tests.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
import pytest
import torch

from src.config.hrnet import HRNET_W18, HRNET_W18_SMALL_V1
from tests.parity.converted import Agreement, Case, mindspore_names
from tests.parity.pictures import NAMES, SMALL
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
    state, weights = model.state_dict(), folder / "weights.ckpt"
    ms.save_checkpoint(
        [{"name": ours, "data": ms.Tensor(state[name].numpy())} for name, ours in mindspore_names(model).items()], str(weights)
    )
    return weights


@dataclass(frozen=True)
class Source:
    """An implementation: its file, its network, its preprocessing."""

    save: Callable[[OfficialOCRNet, Path], Path]
    conventions: Conventions
    extra: dict
    is_bgr: bool = False

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


SOURCES = {
    "official": Source(save_official, OFFICIAL, HRNET_W18),
    "openseg": Source(save_openseg, OPENSEG, HRNET_W18_SMALL_V1, is_bgr=True),
    "modelzoo": Source(save_model_zoo, MODEL_ZOO, HRNET_W18_SMALL_V1),
}


@pytest.fixture(scope="module")
def official_case(pictures: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, tuple[str, ...]], Case]:
    """Return the case of a source and some pictures; each is made once."""

    @functools.cache
    def make(name: str, names: tuple[str, ...]) -> Case:
        source, folder = SOURCES[name], tmp_path_factory.mktemp(name)
        asked = [pictures[picture] for picture in names if picture in pictures]
        model = source.model(asked)
        for picture in asked:
            np.save(folder / f"{picture.stem}.npy", source.answer(model, picture))
        return Case.of(source.save(model, folder))

    return make


@pytest.mark.parametrize(("name", "picture"), [(name, picture) for name in SOURCES for picture in SMALL])
def test_logits_and_labels(
    name: str,
    picture: str,
    official_case: Callable[..., Case],
    need_picture: Callable[[str], Path],
    check: Callable[[Agreement], None],
    pynative: None,
) -> None:
    path = need_picture(picture)
    check(official_case(name, SMALL).agreement(path))


@pytest.mark.slow
def test_a_whole_frame(official_case: Callable[..., Case], need_picture: Callable[[str], Path], check: Callable[[Agreement], None]) -> None:
    path = need_picture("frame")
    check(official_case("official", NAMES).agreement(path))
