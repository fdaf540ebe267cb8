"""Pictures, the folder of the references, and how they are run."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from tests.parity.converted import Agreement, Case
from tests.parity.pictures import FRAME, NAMES, WHOLE, write_pictures

# Here and in the scripts: the tests keep every core busy already, and OpenMP's threads, which wait for each other, are then 8 times slower.
torch.set_num_threads(1)

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = "OCRNET_REFERENCES"
LARGEST_DIFFERENCE, FEWEST_EQUAL_LABELS = 1e-3, 0.9999


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """PNG files by name; see `tests.parity.pictures`."""
    return write_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def references() -> Path:
    """The folder into which `scripts/run_tests.sh` installs mmsegmentation, timm and PaddleSeg."""
    wanted = os.environ.get(VARIABLE)
    if wanted == "none":
        pytest.skip(f"{VARIABLE}=none leaves the reference implementations out")
    folder = Path(wanted) if wanted else Path(sys.prefix) / "references"
    if not folder.is_dir():
        message = f"no reference implementations in {folder}; scripts/run_tests.sh installs them"
        # Whoever names a folder wants these tests: without it they must not pass unseen.
        pytest.fail(message) if wanted else pytest.skip(message)
    return folder


@pytest.fixture(scope="session")
def run_reference(references: Path, pictures: dict[str, Path]) -> Callable[..., Path]:
    """Run a script of `tests/parity/references` in a process of its own, where MindSpore is not imported."""

    def run(script: str, name: str, folder: Path, names: Sequence[str] = NAMES) -> Path:
        """Write the weights of a network called `name` and its answers for those of the pictures that there are; return the folder."""
        asked = [str(pictures[picture]) for picture in names if picture in pictures]
        command = [sys.executable, "-m", f"tests.parity.references.{script}", name, str(folder), *asked]
        environment = {**os.environ, "PYTHONPATH": str(references), "OMP_NUM_THREADS": "1"}
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
        assert result.returncode == 0, result.stderr[-3000:]
        return folder

    return run


@pytest.fixture(scope="module")
def case_of(run_reference: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Case]:
    """Return the case of a reference's network; each is made once."""

    @functools.cache
    def make(script: str, name: str, names: tuple[str, ...]) -> Case:
        folder = run_reference(script, name, tmp_path_factory.mktemp(name), names)
        return Case.of(next(folder.glob("weights.*")))

    return make


@pytest.fixture
def check(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """Record an agreement for `tests.parity.table`, and demand what docs/PARITY.md promises."""

    def demand(agreement: Agreement, fewest_equal_labels: float = FEWEST_EQUAL_LABELS) -> None:
        record_property("difference", f"{agreement.difference:.1e}")
        record_property("equal_labels", f"{agreement.equal_labels:.5%}")
        record_property("classes", agreement.classes)
        assert agreement.difference <= LARGEST_DIFFERENCE
        assert agreement.equal_labels >= fewest_equal_labels
        if FRAME.is_file():  # in a synthetic crop one class may win everywhere, since all of it looks alike to random weights
            assert agreement.classes > 1  # one label everywhere would agree with almost anything

    return demand


@pytest.fixture
def need_picture(pictures: dict[str, Path]) -> Callable[[str], Path]:
    """Return a picture's path, or skip where it is absent."""

    def need(name: str) -> Path:
        if name not in pictures:
            pytest.skip(f"no {WHOLE[name].name} in ../shared/data beside the checkout")
        return pictures[name]

    return need
