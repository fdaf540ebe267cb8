"""The check of a data set: what it finds in files that are wrong in every way, what it says of classes, and what it suggests."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from src.config import load_config
from src.data.check.__main__ import look_at_all, main, open_splits
from src.data.check.recipe import balance_findings, batch_findings, crop_findings
from src.data.statistics import Statistics
from src.runtime.entry import run
from tests.data.make_data import write_png

SIZE_HW = (8, 12)
WORDS = ["--config", "camvid_w18_small"]
FITTING = ["train.image_size=[6,8]", "batchsize=1", "train.multi_scale=False"]  # so that nothing is to be said of crops and batches


def picture(number):
    return np.random.default_rng(number).integers(0, 256, (*SIZE_HW, 3), np.uint8)


def label_of(*values):
    return np.resize(np.array(values, np.uint8), SIZE_HW)


def write_split(root, split, labels, first=0):
    """Write pictures of noise with these labels, and their list."""
    for number, label in enumerate(labels, first):
        write_png(root / f"{split}/{number}.png", picture(number))
        write_png(root / f"{split}annot/{number}.png", label)
    write_list(root, split, range(first, first + len(labels)))
    return root


def write_list(root, split, numbers, *more):
    lines = [f"{split}/{number}.png {split}annot/{number}.png" for number in numbers]
    (root / f"{split}.txt").write_text("\n".join([*lines, *more]))


@pytest.fixture
def root(tmp_path):
    """All 11 classes in each of 3 pictures for training and 2 for validation."""
    write_split(tmp_path / "data", "train", [label_of(*range(12))] * 3)
    return write_split(tmp_path / "data", "val", [label_of(*range(12))] * 2, first=3)


def check(root, *more, capsys):
    status = run(main, [*WORDS, "--data_path", str(root), *FITTING, *more])
    return status, capsys.readouterr()


def findings_of(root, tmp_path, *more, capsys):
    """Return the findings by their titles, from the JSON, and the exit status."""
    status, _ = check(root, "--output_path", str(tmp_path / "out"), *more, capsys=capsys)
    tree = json.loads((tmp_path / "out/data_check.json").read_text())
    return status, {finding["title"]: finding for finding in tree["findings"]}


def test_good_data(root, capsys):
    status, output = check(root, capsys=capsys)
    lines = output.out.splitlines()
    assert status == 0 and "nothing is wrong" in lines
    assert lines[:3] == ["train: 3 pictures from train.txt, 12x8", "  pictures: 3 PNG RGB", "  labels: 3 PNG L; 8.33 % of pixels ignored"]
    # 96 pixels hold each of 12 values 8 times, one of them void: 8 of 88
    assert lines[7].split() == ["0", "sky", "0", "9.0909", "3", "9.0909", "2"]
    assert lines[-1].startswith("5 pictures and labels in ")
    assert not os.path.exists("outputs")  # nothing is written unasked


def test_every_wrong_file_is_named_and_the_rest_is_looked_at(root, tmp_path, capsys):
    write_split(root, "train", [label_of(*range(12))] * 11)
    cut = (root / "train/1.png").read_bytes()
    (root / "train/1.png").write_bytes(cut[: len(cut) // 2])
    damaged = bytearray((root / "train/2.png").read_bytes())
    damaged[60:70] = b"0123456789"
    (root / "train/2.png").write_bytes(damaged)
    (root / "trainannot/3.png").write_text("<html>404</html>")
    (root / "train/4.png").unlink()
    write_png(root / "trainannot/5.png", np.zeros((9, 12), np.uint8))
    write_png(root / "trainannot/6.png", np.zeros((12, 8), np.uint8))
    write_png(root / "trainannot/7.png", np.zeros((*SIZE_HW, 3), np.uint8))
    Image.fromarray(np.zeros(SIZE_HW, np.uint8)).save(root / "trainannot/8.png", "JPEG")
    write_png(root / "trainannot/9.png", np.full(SIZE_HW, 300, np.uint16))
    write_png(root / "trainannot/10.png", label_of(0, 77, 77))
    status, found = findings_of(root, tmp_path, capsys=capsys)
    assert status == 1
    lines = {
        title: [line.split(": ")[0].rsplit(":")[-1] for line in finding["files"]]
        for title, finding in found.items()
        if finding["level"] == "error"
    }
    assert lines == {
        "train: missing files (1)": ["5"],
        "train: unreadable pictures (2)": ["2", "3"],
        "train: unreadable labels (1)": ["4"],
        "train: JPEG labels, whose compression changes class numbers (1)": ["9"],
        "train: labels of more than 8 bits (1)": ["10"],
        "train: labels of colours instead of class numbers (1)": ["8"],
        "train: labels of another size than their pictures (1)": ["6"],
        "train: labels of their pictures' size turned by 90 degrees (1)": ["7"],
        "train: labels with values of no class (1 of 11); over all of them: label values 77 (64 pixels) are none of 0..11, 255": ["11"],
    }
    colours = found["train: labels of colours instead of class numbers (1)"]
    assert "python -m src.data.colours" in colours["fix"]


def test_pictures_of_16_and_32_bits(root, tmp_path, capsys):
    Image.fromarray(np.full(SIZE_HW, 4095, np.uint16)).save(root / "train/0.png")
    Image.fromarray(np.zeros(SIZE_HW, np.float32)).save(root / "train/depth.tif")
    write_list(root, "train", [0, 1, 2], "train/depth.tif trainannot/1.png")
    status, found = findings_of(root, tmp_path, capsys=capsys)
    assert {title: (finding["level"], len(finding["files"])) for title, finding in found.items()} == {
        "train: unreadable pictures (1)": ("error", 1),
        "train: pictures of 16 bits a channel, of which the upper 8 count (1)": ("note", 1),
    }
    assert status == 1


def test_exif_orientation_is_told_without_decoding_twice(root, tmp_path, capsys):
    lines = []
    for number, (name, orientation) in enumerate({"a.jpg": 1, "b.jpg": 3, "c.png": 6, "d.tif": 3}.items()):
        exif = Image.Exif()
        exif[0x112] = orientation
        Image.fromarray(picture(10 + number)).save(root / "train" / name, exif=exif)
        lines.append(f"train/{name} trainannot/0.png")
    write_list(root, "train", [0], *lines)
    status, found = findings_of(root, tmp_path, capsys=capsys)
    ((title, finding),) = found.items()
    assert status == 0 and title == "train: pictures that their EXIF orientation turns or mirrors (2)" and finding["level"] == "note"
    # Pillow turns a TIFF by itself: there training sees what viewers show.
    assert finding["files"] == [f"{root}/train.txt:{line}: {root}/train/{name}" for line, name in ((3, "b.jpg"), (4, "c.png"))]
    assert "ImageOps.exif_transpose" in finding["fix"]


def test_grey_labels_and_one_mask_among_labels(root, tmp_path, capsys):
    write_png(root / "trainannot/1.png", np.repeat(label_of(0, 1)[..., None], 3, axis=2))
    write_png(root / "trainannot/2.png", label_of(0, 255))
    status, found = findings_of(root, tmp_path, capsys=capsys)
    grey, mask = found.values()
    assert status == 1 and (grey["level"], mask["level"]) == ("error", "note")
    assert "the three channels are equal: save one of them" in grey["fix"]
    assert grey["files"] == [f"{root}/train.txt:2: {root}/trainannot/1.png: a label of mode RGB"]  # without the remedy
    assert mask["title"] == "train: labels that hold 0 and 255 alone, while others hold more (1)"
    assert mask["files"] == [f"{root}/train.txt:3: {root}/trainannot/2.png"]


def test_every_missing_file_of_folders_is_listed(tmp_path, capsys):
    for part in ("train", "val"):
        for number in range(3):
            write_png(tmp_path / f"images/{part}/{number}.png", picture(number + len(part)))
            write_png(tmp_path / f"labels/{part}/{number}.png", label_of(0, 1))
    (tmp_path / "classes.yaml").write_text("classes: [{name: a}, {name: b}]")
    for name in ("labels/train/0.png", "labels/train/2.png", "images/train/1.png"):
        (tmp_path / name).unlink()
    assert run(main, [*WORDS, "--data_path", str(tmp_path), *FITTING, "dataset.name=custom"]) == 1
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("error: train: missing files (3)")
    assert [line.strip() for line in lines[start + 2 : start + 5]] == [
        f"{tmp_path}/{name}" for name in ("labels/train/0.png", "images/train/1.png", "labels/train/2.png")
    ]


def test_limit_and_status_of_errors(root, capsys):
    for number in range(3):
        write_png(root / f"trainannot/{number}.png", label_of(40 + number))
    status, output = check(root, "--limit", "2", capsys=capsys)
    assert status == 1 and "train.txt:2" in output.out and "train.txt:3" not in output.out
    assert "    and 1 more (--limit 3 shows all)" in output.out.splitlines()


def test_pictures_in_both_splits_by_file_by_bytes_and_by_pixels(root, tmp_path, capsys):
    Image.fromarray(picture(0)).save(root / "val/copy.bmp")
    (root / "val/bytes.png").write_bytes((root / "train/1.png").read_bytes())
    (root / "val/link.png").symlink_to(root / "train/2.png")
    label = "valannot/3.png"
    write_list(root, "val", [3, 4], f"val/copy.bmp {label}", f"val/bytes.png {label}", f"val/link.png {label}")
    status, found = findings_of(root, tmp_path, capsys=capsys)
    (finding,) = found.values()
    assert status == 1 and finding["level"] == "warning" and "(3)" in finding["title"] and "--by sequence" in finding["fix"]
    assert finding["files"] == [
        f"{root}/train.txt:1: {root}/train/0.png = {root}/val.txt:3: {root}/val/copy.bmp (equal pixels)",
        f"{root}/train.txt:2: {root}/train/1.png = {root}/val.txt:4: {root}/val/bytes.png (equal files)",
        f"{root}/train.txt:3: {root}/train/2.png = {root}/val.txt:5: {root}/val/link.png (the same file)",
    ]


def test_pictures_twice_in_a_split(root, tmp_path, capsys):
    write_png(root / "trainannot/other.png", label_of(*range(11)))
    write_list(root, "train", [0, 1, 2], "train/0.png trainannot/0.png", "train/1.png trainannot/other.png")
    status, found = findings_of(root, tmp_path, capsys=capsys)
    assert {title: finding["level"] for title, finding in found.items()} == {
        "train: pictures that come more than once, with different labels (1)": "warning",
        "train: pictures that come more than once, with the same label (1)": "note",
    }
    assert status == 1


def test_a_turned_picture_of_the_same_pixels_is_no_copy(root, tmp_path, capsys):
    write_png(root / "train/0.png", np.zeros((8, 12, 3), np.uint8))
    write_png(root / "val/3.png", np.zeros((12, 8, 3), np.uint8))
    write_png(root / "valannot/3.png", np.resize(np.arange(12, dtype=np.uint8), (12, 8)))
    assert findings_of(root, tmp_path, capsys=capsys) == (0, {})


def test_classes_that_a_part_lacks(root, tmp_path, capsys):
    write_split(root, "train", [label_of(0, 1, 2, 3, 4, 5, 6, 7)] * 3)
    write_split(root, "val", [label_of(0, 1, 2, 3, 4, 5, 6, 8)] * 2, first=3)
    status, found = findings_of(root, tmp_path, capsys=capsys)
    assert {title: finding["level"] for title, finding in found.items()} == {
        "the validation labels hold classes that no training label holds: car": "warning",
        "the training labels hold classes that no validation label holds, which mIoU leaves out: fence": "note",
        "no label holds: pedestrian, bicyclist": "note",
    }
    assert status == 1
    tree = json.loads((tmp_path / "out/data_check.json").read_text())
    assert tree["classes"][8] == {"name": "car", "pixels": {"train": 0, "val": 24}, "pictures": {"train": 0, "val": 2}}
    assert tree["splits"]["val"]["stored_values"] == {str(value): 24 for value in (0, 1, 2, 3, 4, 5, 6, 8)}
    assert Image.open(tmp_path / "out/class_histogram.png").size[0] == 1200


def test_binary_masks_and_ignored_labels(root, tmp_path, capsys):
    write_split(root, "train", [label_of(0, 255, 255)] * 3)
    write_png(root / "valannot/3.png", label_of(11))
    status, found = findings_of(root, tmp_path, capsys=capsys)
    assert status == 1
    (masks,) = (finding for title, finding in found.items() if "binary masks" in title)
    assert masks["level"] == "error" and "give the second class `values: [255]`" in masks["fix"]
    assert found["train: 66.7 % of the pixels are ignored (value 255)"]["level"] == "warning"
    assert found["val: labels of which every pixel is ignored (1)"]["files"] == [f"{root}/val.txt:1: {root}/valannot/3.png"]


def test_train_ids_under_the_name_of_label_ids(tmp_path, capsys):
    for split in ("train", "val"):
        write_png(tmp_path / f"leftImg8bit/{split}/aa/aa_{split}_leftImg8bit.png", picture(len(split)))
        write_png(tmp_path / f"gtFine/{split}/aa/aa_{split}_gtFine_labelIds.png", label_of(0, 1, 2, 8, 11))
    assert run(main, ["--data_path", str(tmp_path)]) == 1
    assert "warning: train: the labels are read as labelIds, but hold nothing above 18: these look like trainIds" in capsys.readouterr().out


def test_one_part_that_cannot_be_opened(root, tmp_path, capsys):
    (root / "val.txt").unlink()
    status, found = findings_of(root, tmp_path, capsys=capsys)
    ((title, finding),) = found.items()
    assert status == 1 and title.startswith(f"val: {root}/val.txt: no such list") and finding["level"] == "error"
    assert findings_of(root, tmp_path, "eval_callback=False", capsys=capsys)[0] == 0


def test_wrong_arguments(root, tmp_path, capsys):
    for words, message in (
        ([], "add --data_path FOLDER"),
        (["--data_path", str(tmp_path / "nowhere")], "no such data folder"),
        (["--data_path", str(root), "dataset.name=camvid"], "dataset.name"),
        (["--data_path", str(root), "--output_path", str(root / "train.txt")], "is a file; expected a folder"),
    ):
        assert run(main, [*WORDS, *words]) == 2
        output = capsys.readouterr()
        assert message in output.err and output.err.count("\n") == 1 and not output.out
    with pytest.raises(SystemExit, match="2"):
        main([*WORDS, "--limit", "-1"])


def config_of(*words):
    return load_config("camvid_w18_small", {"data_path": "data"}, list(words))


def statistics_of(*sizes_hw):
    return Statistics(np.array(sizes_hw), np.ones((len(sizes_hw), 11), np.int64), np.zeros(len(sizes_hw), np.int64))


def test_crops_that_pictures_do_not_fill():
    small = statistics_of((100, 200), (100, 200), (400, 400))
    words = ["train.multi_scale=False", "train.image_size=[128,160]"]
    (finding,) = crop_findings(small, config_of(*words))
    assert "67 % of the pictures are smaller than the crop [128, 160] and fill 78 % of it" in finding.title
    assert finding.fix.startswith("train.image_size=[96,160]")
    assert not list(crop_findings(small, config_of("train.multi_scale=False", "train.image_size=[96,160]")))
    # 200 pixels become 800: enlarged, and the crop is filled
    (finding,) = crop_findings(small, config_of(*words, "train.base_size=800"))
    assert "enlarges most pictures 4.0 times" in finding.title and finding.fix.startswith("train.base_size=0 ")
    # at the mean scale 0.5 the sides are halved
    (finding,) = crop_findings(small, config_of("train.scale_range=[0.25,0.75]", "train.image_size=[96,160]"))
    assert "at the mean scale 0.5" in finding.title and "fill 33 %" in finding.title


def test_balance_batches_and_cores(root, monkeypatch):
    write_split(root, "train", [np.zeros((40, 50), np.uint8)] * 2)
    label = np.zeros((40, 50), np.uint8)
    label[0, :3] = 10
    write_png(root / "trainannot/0.png", label)
    config = load_config("camvid_w18_small", {"data_path": str(root)}, ["loss.use_weights=False"])
    train = look_at_all(open_splits(config)[0])["train"]
    (finding,) = balance_findings(train, config)
    assert "sky has 1332 times as many pixels as bicyclist" in finding.title
    assert "python -m src.data.class_weights with the same --config, --data_path and words;" in finding.fix
    train.dataset.info = replace(train.dataset.info, class_weights=None)
    (finding,) = balance_findings(
        train, load_config("hrnetv2_w18", {}, ["dataset.name=CamVid", "loss.use_weights=True"])
    )  # use_weights is on, and there are none
    for word in ("loss.use_weights=True", "train.rare_class_temperature=0.01"):
        assert not list(balance_findings(train, load_config("camvid_w18_small", {}, ["loss.use_weights=False", word])))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    batch, cores = batch_findings(train, config)
    assert (batch.level, batch.fix) == ("error", "lower batchsize to 2 or give more pictures")
    assert cores.level == "note" and cores.fix.startswith("--workers 4")
