import cv2
import numpy as np
import pytest
from PIL import Image

from src.config import load_config
from src.data.camvid import CamVid
from src.data.color import ColorJitter
from src.data.crop import Crop, crop_image, crop_label
from src.data.pictures import read_image, read_index_label
from src.data.transforms import TrainTransform, normalize
from tests.data.make_data import make_camvid, write_png

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN = ["train.multi_scale=False", "train.flip=False", "train.base_size=0", "train.color.probability=0.0"]


def make_transform(*words: str) -> TrainTransform:
    return TrainTransform(load_config("camvid_w18_small", {}, [*PLAIN, *words]))


def smooth_picture(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 17 + k) * np.cos(y / 23 - k) for k in range(3)]
    return np.rint(127 + 100 * np.stack(waves, axis=-1)).astype(np.uint8)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_normalize_by_hand():
    image = np.array([[[0, 255, 51]], [[102, 0, 255]]], np.uint8)  # 2 rows, 1 column
    out = normalize(image, MEAN, STD)
    assert out.shape == (3, 2, 1) and out.dtype == np.float32
    expected = [
        [(0 - 0.485) / 0.229, (0.4 - 0.485) / 0.229],
        [(1 - 0.456) / 0.224, -0.456 / 0.224],
        [(0.2 - 0.406) / 0.225, (1 - 0.406) / 0.225],
    ]
    np.testing.assert_allclose(out[..., 0], expected, rtol=1e-6)


def test_normalize_to_bgr_by_hand():
    image = np.array([[[0, 255, 51]]], np.uint8)
    # The first mean and deviation are those of the first channel that the network sees, which is blue.
    expected = [(0.2 - 0.485) / 0.229, (1 - 0.456) / 0.224, -0.406 / 0.225]
    np.testing.assert_allclose(normalize(image, MEAN, STD, "BGR").ravel(), expected, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.5, 0.73, 1.0, 1.3, 2.1])
@pytest.mark.parametrize("corner", [0.0, 0.37, 1.0])
def test_crop_equals_crop_after_resizing(scale, corner):
    source, crop_hw = (211, 307), (100, 150)
    scaled = (round(source[0] * scale), round(source[1] * scale))
    top, left = (int(corner * (side - part)) for side, part in zip(scaled, crop_hw, strict=True))
    crop = Crop(source, scaled, top, left, crop_hw)
    y0, x0, y1, x1 = crop.source_box()
    assert y0 >= 0 and x0 >= 0 and y1 <= source[0] and x1 <= source[1]
    if scale > 1:
        assert (y1 - y0) * (x1 - x0) < source[0] * source[1] / 2  # it is a part of the picture
    image = smooth_picture(*source)
    whole = cv2.resize(image, scaled[::-1], interpolation=cv2.INTER_LINEAR)[top : top + 100, left : left + 150]
    got = crop_image(image[y0:y1, x0:x1], crop)
    assert np.abs(got.astype(int) - whole).max() <= 2
    label = rng().integers(0, 11, source, np.uint8)
    nearest = cv2.resize(label, scaled[::-1], interpolation=cv2.INTER_NEAREST_EXACT)[top : top + 100, left : left + 150]
    same = crop_label(label[y0:y1, x0:x1], crop) == nearest
    # OpenCV keeps positions in fixed point: where one falls on the border of two pixels it may take the other.
    assert same.mean() > 0.99


def test_crop_label_by_hand():
    label = np.array([[1, 2, 3, 4]], np.uint8)
    doubled = Crop((1, 4), (2, 8), 0, 1, (2, 4))
    assert crop_label(label[:, slice(doubled.source_box()[1], doubled.source_box()[3])], doubled).tolist() == [[1, 2, 2, 3]] * 2
    halved = Crop((1, 4), (1, 2), 0, 0, (1, 2))
    assert crop_label(label, halved).tolist() == [[2, 4]]


def test_plain_crop_keeps_pixels():
    image, label = smooth_picture(40, 60), rng().integers(0, 11, (40, 60), np.uint8)
    sample, target = make_transform("train.image_size=[40,60]")(image, label, rng())
    assert sample.shape == (3, 40, 60) and sample.dtype == np.float32 and target.dtype == np.int32
    np.testing.assert_array_equal(sample, normalize(image, MEAN, STD))
    np.testing.assert_array_equal(target, label)


def test_training_samples_are_in_the_color_order_of_the_weights():
    image, label = smooth_picture(40, 60), np.zeros((40, 60), np.uint8)
    color = ["train.color.probability=1.0", "train.color.saturation=0.5"]  # colours change in RGB, whatever the network sees
    for words in ([], color):
        words = ["train.image_size=[40,60]", "dataset.mean=[0.1,0.2,0.3]", *words]
        sample, _ = make_transform(*words, "dataset.color_order=BGR")(image, label, rng())
        rgb, _ = make_transform(*words, "dataset.mean=[0.3,0.2,0.1]", "dataset.std=[0.225,0.224,0.229]")(image, label, rng())
        np.testing.assert_array_equal(sample, rgb[::-1])


def test_padding_is_mean_colour_and_ignored():
    image, label = np.full((20, 30, 3), 200, np.uint8), np.full((20, 30), 4, np.uint8)
    sample, target = make_transform("train.image_size=[32,48]")(image, label, rng())
    assert (sample[:, 20:] == 0).all() and (sample[:, :, 30:] == 0).all() and (sample[:, :20, :30] != 0).all()
    assert (target[20:] == 255).all() and (target[:, 30:] == 255).all() and (target[:20, :30] == 4).all()


def test_flip_mirrors_both_half_of_the_time():
    image, label = smooth_picture(20, 30), np.resize(np.arange(10, dtype=np.uint8), (20, 30))
    flip, plain = make_transform("train.image_size=[24,40]", "train.flip=True"), make_transform("train.image_size=[24,40]")
    sample, target = plain(image, label, rng())
    mirrored = 0
    for seed in range(60):
        got, got_target = flip(image, label, rng(seed))
        is_mirrored = not np.array_equal(got_target, target)
        np.testing.assert_array_equal(got, sample[:, :, ::-1] if is_mirrored else sample)
        np.testing.assert_array_equal(got_target, target[:, ::-1] if is_mirrored else target)
        mirrored += is_mirrored
    assert 15 < mirrored < 45


@pytest.mark.parametrize(("base_size", "length"), [(0, 64), (128, 128), (32, 32)])
def test_base_size_is_the_longer_side_at_scale_1(base_size, length):
    transform = make_transform("train.image_size=[256,256]", f"train.base_size={base_size}")
    _, target = transform(smooth_picture(32, 64), np.zeros((32, 64), np.uint8), rng())
    assert ((target == 0).any(axis=0).sum(), (target == 0).any(axis=1).sum()) == (length, length // 2)


@pytest.mark.parametrize(("step", "expected"), [(0.5, {50, 75, 100, 125, 150}), (0.25, None), (0.0, None)])
def test_scales(step, expected):
    words = ["train.image_size=[256,256]", "train.multi_scale=True", "train.scale_range=[1.0,3.0]", f"train.scale_step={step}"]
    transform = make_transform(*words)
    label = np.zeros((50, 50), np.uint8)
    widths = {int((transform(smooth_picture(50, 50), label, rng(s))[1] == 0).any(axis=0).sum()) for s in range(100)}
    assert widths == expected if expected else (min(widths) < 60 and max(widths) > 140 and len(widths) > (8 if step else 40))


def test_crop_max_class_ratio_avoids_one_class():
    label = np.zeros((64, 256), np.uint8)
    label[:, 192:] = 1  # only crops near x = 192 hold both
    words = ["train.image_size=[64,64]"]
    picture = smooth_picture(64, 256)

    def mixed(transform: TrainTransform) -> int:
        targets = [transform(picture, label, rng(s))[1] for s in range(60)]
        return sum(max((t == 0).mean(), (t == 1).mean()) <= 0.75 for t in targets)

    assert mixed(make_transform(*words, "train.crop_max_class_ratio=0.75")) > 1.5 * mixed(make_transform(*words)) + 10


@pytest.mark.parametrize("size", [(8, 12), (9, 13)])
def test_downsample_rate(size):
    label = rng().integers(0, 11, size, np.uint8)
    _, target = make_transform(f"train.image_size=[{size[0]},{size[1]}]", "train.downsample_rate=4")(smooth_picture(*size), label, rng())
    np.testing.assert_array_equal(target, label[2::4, 2::4][:2, :3])


@pytest.mark.parametrize("words", [[], ["train.crop_max_class_ratio=0.3"], ["train.base_size=90"], ["train.color.probability=0.7"]])
def test_reading_part_of_a_file_equals_cropping_all_of_it(tmp_path, words):
    root = make_camvid(tmp_path, num=2, size_hw=(60, 80))
    write_png(root / "train/p0.png", rng().integers(0, 256, (60, 80, 3), np.uint8))
    dataset = CamVid(root, "train.txt", "train")
    transform = TrainTransform(load_config("camvid_w18_small", {}, ["train.image_size=[32,48]", "train.scale_range=[0.5,2.0]", *words]))
    for seed in range(20):
        whole, part = transform(*dataset.read(0), rng(seed)), transform.read(dataset, 0, rng(seed))
        np.testing.assert_array_equal(part[0], whole[0])
        np.testing.assert_array_equal(part[1], whole[1])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp"])
@pytest.mark.parametrize("box", [(0, 0, 1, 1), (3, 5, 17, 29), (0, 0, 40, 30), (39, 29, 40, 30)])
def test_read_box_equals_cutting(tmp_path, suffix, box):
    path = tmp_path / f"x{suffix}"
    Image.fromarray(rng().integers(0, 256, (40, 30, 3), np.uint8)).save(path)
    top, left, bottom, right = box
    np.testing.assert_array_equal(read_image(path, box), read_image(path)[top:bottom, left:right])


def test_bilevel_and_grey_files(tmp_path):
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1").save(tmp_path / "bits.png")
    assert read_index_label(tmp_path / "bits.png").tolist() == [[0, 1], [1, 0]]
    assert read_image(tmp_path / "bits.png")[0].tolist() == [[0, 0, 0], [255, 255, 255]]


def make_jitter(**changes: float) -> ColorJitter:
    values = {"brightness_delta": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0, **changes}
    words = [f"train.color.{name}={value}" for name, value in values.items()]
    return ColorJitter(load_config("camvid_w18_small", {}, ["train.color.probability=1.0", *words]).train.color)


def test_colour_off_returns_the_picture():
    image = smooth_picture(8, 8)
    assert make_jitter(probability=0.0, hue=90.0)(image, rng()) is image


def test_brightness_delta_adds_the_same_everywhere():
    image = np.array([[[100, 110, 120], [250, 128, 5]]], np.uint8)
    change = np.array([make_jitter(brightness_delta=30.0)(image, rng(s))[0, 0].astype(int) - image[0, 0] for s in range(40)])
    assert (change == change[:, :1]).all() and change.min() < -15 and change.max() > 15 and np.abs(change).max() <= 30


def test_contrast_keeps_the_mean_grey():
    image = np.array([[[100] * 3, [140] * 3]], np.uint8)
    for seed in range(10):
        out = make_jitter(contrast=0.5)(image, rng(seed)).astype(int)
        assert abs(out.mean() - 120) <= 1 and 18 <= out[0, 1, 0] - out[0, 0, 0] <= 62


def test_saturation_and_hue_keep_grey_and_value():
    grey, red = np.full((2, 2, 3), 90, np.uint8), np.full((2, 2, 3), (200, 40, 40), np.uint8)
    jitter = make_jitter(saturation=0.5, hue=60.0)
    outs = [jitter(red, rng(seed))[0, 0] for seed in range(20)]
    assert len({tuple(out) for out in outs}) > 10 and all(abs(int(out.max()) - 200) <= 1 for out in outs)
    assert all((jitter(grey, rng(seed)) == grey).all() for seed in range(5))


def test_hue_turns_red_to_yellow():
    hue_only = make_jitter(hue=60.0)
    red = np.full((1, 1, 3), (255, 0, 0), np.uint8)
    greens = [hue_only(red, rng(seed))[0, 0] for seed in range(50)]
    assert max(int(out[1]) for out in greens) > 200 and max(int(out[2]) for out in greens) > 200  # towards yellow and towards magenta
    assert all(out[0] == 255 for out in greens)  # within 60 degrees red stays the largest
