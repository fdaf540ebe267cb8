"""Pictures drawn by class: how often, the same whoever asks, and crops that hold the class."""

import numpy as np
import pytest

from src.config import load_config
from src.config.errors import UserError
from src.data.camvid import CamVid
from src.data.loader import TrainSource, build_train_loader
from src.data.rare_classes import RareClasses, WantedClass
from src.data.transforms import TrainTransform
from tests.data.make_data import write_png

WORDS = ["train.image_size=[8,8]", "train.base_size=0", "train.multi_scale=False", "train.flip=False", "train.color.probability=0"]
SIGN, CAR = 6, 8  # classes of CamVid


def config_of(root, *words, batchsize=2, workers=1):
    flags = {"data_path": str(root), "batchsize": batchsize, "workers": workers}
    return load_config("camvid_w18_small", flags, [*WORDS, *words])


@pytest.fixture
def root(tmp_path):
    """Ten pictures of sky; 3 and 7 hold a car of 4x4 pixels at the right, 7 a sign of 2x2 at the left too."""
    lines = []
    for k in range(10):
        label = np.zeros((32, 48), np.uint8)
        if k in (3, 7):
            label[20:24, 40:44] = CAR
        if k == 7:
            label[2:4, 5:7] = SIGN
        write_png(tmp_path / f"p{k}.png", np.full((32, 48, 3), 20 * k, np.uint8))
        write_png(tmp_path / f"l{k}.png", label)
        lines.append(f"p{k}.png l{k}.png")
    (tmp_path / "train.txt").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def pixels(root):
    dataset = CamVid(root, "train.txt", "train")
    return np.array([np.bincount(dataset.read_label(k).ravel(), minlength=11)[:11] for k in range(10)])


def test_probabilities_by_hand():
    rare = RareClasses(np.array([[60, 20, 0], [20, 0, 0]]), temperature=0.5, min_pixels=1)
    # shares 0.8, 0.2, none: exp(0.2 / 0.5), exp(0.8 / 0.5)
    expected = np.exp([0.4, 1.6]) / np.exp([0.4, 1.6]).sum()
    assert rare.probabilities.tolist() == pytest.approx([*expected, 0.0])


@pytest.mark.parametrize("temperature", [1e-300, 1e-4])
def test_a_small_temperature_draws_the_rarest_alone(temperature):
    assert RareClasses(np.array([[60, 20, 0], [20, 0, 0]]), temperature, 1).probabilities.tolist() == [0, 1, 0]


def test_draws_follow_the_formula():
    pixels = np.array([[900, 0, 0], [600, 300, 0], [850, 0, 50], [895, 0, 5]])
    rare = RareClasses(pixels, temperature=0.5, min_pixels=40)
    rng = np.random.default_rng(0)
    draws = [rare.draw(rng) for _ in range(4000)]
    classes = np.bincount([wanted.train_id for _, wanted in draws], minlength=3) / 4000
    shares = pixels.sum(axis=0) / pixels.sum()
    expected = np.exp((1 - shares) / 0.5) / np.exp((1 - shares) / 0.5).sum()
    assert np.abs(classes - expected).max() < 4 * np.sqrt(0.25 / 4000)
    assert {index for index, wanted in draws if wanted.train_id == 2} == {2}  # picture 3 has fewer than 40 pixels of it
    assert {index for index, wanted in draws if wanted.train_id == 0} == {0, 1, 2, 3}
    assert {wanted.pixels for _, wanted in draws} == {20.0}


def test_pictures_with_fewer_pixels_serve_where_none_has_enough():
    rare = RareClasses(np.array([[900, 30], [900, 0], [900, 10]]), temperature=0.01, min_pixels=40)
    rng = np.random.default_rng(0)
    draws = {rare.draw(rng) for _ in range(50)}
    assert {(0, WantedClass(1, 15.0)), (2, WantedClass(1, 5.0))} == draws


def sources(root, pixels, world=1, first_step=0, *words):
    config = config_of(root, "train.rare_class_temperature=0.1", "train.rare_class_min_pixels=4", *words)
    rare = RareClasses.from_config(config, pixels)
    dataset = CamVid(root, "train.txt", "train")
    config_by_rank = config_of(root, *words, batchsize=2 // world)
    return [
        TrainSource(dataset, config_by_rank, rank=rank, world=world, first_step=first_step, last_step=20, rare_classes=rare)
        for rank in range(world)
    ]


def key(sample):
    image, label = sample
    return image.tobytes() + label.tobytes()


def test_samples_do_not_depend_on_who_asks_where_it_began_or_how_many_share(root, pixels):
    (whole,) = sources(root, pixels)
    assert len(whole) == 40 and whole.samples_per_epoch == 10
    expected = [key(whole[position]) for position in range(40)]
    (other,) = sources(root, pixels)
    assert [key(other[position]) for position in reversed(range(40))] == expected[::-1]
    (resumed,) = sources(root, pixels, 1, 7)
    assert [key(resumed[position]) for position in range(26)] == expected[14:]
    ranks = sources(root, pixels, 2)
    assert [key(ranks[position % 2][position // 2]) for position in range(40)] == expected
    assert len(set(expected[:10]) & set(expected[10:20])) < 10  # another epoch, other samples


def test_worker_processes_give_the_same(root, pixels):
    rare = RareClasses(pixels, 0.1, 4)

    def batches(workers):
        dataset = CamVid(root, "train.txt", "train")
        loader = build_train_loader(dataset, config_of(root, workers=workers), last_step=8, rare_classes=rare)
        return [(row["image"], row["label"]) for row in loader.create_dict_iterator(num_epochs=1, output_numpy=True)]

    one, two = batches(1), batches(2)
    assert len(one) == 8 and [key(batch) for batch in one] == [key(batch) for batch in two]


def test_rare_classes_come_more_often(root, pixels):
    (rare,) = sources(root, pixels, 1, 0, "train.image_size=[24,32]")
    plain = TrainSource(rare.dataset, config_of(root, "train.image_size=[24,32]"), rank=0, world=1, first_step=0, last_step=20)

    def parts(source):
        labels = [source[position][1] for position in range(40)]
        return [np.mean([(label == train_id).any() for label in labels]) for train_id in (SIGN, CAR)]

    assert min(parts(rare)) > 0.2 > 0.18 > max(parts(plain))


def test_without_rare_classes_the_stream_is_that_of_the_order(root):
    config = config_of(root, "train.image_size=[16,16]", "train.color.probability=0.5")
    dataset = CamVid(root, "train.txt", "train")
    source = TrainSource(dataset, config, rank=1, world=2, first_step=3, last_step=6)
    for position in range(6):  # 2 steps of 2 in an epoch of a rank
        epoch, offset = divmod(3 * 2 + position, 4)
        index = np.random.default_rng((config.seed, epoch)).permutation(10)[1::2][offset]
        expected = TrainTransform(config)(*dataset.read(index), np.random.default_rng((config.seed, epoch, index)))
        assert key(source[position]) == key(expected)


def half_and_half(size_hw):
    """The left half is sky, the right half car."""
    label = np.zeros(size_hw, np.uint8)
    label[:, size_hw[1] // 2 :] = CAR
    return label


def crops_with(wanted, *words):
    """Return 60 labels of 8x8 crops of a 16x24 label, with the part that is car."""
    transform, label = TrainTransform(load_config("camvid_w18_small", {}, [*WORDS, *words])), half_and_half((16, 24))

    def choose(seed):
        rng = np.random.default_rng(seed)
        return transform._choose_crop(label.shape, 1.0, lambda box: label[box[0] : box[2], box[1] : box[3]], rng, wanted)[1]

    return np.array([(choose(seed) == CAR).mean() for seed in range(60)])


def test_crops_hold_the_class_where_some_tries_find_it():
    assert crops_with(WantedClass(CAR, 32.0)).min() >= 0.5
    assert crops_with(WantedClass(CAR, 0.0)).min() == 0.0


def test_both_conditions_hold_together():
    parts = crops_with(WantedClass(CAR, 24.0), "train.crop_max_class_ratio=0.75")
    # Of 17 places 4 are good: 10 tries miss them all in (13 / 17)**10 = 7 % of the cases.
    assert np.mean((parts >= 24 / 64) & (parts <= 0.75)) > 0.8


def test_the_wanted_pixels_scale_with_the_picture():
    transform = TrainTransform(load_config("camvid_w18_small", {}, [*WORDS, "train.image_size=[16,16]"]))
    label, seen = half_and_half((32, 32)), []
    accept = transform._is_accepted
    transform._is_accepted = lambda *args: (seen.append(accept(*args)), seen[-1])[1]
    for pixels, verdicts in ((512.0, [True]), (513.0, [False] * 10)):  # at scale 0.5 the crop is the picture: 128 pixels are left of 512
        seen.clear()
        rng = np.random.default_rng(0)
        transform._choose_crop((32, 32), 0.5, lambda box: label[box[0] : box[2], box[1] : box[3]], rng, WantedClass(CAR, pixels))
        assert seen == verdicts


def test_off_is_off_and_nothing_to_draw_is_said(root, pixels):
    assert RareClasses.from_config(config_of(root), pixels) is None
    with pytest.raises(UserError, match="train.rare_class_temperature: every pixel of the training labels is ignored"):
        RareClasses.from_config(config_of(root, "train.rare_class_temperature=0.01"), 0 * pixels)
