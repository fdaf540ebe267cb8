"""The whole way for real: export, run_cpp_infer.sh with the fetched MindSpore Lite, mIoU. C++ must answer as Python does.

The same network through OpenVINO, whose wheel is installed: fp32, several inferences at once, bf16 where the processor has it, and int8.
Nothing is skipped: where a library is missing or the program cannot be built, this fails.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import mindspore as ms
import numpy as np
import openvino
import pytest
from mindspore import Tensor
from PIL import Image

import export
from src.config.loading import save_config
from src.data.basedataset import BaseDataset
from src.data.loader import build_dataset, iterate_eval
from src.deploy import quantize
from src.deploy.int8.report import Scorer
from src.deploy.manifest import manifest_path, read_manifest
from src.deploy.mindir_source import config_of_model
from src.deploy.openvino_model import OpenVinoModel, precision_beside_int8, read_openvino, supported_precisions
from src.engine.evaluator import evaluate
from src.inference.predictor import Predictor
from src.models.builder import assemble_network
from tests.random_weights import randomize
from tests.tiny import tiny_config, write_camvid

PROJECT = Path(__file__).resolve().parents[2]
PICTURE_HW = (72, 104)
# Random weights leave classes closer together than training does: with every operation rounded to bf16, 0.91 to 0.99 of the labels stay.
BF16_AGREEMENT = 0.85
# Both heads, both rules of resizing, both precisions of input, both outputs, native and lowered file.
CASES = {
    "ocr": (("model.align_corners=True", "eval.image_size=[64,96]"), ("--input", "float32", "--outputs", "logits"), "net.mindir"),
    "plain": (
        ("model.name=seg_hrnet", "loss.balance_weights=[1.0]", "model.align_corners=False", f"eval.image_size={list(PICTURE_HW)}"),
        ("--input", "uint8", "--outputs", "labels"),
        "net_lite2.mindir",
    ),
}


class Recorder:
    """A predictor that keeps what it answered."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.protocol = predictor.protocol
        self.answers: list[np.ndarray] = []

    def predict(self, images: list[np.ndarray]) -> np.ndarray:
        labels = self.predictor.predict(images)
        self.answers.extend(labels)
        return labels


def write_pictures(root: Path) -> Path:
    """Write blobs of colour, so that random weights see something different in every corner."""
    write_camvid(root, num_train=5, num_val=3, size_hw=PICTURE_HW)
    rng = np.random.default_rng(5)
    for path in sorted((root / "val").iterdir()):
        blobs = cv2.resize(rng.integers(0, 256, (9, 13, 3)).astype(np.uint8), PICTURE_HW[::-1], interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), blobs)
    return root


def balance_classes(network: Any, predictor: Predictor, image: np.ndarray) -> None:
    """Give all classes the same mean logit, so that no class wins everywhere, as one does with random weights."""
    bias = next(p for p in network.get_parameters() if p.name in ("cls_head.bias", "last_layer.3.bias"))
    bias.set_data(Tensor(bias.asnumpy() - predictor.scores([image]).mean(axis=(0, 2, 3))))


def run(command: list[str], folder: Path, **settings: str) -> str:
    # The output folder of whoever runs the tests is not ours.
    environment = {name: value for name, value in os.environ.items() if name != "OUTPUT_PATH"}
    environment.update(OCRNET_VENV=sys.prefix, THREADS="1", OPENVINO_HOME=str(Path(openvino.__file__).parent), **settings)
    folder.mkdir(exist_ok=True)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, cwd=folder)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


def miou_in(log: Path) -> float:
    return float(next(line for line in log.read_text().splitlines() if line.startswith("miou: ")).split()[1])


def read_labels(folder: Path, names: list[str]) -> np.ndarray:
    return np.array([np.fromfile(folder / f"{name}.bin", np.uint8).reshape(PICTURE_HW) for name in names])


@pytest.mark.parametrize("case", CASES)
def test_cpp_answers_as_python_does(case: str, tmp_path: Path) -> None:
    words, export_flags, file = CASES[case]
    data = write_pictures(tmp_path / "a data set")
    config = tiny_config(data, *words)
    network = assemble_network(config)
    randomize(network, seed=7)
    dataset = build_dataset(config, "val")
    predictor = Predictor.from_config(network, config)
    balance_classes(network, predictor, dataset.read_image(0))
    recorder = Recorder(predictor)
    expected = evaluate(recorder, iterate_eval(dataset, config), info=dataset.info, ignore_label=255)
    assert len(np.unique(recorder.answers)) >= 3
    checkpoint = tmp_path / "best.ckpt"
    ms.save_checkpoint(network, str(checkpoint))
    save_config(config, checkpoint.with_suffix(".yaml"))

    model = tmp_path / "models" / "net.mindir"
    flags = ["--checkpoint_file", str(checkpoint), "--file_name", str(model), "--file_format", "MINDIR", "--device_target", "CPU"]
    assert export.main([*flags, *export_flags]) == 0
    work = tmp_path / "work"
    run(["bash", str(PROJECT / "scripts/run_cpp_infer.sh"), str(model.parent / file), str(data), "CPU", "0"], work)

    assert miou_in(work / "acc.log") == pytest.approx(expected.scores.miou, abs=1e-4)
    labels = read_labels(work / "result_Files", dataset.names)
    assert (labels == np.array(recorder.answers)).mean() >= 0.9999
    infer_log = (work / "infer.log").read_text()
    for word in ("MindSpore Lite", "median", "p95", "peak memory"):
        assert word in infer_log

    # The same pictures as PNG files, without preprocess.py: the same masks.
    main = [str(PROJECT / "ascend310_infer/out/main"), "--mindir_path", str(model.parent / "net_lite2.mindir"), "--threads", "1"]
    run([*main, "--dataset_path", str(data / "val"), "--result_path", str(tmp_path / "masks")], work)
    masks = [np.asarray(Image.open(tmp_path / "masks" / f"{name}.png")) for name in dataset.names]
    assert (np.array(masks) == labels).mean() >= 0.9999

    # OpenVINO: from the exported native file, or from an ONNX file of any batch.
    vino = tmp_path / "vino"
    if case == "ocr":
        script = ["bash", str(PROJECT / "scripts/run_cpp_infer.sh"), str(model), str(data), "CPU"]
        run(script, vino, BACKEND="openvino", PRECISION="fp32")
        onnx = vino / "converted" / "net.onnx"
    else:
        onnx = tmp_path / "models" / "vino.onnx"
        flags = ["--checkpoint_file", str(checkpoint), "--file_name", str(onnx), "--file_format", "ONNX", "--device_target", "CPU"]
        assert export.main([*flags, *export_flags, "--dynamic", "batch"]) == 0
        infer(onnx, work / "preprocess_Result", vino / "result_Files")
        script = [sys.executable, str(PROJECT / "postprocess.py"), "--result_path", "result_Files", "--label_path"]
        (vino / "acc.log").write_text(run([*script, str(work / "preprocess_Result")], vino))
    assert miou_in(vino / "acc.log") == pytest.approx(expected.scores.miou, abs=1e-4)
    in_fp32 = read_labels(vino / "result_Files", dataset.names)
    assert (in_fp32 == labels).mean() >= 0.9999
    check_modes_and_precisions(onnx, work / "preprocess_Result", vino, in_fp32, dataset.names)
    check_int8(onnx, work / "preprocess_Result", vino, data, dataset)


def infer(model: Path, inputs: Path, results: Path, *flags: str) -> str:
    main = [str(PROJECT / "ascend310_infer/out/main"), "--model_path", str(model), "--dataset_path", str(inputs)]
    return run([*main, "--result_path", str(results), "--threads", "2", *flags], results.parent)


def check_modes_and_precisions(onnx: Path, inputs: Path, work: Path, in_fp32: np.ndarray, names: list[str]) -> None:
    """Compare what OpenVINO answers in other modes and precisions with its labels in fp32, one inference at a time."""
    log = infer(onnx, inputs, work / "throughput", "--mode", "throughput", "--streams", "2")
    assert "mode: throughput, 2 at once, batches of 1" in log and "precision: fp32, with" in log
    assert (read_labels(work / "throughput", names) == in_fp32).all()
    samples = [json.loads((work / folder / "result.json").read_text())["samples"] for folder in ("result_Files", "throughput")]
    assert samples[0] == samples[1]
    if "batch" in read_manifest(manifest_path(onnx)).input.dynamic:
        assert "batches of 2, 1 at once)" in infer(onnx, inputs, work / "batches", "--batch", "2")
        assert (read_labels(work / "batches", names) == in_fp32).mean() >= 0.9999

    if "bf16" in supported_precisions():
        assert "precision: bf16, with" in infer(onnx, inputs, work / "bf16", "--precision", "bf16")
        assert (read_labels(work / "bf16", names) == in_fp32).mean() >= BF16_AGREEMENT
    else:
        with pytest.raises(AssertionError, match="has neither AMX nor AVX-512, and"):
            infer(onnx, inputs, work / "bf16", "--precision", "bf16")
        assert not (work / "bf16").exists()


def check_int8(onnx: Path, inputs: Path, work: Path, data: Path, dataset: BaseDataset) -> None:
    """Quantise the model: C++ must answer as OpenVINO does in Python."""
    numbers = ["--samples", "4", "--sensitivity_samples", "1", "--max_drop", "0.99", "--report_samples", "1"]
    assert quantize.main([str(onnx), "--data_path", str(data), *numbers]) == 0
    model = onnx.with_name(f"{onnx.stem}_int8.xml")
    assert "precision: int8, with" in infer(model, inputs, work / "int8")
    manifest = read_manifest(manifest_path(model))
    config = config_of_model(model, manifest, None, {"data_path": str(data)}, [])
    run_in_python = OpenVinoModel(read_openvino(model), manifest.input.shape, precision_beside_int8())
    scorer = Scorer(manifest, config.eval, dataset.info)
    expected = [scorer.labels(run_in_python, dataset.read_image(number)) for number in range(len(dataset))]
    assert (read_labels(work / "int8", dataset.names) == np.array(expected)).mean() >= 0.9999
