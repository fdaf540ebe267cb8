import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from src.data.annotations import read_annotation
from src.data.class_table import cityscapes_table, read_class_table
from src.data.polygons import draw_labels, main
from src.runtime.entry import run
from tests.data.make_data import polygon_tree, write_json, write_png

CLASSES = """
classes:
  - {name: field, color: [10, 20, 30]}
  - {name: crop, color: [0, 200, 0], labels: [wheat, oats]}
ignored: {labels: [fog]}
"""
SQUARE = [[1, 1], [4, 1], [4, 3], [1, 3]]


def labelme(*shapes, size_hw=(6, 8), **more):
    keys = {"label", "points", "shape_type", "group_id"}
    assert all(set(shape) <= keys for shape in shapes)
    return {"version": "5.5.0", "imageHeight": size_hw[0], "imageWidth": size_hw[1], "imageData": None, "shapes": list(shapes), **more}


@pytest.fixture
def classes(tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text(CLASSES)
    return path


def rows(path):
    return ["".join({255: "."}.get(v, str(v)) for v in row) for row in np.asarray(Image.open(path)).tolist()]


def test_labelme_shapes_by_hand(tmp_path, classes):
    tree = labelme(
        {"label": "field", "points": SQUARE, "shape_type": "polygon", "group_id": 7},
        {"label": "oats", "points": [[3, 4], [6, 2]], "shape_type": "rectangle"},  # drawn from its lower left corner, covers the field
        {"label": "fog", "points": [[2, 2], [3, 2]], "shape_type": "circle", "group_id": 7},
        imageData="not looked at",
    )
    out = tmp_path / "out.png"
    assert main([str(write_json(tmp_path / "a.json", tree)), str(out), "--classes", str(classes)]) == 0
    assert rows(out) == ["........", ".0.00...", "....111.", ".0.1111.", "...1111.", "........"]
    picture = Image.open(out)
    assert picture.mode == "P" and np.asarray(picture.convert("RGB"))[2, 4].tolist() == [0, 200, 0]
    assert main([str(tmp_path / "a.json"), str(tmp_path / "c.png"), "--classes", str(classes), "--labels", "color"]) == 0
    assert np.asarray(Image.open(tmp_path / "c.png"))[1:3, 1].tolist() == [[10, 20, 30, 255], [0, 0, 0, 255]]


def test_a_hole_is_a_later_shape(tmp_path, classes):
    classes.write_text(CLASSES + "background: field\n")
    ring = {"label": "wheat", "points": [[0, 0], [5, 0], [5, 5], [0, 5]]}
    hole = {"label": "field", "points": [[2, 2], [3, 2], [3, 3], [2, 3]], "shape_type": None}
    path = write_json(tmp_path / "a.json", labelme(ring, hole, size_hw=(6, 7)))
    label = draw_labels(read_annotation(path), read_class_table(classes))
    expected = np.ones((6, 7), int)
    expected[2:4, 2:4], expected[:, 6] = 0, 0
    np.testing.assert_array_equal(label, expected)


def test_labelme_equals_its_own_way_of_masks(tmp_path):
    """LabelMe draws each shape into a mask of its own and then sets the label there."""
    rng = np.random.default_rng(3)
    shapes, expected = [], np.zeros((50, 60), np.uint8)
    for _ in range(12):
        kind = str(rng.choice(["polygon", "rectangle", "circle"]))
        points = rng.uniform(-10, 70, (rng.integers(3, 9) if kind == "polygon" else 2, 2))
        points = np.sort(points, axis=0) if kind == "rectangle" else points / (1 if kind == "polygon" else 3)
        name, value = [("road", 7), ("car", 26), ("sky", 23)][rng.integers(3)]
        shapes.append({"label": name, "points": points.tolist(), "shape_type": kind})
        mask = Image.new("1", (60, 50))
        draw, flat = ImageDraw.Draw(mask), [tuple(p) for p in points.tolist()]
        if kind == "circle":
            d = math.dist(*flat)
            draw.ellipse([flat[0][0] - d, flat[0][1] - d, flat[0][0] + d, flat[0][1] + d], outline=1, fill=1)
        else:
            getattr(draw, kind)(flat, outline=1, fill=1)
        expected[np.asarray(mask)] = value
    path = write_json(tmp_path / "a.json", labelme(*shapes, size_hw=(50, 60)))
    np.testing.assert_array_equal(draw_labels(read_annotation(path), cityscapes_table("labelIds")), expected)
    assert set(np.unique(expected)) == {0, 7, 23, 26}


def test_cityscapes_by_hand(tmp_path):
    tree = polygon_tree(
        ("road", [[0, 0], [7, 0], [7, 5], [0, 5]]),
        ("cargroup", SQUARE),
        ("polegroup", [[6, 0], [7, 0], [7, 5], [6, 5]]),
        ("license plate", [[0, 0], [7, 0], [7, 5]]),
        ("sky", [[0, 0], [7, 0], [7, 5]]),
        ("ego vehicle", [[0, 5], [7, 5], [7, 5]]),
    )
    tree["objects"][4]["deleted"] = 1
    source = tmp_path / "gtFine" / "val" / "aa" / "aa_000000_000019_gtFine_polygons.json"
    write_json(source, tree)
    assert main([str(tmp_path / "gtFine"), str(tmp_path / "out")]) == 0
    assert main([str(tmp_path / "gtFine"), str(tmp_path / "out"), "--labels", "trainIds"]) == 0
    ids, train_ids = (np.asarray(Image.open(path)) for path in sorted((tmp_path / "out/val/aa").iterdir()))
    assert ids.tolist() == [[7] * 6 + [18] * 2, *[[7] + [26] * 4 + [7] + [18] * 2] * 3, [7] * 6 + [18] * 2, [1] * 8]
    assert train_ids.tolist() == [[0] * 6 + [255] * 2, *[[0] + [13] * 4 + [0] + [255] * 2] * 3, [0] * 6 + [255] * 2, [255] * 8]
    names = [path.name for path in sorted((tmp_path / "out/val/aa").iterdir())]
    assert names == [f"aa_000000_000019_gtFine_{kind}.png" for kind in ("labelIds", "labelTrainIds")]


def test_again_and_with_other_content(tmp_path, capsys):
    for name in "ab":
        write_json(tmp_path / "in" / f"{name}.json", labelme({"label": "road", "points": SQUARE}))
    words = [str(tmp_path / "in"), str(tmp_path / "out")]
    assert main(words) == 0 and main(words) == 0
    assert "2 of them were there already" in capsys.readouterr().out
    write_png(tmp_path / "out" / "b.png", np.zeros((6, 8), np.uint8))
    (tmp_path / "out" / "a.png").unlink()
    assert run(main, words) == 2
    assert "b.png: is there and differs" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.png"]  # nothing half-written


TRIANGLE = [[0, 0], [3, 0], [3, 3]]
ROAD = {"label": "road", "points": TRIANGLE}


@pytest.mark.parametrize(
    "tree, message",
    [
        ("{", "cannot be read as JSON"),
        ([1], "neither LabelMe's JSON"),
        ({"shapes": 3}, "neither LabelMe's JSON"),
        (polygon_tree(("road", TRIANGLE[:2])), "object 0 ('road'): a polygon has at least 3 points; got 2"),
        (labelme({**ROAD, "points": TRIANGLE[:1]}), "shape 0 ('road'): a polygon has at least 3 points; got 1"),
        (labelme({**ROAD, "shape_type": "circle"}), "a circle has 2 points; got 3"),
        (labelme({**ROAD, "shape_type": "linestrip"}), "is a linestrip; only polygon, rectangle, circle cover an area"),
        (labelme(ROAD, imageHeight=None), "'imageHeight' must be the picture's size"),
        ({"objects": [], "imgHeight": 4}, "'imgWidth' must be the picture's size, 1..65500 pixels; got None"),
        (labelme({**ROAD, "points": [[0, 0], [1, "a"], [3, 3]]}), "its points must be a list of [x, y]"),
        (labelme({**ROAD, "points": [[0, 0], [float("nan"), 1], [3, 3]]}), "the coordinate nan is not finite"),
        (labelme({**ROAD, "points": [[0, 0], [-1e300, 1], [3, 3]]}), "the coordinate -1e+300 is not finite, or no place near a picture"),
        (labelme({**ROAD, "shape_type": "mask"}), "LabelMe's AI masks are not supported: convert it to a polygon"),
        (labelme({**ROAD, "label": 5}), "shape 0: its label must be text; got 5"),
        (labelme({"points": TRIANGLE}), "shape 0 has no label"),
        (polygon_tree(("raod", TRIANGLE)), "the label 'raod' is no class (did you mean road?)"),
        (labelme({**ROAD, "label": "cargroup"}), "the label 'cargroup' is no class"),
        (labelme(ROAD, imagePath="p.png"), "says 8x6 pixels but"),
        ({**labelme(ROAD), "shapes": [3]}, "shape 0 must have 'label' and 'points'"),
    ],
)
def test_refusals(tmp_path, capsys, tree, message):
    write_png(tmp_path / "in" / "p.png", np.zeros((4, 4), np.uint8))
    write_json(tmp_path / "in" / "good.json", labelme(ROAD))
    write_json(tmp_path / "in" / "x.json", tree)
    assert run(main, [str(tmp_path / "in"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error and "x.json" in error and error.count("\n") == 1
    assert not list((tmp_path / "out").iterdir())


def test_refused_words(tmp_path, capsys):
    path = write_json(tmp_path / "in" / "a.json", labelme(ROAD))
    write_json(tmp_path / "in" / "a_polygons.json", polygon_tree(("road", TRIANGLE)))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    write_json(tmp_path / "classes.yaml", CLASSES)
    for words, message in (
        ([path, tmp_path / "out.jpg"], "labels are written as PNG; name it out.png"),
        ([tmp_path / "none", tmp_path], "no such file or folder"),
        ([tmp_path / "empty", tmp_path], "holds no .json file"),
        ([tmp_path / "in", tmp_path / "file"], "is a file; expected a folder"),
        ([tmp_path / "in", tmp_path / "o", "--classes", tmp_path / "classes.yaml"], f"of `ignored`, in {tmp_path}/classes.yaml"),
    ):
        assert run(main, [str(word) for word in words]) == 2
        assert message in capsys.readouterr().err
    write_json(tmp_path / "classes.yaml", "classes: [{name: road}]")
    assert run(main, [str(tmp_path / "in"), str(tmp_path / "o"), "--classes", str(tmp_path / "classes.yaml")]) == 2
    assert "would both be written to" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([str(path), "o", "--classes", "c.yaml", "--labels", "trainIds"])
    assert "give one of them" in capsys.readouterr().err
