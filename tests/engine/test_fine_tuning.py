"""Training and evaluation that start from weights of another system: what they mean comes along."""

import json
from pathlib import Path

import mindspore as ms
import pytest
import yaml
from omegaconf import OmegaConf

import eval as evaluation
import train
from src.checkpoint.weights import save_weights
from src.config import load_config
from src.config.loading import config_beside
from src.models.builder import build_network
from src.runtime.entry import run
from tests.tiny import TINY_WORDS, tiny_config, write_camvid

FACTS = (
    "model.align_corners=True",
    "model.fuse_resize=stepwise",
    "model.head_bias=False",
    "dataset.color_order=BGR",
    "dataset.mean=[0.1,0.2,0.3]",
)
# Uncompiled: what the weights mean is read before anything is compiled.
UNCOMPILED = "mode=PYNATIVE"
RECIPE = [word for word in TINY_WORDS if not word.startswith("model.")] + ["total_epoch=1", "eval_callback=False", UNCOMPILED]
MODEL = [word for word in TINY_WORDS if word.startswith("model.")]
WARNING = "the configuration overrides what"

pytestmark = pytest.mark.usefixtures("pynative", "small_backbone")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_camvid(tmp_path_factory.mktemp("camvid"))


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    """Weights with a small file beside them, as conversion leaves them."""
    config = tiny_config(None, *FACTS)
    ms.set_seed(1)
    path = tmp_path / "converted.ckpt"
    save_weights(build_network(config), path, config)
    small = OmegaConf.from_dotlist([*FACTS, *MODEL])
    small.preset = "camvid_w18_small"
    config_beside(path).write_text(yaml.safe_dump(OmegaConf.to_container(small)))
    return path


def fine_tune(data: Path, converted: Path, output: Path, *more: str) -> str:
    paths = ["--data_path", str(data), "--checkpoint_path", str(converted), "--output_path", str(output)]
    assert run(train.main, [*paths, *RECIPE, *more]) == 0
    return (output / "train.log").read_text()


def test_fine_tuning_takes_over_what_the_weights_mean(data: Path, converted: Path, tmp_path: Path) -> None:
    output, expected = tmp_path / "out", tiny_config(None, *FACTS)
    assert WARNING not in fine_tune(data, converted, output)
    for name in ("config.yaml", "last.yaml"):
        config = load_config(str(output / name), ask_weights=False)
        assert config.preset == expected.preset
        assert (config.model, config.dataset) == (expected.model, expected.dataset)


def test_an_override_is_done_and_said_and_resuming_asks_no_more(
    data: Path, converted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    log = fine_tune(
        data, converted, output, "--config", "camvid_w18_small", *MODEL, "dataset.color_order=RGB", "total_epoch=2", "end_epoch=1"
    )
    assert log.count(WARNING) == 1
    line = next(line for line in log.splitlines() if WARNING in line)
    assert "dataset.color_order is RGB instead of BGR" in line and str(config_beside(converted)) in line
    assert "align_corners" not in line
    before = load_config(str(output / "config.yaml"), ask_weights=False)
    assert (before.dataset.color_order, before.model.align_corners) == ("RGB", True)
    config_beside(converted).write_text("a: [")
    assert run(train.main, ["--resume", str(output), "--end_epoch", "2"]) == 0
    after = load_config(str(output / "config.yaml"), ask_weights=False)
    assert (after.model, after.dataset) == (before.model, before.dataset)
    assert (output / "train.log").read_text().count(WARNING) == 1
    capfd.readouterr()
    assert run(train.main, ["--data_path", str(data), "--checkpoint_path", str(converted), "--output_path", str(tmp_path / "new")]) == 2
    error = capfd.readouterr().err.strip()
    assert f"{config_beside(converted)} beside the weights: cannot be read as YAML" in error and "\n" not in error
    assert not (tmp_path / "new").exists()


def evaluate(data: Path, converted: Path, output: Path, *more: str) -> dict:
    paths = ["--data_path", str(data), "--checkpoint_path", str(converted), "--output_path", str(output)]
    assert run(evaluation.main, [*paths, *more, UNCOMPILED]) == 0
    return json.loads((output / "eval.json").read_text())


def test_evaluation_is_the_same_with_the_file_beside_and_with_a_recipe(
    data: Path, converted: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    beside = evaluate(data, converted, tmp_path / "beside")
    recipe = evaluate(data, converted, tmp_path / "recipe", "--config", "camvid_w18_small", *MODEL)
    assert WARNING not in capfd.readouterr().out
    assert beside["protocol"] == recipe["protocol"] and beside["protocol"]["align_corners"] is True
    assert (beside["miou"], beside["iou"]) == (recipe["miou"], recipe["iou"])
    words = ["dataset.color_order=RGB", "model.align_corners=False"]
    other = evaluate(data, converted, tmp_path / "other", "--config", "camvid_w18_small", *MODEL, *words)
    out = capfd.readouterr().out
    assert out.count(WARNING) == 1
    assert "dataset.color_order is RGB instead of BGR; model.align_corners is False instead of True" in out
    assert other["protocol"]["align_corners"] is False
