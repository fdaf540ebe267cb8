"""predict.py from the command line: labels are evaluation's, every kind of result, any picture, wrong inputs."""

import doctest
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eval as evaluation
import predict
from src.data.cityscapes import INFO, TRAINED
from src.inference import segmenter as segmenter_module
from src.inference.palette import overlay
from src.inference.predictor import Predictor
from src.inference.segmenter import Segmenter
from src.runtime.entry import run
from src.runtime.logging import close_logging
from tests.street import write_street_weights, write_streets


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_streets(tmp_path_factory.mktemp("streets"), num=2)


@pytest.fixture(scope="module")
def picture(streets: Path) -> Image.Image:
    return Image.open(next(streets.rglob("*_leftImg8bit.png"))).convert("RGB")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory, picture: Image.Image) -> Path:
    return write_street_weights(tmp_path_factory.mktemp("weights") / "best.ckpt", np.asarray(picture))


def call(weights: Path, *arguments: str | Path) -> int:
    return run(predict.main, ["--checkpoint_path", str(weights), *map(str, arguments)])


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_labels_are_those_of_evaluation(
    weights: Path, streets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pynative: None
) -> None:
    seen: list[np.ndarray] = []

    def record(self: Predictor, images: list[np.ndarray]) -> np.ndarray:
        labels = original(self, images)
        seen.extend(labels)
        return labels

    original = Predictor.predict
    monkeypatch.setattr(Predictor, "predict", record)
    words = ["eval.flip=True", "eval.multi_scale=True", "eval.scale_list=[0.5,0.75]", "eval.batch_size=2"]
    data = ["--data_path", str(streets), "--output_path", str(tmp_path / "eval")]
    assert run(evaluation.main, ["--checkpoint_path", str(weights), *data, *words]) == 0
    evaluated, seen = seen, []
    flags = ["--scales", "0.5,0.75", "--flip", "True", "--save_format", "index,palette,overlay,labelIds", "--output_path", tmp_path / "out"]
    assert call(weights, streets / "leftImg8bit", *flags, "eval.batch_size=2") == 0

    pictures = sorted((streets / "leftImg8bit").rglob("*.png"))
    summary = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert (summary["protocol"]["scales"], summary["protocol"]["flip"], summary["failures"]) == ([0.5, 0.75], True, {})
    assert len(evaluated) == len(pictures) == len(summary["pictures"]) == 2
    for path, labels in zip(pictures, evaluated, strict=True):
        name = str(path.relative_to(streets / "leftImg8bit").with_suffix(""))
        kinds = ("index", "palette", "labelIds", "overlay")
        files = {kind: tmp_path / "out" / kind / f"{name}.png" for kind in kinds}
        assert np.unique(labels).size > 3
        assert [Image.open(files[kind]).mode for kind in kinds] == ["L", "P", "L", "RGB"]
        np.testing.assert_array_equal(read(files["index"]), labels)
        np.testing.assert_array_equal(read(files["palette"]), labels)
        np.testing.assert_array_equal(np.asarray(Image.open(files["palette"]).convert("RGB")), INFO.palette[labels])
        np.testing.assert_array_equal(read(files["overlay"]), overlay(read(path), labels, INFO.palette))
        assert {(k, i) for k, i in zip(labels.flat, read(files["labelIds"]).flat, strict=True)} <= {(t.train_id, t.id) for t in TRAINED}
        shares = {INFO.class_names[k]: np.mean(labels == k) for k in np.unique(labels)}
        assert summary["pictures"][name] == pytest.approx(shares, rel=1e-5)
        assert summary["pixels"][name] == {INFO.class_names[k]: np.sum(labels == k) for k in np.unique(labels)}
        assert list(summary["pictures"][name].values()) == sorted(summary["pictures"][name].values(), reverse=True)


def test_any_picture_at_its_size(weights: Path, picture: Image.Image, tmp_path: Path, pynative: None) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    grey, exif = picture.convert("L"), Image.Exif()
    exif[0x0112] = 6  # the camera was turned: viewers turn the picture by 90 degrees clockwise
    picture.save(folder / "turned.webp", exif=exif, lossless=True)
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.resize((1, 1)).save(folder / "pixel.png")
    picture.resize((201, 33)).save(folder / "wide.bmp")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 256 + 99).save(folder / "deep.png")
    transparent = picture.copy()
    transparent.putalpha(grey)
    transparent.save(folder / "transparent.png")
    assert call(weights, folder, "--save", "index", "--output_path", out) == 0
    sizes = {path.stem: Image.open(path).size for path in (out / "index").iterdir()}
    assert sizes == {
        "turned": (64, 128),
        "cmyk": (128, 64),
        "pixel": (1, 1),
        "wide": (201, 33),
        "deep": (128, 64),
        "transparent": (128, 64),
    }
    segment = Segmenter.from_checkpoint(weights)
    upright = np.asarray(picture.transpose(Image.Transpose.ROTATE_270))
    wanted = {"turned": upright, "transparent": np.asarray(picture), "deep": np.asarray(grey.convert("RGB"))}
    for name, pixels in wanted.items():
        np.testing.assert_array_equal(read(out / "index" / f"{name}.png"), segment(pixels), err_msg=name)


def test_pictures_that_cannot_be_read_are_left_out(
    weights: Path, picture: Image.Image, tmp_path: Path, capfd: pytest.CaptureFixture[str], pynative: None
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in ("a.png", "z.png"):
        picture.save(folder / name)
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:3000])
    (folder / "text.png").write_text("no picture")
    assert call(weights, folder, "--output_path", out) == 1
    output = capfd.readouterr()
    assert output.err == f"error: 2 of 4 inputs could not be read; {out / 'predictions.json'} names them\n"
    assert all(output.out.count(f"{folder / name}: the picture cannot be read") == 1 for name in ("cut.png", "text.png"))
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        *("overlay/a.png", "overlay/z.png", "palette/a.png", "palette/z.png", "predictions.json")
    ]
    summary = json.loads((out / "predictions.json").read_text())
    assert (set(summary["pictures"]), set(summary["failures"])) == ({"a", "z"}, {str(folder / "cut.png"), str(folder / "text.png")})
    assert call(weights, folder / "cut.png", "--output_path", tmp_path / "none") == 2
    assert "nothing could be predicted" in capfd.readouterr().err and not (tmp_path / "none").exists()


def test_wrong_inputs(weights: Path, picture: Image.Image, tmp_path: Path, capfd: pytest.CaptureFixture[str], pynative: None) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "note.txt").write_text("no picture")
    (tmp_path / "file").touch()
    good, earlier, out = tmp_path / "good.png", tmp_path / "out" / "palette" / "good.png", tmp_path / "new"
    earlier.parent.mkdir(parents=True)
    picture.save(good)
    picture.save(earlier)
    cases: dict[str, list[str | Path]] = {
        "INPUT and --checkpoint_path are needed": [],
        "no such file or folder": [tmp_path / "missing.png"],
        "holds no .png": [tmp_path / "empty"],
        "note.txt: not a readable picture": [tmp_path / "note.txt"],
        "no picture or video matches": [tmp_path / "*.jpg"],
        "(did you mean palette?)": [good, "--save", "index,palete"],
        "sign, fence and 3 more); use index": [good, "--save", "labelIds", "--config", "camvid_w18_small", "--device_target", "CPU"],
        "another network": [good, "--config", "camvid_w18_small", "--device_target", "CPU"],
        "can be written": [good, "--output_path", tmp_path / "file" / "x"],
        "expected numbers such as": [good, "--scales", "1;2"],
        "must be at least 0.01": [good, "--scales", "0"],
        "nothing but results": [tmp_path / "out" / "palette", "--output_path", tmp_path / "out"],
        "is an input and would be overwritten": [earlier, "--output_path", tmp_path / "out"],
        "unknown key 'eval.flp' (did you mean eval.flip?)": [good, "eval.flp=True"],
    }
    for message, arguments in cases.items():
        given = [*arguments, *([] if "--output_path" in arguments else ["--output_path", out])]
        try:
            status = call(weights, *given)
        except SystemExit as stop:  # argparse's own
            status = stop.code
        error = capfd.readouterr().err.strip()
        assert status == 2 and message in error and "\n" not in error, (message, error)
    assert not out.exists() and [path.name for path in (tmp_path / "out").rglob("*.*")] == ["good.png"]


def test_example_of_the_segmenter(weights: Path, monkeypatch: pytest.MonkeyPatch, pynative: None) -> None:
    close_logging()
    monkeypatch.chdir(weights.parent)
    result = doctest.testmod(segmenter_module)
    assert result.attempted > 3 and result.failed == 0


def test_a_long_word_is_no_file():
    word = "dataset.mean=[" + "0" * 300 + "]"  # longer than a file's name may be
    assert predict._split_words(["a.png", word]) == (["a.png"], [word])
