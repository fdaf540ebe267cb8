import logging

import numpy as np
import pytest

from src.config.errors import UserError
from src.data.cityscapes import INFO, LABELS, Cityscapes
from tests.data.make_data import SIZE_HW, make_cityscapes, write_png


def test_tables():
    assert INFO.class_names[:3] == ("road", "sidewalk", "building") and INFO.class_names[18] == "bicycle"
    assert INFO.palette.shape == (19, 3) and INFO.palette[10].tolist() == [70, 130, 180]
    assert len(INFO.class_weights) == 19 and INFO.class_weights[0] == 0.8373 and INFO.class_weights[18] == 1.0507
    assert [label.id for label in LABELS] == [*range(34), -1]
    table = {label.id: label.train_id for label in LABELS}
    # 7 road, 8 sidewalk, 11..13 building wall fence, 17 pole, 19..28 traffic light .. bus, 31..33 train motorcycle bicycle
    expected = dict(zip([7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33], range(19), strict=True))
    assert [table.get(value, 255) for value in range(256)] == [expected.get(value, 255) for value in range(256)]


@pytest.mark.parametrize(
    ("kind", "value", "train_id"), [("labelIds", 7, 0), ("labelIds", 3, 255), ("labelTrainIds", 7, 7), ("labelTrainIds", 255, 255)]
)
def test_kind_by_name(tmp_path, caplog, kind, value, train_id):
    root = make_cityscapes(tmp_path, value, kind)
    with caplog.at_level(logging.INFO, "ocrnet"):
        dataset = Cityscapes(root, "train.lst", "train")
    assert dataset.label_kind == kind and f"labels are {kind} (by their names)" in caplog.text
    assert (dataset.read_label(0) == train_id).all()


@pytest.mark.parametrize(("value", "kind"), [(26, "labelIds"), (255, "labelTrainIds"), (13, "labelTrainIds")])
def test_kind_by_values(tmp_path, value, kind):
    root = make_cityscapes(tmp_path, value, "mask")
    (root / "my.lst").write_text("leftImg8bit/train/aa/aa_000000_000019_leftImg8bit.png,gtFine/train/aa/aa_000000_000019_gtFine_mask.png\n")
    assert Cityscapes(root, "my.lst", "train").label_kind == kind


def test_scan_writes_a_list_that_reads_the_same(tmp_path):
    root = make_cityscapes(tmp_path, 7)
    write_png(root / "leftImg8bit/train/ab/ab_000001_000019_leftImg8bit.png", np.zeros((*SIZE_HW, 3), np.uint8))
    write_png(root / "gtFine/train/ab/ab_000001_000019_gtFine_labelIds.png", np.full(SIZE_HW, 8, np.uint8))
    scanned = Cityscapes(root, "/train.lst", "train")
    lines = (root / "train.lst").read_text().splitlines()
    assert lines[1] == "leftImg8bit/train/ab/ab_000001_000019_leftImg8bit.png\tgtFine/train/ab/ab_000001_000019_gtFine_labelIds.png"
    read = Cityscapes(root, "train.lst", "train")
    assert [(p.image, p.label) for p in read.pairs] == [(p.image, p.label) for p in scanned.pairs]
    assert [p.name for p in root.iterdir() if p.name.startswith(".")] == []


def test_scan_without_a_writable_folder(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    root = make_cityscapes(tmp_path, 7)
    monkeypatch.setattr("pathlib.Path.write_text", refuse)
    assert len(Cityscapes(root, "train.lst", "train")) == 1
    assert not (root / "train.lst").exists()


def test_existing_list_is_not_replaced(tmp_path):
    root = make_cityscapes(tmp_path, 7)
    (root / "train.lst").write_text("\n")
    with pytest.raises(UserError, match="train.lst: the list is empty"):
        Cityscapes(root, "train.lst", "train")


def test_no_cityscapes_folder(tmp_path):
    with pytest.raises(UserError, match="neither val.lst nor pictures in leftImg8bit/val"):
        Cityscapes(tmp_path, "val.lst", "val")


def test_picture_without_label(tmp_path):
    root = make_cityscapes(tmp_path, 7)
    write_png(root / "leftImg8bit/train/ab/ab_000001_000019_leftImg8bit.png", np.zeros((*SIZE_HW, 3), np.uint8))
    label = next(root.glob("gtFine/train/aa/*"))
    label.rename(label.with_name(label.name.replace("labelIds", "labelTrainIds")))
    dataset = Cityscapes(root, "train.lst", "train")
    assert not (root / "train.lst").exists()  # what lacks files is not kept
    with pytest.raises(
        UserError, match=r"/ab_000001_000019_gtFine_labelTrainIds.png: no such file; .* \(gtFine_trainvaltest.zip holds it\)"
    ):
        dataset.refuse_missing_files()


def test_the_kind_is_found_without_files_that_are_missing_or_damaged(tmp_path):
    root = make_cityscapes(tmp_path, 26, "mask")
    (root / "damaged.png").write_text("<html>404</html>")
    image = "leftImg8bit/train/aa/aa_000000_000019_leftImg8bit.png"
    labels = ("gone.png", "damaged.png", "gtFine/train/aa/aa_000000_000019_gtFine_mask.png")
    (root / "my.lst").write_text("".join(f"{image},{label}\n" for label in labels))
    assert Cityscapes(root, "my.lst", "train").label_kind == "labelIds"
    (root / "my.lst").write_text(f"{image},gone.png\n")
    assert Cityscapes(root, "my.lst", "train").label_kind == "labelTrainIds"


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("labelTrainIds", 26, r"label values 26 \(768 pixels\) are none of 0..18, 255; these look like labelIds"),
        ("labelIds", 255, r"label values 255 \(768 pixels\) are none of 0..33; labelIds files have no 255: trainIds\?"),
        ("labelIds", 99, r"label values 99 .* none of 0..33; values must be labelIds"),
    ],
)
def test_mixed_up_kinds(tmp_path, kind, value, message):
    with pytest.raises(UserError, match=message):
        Cityscapes(make_cityscapes(tmp_path, value, kind), "train.lst", "train").read(0)


def test_both_kinds_in_one_list(tmp_path):
    root = make_cityscapes(make_cityscapes(tmp_path, 7), 7, "labelTrainIds")
    folder = "/train/aa/aa_000000_000019_"
    lines = [f"leftImg8bit{folder}leftImg8bit.png gtFine{folder}gtFine_{kind}.png\n" for kind in ("labelIds", "labelTrainIds")]
    (root / "my.lst").write_text("".join(lines))
    with pytest.raises(UserError, match="both labelIds and labelTrainIds"):
        Cityscapes(root, "my.lst", "train")
