"""Packed data: what a training and an evaluation see is what the files gave, and what does not fit is refused."""

import json
import shutil

import numpy as np
import pytest

from src.config import UserError, load_config
from src.data import packing
from src.data.check.__main__ import main as check
from src.data.label_check import check_labels
from src.data.loader import TrainSource, build_dataset, build_train_loader, iterate_eval
from src.data.pack import main as pack
from src.data.packed_manifest import MANIFEST
from src.data.rare_classes import RareClasses
from src.data.statistics import describe_copies
from src.data.transforms import TrainTransform
from tests.data.make_data import make_cityscapes, write_png

WORDS = ["train.image_size=[24,32]", "train.base_size=0"]
SIZES = [(40, 56), (70, 44), (33, 64), (40, 56), (64, 64)]


def write_pictures(root):
    """Five noisy pictures of CamVid's layout, of several sizes, the fourth like the first; the last three validate."""
    rng, lines = np.random.default_rng(5), []
    for k, size_hw in enumerate(SIZES):
        label = np.repeat(rng.integers(0, 12, (size_hw[0], 4), dtype=np.uint8), size_hw[1] // 4, axis=1)
        write_png(root / f"train/p{k}.png", rng.integers(0, 256, (*size_hw, 3), dtype=np.uint8))
        write_png(root / f"annot/p{k}.png", label)
        lines.append(f"train/p{k}.png annot/p{k}.png\n")
    shutil.copy(root / "train/p0.png", root / "train/p3.png")
    (root / "train.txt").write_text("".join(lines))
    (root / "val.txt").write_text("".join(lines[2:]))
    return root


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The files, and the same packed: several MindRecord files of the training part."""
    root = write_pictures(tmp_path_factory.mktemp("files"))
    output = tmp_path_factory.mktemp("packed") / "out put"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "FILE_BYTES", 20_000)
        assert pack(["--config", "camvid_w18_small", "--data_path", str(root), "--output_path", str(output)]) == 0
    return root, output


def config_of(root, *words, **flags):
    flags = {"data_path": str(root), "batchsize": 2, "workers": 1, **flags}
    return load_config("camvid_w18_small", flags, [*WORDS, *words])


def both(folders, *words, **flags):
    """Return the configurations of the files and of the packed data."""
    return config_of(folders[0], *words, **flags), config_of(folders[1], *words, data_format="mindrecord", **flags)


def assert_equal_samples(sources):
    for k in range(len(sources[0])):
        (image, label), (packed_image, packed_label) = (source[k] for source in sources)
        assert image.tobytes() == packed_image.tobytes() and label.tobytes() == packed_label.tobytes()
        assert (image.dtype, image.shape, label.dtype) == (packed_image.dtype, packed_image.shape, packed_label.dtype)


@pytest.mark.parametrize(
    "words", [(), ("train.crop_max_class_ratio=0.3",), ("train.rare_class_temperature=0.1",), ("train.num_samples=3",)]
)
@pytest.mark.parametrize("first_step", [0, 3])
def test_training_samples_are_equal(folders, words, first_step):
    sources = []
    for config in both(folders, *words):
        dataset = build_dataset(config, "train")
        classes = check_labels(dataset, range(len(dataset)))[:, 2:-1]
        rare = RareClasses.from_config(config, classes)
        sources.append(TrainSource(dataset, config, rank=0, world=1, first_step=first_step, last_step=9, rare_classes=rare))
    assert_equal_samples(sources)


def test_workers_hand_out_the_same_batches(folders):
    batches = []
    for config in (both(folders)[0], both(folders, workers=2)[1]):
        loader = build_train_loader(build_dataset(config, "train"), config, first_step=1, last_step=4)
        batches.append([[part.tobytes() for part in batch] for batch in loader.create_tuple_iterator(num_epochs=1, output_numpy=True)])
    assert batches[0] == batches[1] and len(batches[0]) == 3


def test_evaluation_is_equal(folders):
    samples = [[(s.name, s.image.tobytes(), s.label.tobytes()) for s in iterate_eval(build_dataset(c, "val"), c)] for c in both(folders)]
    assert samples[0] == samples[1] and len(samples[0]) == 3


def test_what_is_said_of_the_data_is_equal(folders):
    (train, packed_train), (val, packed_val) = ([build_dataset(config, split) for config in both(folders)] for split in ("train", "val"))
    assert np.array_equal(check_labels(train, range(5)), check_labels(packed_train, range(5)))
    assert packed_train.names == train.names
    assert [packed_train.size_hw(k) for k in range(5)] == SIZES
    copies, packed_copies = describe_copies(train, val), describe_copies(packed_train, packed_val)
    assert (
        len(copies) == len(packed_copies) == 1 and "(3)" in copies[0] and copies[0].split("(")[1][:2] == packed_copies[0].split("(")[1][:2]
    )
    assert packed_train.origin.startswith("train-000.mindrecord + train-001")


def test_the_ignore_label_is_that_of_the_configuration(folders):
    labels = [build_dataset(config, "train").read_label(1) for config in both(folders, "dataset.ignore_label=77")]
    assert np.array_equal(*labels) and 77 in labels[0] and 255 not in labels[0]


def test_mindspore_reads_the_files_too(folders):
    import mindspore.dataset as ds
    from mindspore.mindrecord import FileReader

    dataset = build_dataset(both(folders)[1], "train")
    paths = sorted(map(str, folders[1].glob("train-*.mindrecord")))
    assert len(paths) > 1
    rows = [row for path in paths for row in FileReader(path).get_next()]
    assert [row["name"] for row in rows] == dataset.names
    for k, (row, (file, place)) in enumerate(zip(rows, dataset._places, strict=True)):
        assert (row["height"], row["width"]) == dataset.size_hw(k)
        for field in ("image", "label"):
            assert file.reader(place, field)(0, 1 << 20) == row[field]
    loaded = ds.MindDataset(paths, columns_list=["image"], shuffle=False).create_tuple_iterator(num_epochs=1, output_numpy=True)
    assert [image.tobytes() for (image,) in loaded] == [row["image"] for row in rows]


def test_classes_of_ones_own_come_along(tmp_path):
    root = tmp_path / "data"
    for part, value in (("train", 7), ("val", 9)):
        write_png(root / f"images/{part}/a.png", np.full((24, 32, 3), value, np.uint8))
        write_png(root / f"labels/{part}/a.png", np.resize(np.array([7, 9], np.uint8), (24, 32)))
    (root / "classes.yaml").write_text("classes: [{name: corn, values: [7]}, {name: weed, values: [9]}]\n")
    assert pack(["--data_path", str(root), "--output_path", str(tmp_path / "packed"), "dataset.name=custom"]) == 0
    shutil.rmtree(root)
    config = load_config(None, {"data_path": str(tmp_path / "packed"), "data_format": "mindrecord"}, ["dataset.name=custom"])
    image, label = build_dataset(config, "val").read(0)
    assert image[0, 0].tolist() == [9, 9, 9] and label[0, :2].tolist() == [0, 1]
    (tmp_path / "packed/classes.yaml").write_text("classes: [{name: corn, values: [7]}, {name: weed, values: [8]}]\n")
    config = load_config(None, {"data_path": str(tmp_path / "packed"), "data_format": "mindrecord"}, ["dataset.name=custom"])
    message = r"val-000.mindrecord:0: .*labels/val/a.png: label values 9 \(384 pixels\) are none of 7..8"
    with pytest.raises(UserError, match=message):
        build_dataset(config, "val").read_label(0, (0, 0, 1, 1))
    with pytest.raises(UserError, match=message):
        check_labels(build_dataset(config, "val"), [0])
    (tmp_path / "packed/classes.yaml").write_text("classes: [{name: weed, values: [9]}, {name: corn, values: [7]}]\n")
    config = load_config(None, {"data_path": str(tmp_path / "packed"), "data_format": "mindrecord"}, ["dataset.name=custom"])
    with pytest.raises(UserError, match="classes corn, weed, ... .2. and the configuration's weed, corn"):
        build_dataset(config, "val")


def test_each_part_of_cityscapes_keeps_its_kind_of_labels(tmp_path):
    make_cityscapes(tmp_path / "data", value=26)  # a car, train id 13
    make_cityscapes(tmp_path / "data", value=13, kind="labelTrainIds", split="val")
    flags = ["--data_path", str(tmp_path / "data"), "--output_path", str(tmp_path / "packed")]
    assert pack(flags) == 0
    config = load_config(None, {"data_path": str(tmp_path / "packed"), "data_format": "mindrecord"}, ["train.image_size=[8,8]"])
    for split in ("train", "val"):
        dataset = build_dataset(config, split)
        assert np.unique(dataset.read_label(0)).tolist() == [13]
        label = TrainTransform(config).read(dataset, 0, np.random.default_rng(0))[1]
        assert set(np.unique(label)) <= {13, 255}


def test_a_part_that_was_not_packed(folders, tmp_path):
    flags = ["--config", "camvid_w18_small", "--data_path", str(folders[0]), "--output_path", str(tmp_path / "packed"), "--splits", "train"]
    assert pack(flags) == 0
    with pytest.raises(UserError, match="packed without its val split; pack it with --splits train val"):
        build_dataset(config_of(tmp_path / "packed", data_format="mindrecord"), "val")


@pytest.mark.parametrize(
    ("words", "flags", "message"),
    [
        (["dataset.name=Cityscapes"], {}, "holds CamVid, not Cityscapes; set dataset.name=CamVid"),
        (["train.train_list=other.txt"], {}, "holds train.txt as its train split, but train.train_list is other.txt"),
        ([], {"data_format": "files"}, "holds packed data; add --data_format mindrecord"),
    ],
)
def test_a_configuration_that_does_not_fit(folders, words, flags, message):
    config = config_of(folders[1], *words, **{"data_format": "mindrecord", **flags})
    with pytest.raises(UserError, match=message):
        build_dataset(config, "train")


def test_a_folder_of_files(folders):
    with pytest.raises(UserError, match="holds no packed data .packed.json.; pack a data set by python -m src.data.pack"):
        build_dataset(config_of(folders[0], data_format="mindrecord"), "train")
    with pytest.raises(UserError, match="packed data were looked at when they were packed"):
        check(["--config", "camvid_w18_small", "--data_path", str(folders[1]), "data_format=mindrecord"])
    with pytest.raises(UserError, match="a data set is packed from its files"):
        pack(["--data_path", str(folders[0]), "--output_path", "nowhere", "data_format=mindrecord"])


def test_part_of_the_pictures(folders, tmp_path):
    words = ["train.num_samples=2", "eval.num_samples=1"]
    assert pack(["--config", "camvid_w18_small", "--data_path", str(folders[0]), "--output_path", str(tmp_path / "packed"), *words]) == 0
    assert len(build_dataset(config_of(tmp_path / "packed", *words, data_format="mindrecord"), "train")) == 2
    with pytest.raises(UserError, match="holds the first 2 pictures of train.txt, but train.num_samples is 0; set train.num_samples=2"):
        build_dataset(config_of(tmp_path / "packed", data_format="mindrecord"), "train")


def cut_off(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 5])


def change_the_middle_of_the_first_row(path):
    data = bytearray(path.read_bytes())
    place = data.index(b"STRP") + 1000
    data[place : place + 8] = b"damaged!"
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train-001.mindrecord", cut_off, r"train-001.mindrecord: the file is truncated; pack the data set again"),
        ("train-001.mindrecord", lambda path: path.write_bytes(b"other"), r"train-001.mindrecord: not a readable MindRecord file"),
        (
            "train-001.mindrecord",
            lambda path: path.write_bytes(path.read_bytes() + b"x"),
            r"train-001.mindrecord: is damaged: it has \d+ bytes",
        ),
        ("train-000.mindrecord", lambda path: path.unlink(), r"train-000.mindrecord: no such file"),
        ("train-000.mindrecord.db", lambda path: path.unlink(), r"train-000.mindrecord: not a readable MindRecord file \(unable to open"),
        ("train-000.mindrecord.db", cut_off, r"train-000.mindrecord: not a readable MindRecord file \(database disk image"),
        (
            "train-000.mindrecord",
            change_the_middle_of_the_first_row,
            r"train-000.mindrecord:0: the image is damaged: its data are not what",
        ),
        (MANIFEST, cut_off, r"packed.json: cannot be read \("),
        (MANIFEST, lambda path: path.write_text(json.dumps({"format": 2})), r"packed.json: of another format than 1"),
        (MANIFEST, lambda path: path.write_text("[]"), r"packed.json: cannot be read \("),
    ],
)
def test_damaged_data_is_named(folders, tmp_path, name, damage, message):
    folder = shutil.copytree(folders[1], tmp_path / "packed")
    damage(folder / name)
    with pytest.raises(UserError, match=message):
        build_dataset(config_of(folder, data_format="mindrecord"), "train").read_image(0)
