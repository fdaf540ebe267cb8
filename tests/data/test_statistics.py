"""What the check before training says of its data, and how it finds equal files."""

from pathlib import Path

import numpy as np
import pytest

from src.data import duplicates
from src.data.camvid import CamVid
from src.data.duplicates import equal_files, equal_keys
from src.data.label_check import check_labels
from src.data.statistics import Statistics, describe, describe_copies
from tests.data.make_data import make_camvid, write_png

NAMES = ("sky", "road", "car")
# height, width, pixels of three classes, ignored pixels
TRAIN = Statistics.from_table(np.array([[10, 20, 150, 30, 0, 20], [10, 10, 100, 0, 0, 0], [30, 10, 0, 300, 0, 0]]))
VAL = Statistics.from_table(np.array([[10, 20, 0, 100, 100, 0]]))


def test_shares_by_hand():
    assert TRAIN.share.tolist() == pytest.approx([250 / 580, 330 / 580, 0])
    assert TRAIN.num_pictures.tolist() == [2, 2, 0] and TRAIN.ignored_share == pytest.approx(20 / 600)
    empty = Statistics.from_table(np.zeros((2, 6), np.int64))
    assert empty.share.tolist() == [0, 0, 0] and empty.ignored_share == 0


def test_lines_on_both_parts():
    assert describe(TRAIN, VAL, NAMES) == [
        "training data: 3 pictures of 10x10 to 10x30 (3 sizes), 2 of 3 classes, 3.3 % of pixels ignored",
        "validation data: 1 picture of 20x10, 2 of 3 classes, 0.0 % of pixels ignored",
        "warning: validation labels hold, and training labels do not, car",
        "warning: training labels hold, and validation labels do not, sky",
    ]
    assert describe(TRAIN, TRAIN, NAMES)[2:] == ["neither training nor validation labels hold car"]


def test_lines_on_training_alone_name_eight_classes():
    table = np.array([[1, 2, *[1, 1], *[0] * 10, 0]])
    lines = describe(Statistics.from_table(table), None, [f"c{k}" for k in range(12)])
    assert lines[1:] == ["training labels do not hold c2, c3, c4, c5, c6, c7, c8, c9 and 2 more"]


def test_counts_of_the_check(tmp_path):
    root = make_camvid(tmp_path, num=3)
    write_png(root / "trainannot/p1.png", np.full((24, 32), 255, np.uint8))
    counts = check_labels(CamVid(root, "train.txt", "train"), [0, 1])
    # 768 pixels hold 12 values in turn: 64 each, void among them
    assert counts.tolist() == [[24, 32, *[64] * 12], [24, 32, *[0] * 11, 768]]


def test_copies_are_found_by_bytes_and_by_path(tmp_path):
    root = make_camvid(tmp_path, num=8)
    for split, numbers in (("train", range(4)), ("val", range(4, 8))):
        (root / f"{split}.txt").write_text("".join(f"train/p{k}.png trainannot/p{k}.png\n" for k in numbers))

    def lines():
        return describe_copies(CamVid(root, "train.txt", "train"), CamVid(root, "val.txt", "val"))

    (root / "train/p3.png").write_bytes((root / "train/p0.png").read_bytes())  # within a part: nothing is said of that here
    assert lines() == []
    (root / "train/p5.png").write_bytes((root / "train/p1.png").read_bytes())
    with open(root / "val.txt", "a") as stream:
        stream.write("train/p2.png trainannot/p2.png\n")
    (line,) = lines()
    assert line.startswith(
        f"warning: pictures both for training and for validation (2), the first {root}/train/p1.png = {root}/train/p5.png:"
    )


def test_equal_files_reads_whole_only_what_agrees_at_its_start(tmp_path, monkeypatch):
    start = b"s" * (duplicates.START_BYTES - 1)
    contents = [start + b"aa", start + b"ab", start + b"aa", start + b"ba", b"t" + start + b"a", start, b"", b""]
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / str(number))
        paths[-1].write_bytes(content)
    read_whole, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read_whole.append(int(path.name)), read_bytes(path))[1])
    assert equal_files([*paths, paths[3]]) == [[0, 2], [3, 8], [6, 7]]
    assert sorted(read_whole) == [0, 1, 2, 3, 3, 6, 7]
    assert equal_files([]) == []


def test_equal_keys_leaves_unknown_ones_out():
    assert equal_keys(["a", None, "b", "a", None, "c", "b"]) == [[0, 3], [2, 6]]
