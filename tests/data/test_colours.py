import numpy as np
import pytest
from PIL import Image

from src.data.colours import main
from src.data.polygons import convert as convert_polygons
from src.runtime.entry import run
from tests.data.make_data import polygon_tree, write_json, write_png

SKY, ROAD, PAVEMENT, BIKE, VOID = (128, 128, 128), (128, 64, 128), (0, 0, 192), (192, 0, 192), (0, 0, 0)


def label(path):
    with Image.open(path) as picture:
        assert picture.mode == "P"
        return np.asarray(picture).tolist()


def words(tmp_path, palette="camvid"):
    return [str(tmp_path / "masks"), str(tmp_path / "out"), "--palette", str(palette)]


def test_camvid_by_hand(tmp_path, capsys):
    mask = np.array([[SKY, ROAD, PAVEMENT], [BIKE, VOID, (60, 40, 222)]], np.uint8)
    write_png(tmp_path / "masks" / "day" / "a.png", mask)
    Image.fromarray(mask).quantize(6).save(tmp_path / "masks" / "b.bmp")  # a palette picture
    write_png(tmp_path / "masks" / "c.png", np.dstack([mask, np.full((2, 3), 255, np.uint8)]))
    assert main(words(tmp_path)) == 0
    for name in ("day/a", "b", "c"):
        assert label(tmp_path / "out" / f"{name}.png") == [[0, 3, 4], [10, 11, 4]]
    assert main(words(tmp_path)) == 0
    assert "3 of them were there already" in capsys.readouterr().out


def test_cityscapes_colours_give_back_train_ids(tmp_path):
    tree = polygon_tree(
        ("road", [[0, 0], [7, 0], [7, 5], [0, 5]]), ("pole", [[1, 1], [4, 1], [4, 3]]), ("trailer", [[5, 4], [7, 4], [7, 5]])
    )
    source = write_json(tmp_path / "a_polygons.json", tree)
    convert_polygons(source, tmp_path / "masks" / "a.png", "color", None)
    convert_polygons(source, tmp_path / "expected.png", "trainIds", None)
    assert main(words(tmp_path, "cityscapes")) == 0
    assert label(tmp_path / "out" / "a.png") == label(tmp_path / "expected.png")
    assert {value for row in label(tmp_path / "expected.png") for value in row} == {0, 5, 255}


def test_own_colours_of_a_single_mask(tmp_path):
    (tmp_path / "c.yaml").write_text("classes: [{name: a, color: [0, 0, 1]}, {name: b, color: [1, 0, 0], colors: [[0, 1, 0]]}]")
    write_png(tmp_path / "m.png", np.array([[(0, 0, 1), (1, 0, 0), (0, 1, 0)]], np.uint8))
    assert main([str(tmp_path / "m.png"), str(tmp_path / "l.png"), "--palette", str(tmp_path / "c.yaml")]) == 0
    assert label(tmp_path / "l.png") == [[0, 1, 1]]


def test_unknown_colours_are_counted_and_named(tmp_path, capsys):
    write_png(tmp_path / "masks" / "a.png", np.array([[SKY, (127, 64, 128)]], np.uint8))
    write_png(tmp_path / "masks" / "b.png", np.array([[(0, 0, 190), (0, 0, 190)], [(127, 64, 128), (0, 0, 190)]], np.uint8))
    write_png(tmp_path / "masks" / "c.png", np.array([[SKY]], np.uint8))
    assert run(main, words(tmp_path)) == 2
    error = capsys.readouterr().err
    assert "colours of no class (2): (0,0,190) 3 pixels, first in" in error and "b.png, nearest (0,0,192) pavement" in error
    assert "(127,64,128) 2 pixels" in error and "a.png, nearest (128,64,128) road; nothing was written" in error
    assert error.count("\n") == 1 and not list((tmp_path / "out").iterdir())


def test_class_numbers_in_three_equal_channels(tmp_path, capsys):
    write_png(tmp_path / "masks" / "a.png", np.array([[SKY, (1, 1, 1), (2, 2, 2)]], np.uint8))
    assert run(main, words(tmp_path)) == 2
    assert "if these are class numbers, the three channels are equal: save one of them" in capsys.readouterr().err


def test_many_unknown_colours_are_summed_up(tmp_path, capsys):
    write_png(tmp_path / "masks" / "a.png", np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8))
    assert run(main, words(tmp_path)) == 2
    error = capsys.readouterr().err
    assert "colours of no class (400)" in error and "| and 395 more" in error and "resized smoothly" in error and len(error) < 900


@pytest.mark.parametrize(
    "name, mask, message",
    [
        ("a.png", np.zeros((3, 4), np.uint8), "a mask of mode L; expected colours"),
        ("a.png", np.zeros((3, 4), np.uint16), "a mask of mode I;16"),
        ("a.jpg", np.zeros((3, 4, 3), np.uint8), "a JPEG mask, whose compression changes colours"),
        ("a.png", np.zeros((3, 4, 4), np.uint8), "is partly transparent"),
        ("a.png", None, "the file is truncated"),
    ],
)
def test_refused_masks(tmp_path, capsys, name, mask, message):
    path = tmp_path / "masks" / name
    write_png(path, np.zeros((3, 4, 3), np.uint8) if mask is None else mask)
    if mask is None:
        path.write_bytes(path.read_bytes()[:50])
    assert run(main, words(tmp_path)) == 2
    error = capsys.readouterr().err
    assert message in error and name in error and error.count("\n") == 1


def test_refused_words(tmp_path, capsys):
    write_png(tmp_path / "masks" / "a.png", np.zeros((3, 4, 3), np.uint8))
    write_png(tmp_path / "masks" / "a.tif", np.zeros((3, 4, 3), np.uint8))
    (tmp_path / "c.yaml").write_text("classes: [{name: a}]")
    for asked, message in (
        (words(tmp_path, "camvit"), "expected cityscapes, camvid or a YAML file (did you mean camvid?)"),
        (words(tmp_path, tmp_path / "c.yaml"), "names no colour"),
        (words(tmp_path), "would both be written to"),
        ([str(tmp_path / "masks"), str(tmp_path / "masks" / "out"), "--palette", "camvid"], "choose a folder elsewhere"),
    ):
        assert run(main, asked) == 2
        assert message in capsys.readouterr().err


def test_other_labels_that_are_there_stay(tmp_path, capsys):
    write_png(tmp_path / "masks" / "a.png", np.zeros((3, 4, 3), np.uint8))
    write_png(tmp_path / "out" / "a.png", np.zeros((3, 4), np.uint8))
    assert run(main, words(tmp_path)) == 2
    assert "is there and differs" in capsys.readouterr().err
    assert np.asarray(Image.open(tmp_path / "out" / "a.png")).max() == 0
