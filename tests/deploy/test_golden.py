"""The golden picture of the C++ tests, which check the same file: one preprocessing and one way from logits to a mask on both sides."""

import json
from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn

from src.data.loader import EvalSample
from src.data.pictures import read_image
from src.deploy.manifest import InputSpec
from src.deploy.result_folder import ResizeRule, read_results, score
from src.deploy.sample_folder import open_folder, read_index, write_samples
from src.inference.predictor import Predictor

FOLDER = Path(__file__).resolve().parents[2] / "ascend310_infer" / "tests" / "golden"
GOLDEN = json.loads((FOLDER / "golden.json").read_text())
PICTURE_HW = (GOLDEN["picture"]["height"], GOLDEN["picture"]["width"])
LOGITS = np.array(GOLDEN["logits"], np.float32).reshape(GOLDEN["logits_shape"])
SPEC = InputSpec(
    tuple(GOLDEN["input"]["shape"]),
    *(GOLDEN["input"]["dtype"], GOLDEN["input"]["color_order"], tuple(GOLDEN["input"]["mean"]), tuple(GOLDEN["input"]["std"])),
)
MASKS = {
    (mask["align_corners"], mask["half_pixel_centers"]): np.array([list(map(int, row)) for row in mask["rows"]]) for mask in GOLDEN["masks"]
}


class GoldenNet(nn.Cell):
    """Remembers what it is shown, and answers with the golden logits."""

    def __init__(self):
        super().__init__()
        self.logits = Tensor(LOGITS[None])
        self.shown = None

    def construct(self, x):
        self.shown = x
        return -self.logits, self.logits


@pytest.fixture
def picture():
    image = read_image(FOLDER / GOLDEN["picture"]["file"])
    assert image.shape == (*PICTURE_HW, 3)
    return image


def test_the_file_tells_three_rules_apart():
    assert set(MASKS) == {(True, False), (False, True), (False, False)}
    masks = list(MASKS.values())
    assert all(mask.shape == PICTURE_HW and len(np.unique(mask)) == len(LOGITS) for mask in masks)
    assert not any(np.array_equal(masks[i], masks[i - 1]) for i in range(3))


def test_preprocessed_tensor(picture):
    expected = np.array(GOLDEN["tensor"]).reshape(GOLDEN["input"]["shape"][1:])
    tensor = SPEC.prepare(picture)
    assert tensor.dtype == np.float32
    np.testing.assert_allclose(tensor, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", MASKS)
def test_mask_of_the_predictor_and_what_it_shows_the_network(rule, picture, pynative):
    values, network = GOLDEN["input"], GoldenNet()
    align_corners, half_pixel_centers = rule
    predictor = Predictor(
        network,
        num_classes=len(LOGITS),
        mean=values["mean"],
        std=values["std"],
        color_order=values["color_order"],
        image_size=SPEC.size_hw,
        align_corners=align_corners,
        half_pixel_centers=half_pixel_centers,
    )
    np.testing.assert_array_equal(predictor.predict([picture])[0], MASKS[rule])
    np.testing.assert_allclose(network.shown.asnumpy()[0].ravel(), GOLDEN["tensor"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("rule", MASKS)
def test_mask_of_postprocessing(rule, tmp_path, picture):
    """With the golden mask for a label, every pixel is counted as right."""
    (tmp_path / "results").mkdir()
    LOGITS.tofile(tmp_path / "results" / "golden_0.bin")
    open_folder(tmp_path / "labelled")
    sample = EvalSample(0, "golden", picture, MASKS[rule].astype(np.uint8))
    write_samples(tmp_path / "labelled", [sample], SPEC, "abcd", 255)
    index = read_index(tmp_path / "labelled")
    matrix = score(read_results(tmp_path / "results", index, ResizeRule(*rule)), index).matrix
    assert np.trace(matrix) == matrix.sum() == MASKS[rule].size
