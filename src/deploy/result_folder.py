"""The folder of results that a program without Python wrote: labels or logits, scored against the labels of preprocess.py."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.config.errors import UserError
from src.data.pictures import read_index_label
from src.deploy.sample_folder import SampleEntry, SampleIndex
from src.metrics.confusion import ConfusionMatrix

FORMAT = 1
RESULT_FILE = "result.json"
SHOWN = 5  # names in a message


@dataclass(frozen=True)
class ResizeRule:
    """How logits get a picture's size."""

    align_corners: bool
    half_pixel_centers: bool


@dataclass(frozen=True)
class Results:
    """The files of a result folder.

    Attributes:
        files: name of the sample -> file.
        logits_shape: (K, h, w) of logits; None where the files are labels of the sample's own size.
        rule: how logits are resized before the argmax.
    """

    files: dict[str, Path]
    logits_shape: tuple[int, int, int] | None
    rule: ResizeRule


def read_results(folder: Path, index: SampleIndex, rule: ResizeRule) -> Results:
    """Return the results of all samples of an index.

    Args:
        folder: written by the C++ runner, or by the model zoo's, which leaves no result.json and names files NAME_0.bin.
        index: of the labels.
        rule: of logits without a result.json.

    Raises:
        UserError: if some are missing or were skipped, or they are of other samples, classes or sizes.
    """
    if not folder.is_dir():
        raise UserError(f"--result_path {folder}: no such folder; run the model first")
    path = folder / RESULT_FILE
    return _from_json(path, index) if path.is_file() else _from_names(folder, index, rule)


def _from_json(path: Path, index: SampleIndex) -> Results:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
        output, num_classes = content["output"], int(content["num_classes"])
        skipped = [f"{entry['name']} ({entry['reason']})" for entry in content["skipped"]]
        sizes = {entry["name"]: (int(entry["height"]), int(entry["width"])) for entry in content["samples"]}
        files = {entry["name"]: path.parent / _plain_name(entry["file"]) for entry in content["samples"]}
        rule = ResizeRule(bool(output["align_corners"]), bool(output["half_pixel_centers"]))
        logits_shape = _logits_shape(output["shape"], num_classes) if output["kind"] == "logits" else None
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: no result of the runner, or a damaged one ({error!r}); run it again") from None
    if skipped:
        raise UserError(
            f"{path}: {len(skipped)} of {len(skipped) + len(files)} samples were skipped: {_some(skipped)}; without them the mIoU would be "
            "of other pictures; mend them and run again"
        )
    if num_classes != len(index.class_names):
        raise UserError(f"{path}: the model has {num_classes} classes, the labels in {index.folder} have {len(index.class_names)}")
    _check_names(path, set(files), index)
    for sample in index.samples:
        if sizes[sample.name] != sample.size_hw:
            raise UserError(f"{path}: {sample.name} is {_size(sizes[sample.name])}, its label {_size(sample.size_hw)}; they must agree")
    return Results(files, logits_shape, rule)


def _check_names(path: Path, names: set[str], index: SampleIndex) -> None:
    wanted = {sample.name for sample in index.samples}
    if names != wanted:
        missing, more = sorted(wanted - names), sorted(names - wanted)
        what = f"lacks {len(missing)} of them ({_some(missing)})" if missing else f"has others too ({_some(more)})"
        raise UserError(
            f"{path}: is of another set than the {len(wanted)} samples of {index.folder}: it {what}; run the model on that folder"
        )


def _from_names(folder: Path, index: SampleIndex, rule: ResizeRule) -> Results:
    """Return the model zoo's files, NAME_0.bin, of the samples; their sizes tell what they hold."""
    files = {}
    for sample in index.samples:
        ours, path = folder / f"{sample.name}.bin", folder / f"{sample.name}_0.bin"
        if ours.is_file():  # files of the runner, which may be of several runs
            raise UserError(f"{folder}: holds {ours.name} but no {RESULT_FILE}: an interrupted run; run the model again")
        if (folder / f"{sample.name}_1.bin").is_file():
            raise UserError(f"{folder}: several outputs of {sample.name} (_0 and _1); export the model with its main output alone")
        if path.is_file():
            files[sample.name] = path
    missing = [sample.name for sample in index.samples if sample.name not in files]
    if missing:
        raise UserError(
            f"{folder}: neither a {RESULT_FILE}, so it is no whole result of the runner, nor NAME_0.bin of {len(missing)} of the "
            f"{len(index.samples)} samples of {index.folder} ({_some(missing)}); run the model again"
        )
    sample = index.samples[0]
    return Results(files, _guess_logits(files[sample.name], sample, index), rule)


def _guess_logits(path: Path, sample: SampleEntry, index: SampleIndex) -> tuple[int, int, int] | None:
    """Return the shape of logits without a result.json, None for labels (one byte or int32 each)."""
    height, width = sample.size_hw
    size, num_classes = path.stat().st_size, len(index.class_names)
    strides = (stride for stride in (4, 1, 8, 2, 16) if size == 4 * int(np.prod(_at_stride(stride, index))))
    logits = next((_at_stride(stride, index) for stride in strides), None)
    for dtype in (np.uint8, np.uint32):
        # Where the size fits both, as with four classes at stride 4, values tell: no float but 0 is as small an integer.
        if size == height * width * dtype().itemsize and (logits is None or np.fromfile(path, dtype).max() < max(num_classes, 2)):
            return None
    if logits is not None:
        return logits
    raise UserError(
        f"{path}: {size} bytes fit neither labels of {width}x{height} nor logits of {num_classes} classes of a "
        f"{index.input_hw[1]}x{index.input_hw[0]} input"
    )


def _at_stride(stride: int, index: SampleIndex) -> tuple[int, int, int]:
    height, width = index.input_hw
    return len(index.class_names), -(-height // stride), -(-width // stride)


def score(results: Results, index: SampleIndex, progress: Callable[[int], None] = lambda count: None) -> ConfusionMatrix:
    """Return the confusion matrix over all samples, read one by one.

    Raises:
        UserError: if a file is missing, of a wrong size, or holds values of no class.
    """
    confusion = ConfusionMatrix(len(index.class_names), index.ignore_label)
    predict = _label_reader(results)
    for sample in index.samples:
        path = results.files[sample.name]
        label = index.read_label(sample)
        try:
            confusion.update(predict(path, sample.size_hw), label)
        except OSError as error:
            raise UserError(f"{path}: the result cannot be read ({error.strerror}); run the model again") from None
        except ValueError as error:
            raise UserError(f"{path}: {error}; run the model on {index.folder} again") from None
        progress(1)
    return confusion


def _label_reader(results: Results) -> Callable[[Path, tuple[int, int]], np.ndarray]:
    if results.logits_shape is None:
        return _read_labels
    shape, to_labels = results.logits_shape, _argmax_at_size(results.rule)

    def read(path: Path, size_hw: tuple[int, int]) -> np.ndarray:
        logits = np.fromfile(path, "<f4")
        if logits.size != np.prod(shape):
            raise ValueError(f"{logits.nbytes} bytes; logits of shape {shape} have {4 * int(np.prod(shape))}")
        return to_labels(logits.reshape(1, *shape), size_hw)

    return read


def _read_labels(path: Path, size_hw: tuple[int, int]) -> np.ndarray:
    """Return labels, HW, of one byte or int32 each, or the indices of a palette PNG."""
    if path.suffix == ".png":
        return read_index_label(path)
    data = np.fromfile(path, np.uint8)
    pixels = size_hw[0] * size_hw[1]
    if data.size not in (pixels, 4 * pixels):
        raise ValueError(f"{data.size} bytes; labels of {_size(size_hw)} have {pixels} (or four times as many as int32)")
    return (data if data.size == pixels else data.view("<i4")).reshape(size_hw)


def _argmax_at_size(rule: ResizeRule) -> Callable[[np.ndarray, tuple[int, int]], np.ndarray]:
    """Return a function from (1, K, h, w) logits and a size to labels of that size, by the very resizing of the predictor."""
    # Imported late: MindSpore takes seconds, and labels need none of it.
    from mindspore import Tensor

    from src.models.resizing import bilinear

    resize = bilinear(rule.align_corners, rule.half_pixel_centers)
    return lambda logits, size_hw: resize(Tensor(logits), size_hw).asnumpy()[0].argmax(axis=0).astype(np.uint8)


def _logits_shape(shape: Any, num_classes: int) -> tuple[int, int, int]:
    channels, height, width = (int(side) for side in shape)
    if channels != num_classes:
        raise ValueError(f"logits of {channels} classes, not {num_classes}")
    if min(channels, height, width) < 1:
        raise ValueError(f"logits of shape {shape}")
    return channels, height, width


def _plain_name(name: str) -> str:
    if not re.fullmatch(r"[^/\\]+", name) or name in (".", ".."):
        raise ValueError(f"file name {name!r}")
    return name


def _some(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")


def _size(size_hw: tuple[int, int]) -> str:
    return f"{size_hw[1]}x{size_hw[0]}"
