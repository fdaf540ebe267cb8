"""predict.py from the command line: labels are evaluation's, every kind of result, any picture, wrong inputs."""

import doctest
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eval as evaluation
import predict
from src.config.errors import UserError
from src.data.cityscapes import INFO, TRAINED
from src.deploy.prediction_source import PredictionSource
from src.inference import explaining, predicting
from src.inference import segmenter as segmenter_module
from src.inference.inputs import Input
from src.inference.outputs import Prediction, ResultFolder
from src.inference.palette import overlay
from src.inference.predictor import Predictor
from src.inference.segmenter import Segmenter
from src.inference.video import read_frames, video_header, video_writer
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
    assert output.err == f"error: 2 of 4 inputs could not be predicted to the end; {out / 'predictions.json'} names them\n"
    assert all(output.out.count(f"{folder / name}: the picture cannot be read") == 1 for name in ("cut.png", "text.png"))
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        *("overlay/a.png", "overlay/z.png", "palette/a.png", "palette/z.png", "predictions.json")
    ]
    summary = json.loads((out / "predictions.json").read_text())
    assert (set(summary["pictures"]), set(summary["failures"])) == ({"a", "z"}, {str(folder / "cut.png"), str(folder / "text.png")})
    assert call(weights, folder / "cut.png", "--output_path", tmp_path / "none") == 2
    assert "nothing could be predicted" in capfd.readouterr().err and not (tmp_path / "none").exists()


def test_pictures_that_the_network_cannot_take_are_left_out(
    weights: Path, picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], pynative: None
) -> None:
    def refuse_small(self: Predictor, images: list[np.ndarray]) -> np.ndarray:
        if images[0].shape[0] < 50:
            raise UserError("too small for the network")
        return original(self, images)

    original = Predictor.predict
    monkeypatch.setattr(Predictor, "predict", refuse_small)
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    picture.save(folder / "a.png")
    for name in ("b.png", "c.png"):  # of one size: predicted at once
        picture.resize((60, 40)).save(folder / name)
    picture.save(folder / "z.png")
    write_video(folder / "small.mp4", picture, 3)
    assert call(weights, folder, "--save", "index", "--output_path", out, "eval.batch_size=2") == 1
    output = capfd.readouterr()
    assert "3 of 5 inputs could not be predicted to the end" in output.err
    failures = {str(folder / name): f"{folder / name}: too small for the network" for name in ("b.png", "c.png", "small.mp4")}
    assert json.loads((out / "predictions.json").read_text())["failures"] == failures
    assert all(output.out.count(reason) == 1 for reason in failures.values()) and "2 pictures in" in output.out
    assert sorted(path.name for path in out.rglob("*.png")) == ["a.png", "z.png"]


def test_a_name_that_is_too_long_for_a_result_is_that_inputs_failure(
    weights: Path, picture: Image.Image, tmp_path: Path, pynative: None
) -> None:
    longest, longer = tmp_path / f"{'x' * 251}.png", tmp_path / ("y" * 255)
    for path in (longer, longest):
        picture.save(path, format="PNG")
    out = tmp_path / "out"
    assert call(weights, longer, longest, "--output_path", out) == 1
    summary = json.loads((out / "predictions.json").read_text())
    assert set(summary["pictures"]) == {longest.stem} and "too long a name" in summary["failures"][str(longer)]
    assert {path.name for path in out.rglob("*.png")} == {longest.name}


def write_video(path: Path, picture: Image.Image, num: int) -> list[np.ndarray]:
    """Write a video whose frames are parts of a picture, and return them as they are read again."""
    pixels = np.asarray(picture)
    with video_writer(path, 7.5, (44, 60)) as append:
        for number in range(num):
            append(np.ascontiguousarray(pixels[number : number + 44, 4 * number : 4 * number + 60]))
    return list(read_frames(path))


def test_videos_beside_pictures(
    weights: Path, picture: Image.Image, tmp_path: Path, capfd: pytest.CaptureFixture[str], pynative: None
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    frames = write_video(folder / "drive.mp4", picture, 3)
    picture.resize((60, 44)).save(folder / "still.png")
    (folder / "text.mp4").write_text("no video")
    assert call(weights, folder, "--save", "index,overlay,comparison,probabilities", "--output_path", out, "eval.batch_size=2") == 1
    assert f"error: 1 of 3 inputs could not be predicted to the end; {out / 'predictions.json'} names them" in capfd.readouterr().err
    of_frames = [f"{kind}/drive/00000{number}" for kind in ("index", "probabilities") for number in range(3)]
    names = [*(f"{name}.{'npy' if 'prob' in name else 'png'}" for name in of_frames), "overlay/drive.mp4", "comparison/drive.mp4"]
    names += ["index/still.png", "overlay/still.png", "comparison/still.png", "probabilities/still.npy", "predictions.json"]
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == sorted(names)

    segment = Segmenter.from_checkpoint(weights)
    wanted = [segment(frame) for frame in frames]
    for number, labels in enumerate(wanted):
        np.testing.assert_array_equal(read(out / "index" / "drive" / f"00000{number}.png"), labels)
        probabilities = np.load(out / "probabilities" / "drive" / f"00000{number}.npy")
        assert (probabilities.dtype, probabilities.shape) == (np.float16, (19, 44, 60))
        np.testing.assert_allclose(probabilities.astype(float).sum(axis=0), 1, atol=5e-3)
        assert (probabilities.argmax(axis=0) == labels).mean() > 0.99  # two classes may be equal in float16
    overlays = list(read_frames(out / "overlay" / "drive.mp4"))
    assert len(overlays) == 3 and video_header(out / "overlay" / "drive.mp4").rate == 7.5
    for given, frame, labels in zip(overlays, frames, wanted, strict=True):
        assert np.abs(given.astype(int) - overlay(frame, labels, INFO.palette)).mean() < 12  # lossy
    summary = json.loads((out / "predictions.json").read_text())
    shares = {INFO.class_names[k]: np.mean(np.stack(wanted) == k) for k in np.unique(wanted)}
    assert summary["videos"] == {"drive": {"frames": 3, "frames_per_second": 7.5, "shares": pytest.approx(shares, rel=1e-5)}}
    assert set(summary["pictures"]) == {"still"} and set(summary["failures"]) == {str(folder / "text.mp4")}


def test_a_video_that_breaks_off_keeps_what_was_predicted(
    weights: Path, picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], pynative: None
) -> None:
    frames = write_video(tmp_path / "long.mp4", picture, 9)

    def break_off(path: Path) -> Iterator[np.ndarray]:
        yield from frames[:2]
        raise UserError(f"{path}: the video breaks off")

    monkeypatch.setattr(predicting, "read_frames", break_off)
    out = tmp_path / "out"
    assert call(weights, tmp_path / "long.mp4", "--save", "index,overlay", "--output_path", out) == 1
    assert "2 frames in" in capfd.readouterr().out
    assert len(list(read_frames(out / "overlay" / "long.mp4"))) == len(list((out / "index" / "long").iterdir())) == 2
    summary = json.loads((out / "predictions.json").read_text())
    assert summary["videos"]["long"]["frames"] == 2 and "breaks off" in summary["failures"][str(tmp_path / "long.mp4")]


def test_tiles_give_the_labels_of_the_joined_logits(
    weights: Path, picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pynative: None
) -> None:
    path, out = tmp_path / "a.png", tmp_path / "out"
    part = picture.crop((0, 0, 70, 50))
    part.save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow refuses twice as many, unless it is told otherwise
    assert call(weights, path, "--save", "index", "--output_path", out, "--tile", "40", "60", "--flip", "eval.batch_size=4") == 0
    words = ["eval.slide=True", "eval.window=[40,60]", "eval.stride=[27,40]", "eval.flip=True", "eval.batch_size=4"]
    segment = Segmenter.from_checkpoint(weights, words=words)
    labels = segment.predictor.scores([np.asarray(part)])[0].argmax(axis=0)  # all logits at once, where predict holds rows of windows
    np.testing.assert_array_equal(read(out / "index" / "a.png"), labels)
    protocol = json.loads((out / "predictions.json").read_text())["protocol"]
    assert (protocol["window"], protocol["stride"], protocol["flip"]) == ([40, 60], [27, 40], True)
    assert np.unique(labels).size > 2


def test_explanations_are_written_beside_the_results(weights: Path, picture: Image.Image, tmp_path: Path, pynative: None) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    picture.save(folder / "a.png")
    write_video(folder / "drive.mp4", picture, 2)
    assert call(weights, "--explain", folder, "--save", "index", "--output_path", out) == 0
    assert min(Image.open(out / "explain" / "a.png").size) > 300 and len(list((out / "explain").iterdir())) == 1
    assert len(list((out / "index" / "drive").iterdir())) == 2


def test_videos_alone_have_no_explanation(
    weights: Path, picture: Image.Image, tmp_path: Path, capfd: pytest.CaptureFixture[str], pynative: None
) -> None:
    write_video(tmp_path / "drive.mp4", picture, 2)
    assert call(weights, tmp_path / "drive.mp4", "--explain", "--output_path", tmp_path / "out") == 2
    assert "is a video; explanations are of pictures" in capfd.readouterr().err and not (tmp_path / "out").exists()


def test_a_pixel_that_one_of_several_pictures_does_not_have(
    weights: Path, picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pynative: None
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    picture.save(folder / "a.png")
    picture.crop((0, 0, 60, 64)).save(folder / "b.png")
    picture.save(folder / "c.png")
    drawn = []
    monkeypatch.setattr(explaining, "draw_explanation", lambda path, image, labels, explanation, points, info: drawn.append(points))
    assert call(weights, folder, "--explain_at", "90", "2", "--save", "index", "--output_path", out) == 1
    failures = json.loads((out / "predictions.json").read_text())["failures"]
    assert failures == {str(folder / "b.png"): f"{folder / 'b.png'}: --explain_at 90 2: the picture has columns 0..59 and rows 0..63"}
    assert {path.name for path in (out / "index").iterdir()} == {"a.png", "c.png"} and drawn == [[(90, 2)]] * 2
    assert call(weights, folder / "b.png", "--explain_at", "90", "2", "--save", "index", "--output_path", tmp_path / "none") == 2
    assert not (tmp_path / "none").exists()


def test_an_explicit_false_wins_over_a_pixel(weights: Path) -> None:
    source = PredictionSource.open(weights, None, {}, [])
    for words, expected in {("--explain", "False"): None, ("--explain", "True"): {"point": (9, 2)}, (): {"point": (9, 2)}}.items():
        arguments = predict._build_parser().parse_args(["a.png", "--explain_at", "9", "2", *words])
        assert predict._explain_options(arguments, source, []) == expected


def test_large_pictures_need_windows(
    weights: Path, picture: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], pynative: None
) -> None:
    large, small, out = tmp_path / "large.png", tmp_path / "small.png", tmp_path / "out"
    picture.save(large)
    picture.resize((20, 20)).save(small)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    advice = f"{large}: a picture of more than 0 million pixels; give --tile H W, such as --tile 1024 1024"
    assert call(weights, large, "--output_path", out) == 2
    assert advice in capfd.readouterr().err and not out.exists()
    assert call(weights, small, large, "--output_path", out) == 1
    assert json.loads((out / "predictions.json").read_text())["failures"] == {str(large): advice}
    assert call(weights, large, "--output_path", out, "eval.slide=True", "eval.window=[64,64]", "eval.stride=[64,64]") == 0


def test_a_shorter_video_leaves_no_frames_of_an_earlier_one(tmp_path: Path) -> None:
    results = ResultFolder(tmp_path, ("index", "labelIds"), INFO)
    item = Prediction(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8))
    for num_frames in (5, 0, 2):
        (tmp_path / "index" / "drive").mkdir(parents=True, exist_ok=True)
        (tmp_path / "index" / "drive" / "note.png").touch()
        with results.writing_video("drive", 10.0) as write:
            for number in range(num_frames):
                write(number, item)
        kept = num_frames or 5
        assert sorted(path.name for path in (tmp_path / "labelIds" / "drive").iterdir()) == [f"00000{k}.png" for k in range(kept)]
    assert len(list((tmp_path / "index" / "drive").iterdir())) == 3


def test_explanations_overwrite_no_input_where_there_are_none(tmp_path: Path) -> None:
    results = ResultFolder(tmp_path, ("index",), INFO)
    inputs = [Input(tmp_path / "explain" / "a.png", "a")]
    results.refuse_overwriting(inputs)
    with pytest.raises(UserError, match="is an input and would be overwritten"):
        results.refuse_overwriting(inputs, explains=True)


def test_wrong_inputs(weights: Path, picture: Image.Image, tmp_path: Path, capfd: pytest.CaptureFixture[str], pynative: None) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("note.txt", "text.mp4"):
        (tmp_path / name).write_text("no picture")
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
        "--tile 0 64: height and width in pixels": [good, "--tile", "0", "64"],
        "--tile 31 64: expected 32..8192 pixels each way": [good, "--tile", "31", "64"],
        "--tile 64 8193: expected 32..8192": [good, "--tile", "64", "8193"],
        "expected 2 arguments": [good, "--tile", "64"],
        "invalid int value: '6.5'": [good, "--tile", "6.5", "64"],
        "text.mp4: the video cannot be read: no video": [tmp_path / "text.mp4"],
        "--explain_at 500 2: the picture has columns 0..127": [good, "--explain_at", "500", "2", "--output_path", tmp_path / "explained"],
        "expected a MindSpore .ckpt file": [good, "--checkpoint_path", tmp_path / "note.txt"],
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


def test_the_package_loads_mindspore_for_the_segmenter_alone() -> None:
    check = (
        "import sys, src.inference, src.inference.outputs; assert 'mindspore' not in sys.modules and 'Segmenter' in src.inference.__all__"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
    with pytest.raises(ImportError, match="Segmentor"):
        from src.inference import Segmentor  # noqa: F401


def test_a_long_word_is_no_file():
    word = "dataset.mean=[" + "0" * 300 + "]"  # longer than a file's name may be
    assert predict._split_words(["a.png", word]) == (["a.png"], [word])
