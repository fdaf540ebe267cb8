"""Which states may be continued: what the numbers of their batches mean must be the same."""

import pytest

from src.checkpoint.state import Progress, batch_layout, load_state, save_state
from src.config import load_config
from src.config.errors import UserError

DRAWN = "train.rare_class_temperature=0.01"


def layout_of(*words):
    return batch_layout(load_config("camvid_w18_small", words=list(words)), 100, 2)


def test_how_pictures_are_drawn_is_part_of_the_layout(tmp_path):
    path = tmp_path / "last.state"
    # As states were before pictures could be drawn by class.
    assert list(layout_of()) == ["training pictures", "batchsize", "ranks", "train.accumulate_steps"]
    save_state({}, Progress(step=3, layout=layout_of()), path)
    assert load_state({}, layout_of("train.rare_class_min_pixels=10"), path).step == 3
    with pytest.raises(UserError, match="the run had train.rare_class_temperature 0, now it is 0.01"):
        load_state({}, layout_of(DRAWN), path)
    save_state({}, Progress(step=3, layout=layout_of(DRAWN)), path)
    assert load_state({}, layout_of(DRAWN), path).step == 3
    with pytest.raises(UserError, match="the run had train.rare_class_temperature 0.01, now it is 0"):
        load_state({}, layout_of(), path)
    with pytest.raises(UserError, match="the run had train.rare_class_min_pixels 3000, now it is 10"):
        load_state({}, layout_of(DRAWN, "train.rare_class_min_pixels=10"), path)
