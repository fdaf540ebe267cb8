"""Write a model file, the form of it that MindSpore Lite 2.0.0 reads, and their manifests; check both, then give them their names."""

import logging
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from omegaconf import OmegaConf

from src.checkpoint.weights import load_weights
from src.config.errors import UserError
from src.config.networks import smallest_side
from src.deploy.lite_runner import find_lite_home
from src.deploy.lowering import lower_file
from src.deploy.manifest import InputSpec, Manifest, OutputSpec, check_replaceable, file_sha256, manifest_path
from src.deploy.model_graph import Labels, ModelGraph, Normalize
from src.deploy.onnx.requirements import require_onnx
from src.deploy.options import LITE_SUFFIX, OPSET, ExportOptions, class_names_and_palette
from src.deploy.publishing import publish, workspace
from src.deploy.verification import run_network, verify
from src.models.attention import DotProductAttention
from src.models.builder import assemble_network
from src.runtime.entry import WorkError

logger = logging.getLogger("ocrnet")


def export_weights(config: Any, checkpoint: Path, options: ExportOptions) -> list[Path]:
    """Write the model files of a weight file and return their paths; all of them appear, checked, or none.

    Args:
        config: the configuration that the network was trained with; `checkpoint_path` is not read.
        checkpoint: a .ckpt file that holds every parameter of the network.
        options: what to write.

    Returns:
        MINDIR: model, manifest, lowered model, its manifest. AIR and ONNX: model and manifest.

    Raises:
        UserError: if the weights do not fit, a folder or somebody's .json lies where a file is to be written, the folder cannot be
            written, AIR is asked for without an Ascend back end, ONNX without its package, or MS_LITE_HOME is no folder.
        WorkError: if a model file does not compute what the checkpoint's network does.
    """
    _check_format(options.file_format, config.device_target)
    models = [options.target, _lowered(options.target)] if options.file_format == "MINDIR" else [options.target]
    check_replaceable([*models, *map(manifest_path, models)], f"--file_name {options.target}")
    spec, lite_home = options.input_spec(config), find_lite_home()
    any_size = f", any {', '.join(spec.dynamic)}" if spec.dynamic else ""
    logger.info("the model takes %s%s %s, channels %s", "x".join(map(str, spec.shape)), any_size, spec.dtype, spec.color_order)
    network = assemble_network(config)
    load_weights(network, checkpoint, complete=True, flag="--checkpoint_file")
    graph = _graph(network, spec, config, options.outputs)
    output = _output_spec(spec, network.backbone.feature_hw(spec.shape[2:]), config, options.outputs)
    with workspace(options.target) as folder:
        model = folder / options.target.name
        manifest = _manifest(model, spec, output, config, checkpoint)
        if options.file_format == "ONNX":
            _write_onnx(graph, manifest, model, options.opset or OPSET, smallest_side(config.model))
        else:
            _write(graph, spec, model, options.file_format)
            manifest = replace(manifest, sha256=file_sha256(model), kind="native" if options.file_format == "MINDIR" else "air")
            manifest.write(model)
        if options.file_format == "MINDIR":
            lowered = _lowered(model)
            lower_file(model, lowered)
            verify(graph, model, lowered, manifest, lite_home)
        return publish(folder, options.target.parent)


def _check_format(file_format: str, device_target: str) -> None:
    if file_format == "AIR" and device_target != "Ascend":
        raise UserError(
            f"--file_format AIR with --device_target {device_target}: AIR is written by Ascend's own back end; "
            "export on a machine with an Ascend (--device_target Ascend), or choose --file_format MINDIR, which every device runs"
        )
    if file_format == "ONNX":
        require_onnx("--file_format ONNX")


def _lowered(model: Path) -> Path:
    return model.with_name(f"{model.stem}{LITE_SUFFIX}{model.suffix}")


def _graph(network: nn.Cell, spec: InputSpec, config: Any, outputs: str) -> ModelGraph:
    prepare = Normalize(spec.mean, spec.std) if spec.dtype == "uint8" else None
    rule = (config.model.align_corners, config.model.half_pixel_centers)
    finish = Labels(*rule) if outputs == "labels" else None
    graph = ModelGraph(network, prepare, finish)
    graph.set_train(False)
    for _, cell in graph.cells_and_names():
        if isinstance(cell, DotProductAttention):
            cell.whole = bool(spec.dynamic)  # blocks of an unknown number of positions are a loop, which no file of one graph has
    return graph


def _write(graph: ModelGraph, spec: InputSpec, model: Path, file_format: str) -> None:
    example = _example(spec)
    logging.disable(logging.CRITICAL)  # what goes wrong is raised; MindSpore says it in paragraphs besides
    try:
        # Elsewhere, under a plain name: ms.export of 2.8.0 refuses paths with spaces or letters beyond ASCII.
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder) / f"model{model.suffix}"
            ms.export(graph, example, file_name=str(written), file_format=file_format)
            shutil.move(written, model)
    except (RuntimeError, ValueError, TypeError) as error:
        raise WorkError(f"MindSpore {ms.__version__} cannot export this network: {error}") from error
    finally:
        logging.disable(logging.NOTSET)


def _example(spec: InputSpec) -> Tensor:
    """Return what the graph is compiled for; a side that may have any size is None."""
    if not spec.dynamic:
        return Tensor(np.zeros(spec.shape, spec.dtype))
    sides = zip(("batch", "", "height", "width"), spec.shape, strict=True)
    return Tensor(shape=[None if side in spec.dynamic else size for side, size in sides], dtype=getattr(ms, spec.dtype))


def _write_onnx(graph: ModelGraph, manifest: Manifest, model: Path, opset: int, smallest: int) -> None:
    """Write the graph as ONNX with its manifest, checked and compared with the network."""
    # Imported late: onnx is not among the requirements of the other formats.
    from src.deploy.onnx.checking import verify_onnx
    from src.deploy.onnx.files import write_onnx

    spec = manifest.input
    with tempfile.TemporaryDirectory() as folder:
        native = Path(folder) / "model.mindir"
        _write(graph, spec, native, "MINDIR")
        write_onnx(native, model, manifest, opset, f"{manifest.checkpoint['file']}: its graph")
    verify_onnx(lambda image: run_network(graph, image), model, spec, smallest)


def _manifest(model: Path, spec: InputSpec, output: OutputSpec, config: Any, checkpoint: Path) -> Manifest:
    """Return the manifest of a native file that is not written yet."""
    names, palette = class_names_and_palette(config)
    content = OmegaConf.to_container(config)
    assert isinstance(content, dict)
    return Manifest(
        model_file=model.name,
        sha256="",
        kind="native",
        input=spec,
        output=output,
        class_names=names,
        palette=palette,
        ignore_label=config.dataset.ignore_label,
        versions={"mindspore": ms.__version__},
        checkpoint={"file": checkpoint.name, "sha256": file_sha256(checkpoint)},
        config={str(key): value for key, value in content.items()},
    )


def _output_spec(spec: InputSpec, logits_hw: tuple[int, int], config: Any, outputs: str) -> OutputSpec:
    batch, _, height, width = spec.shape
    model = config.model
    logits = OutputSpec(
        "logits",
        (batch, config.dataset.num_classes, *logits_hw),
        "float32",
        model.align_corners,
        model.half_pixel_centers and not model.align_corners,
    )
    return logits if outputs == "logits" else replace(logits, kind="labels", shape=(batch, height, width), dtype="uint8")
