"""A folder of one's own with a file of classes: matching files, mapped values, mirrored classes; and CamVid read that way."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.config import UserError, load_config
from src.data.camvid import INFO as CAMVID
from src.data.class_table import read_class_table
from src.data.colours import main as colours
from src.data.label_check import check_labels
from src.data.label_files import find_inputs
from src.data.loader import build_dataset
from src.data.polygons import main as polygons
from src.data.registry import dataset_info
from src.data.split import main as split
from src.data.transforms import TrainTransform
from tests.data.make_data import SIZE_HW, write_json, write_png

CLASSES = """
classes:
- {name: field, color: [10, 20, 30], values: [50, 51]}
- {name: left, color: [1, 1, 1], values: [0], mirror: right}
- {name: right, color: [2, 2, 2], labels: [oats]}
ignored: {values: [9], labels: [fog]}
ignore_label: 200
"""
REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "camvid"


def put(root, part, stem, *values, suffix="jpg"):
    write_png(root / "images" / part / f"{stem}.{suffix}", np.zeros((*SIZE_HW, 3), np.uint8))
    write_png(root / "labels" / part / f"{stem}.png", np.resize(np.array(values, np.uint8), SIZE_HW))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "classes.yaml").write_text(CLASSES)
    put(tmp_path, "train", "a", 50, 51, 0, 2, 9, 200)
    put(tmp_path, "train", "deep/b", 2, suffix="bmp")
    put(tmp_path, "val", "c", 0)
    return tmp_path


def config_of(root, *words):
    return load_config("camvid_w18_small", {"data_path": str(root)}, ["dataset.name=custom", *words])


def refused(root, *words):
    with pytest.raises(UserError) as error:
        build_dataset(config_of(root, *words), "train").read(0)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_values_and_files(root):
    dataset = build_dataset(config_of(root), "train")
    assert [dataset.sample_name(k) for k in range(2)] == ["a", "b"]
    assert dataset.read(0)[1][0, :6].tolist() == [0, 0, 1, 2, 200, 200]
    assert len(build_dataset(config_of(root), "val")) == 1


def test_info_for_all_programs(root):
    info = dataset_info(config_of(root))
    assert (info.name, info.class_names, info.flip_pairs) == ("custom", ("field", "left", "right"), ((1, 2),))
    assert info.palette.tolist() == [[10, 20, 30], [1, 1, 1], [2, 2, 2]]
    numbered = dataset_info(load_config(words=["dataset.num_classes=4", "loss.use_weights=False"]))
    assert numbered.class_names == ("class 0", "class 1", "class 2", "class 3") and numbered.palette[1].tolist() == [128, 0, 0]


def test_other_folder_names(root):
    (root / "images").rename(root / "pictures")
    (root / "labels").rename(root / "masks")
    assert len(build_dataset(config_of(root, "dataset.image_folder=pictures", "dataset.label_folder=masks"), "train")) == 2


def test_links_to_folders_are_followed_but_not_in_a_circle(root, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for kind in ("images", "labels"):
        (root / kind / "train/deep").rename(elsewhere / kind)
        (root / kind / "train/linked").symlink_to(elsewhere / kind)
        (elsewhere / kind / "back").symlink_to(root / kind)
    dataset = build_dataset(config_of(root), "train")
    assert [str(pair.label.relative_to(root)) for pair in dataset.pairs][:2] == ["labels/train/a.png", "labels/train/linked/b.png"]
    assert [path.name for path in find_inputs(root / "labels/train/linked", (".png",))] == ["b.png", "a.png", "c.png"]


def test_refusals(root):
    put(root, "train", "a", 50, 7)
    assert (
        "label values 7 (384 pixels) are none of 0, 2, 9, 50..51, 200; 'values' of a class or of 'ignored' in the file of classes"
        in refused(root)
    )
    (root / "labels/train/a.png").unlink()
    assert f"{root}/labels/train/a.png: no such file; correct the list or the data folder {root}" in refused(root)
    put(root, "train", "lone", 2)
    (root / "images/train/lone.jpg").unlink()
    assert refused(root).endswith("; 2 files are missing")  # a picture and a label, as the others are called
    assert root / "images/train/lone.jpg" in {pair.image for pair in build_dataset(config_of(root), "train", complete=False).pairs}
    (root / "labels/train/lone.png").unlink()
    (root / "images/train/a.jpg").unlink()
    write_png(root / "images/train/deep/b.png", np.zeros(SIZE_HW, np.uint8))
    assert "have the same stem; rename one of them" in refused(root)


def test_no_parts_and_no_lists(root, capsys):
    for folder in ("images", "labels"):
        (root / folder / "train").rename(root / f"{folder}.all")
        (root / folder / "val/c").with_suffix(".jpg" if folder == "images" else ".png").unlink()
        (root / folder / "val").rmdir()
        (root / folder).rmdir()
    message = refused(root)
    assert "neither train.lst nor the folders images and labels; expected images/train and labels/train" in message
    assert "dataset.image_folder and dataset.label_folder name other folders" in message
    (root / "images.all").rename(root / "images")
    (root / "labels.all").rename(root / "labels")
    message = refused(root)
    assert message.endswith(f"to divide images and labels into train and val: python -m src.data.split {root} --val 0.2")
    assert split([str(root), "--val", "0.5"]) == 0  # and that is enough
    assert len(build_dataset(config_of(root), "train")) == 1


def test_binary_masks_may_be_classes(tmp_path):
    put(tmp_path, "train", "a", 0, 255)
    (tmp_path / "classes.yaml").write_text("classes: [{name: ground}, {name: thing, values: [255]}]")
    dataset = build_dataset(config_of(tmp_path), "train")
    check_labels(dataset, range(1))
    assert dataset.read_label(0)[0, :2].tolist() == [0, 1]
    with pytest.raises(UserError, match="no value is left for what is ignored"):
        read_class_table(tmp_path / "classes.yaml")


def test_tools_write_what_the_same_file_reads(root):
    (root / "masks").mkdir()
    Image.fromarray(np.resize(np.array([[10, 20, 30], [1, 1, 1], [2, 2, 2]], np.uint8), (*SIZE_HW, 3))).save(root / "masks/a.png")
    (root / "labels/train/a.png").unlink()
    assert colours([str(root / "masks/a.png"), str(root / "labels/train/a.png"), "--palette", str(root / "classes.yaml")]) == 0
    assert build_dataset(config_of(root), "train").read_label(0)[0, :3].tolist() == [0, 1, 2]
    shape = {"label": "oats", "points": [[0, 0], [SIZE_HW[1], 0], [SIZE_HW[1], 5], [0, 5]]}
    tree = {"imageHeight": SIZE_HW[0], "imageWidth": SIZE_HW[1], "shapes": [shape]}
    write_json(root / "a.json", tree)
    (root / "labels/train/a.png").unlink()
    assert polygons([str(root / "a.json"), str(root / "labels/train/a.png"), "--classes", str(root / "classes.yaml")]) == 0
    label = build_dataset(config_of(root), "train").read_label(0)
    assert (label[:5] == 2).all() and (label[6:] == 200).all()  # the background is ignored


def test_a_mirrored_sample_swaps_sides(root):
    words = ("train.image_size=[4,6]", "train.base_size=0", "train.multi_scale=False", "train.color.probability=0.0")
    transform = TrainTransform(config_of(root, *words))
    image = np.zeros((4, 6, 3), np.uint8)
    image[:, :2] = 255
    label = np.array([[1, 1, 2, 0, 200, 2]] * 4, np.uint8)
    seen = {}
    for seed in range(20):
        sample, result = transform(image, label, np.random.default_rng(seed))
        seen[bool(sample[0, 0, 0] > sample[0, 0, -1])] = result[0].tolist()
    assert seen == {True: [1, 1, 2, 0, 200, 2], False: [1, 200, 0, 1, 2, 2]}


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/data beside the checkout")
def test_real_camvid_as_custom_has_equal_labels(tmp_path):
    entries = "".join(
        f"- {{name: {name}, color: {list(map(int, color))}}}\n" for name, color in zip(CAMVID.class_names, CAMVID.palette, strict=True)
    )
    (tmp_path / "c.yaml").write_text(f"classes:\n{entries}ignored: {{values: [11]}}\n")
    flags = {"data_path": str(REAL)}
    lists = ["train.train_list=train.txt", "eval.eval_list=val.txt"]
    custom = load_config("camvid_w18_small", flags, ["dataset.name=custom", f"dataset.classes_file={tmp_path / 'c.yaml'}", *lists])
    known = load_config("camvid_w18_small", flags)
    for part in ("train", "val"):
        mine, theirs = build_dataset(custom, part), build_dataset(known, part)
        assert mine.pairs == theirs.pairs
        assert all(np.array_equal(mine.read_label(k), theirs.read_label(k)) for k in range(0, len(mine), 20))
