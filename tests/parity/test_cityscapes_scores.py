"""cityscapesScripts accepts the labelIds of predict.py, and its scores of them are those of eval.py."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import eval as evaluation
import predict
from src.runtime.entry import run
from tests.parity.conftest import ROOT, VARIABLE
from tests.street import write_street_weights, write_streets

NUM_CLASSES = 19


@pytest.fixture(scope="module")
def streets(references: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (references / "cityscapesscripts").is_dir():
        message = f"no cityscapesScripts in {references}; scripts/run_tests.sh installs it"
        pytest.fail(message) if os.environ.get(VARIABLE) else pytest.skip(message)
    return write_streets(tmp_path_factory.mktemp("streets"))


@pytest.fixture(scope="module")
def weights(streets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    picture = Image.open(next(streets.rglob("*_leftImg8bit.png")))
    return write_street_weights(tmp_path_factory.mktemp("weights") / "best.ckpt", np.asarray(picture))


def their_scores(references: Path, results: Path, truths: list[Path]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.parity.references.cityscapes_scores", str(results), *map(str, truths)]
    environment = {**os.environ, "PYTHONPATH": str(references)}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr[-3000:]}"
    return json.loads(result.stdout)


@pytest.mark.parametrize("num_pictures", [3, 1])  # the labels of all three hold every class; those of one do not
def test_scores(references: Path, streets: Path, weights: Path, tmp_path: Path, num_pictures: int, pynative: None) -> None:
    pictures = sorted((streets / "leftImg8bit").rglob("*.png"))[:num_pictures]
    truths = [streets / "gtFine/val" / path.parent.name / path.name.replace("_leftImg8bit", "_gtFine_labelIds") for path in pictures]
    given, output = ["--checkpoint_path", str(weights)], ["--output_path", str(tmp_path)]
    assert run(predict.main, [*map(str, pictures), *given, *output, "--save", "labelIds"]) == 0
    words = [f"eval.num_samples={num_pictures}", "eval.overlays=0"]
    assert run(evaluation.main, [*given, *output, "--data_path", str(streets), *words]) == 0
    ours, theirs = json.loads((tmp_path / "eval.json").read_text()), their_scores(references, tmp_path / "labelIds", truths)
    present = [name for name, pixels in ours["pixels"].items() if pixels]
    assert (len(present) == NUM_CLASSES) == (num_pictures == 3) and len(present) > 5
    for name in present:
        assert ours["iou"][name] == pytest.approx(theirs["classes"][name], abs=1e-6), name
    # A class that no label holds but that was predicted counts as 0 there; eval.json has that mean beside its own.
    assert ours.get("miou_cityscapes", ours["miou"]) == pytest.approx(theirs["mean"], abs=1e-6)
    assert ("miou_cityscapes" in ours) == (num_pictures == 1) and 0.001 < ours["miou"] < 0.9
