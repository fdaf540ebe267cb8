"""The text of the page: numbers, escaping, nothing from elsewhere, any number of classes."""

import dataclasses
import importlib.metadata
import re
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from src.config.loading import load_config
from src.data.basedataset import DatasetInfo
from src.report.markup import Cell, histogram, number, table
from src.report.settings import describe_settings, time_section
from src.report.stopwatch import PREDICTING, REPORTING
from tests.report.evaluated import evaluated, write_page

VOID = {"meta", "link", "img", "br"}


class Outline(HTMLParser):
    """Check that tags close in order; keep attributes and the rows of tables by their id."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.tables, self.text = [], [], {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "table":
            self.rows = self.tables.setdefault(dict(attrs)["id"], [])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path, result, collector = write_page(tmp_path_factory.mktemp("page"))
    text = path.read_text()
    return text, Outline(text), result, collector


def test_tags_close_and_all_sections_are_there(page):
    text, outline, _, _ = page
    assert outline.open == []
    assert set(outline.tables) == {"classes", "confusions", "sizes", "distances", "times"}
    targets = {value[1:] for _, name, value in outline.attributes if name == "href" and value.startswith("#")}
    assert targets <= {value for _, name, value in outline.attributes if name == "id"}
    assert "$" not in text


def test_nothing_comes_from_elsewhere(page):
    text, outline, _, _ = page
    sources = [value for _, name, value in outline.attributes if name in ("src", "href", "srcset", "data")]
    assert all(value.startswith(("data:", "#")) for value in sources)
    assert not re.search(r"https?:|//\w+\.|@import|url\(", re.sub(r"base64,[^\"]*", "", text))


def test_the_numbers_are_those_of_the_evaluation(page):
    _, outline, result, collector = page
    classes = {row[0]: row[1:] for row in outline.tables["classes"][1:]}
    scores = result.scores
    assert classes["class 0"][:3] == [f"{scores.iou[0]:.4f}", f"{scores.class_accuracy[0]:.4f}", f"{collector.boundary.iou()[0]:.4f}"]
    assert classes["class 1"][3:] == [
        f"{scores.pixels[1]:,d}",
        f"{100 * scores.pixels[1] / scores.pixels.sum():.2f} %",
        f"{scores.predicted[1]:,d}",
    ]
    assert classes["class 2 absent"][:4] == ["–", "–", "–", "0"]
    assert f"{scores.miou:.4f}" in outline.text and f"{collector.boundary.mean_iou():.4f}" in outline.text
    assert outline.tables["confusions"][1][2] == f"{np.max(result.matrix - np.diag(np.diag(result.matrix))):,d}"
    sizes = {row[0]: row[1:] for row in outline.tables["sizes"][1:]}
    assert sizes["class 1"] == [number(value, 3) for value in collector.object_size.iou()[1]]
    assert "class 2" not in sizes  # it has no label pixel
    # 60 x 90 pixels: 5.4 are 0.5 %, and 12.7 x 12.7 are 3 %.
    assert any("from 3 % (13² px)" in text for text in outline.text)


def test_names_are_escaped(tmp_path):
    nasty = '<script>alert("x")</script>&amp;\''
    info = DatasetInfo("toy", (nasty, "b", "c"), np.zeros((3, 3), np.uint8))
    path, _, _ = write_page(tmp_path, info=info)
    text = path.read_text()
    assert "<script>alert" not in text and 'alert("x")' not in text
    assert Outline(text).tables["classes"][1][0] == nasty
    assert "picture <0>" not in text and text.count("picture &lt;0&gt;") == 4  # in the caption and in the descriptions of three pictures
    assert "best &amp; &lt;last&gt;.ckpt" in text and "lr: 0.1 # &lt;b&gt;" in text
    assert "<title>net &lt;x&gt; on toy &amp; co: evaluation</title>" in text


@pytest.mark.parametrize("num_classes", [2, 150])
def test_any_number_of_classes(tmp_path, num_classes):
    path, _, _ = write_page(tmp_path, num_classes=num_classes)
    outline = Outline(path.read_text())
    assert len(outline.tables["classes"]) == 1 + num_classes
    assert outline.open == []


def test_one_picture_without_an_error(tmp_path):
    path, _, _ = write_page(tmp_path, count=1)
    outline = Outline(path.read_text())
    assert outline.tables["confusions"][1:] == []
    assert "without an error" in outline.text
    assert "Worst 1" in outline.text and not any(text.startswith("Best") for text in outline.text)


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path, _, _ = write_page(tmp_path)
    before = path.read_text()
    monkeypatch.setattr("src.report.page.time_section", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_page(tmp_path, count=2)
    assert path.read_text() == before
    assert not list(tmp_path.glob(".*"))


def test_what_is_nothing_has_an_empty_order():
    text = table(["a", "b"], [[Cell("x"), Cell("–", float("nan"))], [Cell("y"), Cell("1", 1.0, 1.0)]])
    assert '<td>x</td><td data-order="">–</td>' in text
    assert '<td data-order="1.0" class="share" style="--share:100.0%">1</td>' in text


def test_histogram_of_nothing():
    assert histogram([0] * 4).count('style="height:0.0%"') == 4


def test_evaluated_is_not_perfect():
    result, _ = evaluated()
    assert 0.3 < result.scores.miou < 1


def test_versions_do_not_ask_which_package_opencv_came_from(tmp_path, monkeypatch):
    def no_package(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", no_package)
    weights = tmp_path / "best.ckpt"
    weights.touch()
    settings = dict(describe_settings(load_config("demo", {"data_path": str(tmp_path)}), weights, "CPU", evaluated()[0]))
    assert f"NumPy {np.__version__}, OpenCV {cv2.__version__}" in settings["versions"]


def test_parts_of_the_time_are_those_of_evaluation_and_report_together():
    result, collector = evaluated()
    collector.stopwatch.seconds.update({PREDICTING: 6.0, REPORTING: 30.0})
    outline = Outline(time_section(dataclasses.replace(result, seconds=10.0), collector.stopwatch))
    shares = [float(row[3].rstrip(" %")) for row in outline.tables["times"][1:]]
    assert shares[1:3] == [15.0, 75.0] and sum(shares) == pytest.approx(100, abs=0.2)
    assert "5 pictures in 10.0 s: 0.50 pictures/s, 0.12 with the report's own time." in "".join(outline.text)
