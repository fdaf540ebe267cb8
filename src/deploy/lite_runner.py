"""The C++ runner with MindSpore Lite, called on pictures that are in memory."""

import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from src.config.errors import UserError
from src.deploy.manifest import Manifest
from src.deploy.sample_folder import open_folder, write_index, write_sample
from src.runtime.entry import WorkError

logger = logging.getLogger("ocrnet")

ROOT = Path(__file__).resolve().parents[2]
BUILD_SCRIPT = ROOT / "ascend310_infer" / "src" / "build.sh"
RUNNER = ROOT / "ascend310_infer" / "out" / "main"
_CACHED = "mindspore_lite-2.0.0"  # the folder of scripts/fetch_mindspore_lite.sh
_BUILD_TOOLS = (("bash",), ("cmake",), ("c++", "g++", "clang++"), ("make", "ninja"))  # one of each, as in scripts/lib/common.sh
_TIMEOUT = 1800  # seconds


def find_lite_home() -> Path | None:
    """Return the unpacked MindSpore Lite: MS_LITE_HOME, or what scripts/fetch_mindspore_lite.sh left in its cache; None: neither.

    Raises:
        UserError: if MS_LITE_HOME is no folder.
    """
    given = os.environ.get("MS_LITE_HOME")
    if given:
        if not Path(given).is_dir():
            raise UserError(f"MS_LITE_HOME {given}: no such folder; give the unpacked MindSpore Lite, or unset it")
        return Path(given)
    cache = os.environ.get("OCRNET_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ocrnet"
    home = Path(cache) / _CACHED
    return home if (home / "include").is_dir() and (home / "lib").is_dir() else None


def run_in_cpp(home: Path, model: Path, manifest: Manifest, image: np.ndarray) -> np.ndarray | None:
    """Return the output of a lowered model that the C++ runner computes on the CPU; None, saying why, where there is no runner.

    Args:
        home: the unpacked MindSpore Lite.
        model: the lowered file, with its manifest beside it.
        manifest: of this or of the native file: input and output.
        image: the graph's input.

    Raises:
        WorkError: if the runner fails.
    """
    if not _prepare_runner(home, model):
        return None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_samples(folder / "inputs_and_labels", manifest, image)
        command = [str(RUNNER), "--mindir_path", str(model), "--dataset_path", str(folder / "inputs_and_labels")]
        command += ["--backend", "lite", "--device_type", "CPU", "--result_path", str(folder / "results"), "--batch", str(len(image))]
        command += ["--outputs", manifest.output.kind]
        _call(command, home)
        outputs = [np.fromfile(folder / "results" / f"{index}.bin", manifest.output.dtype) for index in range(len(image))]
        try:
            return np.stack(outputs).reshape(manifest.output.shape)
        except ValueError:
            sizes = sorted({output.size for output in outputs})
            raise WorkError(f"{model.name} in C++ gives outputs of {sizes} values; expected {manifest.output.shape}") from None


def _prepare_runner(home: Path, model: Path) -> bool:
    """Build the runner of these sources for this library, or take the one that is there; tell whether it starts."""
    missing = [" or ".join(tools) for tools in _BUILD_TOOLS if not any(map(shutil.which, tools))]
    missing += [] if BUILD_SCRIPT.is_file() else [str(BUILD_SCRIPT.relative_to(ROOT))]
    if missing and not RUNNER.is_file():
        logger.info("%s was not run in C++: the runner is not built, and there is no %s to build it", model.name, " and no ".join(missing))
        return False
    try:
        if not missing:
            logger.info("building the C++ runner: bash %s", BUILD_SCRIPT.relative_to(ROOT))
            _call(["bash", str(BUILD_SCRIPT)], home)
        _call([str(RUNNER), "--version", "--backend", "lite"], home)  # which loads the library
    except (WorkError, OSError) as error:  # a compiler's or a library's fault says nothing of the model
        logger.warning("warning: %s was not run in C++: %s", model.name, error)
        return False
    return True


def _write_samples(folder: Path, manifest: Manifest, image: np.ndarray) -> None:
    """Write a folder as preprocess.py makes it; the labels, which the runner does not judge by, are all 0."""
    open_folder(folder)
    label = np.zeros(image.shape[2:], np.uint8)
    entries = [write_sample(folder, str(index), sample, label) for index, sample in enumerate(image)]
    write_index(folder, entries, manifest.input, manifest.class_names, manifest.ignore_label)


def _call(command: list[str], home: Path) -> None:
    environment = {**os.environ, "MS_LITE_HOME": str(home)}
    try:
        result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise WorkError(f"{command[0]} did not end within {_TIMEOUT} seconds") from None
    if result.returncode != 0:
        said = (result.stderr.strip() or result.stdout.strip() or "nothing").splitlines()[-1]
        raise WorkError(f"{' '.join(command[:2])} failed with status {result.returncode}: {said}")
