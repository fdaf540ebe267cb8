"""What the file beside the weights decides, and what is stronger than it."""

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.config import UserError, load_config, save_config
from src.config.facts import report_facts
from src.config.loading import config_beside

# As conversion writes it for weights of another system: small.
FACTS: dict[str, Any] = {
    "preset": "hrnetv2_w18",
    "dataset": {"num_classes": 7, "color_order": "BGR", "mean": [0.1, 0.2, 0.3]},
    "model": {"align_corners": True, "half_pixel_centers": True, "fuse_resize": "nearest", "ocr": {"aux_kernel": 3}},
}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A weight file, which is not read here, with its facts beside it."""
    path = tmp_path / "a.ckpt"
    path.touch()
    write(path, FACTS)
    return path


def said(config: Any, caplog: pytest.LogCaptureFixture) -> tuple[list[str], list[str]]:
    """Return the lines of information and the warnings about a configuration's weights."""
    caplog.clear()
    with caplog.at_level(logging.INFO):
        report_facts(config, logging.getLogger("test"))
    records = caplog.records
    return tuple([r.getMessage() for r in records if r.levelno == level] for level in (logging.INFO, logging.WARNING))


def write(weights: Path, values: Any) -> None:
    config_beside(weights).write_text(values if isinstance(values, str) else yaml.safe_dump(values))


def load(weights: Path, config: str | None = None, *words: str, **flags: Any) -> Any:
    return load_config(config, {"checkpoint_path": str(weights), **flags}, words)


def test_facts_hold_in_any_recipe(weights: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = load(weights, "demo")
    assert (config.model.align_corners, config.model.fuse_resize, config.model.ocr.aux_kernel) == (True, "nearest", 3)
    assert (config.dataset.color_order, config.dataset.mean) == ("BGR", [0.1, 0.2, 0.3])
    # What is no fact, and facts that the file does not hold, are the recipe's.
    demo = load_config("demo")
    assert (config.preset, config.dataset.num_classes, config.dataset.std) == ("demo", demo.dataset.num_classes, demo.dataset.std)
    assert config.model.extra == demo.model.extra
    assert config.lr == demo.lr
    (followed,), warnings = said(config, caplog)
    assert "a.yaml" in followed and "model.align_corners True (preset demo: False)" in followed and "num_classes" not in followed
    assert "half_pixel_centers" not in followed and warnings == []  # demo has the same


def test_without_a_configuration_the_file_names_preset_and_network(weights: Path) -> None:
    network = {"align_corners": True, "extra": {"STAGE3": {"NUM_MODULES": 2}}, "ocr": {"dropout": 0.5}}
    write(weights, FACTS | {"lr": 123.0, "model": network})
    config = load(weights)
    assert (config.preset, config.dataset.num_classes) == ("hrnetv2_w18", 7)
    assert (config.model.extra.STAGE3.NUM_MODULES, config.model.ocr.dropout, config.model.align_corners) == (2, 0.5, True)
    assert config.lr == load_config("hrnetv2_w18").lr  # how they were trained is not how they are trained on
    assert (config.model.head_bias, config.model.extra.STAGE4.NUM_CHANNELS[0]) == (False, 18)


def test_class_weights_follow_the_classes(weights: Path) -> None:
    write(weights, {"preset": "demo", "dataset": {"num_classes": 5}, "loss": {"class_weights": None}})
    assert load(weights).loss.class_weights is None
    assert len(load(weights, "demo").loss.class_weights) == 19


def test_each_source_is_stronger_than_the_one_before(weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "my.yaml").write_text("preset: demo\nmodel:\n  fuse_resize: stepwise\ndataset:\n  mean: [0.4, 0.4, 0.4]\n")
    config = load(weights, str(tmp_path / "my.yaml"), "dataset.mean=[0.5,0.5,0.5]")
    assert (config.preset, config.dataset.num_classes) == ("demo", 19)
    assert config.model.ocr.aux_kernel == 3  # preset < facts
    assert config.model.fuse_resize == "stepwise"  # facts < file
    assert config.dataset.mean == [0.5, 0.5, 0.5]  # file < word
    _, (line,) = said(config, caplog)
    assert "\n" not in line and "a.yaml" in line
    assert "model.fuse_resize is stepwise instead of nearest" in line
    assert "dataset.mean is [0.5, 0.5, 0.5] instead of [0.1, 0.2, 0.3]" in line
    assert "color_order" not in line and "num_classes" not in line


def test_the_path_counts_wherever_it_was_given(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(f"preset: demo\ncheckpoint_path: {weights}\n")
    assert load_config(str(tmp_path / "my.yaml")).dataset.color_order == "BGR"
    assert load_config("demo", {}, [f"checkpoint_path={weights}"]).dataset.color_order == "BGR"
    assert load_config(str(tmp_path / "my.yaml"), {}, ["checkpoint_path=null"]).dataset.color_order == "RGB"


def test_a_complete_configuration_is_repeated_whatever_lies_beside_its_weights(weights: Path, tmp_path: Path) -> None:
    flags = {"checkpoint_path": str(weights)}
    first = load_config("demo", flags, ["model.fuse_resize=bilinear"])
    save_config(first, tmp_path / "config.yaml")
    assert load_config(str(tmp_path / "config.yaml")) == first
    write(weights, "a: [")
    assert load_config(str(tmp_path / "config.yaml"), ask_weights=False) == first


def test_weights_of_a_training_hold_their_facts_in_another_recipe(tmp_path: Path) -> None:
    path = tmp_path / "best.ckpt"
    path.touch()
    save_config(load_config("hrnetv2_w18_paddleseg", {"lr": 0.5}), config_beside(path))
    config = load(path, "hrnetv2_w48")
    assert (config.dataset.mean, config.dataset.std) == ([0.5] * 3, [0.5] * 3)
    assert (config.model.stride2_padding, config.model.ocr.transform_bias, config.model.align_corners) == ("same", True, False)
    assert (config.lr, config.model.extra.STAGE4.NUM_CHANNELS[0]) == (0.0013, 48)


@pytest.mark.parametrize("missing", ["side file", "weights", "path"])
def test_without_a_file_the_recipe_decides(weights: Path, missing: str, caplog: pytest.LogCaptureFixture) -> None:
    if missing == "side file":
        config_beside(weights).unlink()
    elif missing == "weights":
        weights.unlink()  # load_weights names them
    config = load(Path(".") if missing == "path" else weights)
    assert (config.preset, config.dataset.color_order) == ("hrnetv2_w48", "RGB")
    if missing == "side file":
        followed, (warning,) = said(config, caplog)
        assert followed == [] and "no " in warning and "a.yaml" in warning


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "cannot be read as YAML"),
        ("", "expected 'key: value' lines"),
        ("- 1", "expected 'key: value' lines"),
        ("model:\n  align_corner: True", "unknown key 'model.align_corner' (did you mean model.align_corners?)"),
        ("trained: yes", "unknown key 'trained'"),
        ("model:\n  fuse_resize: cubic", "must be one of bilinear, stepwise, nearest"),
        ("model: 3", "'model' is a section"),
        ("preset: dmo", "there is no preset 'dmo' (did you mean demo?)"),
        ("dataset:\n  mean: [1, 2]", "must have 3 elements"),
    ],
)
def test_a_file_that_is_wrong_is_named(weights: Path, content: str, message: str) -> None:
    write(weights, content)
    with pytest.raises(UserError) as caught:
        load(weights)
    assert message in str(caught.value) and str(config_beside(weights)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_preset_that_is_not_used_need_not_exist(weights: Path) -> None:
    write(weights, FACTS | {"preset": "of_another_version"})
    assert load(weights, "demo").dataset.color_order == "BGR"


def test_facts_and_words_that_exclude_each_other(weights: Path) -> None:
    write(weights, {"model": {"align_corners": False, "half_pixel_centers": False}})
    assert load(weights).model.half_pixel_centers is False
    with pytest.raises(UserError, match="half_pixel_centers False needs model.align_corners False"):
        load(weights, "demo", "model.align_corners=True")
    assert load(weights, "demo", "model.align_corners=True", "model.half_pixel_centers=True").model.align_corners
