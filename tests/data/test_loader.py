import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from src.config import load_config
from src.config.datasets import NUM_CLASSES
from src.config.errors import UserError
from src.data.camvid import CamVid
from src.data.loader import (
    TrainSource,
    build_dataset,
    build_train_loader,
    epoch_order,
    iterate_eval,
    reader_error,
    steps_per_epoch,
)
from src.data.registry import DATASETS
from tests.data.make_data import SIZE_HW, make_camvid


@pytest.fixture
def root(tmp_path):
    return make_camvid(tmp_path, num=7)


def make_config(root, *words, workers=1, batchsize=2):
    flags = {"data_path": str(root), "workers": workers, "batchsize": batchsize}
    return load_config("camvid_w18_small", flags, ["train.image_size=[16,24]", "train.base_size=0", *words])


def read_batches(config, first_step=0, last_step=8, **ranks):
    dataset = build_dataset(config, "train")
    batches = build_train_loader(dataset, config, first_step=first_step, last_step=last_step, **ranks)
    return [(row["image"], row["label"]) for row in batches.create_dict_iterator(num_epochs=1, output_numpy=True)]


def assert_same(one, other):
    assert len(one) == len(other) > 0
    for (image, label), (other_image, other_label) in zip(one, other, strict=True):
        np.testing.assert_array_equal(image, other_image)
        np.testing.assert_array_equal(label, other_label)


def test_epoch_order_by_rank_covers_each_sample_once():
    for epoch in range(3):
        shards = [epoch_order(11, epoch, 5, True, rank, 3) for rank in range(3)]
        assert sorted(np.concatenate(shards).tolist()) == list(range(11))
    assert epoch_order(100, 0, 5, True).tolist() != epoch_order(100, 1, 5, True).tolist()
    assert epoch_order(100, 0, 5, True).tolist() != epoch_order(100, 0, 6, True).tolist()
    assert epoch_order(5, 3, 1, False, 1, 2).tolist() == [1, 3]


@pytest.mark.parametrize(("num", "batch", "world", "steps"), [(10, 3, 1, 3), (11, 2, 2, 2), (2975, 3, 4, 247), (4, 4, 1, 1)])
def test_steps_per_epoch(num, batch, world, steps):
    assert steps_per_epoch(num, batch, world) == steps


def test_too_few_pictures():
    with pytest.raises(UserError, match="7 training pictures cannot fill one batch of 4 on each of 2 devices; lower batchsize to 3"):
        steps_per_epoch(7, 4, 2)
    with pytest.raises(UserError, match="1 training picture cannot be shared by 2 devices"):
        steps_per_epoch(1, 1, 2)


def test_source_shows_each_sample_once_per_epoch_over_ranks(root):
    dataset = CamVid(root, "train.txt", "train", num_samples=6)
    config = make_config(root, batchsize=1)
    sources = [TrainSource(dataset, config, rank=rank, world=2, first_step=0, last_step=6) for rank in range(2)]
    for epoch in range(2):
        located = [source.locate(position) for source in sources for position in range(3 * epoch, 3 * epoch + 3)]
        assert {e for e, _ in located} == {epoch} and sorted(index for _, index in located) == list(range(6))


def test_samples_change_with_epoch_and_seed(root):
    dataset = CamVid(root, "train.txt", "train", num_samples=2)
    words = ["train.shuffle=False", "train.scale_range=[1.0,2.0]"]

    def label(position, *more):
        return TrainSource(dataset, make_config(root, *words, *more), rank=0, world=1, first_step=0, last_step=2)[position][1]

    assert not np.array_equal(label(0), label(2))  # the same picture in epochs 0 and 1
    assert not np.array_equal(label(0), label(0, "seed=2"))


def test_batches(root):
    batches = read_batches(make_config(root))
    assert len(batches) == 8
    image, label = batches[0]
    assert image.shape == (2, 3, 16, 24) and image.dtype == np.float32
    assert label.shape == (2, 16, 24) and label.dtype == np.int32


def test_workers_do_not_change_the_batches(root):
    one = read_batches(make_config(root))
    assert_same(one, read_batches(make_config(root, workers=2)))
    assert_same(one, read_batches(make_config(root, workers=10_000)))  # more than any machine has cores
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [1, 2])
def test_starting_at_a_step_equals_skipping(root, workers):
    config = make_config(root, workers=workers)
    assert_same(read_batches(config)[4:], read_batches(config, first_step=4))  # step 4 is in the middle of the second epoch


@pytest.mark.parametrize("workers", [1, 2])
def test_a_truncated_picture_surfaces_as_one_line(root, workers):
    path = root / "train/p3.png"
    path.write_bytes(path.read_bytes()[:-15])
    with pytest.raises(RuntimeError) as raised:
        read_batches(make_config(root, workers=workers))
    error = reader_error(raised.value)
    assert isinstance(error, UserError) and "\n" not in str(error)
    assert str(error).startswith(f"{root}/train.txt:4: {path}: the picture cannot be read: the file is truncated")


def test_workers_end_with_a_process_that_stops_early(root):
    code = (
        "import sys, tests.data.test_loader as t\n"
        "config = t.make_config(sys.argv[1], workers=2)\n"
        "batches = t.build_train_loader(t.build_dataset(config, 'train'), config, last_step=1000)\n"
        "rows = batches.create_dict_iterator(num_epochs=1, output_numpy=True)\n"
        "next(rows)\n"
        "print(*[child.pid for child in t.multiprocessing.active_children()], flush=True)\n"
        "raise SystemExit(3)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    children = done.stdout.split()
    assert len(children) >= 2 or os.cpu_count() == 1  # MindSpore adds a process that watches the workers
    for _ in range(100):  # they are told to end; their last milliseconds may outlive the parent
        alive = [pid for pid in children if Path(f"/proc/{pid}/fd/0").exists()]
        if not alive:
            break
        time.sleep(0.1)
    assert not alive


def test_reader_error_of_other_kinds():
    error = UserError("x")
    assert reader_error(error) is error
    assert reader_error(RuntimeError("ValueError: a defect")) is None


@pytest.mark.parametrize("world", [1, 2, 3])
def test_iterate_eval_covers_each_index_in_order(root, world):
    config = make_config(root, workers=3)
    dataset = build_dataset(config, "val")
    for rank in range(world):
        samples = list(iterate_eval(dataset, config, rank=rank, world=world))
        assert [sample.index for sample in samples] == list(range(rank, 7, world))
        for sample in samples:
            assert sample.name == f"p{sample.index}" and (sample.image == 10 * sample.index).all()
            assert sample.image.shape == (*SIZE_HW, 3) and sample.label.shape == SIZE_HW and sample.label.max() == 255


def test_iterate_eval_reads_no_more_than_a_few_ahead(root, monkeypatch):
    config = make_config(root, workers=2)
    dataset = build_dataset(config, "val")
    read, started = dataset.read, []
    monkeypatch.setattr(dataset, "read", lambda index: (started.append(index), read(index))[1])
    samples = iterate_eval(dataset, config)
    next(samples)
    assert len(started) <= 3
    samples.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("read-ahead") and not t.join(5) and t.is_alive()]


def test_iterate_eval_raises_at_the_bad_sample(root):
    config = make_config(root, workers=2)
    dataset = build_dataset(config, "val")
    (root / "train/p2.png").write_bytes(b"nothing")
    samples = iterate_eval(dataset, config)
    assert [next(samples).index, next(samples).index] == [0, 1]
    with pytest.raises(UserError, match="val.txt:3: .*p2.png"):
        next(samples)


def test_build_dataset_reads_its_part_of_the_configuration(root):
    (root / "val.txt").write_text("train/p6.png trainannot/p6.png\n")
    config = make_config(root, "train.num_samples=4")
    assert len(build_dataset(config, "train")) == 4
    assert [build_dataset(config, "val").sample_name(0), build_dataset(config, "val").split] == ["p6", "val"]


def test_no_data_path_and_wrong_number_of_classes(root):
    with pytest.raises(UserError, match="no data folder is given; add --data_path"):
        build_dataset(load_config("camvid_w18_small"), "train")
    with pytest.raises(UserError, match="dataset.num_classes is 5 but CamVid has 11 classes"):
        build_dataset(make_config(root, "dataset.num_classes=5", "loss.class_weights=null"), "train")


def test_every_configurable_name_has_a_data_set():
    assert set(NUM_CLASSES) == set(DATASETS)
    for name, number in NUM_CLASSES.items():
        if number is not None:
            info = DATASETS[name].info
            assert (info.name, len(info.class_names), info.palette.shape) == (name, number, (number, 3))
