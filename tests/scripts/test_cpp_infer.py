"""The whole way for real: export, run_cpp_infer.sh with the fetched MindSpore Lite, mIoU. C++ must answer as Python does.

Nothing is skipped: where the library cannot be fetched or the program cannot be built, this fails.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor
from PIL import Image

import export
from src.config.loading import save_config
from src.data.loader import build_dataset, iterate_eval
from src.engine.evaluator import evaluate
from src.inference.predictor import Predictor
from src.models.builder import assemble_network
from tests.random_weights import randomize
from tests.tiny import tiny_config, write_camvid

PROJECT = Path(__file__).resolve().parents[2]
PICTURE_HW = (72, 104)
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
    write_camvid(root, num_train=1, num_val=3, size_hw=PICTURE_HW)
    rng = np.random.default_rng(5)
    for path in sorted((root / "val").iterdir()):
        blobs = cv2.resize(rng.integers(0, 256, (9, 13, 3)).astype(np.uint8), PICTURE_HW[::-1], interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), blobs)
    return root


def balance_classes(network: Any, predictor: Predictor, image: np.ndarray) -> None:
    """Give all classes the same mean logit, so that no class wins everywhere, as one does with random weights."""
    bias = next(p for p in network.get_parameters() if p.name in ("cls_head.bias", "last_layer.3.bias"))
    bias.set_data(Tensor(bias.asnumpy() - predictor.scores([image]).mean(axis=(0, 2, 3))))


def run(command: list[str], folder: Path) -> str:
    # The output folder of whoever runs the tests is not ours.
    environment = {name: value for name, value in os.environ.items() if name != "OUTPUT_PATH"}
    environment.update(OCRNET_VENV=sys.prefix, THREADS="1")
    folder.mkdir(exist_ok=True)
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, cwd=folder)
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout


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

    miou = next(line for line in (work / "acc.log").read_text().splitlines() if line.startswith("miou: "))
    assert float(miou.split()[1]) == pytest.approx(expected.scores.miou, abs=1e-4)
    labels = [np.fromfile(work / "result_Files" / f"{name}.bin", np.uint8).reshape(PICTURE_HW) for name in dataset.names]
    assert (np.array(labels) == np.array(recorder.answers)).mean() >= 0.9999
    infer_log = (work / "infer.log").read_text()
    for word in ("MindSpore Lite", "median", "p95", "peak memory"):
        assert word in infer_log

    # The same pictures as PNG files, without preprocess.py: the same masks.
    main = [str(PROJECT / "ascend310_infer/out/main"), "--mindir_path", str(model.parent / "net_lite2.mindir"), "--threads", "1"]
    run([*main, "--dataset_path", str(data / "val"), "--result_path", str(tmp_path / "masks")], work)
    masks = [np.asarray(Image.open(tmp_path / "masks" / f"{name}.png")) for name in dataset.names]
    assert (np.array(masks) == np.array(labels)).mean() >= 0.9999
