"""Label pictures of polygon files equal those of cityscapesScripts, pixel for pixel."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.data import polygons
from src.data.cityscapes import LABELS
from tests.parity.conftest import ROOT, VARIABLE

NUM_FILES = 24
NAMES = (*(label.name for label in LABELS), "cargroup", "persongroup", "skygroup", "ridergroup")


def random_objects(rng: np.random.Generator, height: int, width: int) -> list[dict[str, Any]]:
    """Return polygons that cross themselves, lie partly outside, have parts of pixels or no area, or are deleted."""
    objects = []
    for _ in range(rng.integers(0, 30)):
        points = rng.uniform(-0.3, 1.3, (rng.integers(3, 12), 2)) * (width, height)
        if rng.random() < 0.2:
            points[:, rng.integers(2)] = rng.integers(0, 8)  # a line
        if rng.random() < 0.8:
            points = np.rint(points).astype(int)
        entry = {"label": str(rng.choice(NAMES)), "polygon": points.tolist()}
        objects.append({**entry, "deleted": int(rng.integers(2))} if rng.random() < 0.3 else entry)
    return objects


@pytest.fixture(scope="module")
def answers(references: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random polygon files, and cityscapesScripts' label pictures beside them."""
    if not (references / "cityscapesscripts").is_dir():
        message = f"no cityscapesScripts in {references}; scripts/run_tests.sh installs it"
        pytest.fail(message) if os.environ.get(VARIABLE) else pytest.skip(message)
    folder, rng = tmp_path_factory.mktemp("gtFine"), np.random.default_rng(5)
    for number in range(NUM_FILES):
        height, width = (1, 7) if number == 0 else rng.integers(8, 90, 2).tolist()
        tree = {"imgHeight": height, "imgWidth": width, "objects": random_objects(rng, height, width)}
        (folder / f"aa_{number:06d}_gtFine_polygons.json").write_text(json.dumps(tree))
    command = [sys.executable, "-m", "tests.parity.references.cityscapes_labels", str(folder)]
    result = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(references)}, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return folder


@pytest.mark.parametrize("labels, name", [("labelIds", "labelIds"), ("trainIds", "labelTrainIds"), ("color", "color")])
def test_labels_of_polygons(answers, tmp_path, labels, name):
    assert polygons.convert(answers, tmp_path / "out", labels, None) == (NUM_FILES, 0)
    seen = set()
    for path in sorted(answers.glob(f"*_{name}.png")):
        expected, mine = (np.asarray(Image.open(folder / path.name)) for folder in (answers, tmp_path / "out"))
        np.testing.assert_array_equal(mine, expected, err_msg=path.name)
        seen.update(np.unique(expected).tolist())
    assert len(list((tmp_path / "out").iterdir())) == NUM_FILES and len(seen) >= 20  # the files hold most labels


def test_their_own_files_are_left_as_they_are(answers):
    before = {path: path.read_bytes() for path in answers.iterdir()}
    assert polygons.convert(answers, answers, "labelIds", None) == (NUM_FILES, NUM_FILES)
    assert {path: path.read_bytes() for path in answers.iterdir()} == before
