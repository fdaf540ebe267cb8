"""The file of one's own classes: values in masks, what is ignored, mirroring, and what is refused."""

import pytest

from src.config.classes import parse_classes, voc_color
from src.config.errors import UserError


def parse(*classes, **rest):
    return parse_classes({"classes": list(classes), **rest}, "c.yaml")


def test_numbers_stand_for_themselves():
    classes = parse({"name": "a"}, {"name": "b"})
    assert classes.label_ids == {0: 0, 1: 1, 255: None} and classes.ignore_label == 255
    assert [entry.color for entry in classes.entries] == [(128, 0, 0), (0, 128, 0)]


def test_values_and_ignored_ones():
    classes = parse({"name": "a", "values": [7, 8]}, {"name": "b", "values": [0]}, ignored={"values": [3]}, ignore_label=9)
    assert classes.label_ids == {7: 0, 8: 0, 0: 1, 3: None, 9: None}


def test_a_mask_of_0_and_255_has_nothing_ignored():
    assert parse({"name": "ground"}, {"name": "thing", "values": [255]}).label_ids == {0: 0, 255: 1}


def test_mirrors():
    classes = parse(
        {"name": "left", "mirror": "right"}, {"name": "body"}, {"name": "right"}, {"name": "x", "mirror": "y"}, {"name": "y", "mirror": "x"}
    )
    assert classes.flip_pairs == ((0, 2), (3, 4))


def test_voc_colours():
    # Source: the table of the VOC devkit: aeroplane, bicycle, cow (10), tvmonitor (20).
    assert [voc_color(k) for k in (0, 1, 2, 10, 20)] == [(0, 0, 0), (128, 0, 0), (0, 128, 0), (64, 128, 0), (0, 64, 128)]
    assert len({voc_color(k) for k in range(256)}) == 256


@pytest.mark.parametrize(
    "classes, rest, message",
    [
        ([{"name": "a", "values": [1]}, {"name": "b"}], {}, "the value 1 means both a and b; without 'values' a class has its number"),
        ([{"name": "a"}], {"ignored": {"values": [0]}}, "the value 0 means both a and ignored"),
        ([{"nam": "a"}], {}, "class 0: unknown key 'nam' (did you mean name?)"),
        ([{"name": "a", "values": []}], {}, "class 0: 'values' of a is empty"),
        ([{"name": "ignored"}, {"name": "b"}], {}, "class 0: 'ignored' is what is no class; name the class otherwise"),
        ([{"name": "a"}, {"name": "b", "labels": ["ignored"]}], {}, "class 1: 'ignored' is what is no class"),
        ([{"name": "a", "values": 3}], {}, "'values' of a must be a list; got 3"),
        ([{"name": "a", "values": [256]}], {}, "a value of a must be a whole number 0..255; got 256"),
        ([{"name": "a", "values": [True]}], {}, "a value of a must be a whole number 0..255; got True"),
        ([{"name": "arm", "mirror": "am"}, {"name": "b"}], {}, "mirror of arm: 'am' is no class (did you mean arm?)"),
        ([{"name": "a", "mirror": "a"}], {}, "mirror of a: two classes mirror each other"),
        ([{"name": "a", "mirror": "b"}, {"name": "b", "mirror": "c"}, {"name": "c"}], {}, "mirror of b: two classes mirror each other"),
        ([{"name": "a", "mirror": "b"}, {"name": "b"}, {"name": "c", "mirror": "b"}], {}, "mirror of c: two classes mirror each other"),
    ],
)
def test_refusals(classes, rest, message):
    with pytest.raises(UserError) as error:
        parse(*classes, **rest)
    assert str(error.value).startswith("c.yaml: ") and message in str(error.value)
