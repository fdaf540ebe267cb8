"""A picture beside its prediction, with a bar and a legend that tell each class's part."""

import numpy as np
import pytest

from src.data.basedataset import DatasetInfo
from src.inference import comparison as comparison_module
from src.inference.comparison import Entry, comparison
from src.inference.palette import GAP

PALETTE = np.array([(255, 0, 0), (0, 255, 0), (10, 20, 30), (0, 0, 255)], np.uint8)
INFO = DatasetInfo("toy", ("red thing", "green thing", "dark thing", "blue thing"), PALETTE)


def labels_of(*parts: tuple[int, int]) -> np.ndarray:
    """Columns of classes: (class, number of columns) from left to right, 40 rows."""
    return np.repeat(np.repeat([number for number, _ in parts], [count for _, count in parts])[None], 40, axis=0).astype(np.uint8)


def rows_with(picture: np.ndarray, color: tuple[int, ...]) -> np.ndarray:
    return np.flatnonzero((picture == color).all(axis=-1).any(axis=1))


@pytest.mark.parametrize("is_frame", [False, True])
def test_the_bar_is_parted_as_the_pixels_are(is_frame: bool) -> None:
    drawn = comparison(np.full((40, 400, 3), 99, np.uint8), labels_of((1, 100), (0, 300)), INFO, is_frame)
    assert drawn.shape[1] == 2 * 400 + 3 * GAP
    bar = drawn[rows_with(drawn, (255, 0, 0))[0]]  # the overlay is blended: pure colours begin with the bar
    red, green = ((bar == color).all(axis=-1) for color in ((255, 0, 0), (0, 255, 0)))
    length = drawn.shape[1] - 2 * GAP
    assert (red.sum(), green.sum()) == (pytest.approx(0.75 * length, abs=1), pytest.approx(0.25 * length, abs=1))
    # The largest first; in a video in the order of the classes, which is the same here.
    assert np.flatnonzero(red).max() < np.flatnonzero(green).min()
    assert not rows_with(drawn, (10, 20, 30)).size and not rows_with(drawn, (0, 0, 255)).size


def test_a_video_keeps_its_size_and_its_order() -> None:
    image = np.zeros((40, 400, 3), np.uint8)
    one, other, few = (labels_of(*parts) for parts in ([(3, 399), (0, 1)], [(k, 100) for k in range(4)], [(2, 400)]))
    assert (
        comparison(image, one, INFO, True).shape == comparison(image, other, INFO, True).shape == comparison(image, few, INFO, True).shape
    )
    assert comparison(image, one, INFO).shape[0] <= comparison(image, other, INFO).shape[0]
    drawn = comparison(image, one, INFO, True)
    bar = drawn[rows_with(drawn, (0, 0, 255))[0]]
    assert np.flatnonzero((bar == (255, 0, 0)).all(axis=-1)).max() < np.flatnonzero((bar == (0, 0, 255)).all(axis=-1)).min()


def test_the_legend_of_a_video_of_many_classes_holds_the_largest() -> None:
    shares = np.arange(150) / np.arange(150).sum()
    entries = [Entry(f"class {number}", (number, 0, 0), share) for number, share in enumerate(shares)]
    assert comparison_module._fixed_places(entries) == entries[-24:]
    none_but_two = [entry._replace(share=0.5 * (number in (7, 149))) for number, entry in enumerate(entries)]
    assert comparison_module._fixed_places(none_but_two) == [none_but_two[7], none_but_two[149], *[None] * 22]


def test_what_the_legend_says() -> None:
    shares = {0.5: "50.0 %", 0.12345: "12.3 %", 0.0004: "< 0.1 %", 0.0005: "0.1 %", 1.0: "100.0 %"}
    assert [Entry("road", (0, 0, 0), share).text for share in shares] == [f"road {text}" for text in shares.values()]


@pytest.mark.parametrize("size_hw", [(1, 1), (900, 200), (20, 3000), (20_000, 3)])
def test_pictures_of_any_shape(size_hw: tuple[int, int]) -> None:
    drawn = comparison(np.zeros((*size_hw, 3), np.uint8), np.zeros(size_hw, np.uint8), INFO)
    assert drawn.dtype == np.uint8 and drawn.shape[0] < 2200 and drawn.shape[1] == 2 * min(max(size_hw[1], 360), 960) + 3 * GAP


def test_a_tall_picture_keeps_its_shape_and_its_titles_have_room() -> None:
    drawn = comparison(np.full((9000, 900, 3), 99, np.uint8), np.zeros((9000, 900), np.uint8), INFO)
    assert drawn.shape[1] == 2 * 360 + 3 * GAP
    assert ((drawn == 99).all(axis=-1).sum(axis=0) == 1920).sum() == 192
