"""The check before training: every rank knows all counts, and the log says what the data holds."""

from dataclasses import replace

import numpy as np
import pytest

import train
from src.config import load_config
from src.data.loader import TrainSource, build_dataset
from src.engine import trainer
from src.engine.checked_data import checked_data, data_report
from src.runtime.distributed import Group
from src.runtime.entry import run
from tests.tiny import TINY_WORDS, tiny_config, write_camvid


class OneOfTwo(Group):
    """A rank that keeps what it gives to the sum."""

    def sum_int64(self, array):
        object.__setattr__(self, "given", array)
        return array


def test_the_shares_of_two_ranks_make_the_whole(tmp_path):
    config = tiny_config(write_camvid(tmp_path))
    whole = checked_data(config, "train", Group()).statistics
    ranks = [OneOfTwo(rank, 2) for rank in range(2)]
    for rank in ranks:
        checked_data(config, "train", rank)
    assert (ranks[0].given != 0).any(axis=1).tolist() == [True, False] * 2 + [True]
    table = ranks[0].given + ranks[1].given
    expected = np.column_stack([whole.sizes_hw, whole.class_pixels, whole.ignored_pixels])
    assert (table == expected).all()
    for index in range(5):
        label = build_dataset(config, "train").read_label(index)
        assert whole.class_pixels[index].tolist() == [(label == k).sum() for k in range(11)]
        assert whole.ignored_pixels[index] == (label == 255).sum() == 56


def test_the_report_with_validation_and_without(tmp_path):
    config = tiny_config(write_camvid(tmp_path))
    checked, val = (checked_data(config, split, Group()) for split in ("train", "val"))
    absent = "training labels do not hold building, pole, pavement, tree"
    starts = ["training data", absent, "pictures: for training from train.txt", "python -m src.data.check"]
    assert all(line.startswith(start) for line, start in zip(data_report(config, checked, None), starts, strict=True))
    packed = tiny_config(tmp_path, "data_format=mindrecord")
    assert not any("src.data.check" in line for line in data_report(packed, checked, None))
    (tmp_path / "val/1.png").write_bytes((tmp_path / "train/3.png").read_bytes())
    origins = "pictures: for training from train.txt, for validation from val.txt"
    starts = ["training data", "validation data", "neither training nor", origins, "warning: pictures both", "python -m"]
    assert all(line.startswith(start) for line, start in zip(data_report(config, checked, val), starts, strict=True))


def test_more_ranks_than_pictures(tmp_path):
    config = tiny_config(write_camvid(tmp_path), "train.num_samples=2")
    rank = OneOfTwo(rank=4, size=8)
    checked_data(config, "train", rank)
    assert rank.given.shape == (2, 2 + 11 + 1) and not rank.given.any()


def test_the_report_says_that_there_are_no_class_weights(tmp_path):
    checked = checked_data(tiny_config(write_camvid(tmp_path)), "train", Group())
    checked.dataset.info = replace(checked.dataset.info, name="custom", class_weights=None)
    line = "loss.use_weights is on but custom has no class weights: all classes weigh 1 (python -m src.data.class_weights with the same"
    for words, number in (([], 1), ([f"loss.class_weights={[1.0] * 11}"], 0)):
        report = data_report(load_config("hrnetv2_w18", {}, ["dataset.name=CamVid", "loss.use_weights=True", *words]), checked, None)
        assert sum(text.startswith(line) for text in report) == number


def read_alone(train_step, loader):
    """Take the steps' data and do nothing with it: compiling is not the point."""
    return iter(list(loader.create_tuple_iterator(num_epochs=1))[:0])


@pytest.mark.usefixtures("pynative")
def test_a_training_with_rare_classes_says_what_it_learns_from(tmp_path, monkeypatch):
    data, drawn = write_camvid(tmp_path / "data"), []
    draw = TrainSource._draw
    monkeypatch.setattr(TrainSource, "_draw", lambda self, *args: (drawn.append(args), draw(self, *args))[1])
    monkeypatch.setattr(trainer, "host_steps", read_alone)
    words = [
        *TINY_WORDS,
        "total_epoch=1",
        "mode=PYNATIVE",
        "eval_callback=False",
        "train.rare_class_temperature=0.1",
        "train.rare_class_min_pixels=10",
    ]
    arguments = ["--config", "camvid_w18_small", "--data_path", str(data), "--output_path", str(tmp_path / "out"), *words]
    assert run(train.main, arguments) == 0
    log = (tmp_path / "out/train.log").read_text()
    assert "training data: 5 pictures of 56x40, 2 of 11 classes, 2.5 % of pixels ignored" in log
    assert "training labels do not hold building, pole, pavement, tree" in log
    assert "python -m src.data.check, with the same" in log
    assert len(drawn) == 4 and drawn[0][0].probabilities.nonzero()[0].tolist() == [0, 3]
