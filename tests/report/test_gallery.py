"""Which pictures are shown, and what is said of each."""

import numpy as np
import pytest

from src.report.gallery import Gallery, PictureScore, score_picture

IGNORED = 255


def score_of(miou):
    return PictureScore(f"{miou}", miou, 1, 0, miou, None)


def gallery_of(mious, max_shown=3):
    gallery, drawn = Gallery(max_shown), []
    for miou in mious:
        gallery.add(score_of(miou), lambda miou=miou: drawn.append(miou) or (b"jpeg",))
    return gallery, drawn


def shown(panels):
    return [panel.score.miou for panel in panels]


def test_the_worst_and_the_best_in_order():
    mious = np.random.default_rng(0).permutation(100) / 100
    gallery, drawn = gallery_of(mious.tolist())
    assert shown(gallery.worst()) == [0, 0.01, 0.02]
    assert shown(gallery.best()) == [0.99, 0.98, 0.97]
    assert len(drawn) < 40  # the others were never drawn
    assert gallery.num_pictures == gallery.histogram.sum() == 100


@pytest.mark.parametrize(
    ("count", "worst", "best"), [(0, [], []), (1, [0], []), (2, [0], [1]), (5, [0, 1, 2], [4, 3]), (7, [0, 1, 2], [6, 5, 4])]
)
def test_few_pictures_are_shown_once(count, worst, best):
    gallery, _ = gallery_of([k / 10 for k in range(count)])
    assert shown(gallery.worst()) == [k / 10 for k in worst]
    assert shown(gallery.best()) == [k / 10 for k in best]


def names_of(panels):
    return [panel.score.name for panel in panels]


def test_of_equals_the_first_ones_are_the_best_and_the_last_ones_the_worst():
    gallery = Gallery(2)
    for name in "abcdef":
        gallery.add(PictureScore(name, 0.5, 1, 0, 0.5, None), lambda: ())
    assert (names_of(gallery.best()), names_of(gallery.worst())) == (["a", "b"], ["f", "e"])
    assert names_of(gallery.panels()) == ["a", "b", "e", "f"]


@pytest.mark.parametrize(("count", "perfect"), [(40, 35), (40, 40), (24, 23), (25, 3), (13, 13), (2, 2)])
def test_no_picture_is_among_the_worst_and_the_best(count, perfect):
    gallery = Gallery()
    for number in np.random.default_rng(0).permutation(count):
        gallery.add(PictureScore(f"{number}", 1.0 if number < perfect else number / 100, 1, 0, 0.0, None), lambda: ())
    worst, best = names_of(gallery.worst()), names_of(gallery.best())
    assert len({*worst, *best}) == len(worst) + len(best) == min(24, count)
    assert {str(number) for number in range(perfect, count)} <= {*worst} or count - perfect > 12


def test_the_histogram_has_room_for_0_and_1():
    gallery, _ = gallery_of([0.0, 0.049, 0.05, 0.999, 1.0])
    assert gallery.histogram.tolist() == [2, 1, *[0] * 17, 2]


def test_score_of_a_picture_by_hand():
    label = np.array([[0, 0, 0, 0, 1, 1, 2, 2, IGNORED]], np.uint8)
    prediction = np.array([[0, 0, 0, 1, 1, 1, 3, 0, 3]], np.uint8)
    # IoU 3/5, 2/3 and 0; class 3 has no label here. Class 2 is taken for 0 and 3 once each: the first of them is named.
    score = score_picture("name", prediction, label, 4, IGNORED)
    assert score.miou == pytest.approx((3 / 5 + 2 / 3 + 0) / 3)
    assert (score.num_classes, score.worst_class, score.worst_iou, score.taken_for) == (3, 2, 0, 0)


def test_of_two_classes_that_cost_the_same_the_larger_one_is_named():
    score = score_picture("name", np.zeros((1, 6), np.uint8), np.array([[0, 0, 1, 2, 2, 2]], np.uint8), 3, IGNORED)
    assert (score.worst_class, score.worst_iou, score.taken_for) == (2, 0, 0)


def test_a_perfect_picture_and_one_without_labels():
    label = np.array([[0, 1]], np.uint8)
    score = score_picture("name", label, label, 2, IGNORED)
    assert (score.miou, score.worst_iou, score.taken_for) == (1, 1, None)
    assert score_picture("name", label, np.full((1, 2), IGNORED, np.uint8), 2, IGNORED) is None
