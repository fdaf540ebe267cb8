"""A MindIR file in place of a checkpoint: the checkpoint's labels at the model's size, and one clear line for what it cannot do."""

import json
import shutil
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from omegaconf import OmegaConf
from PIL import Image

import predict
from src.data.registry import dataset_info
from src.deploy.manifest import InputSpec, Manifest, OutputSpec, file_sha256, manifest_path
from src.deploy.model_graph import Labels, ModelGraph, Normalize
from src.deploy.prediction_source import PredictionSource
from src.inference.predictor import Predictor
from src.runtime.entry import run
from tests.tiny import tiny_config

CONFIG = tiny_config(None, "device_target=CPU", "mode=PYNATIVE", "dataset.color_order=BGR", "eval.slide=True", "eval.multi_scale=True")
INFO = dataset_info(CONFIG)
SIZE_HW = (40, 56)
MEAN, STD = tuple(CONFIG.dataset.mean), tuple(CONFIG.dataset.std)


class Patches(nn.Cell):
    """(auxiliary, main) logits of 11 classes at stride 4, from patches of 4x4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        kernel = np.random.default_rng(3).normal(0, 1, (11, 3, 4, 4)).astype(np.float32)
        self.conv = nn.Conv2d(3, 11, 4, stride=4, pad_mode="valid", weight_init=Tensor(kernel))

    def construct(self, image):
        logits = self.conv(image)
        return -logits, logits


def write_model(path: Path, dtype: str, kind: str, batch: int) -> Path:
    """What export.py writes of this network, without its checks, which take longer than the network."""
    rule = (CONFIG.model.align_corners, CONFIG.model.half_pixel_centers)
    graph = ModelGraph(Patches(), Normalize(MEAN, STD) if dtype == "uint8" else None, Labels(*rule) if kind == "labels" else None)
    shape = (batch, 3, *SIZE_HW)
    ms.export(graph.set_train(False), Tensor(np.zeros(shape, dtype)), file_name=str(path), file_format="MINDIR")
    outputs = (batch, *SIZE_HW) if kind == "labels" else (batch, 11, 10, 14)
    manifest = Manifest(
        *(path.name, file_sha256(path), "native", InputSpec(shape, dtype, "BGR", MEAN, STD)),
        output=OutputSpec(kind, outputs, "uint8" if kind == "labels" else "float32", *rule),
        class_names=INFO.class_names,
        palette=tuple(tuple(color) for color in INFO.palette.tolist()),
        ignore_label=255,
        versions={},
        checkpoint={},
        config=OmegaConf.to_container(CONFIG),
    )
    manifest.write(path)
    return path


MODELS = {"floats": ("float32", "logits", 1), "bytes": ("uint8", "logits", 2), "labels": ("uint8", "labels", 1)}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {name: write_model(folder / f"{name}.mindir", *options) for name, options in MODELS.items()}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Three pictures of the model's size, one larger and one smaller, and where they are, by file."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    sizes = {"a": SIZE_HW, "b": SIZE_HW, "c": SIZE_HW, "large": (70, 81), "small": (30, 33)}
    pictures = {str(folder / f"{name}.png"): rng.integers(0, 256, (*size, 3)).astype(np.uint8) for name, size in sizes.items()}
    for path, pixels in pictures.items():
        Image.fromarray(pixels).save(path)
    return pictures


def call(model: Path, folder: Path, *arguments: str | Path) -> int:
    return run(
        predict.main, [*map(str, arguments), "--checkpoint_path", str(model), "--output_path", str(folder), "--device_target", "CPU"]
    )


@pytest.mark.parametrize(
    ("name", "arguments", "options"),
    [
        ("floats", [], {}),
        ("bytes", ["eval.batch_size=4"], {}),
        ("bytes", ["--flip"], {"flip": True}),
        ("floats", ["--tile", "40", "56"], {"window": SIZE_HW, "stride": (27, 37)}),
    ],
)
def test_labels_are_the_checkpoints(
    models: dict[str, Path], pictures: dict[str, np.ndarray], tmp_path: Path, pynative: None, name: str, arguments: list, options: dict
) -> None:
    assert call(models[name], tmp_path, *pictures, "--save", "index,probabilities", *arguments) == 0
    options = options if "window" in options else {**options, "image_size": SIZE_HW}
    checkpoint = Predictor(
        Patches(), num_classes=11, mean=MEAN, std=STD, color_order="BGR", align_corners=CONFIG.model.align_corners, **options
    )
    for path, picture in pictures.items():
        labels, probabilities = checkpoint.labels_and_probabilities([picture])
        given = np.asarray(Image.open(tmp_path / "index" / Path(path).name))
        assert given.shape == picture.shape[:2] and np.unique(labels).size > 5
        assert (given == labels[0]).mean() > 0.999, path  # in the graph bytes are normalised in float32
        written = np.load(tmp_path / "probabilities" / f"{Path(path).stem}.npy")
        assert written.dtype == np.float16
        np.testing.assert_allclose(written, probabilities[0], atol=2e-3)
    protocol = json.loads((tmp_path / "predictions.json").read_text())["protocol"]
    assert (protocol["image_size"], protocol["scales"]) == (None if "window" in options else list(SIZE_HW), [1.0])


def test_labels_get_the_pictures_size_as_in_the_program_in_cpp(
    models: dict[str, Path], pictures: dict[str, np.ndarray], tmp_path: Path, pynative: None
) -> None:
    assert call(models["labels"], tmp_path, *pictures, "--save", "index") == 0
    checkpoint = Predictor(Patches(), num_classes=11, mean=MEAN, std=STD, color_order="BGR", align_corners=CONFIG.model.align_corners)
    for path, picture in pictures.items():
        (small,) = checkpoint.predict([cv2.resize(picture, SIZE_HW[::-1], interpolation=cv2.INTER_LINEAR)])
        height, width = picture.shape[:2]
        rows, columns = (
            [int((i + 0.5) * before / after) for i in range(after)] for before, after in zip(SIZE_HW, (height, width), strict=True)
        )
        given = np.asarray(Image.open(tmp_path / "index" / Path(path).name))
        assert (given == [[small[row, column] for column in columns] for row in rows]).mean() > 0.999, path


def test_what_a_model_file_cannot_do_is_one_line(
    models: dict[str, Path], pictures: dict[str, np.ndarray], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    floats, picture, out = models["floats"], next(iter(pictures)), tmp_path / "out"
    alone, changed, lowered, garbage = (tmp_path / f"{name}.mindir" for name in ("alone", "changed", "x_lite2", "garbage"))
    for path in (alone, changed, lowered, garbage):
        shutil.copy(floats, path)
    content = json.loads(manifest_path(floats).read_text())
    changed.write_bytes(floats.read_bytes()[:-1])
    manifest_path(changed).write_text(json.dumps(content))
    manifest_path(lowered).write_text(json.dumps({**content, "model": {**content["model"], "kind": "lite2"}}))
    garbage.write_bytes(b"no model")
    manifest_path(garbage).write_text(json.dumps({**content, "model": {**content["model"], "sha256": file_sha256(garbage)}}))
    cases: dict[str, tuple[Path, list[str]]] = {
        "missing.mindir: no such file": (tmp_path / "missing.mindir", []),
        "alone.json: no such manifest": (alone, []),
        "SHA-256 differs": (changed, []),
        "of the kind lite2, lowered for MindSpore Lite's C++": (lowered, []),
        "garbage.mindir: no MindIR file": (garbage, []),
        "--scales [0.5, 1.0]: floats.mindir takes pictures of 40x56 (height x width) alone": (floats, ["--scales", "0.5,1"]),
        "give --tile 40 56": (floats, ["--tile", "64", "64"]),
        "eval.image_size=[32, 32]: floats.mindir takes": (floats, ["eval.image_size=[32,32]"]),
        "model.align_corners=True: the model file has decided that": (floats, ["model.align_corners=True"]),
        "--config camvid_w18_small: a model file has": (floats, ["--config", "camvid_w18_small"]),
        "--explain looks into the network": (floats, ["--explain"]),
        "--flip: labels.mindir gives labels": (models["labels"], ["--flip"]),
        "--tile: labels.mindir gives labels": (models["labels"], ["--tile", "40", "56"]),
        "--save probabilities: labels.mindir gives labels": (models["labels"], ["--save", "probabilities"]),
        "use index": (floats, ["--save", "labelIds"]),
    }
    for message, (model, arguments) in cases.items():
        status = call(model, out, picture, *arguments)
        error = capfd.readouterr().err.strip()
        assert status == 2 and message in error and "\n" not in error, (message, error)
    assert not out.exists()


def test_classes_are_the_manifests(models: dict[str, Path], pictures: dict[str, np.ndarray], tmp_path: Path, pynative: None) -> None:
    model = shutil.copy(models["floats"], tmp_path / "own.mindir")
    content = json.loads(manifest_path(models["floats"]).read_text())
    content["classes"]["names"] = [f"own {number}" for number in range(11)]
    manifest_path(Path(model)).write_text(json.dumps(content))
    assert call(Path(model), tmp_path / "out", next(iter(pictures))) == 0
    (shares,) = json.loads((tmp_path / "out" / "predictions.json").read_text())["pictures"].values()
    assert all(name.startswith("own ") for name in shares) and sum(shares.values()) == pytest.approx(1, abs=1e-5)


def test_pictures_are_predicted_as_many_at_once_as_the_model_computes(models):
    batch_sizes = {name: PredictionSource.open(path, None, {}, ["eval.batch_size=5"]).batch_size for name, path in models.items()}
    assert batch_sizes == {"floats": 1, "bytes": 2, "labels": 1}
