import numpy as np
import pytest

from src.config.errors import UserError
from src.data.class_table import camvid_table, cityscapes_table, read_class_table


def test_cityscapes():
    ids, train_ids = cityscapes_table("labelIds"), cityscapes_table("trainIds")
    assert (ids.values["car"], train_ids.values["car"], ids.values["license plate"]) == (26, 13, None)
    assert (ids.background, train_ids.background) == (0, 255)
    # Colours that two labels share: pole and polegroup; car and license plate; the black of what is not looked at.
    assert train_ids.colors[153, 153, 153] == 5 and train_ids.colors[0, 0, 142] == 13 and train_ids.colors[0, 0, 0] == 255
    assert ids.palette[18].tolist() == [153, 153, 153] and train_ids.palette[18].tolist() == [119, 11, 32]
    assert train_ids.palette[255].tolist() == [0, 0, 0] and len(train_ids.colors) == 29


def test_camvid_has_32_colours_in_11_classes():
    table = camvid_table()
    assert len(table.colors) == 33  # and SegNet's own colour of the pavement
    assert np.bincount(list(table.colors.values())).tolist() == [1, 5, 2, 3, 4, 2, 3, 1, 5, 4, 2, 1]
    assert table.colors[60, 40, 222] == table.colors[0, 0, 192] == 4 and table.color_names[192, 0, 192] == "bicyclist"


def test_own_classes(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text(
        "ignore_label: 7\nbackground: b\nclasses:\n- {name: a, color: [1, 2, 3], labels: [x], colors: [[4, 5, 6]]}\n- name: b\n"
        "ignored: {labels: [fog], colors: [[0, 0, 0]]}\n"
    )
    table = read_class_table(path)
    assert table.values == {"a": 0, "x": 0, "b": 1, "ignored": 7, "fog": 7} and table.background == 1
    assert table.colors == {(1, 2, 3): 0, (4, 5, 6): 0, (0, 0, 0): 7} and table.color_names[4, 5, 6] == "a"
    assert table.palette[:3].tolist() == [[1, 2, 3], [0, 128, 0], [0, 0, 0]]  # Pascal VOC's second colour


A = "{name: a, color: [1, 2, 3]}"


@pytest.mark.parametrize(
    "text, message",
    [
        ("clases: []", "unknown key 'clases' (did you mean classes?)"),
        ("classes: []", "must be a list of 1 to 255 entries"),
        ("classes: [a]", "class 0 needs a name (text: quote 'no'), as in"),
        (f"classes: [{A}, {{name: a}}]", "the name 'a' comes twice"),
        ("classes: [{name: a, labels: [3]}]", "the name 3 must be text"),
        ("classes: [{name: a, labels: b}]", "'labels' of a must be a list; got 'b'"),
        (f"classes: [{A}, {{name: b, color: [1, 2, 3]}}]", "the colour [1, 2, 3] of b is also one of a"),
        ("classes: [{name: a, color: [1, 2, 256]}]", "a colour of a must be [red, green, blue], each 0..255"),
        (f"classes: [{A}]\nignore_label: 0", "ignore_label must be a whole number from 1"),
        (f"classes: [{A}]\nbackground: z", "background 'z' is no class"),
        (f"classes: [{A}]\nignored: [fog]", "'ignored' must have the keys labels, colors"),
        ("classes: [{name: a, colour: 3}]", "class 0: unknown key 'colour' (did you mean color?)"),
        ("[", "cannot be read as YAML"),
    ],
)
def test_refusals(tmp_path, text, message):
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        read_class_table(path)
    assert message in str(refused.value) and str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_class_table(tmp_path / "c.yaml")
