"""Real pictures, where they are at hand: CamVid with its labels, and one Cityscapes frame."""

from pathlib import Path

import numpy as np
import pytest

from src.config import load_config
from src.data.label_check import check_labels
from src.data.loader import build_dataset, iterate_eval
from src.data.pictures import read_image
from src.data.transforms import TrainTransform

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data beside the checkout")


def test_camvid_is_read_whole() -> None:
    config = load_config("camvid_w18_small", {"data_path": str(DATA / "camvid")})
    sizes = {"train": 367, "val": 101}
    for split, size in sizes.items():
        dataset = build_dataset(config, split)
        assert len(dataset) == size
        check_labels(dataset, range(0, size, 10))
    sample = next(iter(iterate_eval(build_dataset(config, "val"), config)))
    assert sample.image.shape == (360, 480, 3)
    assert set(np.unique(sample.label)) <= {*range(11), 255}


def test_a_decoded_part_equals_the_whole_on_a_real_frame() -> None:
    frame = DATA / "cityscapes_demo.png"
    whole = read_image(frame)
    assert whole.shape == (1024, 2048, 3)
    assert (read_image(frame, (100, 300, 612, 1324)) == whole[100:612, 300:1324]).all()


def test_training_crop_of_a_real_frame_is_normalised() -> None:
    image = read_image(DATA / "cityscapes_demo.png")
    crop, label = TrainTransform(load_config("hrnetv2_w48"))(image, np.zeros(image.shape[:2], np.uint8), np.random.default_rng(0))
    assert (crop.shape, crop.dtype, label.shape, label.dtype) == ((3, 512, 1024), np.float32, (512, 1024), np.int32)
    assert np.abs(crop.mean()) < 2
    assert 0.2 < crop.std() < 2
