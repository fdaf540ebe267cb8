"""The whole of a quantisation: from an ONNX file and a data set to a model for OpenVINO, its manifest and a table."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import openvino

from src.config.errors import UserError
from src.data.loader import build_dataset
from src.deploy.int8.folding import read_folded
from src.deploy.int8.quantizing import OVERFLOW_FIX, TOOL, Quantized, quantize
from src.deploy.int8.report import Scorer, Side, as_json, mebibytes, table, time_in_turns
from src.deploy.int8.samples import CalibrationInputs, Samples, evenly, split_training_pictures
from src.deploy.manifest import Manifest, check_replaceable, file_sha256, manifest_path
from src.deploy.mindir_predictor import Run
from src.deploy.mindir_source import config_of_model, info_of_model
from src.deploy.onnx_source import open_onnx
from src.deploy.openvino_model import OpenVinoModel, precision_beside_int8, read_openvino, supported_precisions
from src.deploy.publishing import publish, workspace

logger = logging.getLogger("ocrnet")

LISTS = ("train.train_list", "train.num_samples")  # beside those of eval


@dataclass(frozen=True)
class QuantizeOptions:
    """What a user decides.

    Attributes:
        model: the .onnx file.
        target: the .xml file to write; its weights and manifest go beside it.
        num_calibration: training pictures from which the ranges of activations are taken.
        num_sensitivity: other training pictures, on which the mIoU must hold.
        max_drop: how much mIoU (0..1) int8 may lose on those.
        num_report: validation pictures of the table.

    Raises:
        UserError: if a value makes no sense.
    """

    model: Path
    target: Path
    num_calibration: int
    num_sensitivity: int
    max_drop: float
    num_report: int

    def __post_init__(self) -> None:
        for flag, value in (
            ("--samples", self.num_calibration),
            ("--sensitivity_samples", self.num_sensitivity),
            ("--report_samples", self.num_report),
        ):
            if value < 1:
                raise UserError(f"{flag} {value}: expected a number of pictures from 1")
        if not 0 <= self.max_drop < 1:
            raise UserError(f"--max_drop {self.max_drop}: expected a part of the mIoU from 0 to 1, such as 0.005")
        if self.target.with_suffix("").suffix in (".onnx", ".mindir", ".bin", ".json"):
            raise UserError(f"--file_name {self.target.with_suffix('')}: the ending of another format; OpenVINO's is .xml, leave it out")


def quantize_file(options: QuantizeOptions, flags: dict[str, Any], words: Sequence[str]) -> list[Path]:
    """Quantise a model file and return the files that were written: model, weights, manifest; all of them, or none.

    Args:
        options: what a user decides.
        flags: top-level keys of the configuration that were given, such as `data_path`.
        words: `key.sub=value` overrides.

    Raises:
        UserError: if the model and its manifest do not belong together or are of another kind, or the data set does not fit.
        WorkError: if the mIoU cannot be kept.
    """
    manifest = open_onnx(options.model, "MODEL")
    weights = options.target.with_suffix(".bin")
    check_replaceable([options.target, weights, manifest_path(options.target)], f"--file_name {options.target}")
    config = config_of_model(options.model, manifest, None, flags, words, LISTS)
    calibration, sensitivity, validation = _pictures(options, manifest, config)
    graph = read_openvino(options.model)
    scorer = Scorer(manifest, config.eval, info_of_model(manifest, config))
    shape = graph.input(0).get_partial_shape()
    logger.info(
        "calibrating on %d training pictures, sensitivity on %d others, table on %d of validation",
        *map(len, (calibration.samples, sensitivity, validation)),
    )
    folded = read_folded(options.model, graph)
    folded.reshape(list(manifest.input.shape))
    quantized = quantize(folded, calibration, sensitivity, scorer, options.max_drop)
    _tell(quantized, len(sensitivity))
    quantized.graph.reshape(shape)  # any size again, where the ONNX file takes any
    with workspace(options.target, "--file_name") as folder:
        files = folder / options.target.name, folder / weights.name
        openvino.save_model(quantized.graph, files[0], compress_to_fp16=False)
        sides = _compare(graph, read_openvino(files[0]), manifest, scorer, validation, options.model, files)
        for line in table(sides):
            logger.info("%s", line)
        how = _how(manifest, options, config, quantized) | {"validation": {"pictures": len(validation), **as_json(sides)}}
        _describe(manifest, files, how).write(files[0])
        return publish(folder, options.target.parent)


def _pictures(options: QuantizeOptions, manifest: Manifest, config: Any) -> tuple[CalibrationInputs, Samples, Samples]:
    """Return what calibrates, what tells where quantising hurts, and what the table is of."""
    training, validation = (build_dataset(config, split) for split in ("train", "val"))
    manifest.check_classes(options.model, training.info, "calibrate on the data that it was trained on")
    chosen, sensitivity = split_training_pictures(training, options.num_calibration, options.num_sensitivity)
    return CalibrationInputs(chosen, manifest.input), sensitivity, Samples(validation, evenly(len(validation), options.num_report))


def _tell(quantized: Quantized, num_pictures: int) -> None:
    logger.info("mIoU on the %d training pictures of the sensitivity run: %+.4f by int8", num_pictures, -quantized.drop)
    counts = quantized.layers, len(quantized.kept), len(quantized.others)
    logger.info("%d convolutions and products compute in int8; put back into higher precision: %d; never quantised: %d", *counts)
    for name in quantized.kept:
        logger.info("put back into higher precision: %s", name)


def _compare(
    before: openvino.Model,
    after: openvino.Model,
    manifest: Manifest,
    scorer: Scorer,
    validation: Samples,
    model: Path,
    int8_files: Sequence[Path],
) -> dict[str, Side]:
    """Return the figures of each precision that this processor has, and of int8."""
    shape, precisions = manifest.input.shape, supported_precisions()
    runs: dict[str, Run] = {precision: OpenVinoModel(before, shape, precision) for precision in precisions}
    runs["int8"] = OpenVinoModel(after, shape, precision_beside_int8())  # what is not quantised computes as the C++ program lets it
    image = CalibrationInputs(validation, manifest.input)[0]
    milliseconds = time_in_turns(runs, image)
    sizes = {name: mebibytes(int8_files if name == "int8" else [model]) for name in runs}
    return {name: Side(scorer.miou(run, validation), milliseconds[name], sizes[name]) for name, run in runs.items()}


def _how(manifest: Manifest, options: QuantizeOptions, config: Any, quantized: Quantized) -> dict[str, Any]:
    """Return what the manifest says of how the model was made."""
    return {
        "tool": TOOL,
        "source": {"file": options.model.name, "sha256": manifest.sha256},
        "scheme": "weights int8, symmetric by channel; activations 8 bits, one range a tensor",
        "overflow_fix": OVERFLOW_FIX,
        "data": {
            "path": str(config.data_path),
            "train_list": config.train.train_list,
            "calibration": options.num_calibration,
            "sensitivity": options.num_sensitivity,
        },
        "max_drop": options.max_drop,
        "drop": round(quantized.drop, 6),
        "labels_given_back": {part: round(gain, 6) for part, gain in quantized.gains.items()},
        "layers": quantized.layers,
        "higher_precision": list(quantized.kept),
        "never_quantized": list(quantized.others),
        "others_computed_in": precision_beside_int8(),
    }


def _describe(manifest: Manifest, files: tuple[Path, Path], how: dict[str, Any]) -> Manifest:
    """Return the manifest of the int8 model, files: its graph and its weights."""
    model, weights = files
    return replace(
        manifest,
        model_file=model.name,
        sha256=file_sha256(model),
        kind="openvino",
        weights={"file": weights.name, "sha256": file_sha256(weights)},
        precision="int8",
        quantization=how,
        versions={**manifest.versions, "openvino": openvino.__version__},
    )
