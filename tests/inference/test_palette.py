"""Masks, overlays, panels and the confusion picture."""

import numpy as np
import pytest
from PIL import Image

from src.data.basedataset import DatasetInfo
from src.inference.palette import GAP, confusion_picture, overlay, panel, write_mask, write_picture

PALETTE = np.array([(255, 0, 0), (0, 255, 0), (10, 20, 30)], np.uint8)
INFO = DatasetInfo("toy", ("red thing", "green thing", "dark thing"), PALETTE)
LABEL = np.array([[0, 1, 2], [2, 255, 0]], np.uint8)


def has_color(picture, color):
    return (picture == np.array(color)).all(axis=-1)


def test_mask_holds_class_numbers_and_looks_coloured(tmp_path):
    write_mask(tmp_path / "mask.png", LABEL, PALETTE)
    mask = Image.open(tmp_path / "mask.png")
    assert mask.mode == "P"
    assert np.array_equal(np.asarray(mask), LABEL)
    assert np.asarray(mask.convert("RGB")).tolist() == [[[255, 0, 0], [0, 255, 0], [10, 20, 30]], [[10, 20, 30], [0, 0, 0], [255, 0, 0]]]


def test_mask_of_a_view(tmp_path):
    write_mask(tmp_path / "mask.png", LABEL[:, ::-1], PALETTE)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")), LABEL[:, ::-1])


def test_picture_keeps_its_pixels_and_leaves_no_temporary_file(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    write_picture(tmp_path / "a.png", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), picture)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_picture_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")

    def save_half(self, path, format, **options):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", save_half)
    with pytest.raises(OSError, match="disk full"):
        write_picture(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.png": b"old"}


def test_overlay_blends_classes_and_leaves_the_rest():
    image = np.full((2, 3, 3), 100, np.uint8)
    blended = overlay(image, LABEL, PALETTE, alpha=0.5)
    assert blended.dtype == np.uint8
    assert blended[0, 0].tolist() == [178, 50, 50]  # (100 + 255) / 2 is 177.5
    assert blended[0, 2].tolist() == [55, 60, 65]
    assert blended[1, 1].tolist() == [100, 100, 100]
    assert (image == 100).all()


@pytest.mark.parametrize("size_hw", [(200, 400), (40, 56), (600, 2000), (3, 1)])
def test_panel_shows_truth_above_prediction_in_pure_colours(size_hw):
    image = np.full((*size_hw, 3), 100, np.uint8)
    truth, prediction = np.zeros(size_hw, np.uint8), np.ones(size_hw, np.uint8)
    drawn = panel(image, truth, prediction, INFO)
    tile_width = min(max(size_hw[1], 360), 960)
    tile_height = round(size_hw[0] * tile_width / size_hw[1])
    assert drawn.dtype == np.uint8 and drawn.shape[1] == 2 * tile_width + 3 * GAP
    for color in ((255, 0, 0), (0, 255, 0)):
        found = has_color(drawn, color)
        square = found[:, : tile_width // 2].sum()  # in the legend
        assert 100 < square < 5000
        assert found.sum() == tile_width * tile_height + square
        assert found[:, 2 * GAP + tile_width :].any(axis=0).sum() == tile_width
    rows = [np.flatnonzero(has_color(drawn, color)[:, -2 * GAP]) for color in ((255, 0, 0), (0, 255, 0))]
    assert rows[0].max() < rows[1].min()
    assert has_color(drawn, (100, 100, 100)).sum() >= tile_width * tile_height


def test_panel_lists_only_what_occurs():
    image = np.zeros((50, 400, 3), np.uint8)
    label = np.zeros((50, 400), np.uint8)
    assert not has_color(panel(image, label, label, INFO), PALETTE[2]).any()
    assert not has_color(panel(image + 100, label, label, INFO), (0, 0, 0)).any()
    truth = label.copy()
    truth[:, :10] = 255
    assert has_color(panel(image + 100, truth, label, INFO), (0, 0, 0)).any()


def test_panel_of_many_classes_wraps_its_legend():
    names = tuple(f"a class with a long name {k}" for k in range(150))
    info = DatasetInfo("many", names, np.random.default_rng(0).integers(0, 256, (150, 3)).astype(np.uint8))
    label = (np.arange(50 * 400) % 150).reshape(50, 400).astype(np.uint8)
    image = np.zeros((50, 400, 3), np.uint8)
    few = panel(image, label * 0, label * 0, info)
    many = panel(image, label, label, info)
    assert many.shape[1] == few.shape[1]
    assert many.shape[0] > few.shape[0] + 200


@pytest.mark.parametrize("num_classes", [3, 40])
def test_confusion_picture_marks_the_absent_and_shows_the_diagonal(tmp_path, num_classes):
    matrix = np.eye(num_classes, dtype=np.int64) * 50
    matrix[1] = 0
    confusion_picture(tmp_path / "c.png", matrix, [f"class {k}" for k in range(num_classes)])
    assert [path.name for path in tmp_path.iterdir()] == ["c.png"]
    picture = np.asarray(Image.open(tmp_path / "c.png").convert("RGB"))
    assert min(picture.shape[:2]) > 300
    assert has_color(picture, (204, 204, 204)).sum() > 1000  # the grey row
    assert has_color(picture, (8, 48, 107)).sum() > 1000  # 100 % in the colour map "Blues"
    matrix[1, 1] = 50
    confusion_picture(tmp_path / "c.png", matrix, [f"class {k}" for k in range(num_classes)])
    assert has_color(np.asarray(Image.open(tmp_path / "c.png").convert("RGB")), (204, 204, 204)).sum() < 100
