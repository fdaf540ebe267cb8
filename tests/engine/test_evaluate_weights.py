"""eval.py from the command line: protocols, the configuration beside the weights, wrong inputs."""

import json
from pathlib import Path

import mindspore as ms
import pytest

import eval as evaluation
from src.checkpoint.weights import save_weights
from src.models.builder import build_network
from src.runtime.entry import run
from tests.tiny import tiny_config, write_camvid


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    config = tiny_config(write_camvid(folder / "data"), "mode=PYNATIVE")  # compiled evaluation: tests/engine/test_trainer.py
    ms.set_seed(1)
    (folder / "run").mkdir()
    save_weights(build_network(config), folder / "run" / "best.ckpt", config)
    return folder / "run" / "best.ckpt"


def evaluate(weights: Path, *more: str) -> int:
    return run(evaluation.main, ["--checkpoint_path", str(weights), *more])


def test_results_stand_beside_the_weights_or_where_asked(
    weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], pynative: None
) -> None:
    assert evaluate(weights) == 0
    assert "===> mIoU: " in capfd.readouterr().out
    beside = json.loads((weights.parent / "eval.json").read_text())
    assert (beside["images"], beside["protocol"]["flip"], beside["protocol"]["scales"]) == (3, False, [1.0])
    words = ["eval.flip=True", "eval.multi_scale=True", "eval.scale_list=[0.5,1.0]", "eval.overlays=2"]
    assert evaluate(weights, "--output_path", str(tmp_path / "new"), *words) == 0
    fused = json.loads((tmp_path / "new" / "eval.json").read_text())
    assert (fused["protocol"]["flip"], fused["protocol"]["scales"]) == (True, [0.5, 1.0])
    assert sum(fused["pixels"].values()) == sum(beside["pixels"].values()) == 3 * 39 * 56  # without the row of void
    assert len(list((tmp_path / "new" / "eval").glob("*.png"))) == 3  # two pictures and the confusion matrix
    assert json.loads((weights.parent / "eval.json").read_text()) == beside


def test_a_report_changes_no_number(weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], pynative: None) -> None:
    contents = []
    for name, flags in (("without", ["--report", "False"]), ("with", ["--report", "eval.batch_size=1"])):
        assert evaluate(weights, "--output_path", str(tmp_path / name), *flags) == 0
        contents.append(json.loads((tmp_path / name / "eval.json").read_text()))
        del contents[-1]["seconds"]
    assert contents[0] == contents[1]
    assert not (tmp_path / "without" / "report.html").exists()
    assert f"report: {tmp_path / 'with' / 'report.html'}" in capfd.readouterr().out
    text = (tmp_path / "with" / "report.html").read_text()
    assert f"<dd>{contents[0]['miou']:.4f}</dd>" in text
    assert str(weights.resolve()) in text and "best.ckpt" in text and "MindSpore 2.8.0" in text and "seg_hrnet_ocr on CamVid" in text
    assert text.count('<figure class="worst">') == 2 and text.count('<figure class="best">') == 1


def test_wrong_inputs(weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    cases = {
        "checkpoint_path is needed": [],
        "no such file": ["--checkpoint_path", str(tmp_path / "no.ckpt"), "--config", "demo"],
        "another network": ["--checkpoint_path", str(weights), "model.extra.STAGE4.NUM_CHANNELS=[4,8,16,64]"],
        "can be written": ["--checkpoint_path", str(weights), "--output_path", str(tmp_path / "file" / "x")],
        "val.txt": ["--checkpoint_path", str(weights), "--data_path", str(tmp_path / "empty"), "--output_path", str(tmp_path / "out")],
        "must be bool": ["--checkpoint_path", str(weights), "eval.flip=2"],
    }
    for message, arguments in cases.items():
        assert run(evaluation.main, arguments) == 2, message
        error = capfd.readouterr().err.strip()
        assert message in error and "\n" not in error, error
    assert not (tmp_path / "out").exists()
