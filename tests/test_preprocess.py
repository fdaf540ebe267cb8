"""preprocess.py: the manifest, flags or the configuration say what the model takes; what is refused leaves nothing written."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from omegaconf import OmegaConf

import preprocess
from src.data.camvid import INFO
from src.deploy.manifest import InputSpec, Manifest, OutputSpec
from src.runtime.entry import run
from tests.tiny import tiny_config, write_camvid

MEAN, STD = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)


@pytest.fixture
def data(tmp_path):
    return write_camvid(tmp_path / "data", num_train=1, num_val=3)


@pytest.fixture
def manifest(tmp_path):
    """Return the path of the manifest of a tiny CamVid model that takes 24x32 pixels as BGR bytes."""
    config = OmegaConf.to_container(tiny_config("/another/machine", "eval.num_samples=2"))
    config["checkpoint_path"] = "/another/machine/best.ckpt"
    colors = tuple(tuple(color) for color in INFO.palette.tolist())
    content = Manifest(
        *("m.mindir", "0" * 64, "lite2", InputSpec((1, 3, 24, 32), "uint8", "BGR", MEAN, STD)),
        *(OutputSpec("logits", (1, 11, 6, 8), "float32", False, True), INFO.class_names, colors, 255, {"mindspore": "2.8.0"}, {}, config),
    )
    return content.write(tmp_path / "m.mindir")


def called(*arguments):
    return run(preprocess.main, [str(argument) for argument in arguments])


def index_of(folder):
    return json.loads((folder / "index.json").read_text())


def bytes_of(path):
    return np.fromfile(path, np.uint8)


def test_the_manifest_decides_size_type_colours_and_data_set(data, manifest, tmp_path):
    out = tmp_path / "out"
    assert called("--data_path", data, "--train_path", out, "--manifest", manifest) == 0
    index = index_of(out)
    assert index["input"] == {"shape": [3, 24, 32], "dtype": "uint8", "color_order": "BGR", "mean": list(MEAN), "std": list(STD)}
    assert (index["num_classes"], index["class_names"], index["ignore_label"]) == (11, list(INFO.class_names), 255)
    assert [sample["name"] for sample in index["samples"]] == ["0", "1"]  # eval.num_samples of its configuration
    bgr = cv2.imread(str(data / "val" / "1.png"))
    expected = cv2.resize(bgr, (32, 24), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)
    np.testing.assert_array_equal(bytes_of(out / "inputs" / "1.bin").reshape(3, 24, 32), expected)
    label = cv2.imread(str(data / "valannot" / "1.png"), cv2.IMREAD_UNCHANGED)
    assert (label == 11).any()
    np.testing.assert_array_equal(bytes_of(out / "labels" / "1.bin").reshape(40, 56), np.where(label == 11, 255, label))


@pytest.mark.parametrize(
    ("model_hw", "evaluated", "shown"),
    [
        ([24, 32], "null", "56x40 pixels (the first picture's own size"),
        ([24, 32], "[48,64]", "64x48 pixels (eval.image_size)"),
        ([24, 32], "[24,32]", None),
        ([40, 56], "null", None),
    ],
)
def test_a_warning_where_evaluation_shows_another_size(model_hw, evaluated, shown, data, manifest, tmp_path, capfd):
    content = json.loads(manifest.read_text())
    content["input"]["shape"][2:] = model_hw
    manifest.write_text(json.dumps(content))
    assert called("--data_path", data, "--train_path", tmp_path / "out", "--manifest", manifest, f"eval.image_size={evaluated}") == 0
    captured = capfd.readouterr()
    lines = [line for line in (captured.out + captured.err).splitlines() if "warning:" in line]
    assert len(lines) == (shown is not None)
    if shown:
        height, width = (40, 56) if evaluated == "null" else (48, 64)
        for part in (shown, "this model takes 32x24", f"export with --image_size {height} {width}"):
            assert part in lines[0]


def test_without_a_manifest_the_configuration_decides(data, tmp_path):
    out = tmp_path / "out"
    assert called("--data_path", data, "--output_path", out, "--config", "camvid_w18_small", "dataset.std=[1.0,0.5,0.25]") == 0
    values = index_of(out)["input"]
    assert (values["shape"], values["dtype"], values["std"]) == ([3, 288, 384], "float32", [1.0, 0.5, 0.25])
    assert (out / "inputs" / "0.bin").stat().st_size == 4 * 3 * 288 * 384


def test_flags_and_the_pictures_own_size(data, tmp_path):
    words = ("--data_path", data, "--config", "camvid_w18_small", "--input", "uint8")
    assert called(*words, "--train_path", tmp_path / "a", "--image_size", 20, 30) == 0
    assert index_of(tmp_path / "a")["input"]["shape"] == [3, 20, 30]
    assert called(*words, "--train_path", tmp_path / "b", "eval.image_size=null") == 0
    assert index_of(tmp_path / "b")["input"]["shape"] == [3, 40, 56]


def refused(capsys, out: Path, *arguments):
    assert called("--train_path", out, *arguments) == 2
    assert not out.exists()
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_flags_that_contradict_the_manifest(data, manifest, tmp_path, capsys):
    given = (capsys, tmp_path / "out", "--data_path", data, "--manifest", manifest)
    assert "m.json says that the model takes [24, 32]; leave it out" in refused(*given, "--image_size", 24, 33)
    assert "m.json says that the model takes uint8; leave it out" in refused(*given, "--input", "float32")


def test_a_model_of_other_classes(data, manifest, tmp_path, capsys):
    content = json.loads(manifest.read_text())
    content["classes"].update(names=["road", "sky"], palette=[[0, 0, 0], [9, 9, 9]])
    content["output"]["shape"][1] = 2
    manifest.write_text(json.dumps(content))
    line = refused(capsys, tmp_path / "out", "--data_path", data, "--manifest", manifest)
    assert "tells 2 classes apart (road ...), which are not those of CamVid" in line


def test_a_manifest_whose_configuration_is_damaged(data, manifest, tmp_path, capsys):
    content = json.loads(manifest.read_text())
    content["config"]["dataset"]["nam"] = "CamVid"
    manifest.write_text(json.dumps(content))
    line = refused(capsys, tmp_path / "out", "--data_path", data, "--manifest", manifest)
    assert "m.json: unknown key 'dataset.nam' (did you mean dataset.name?)" in line


def test_pictures_of_several_sizes_need_one_for_the_model(data, tmp_path, capsys):
    for folder in ("val", "valannot"):
        picture = cv2.imread(str(data / folder / "2.png"), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(data / folder / "2.png"), picture[:33])
    given = ("--data_path", data, "--config", "camvid_w18_small", "eval.image_size=null")
    line = refused(capsys, tmp_path / "out", *given)
    assert "2.png has [33, 56] pixels" in line and "--image_size H W" in line
    assert called("--train_path", tmp_path / "out", *given, "--image_size", 16, 16) == 0
    assert [(sample["height"], sample["width"]) for sample in index_of(tmp_path / "out")["samples"]] == [(40, 56), (40, 56), (33, 56)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--manifest", "nowhere.json"), "nowhere.json: no such manifest; export.py writes it beside the model"),
        (("--image_size", "0", "8"), "--image_size 0 8: both must be at least 1"),
        (("--config", "hrnetv2_w99"), "there is no preset 'hrnetv2_w99'"),
    ],
)
def test_wrong_arguments(arguments, message, data, tmp_path, capsys):
    given = arguments if "--config" in arguments else (*arguments, "--config", "camvid_w18_small")
    assert message in refused(capsys, tmp_path / "out", "--data_path", data, *given)


def test_no_data_or_no_output(data, capsys, tmp_path):
    assert "no data folder is given" in refused(capsys, tmp_path / "out", "--config", "camvid_w18_small")
    assert called("--data_path", data) == 2
    assert "--train_path is needed" in capsys.readouterr().err


def test_a_picture_cut_off_leaves_no_index(data, tmp_path, capsys):
    path = data / "val" / "1.png"
    path.write_bytes(path.read_bytes()[:200])
    out = tmp_path / "out"
    assert called("--data_path", data, "--train_path", out, "--config", "camvid_w18_small") == 2
    assert "1.png" in capsys.readouterr().err
    assert not (out / "index.json").exists()
