import numpy as np
import pytest

from src.config import load_config
from src.data.class_weights import enet, main, median_frequency
from src.runtime.entry import run
from tests.data.make_data import write_png

# Two pictures of 100 pixels; the last column is what is ignored, the third class is absent.
PIXELS = np.array([[60, 0, 0, 30, 10], [20, 80, 0, 0, 0]])


def test_median_frequency_by_hand():
    # freq: 80/200 = 0.4, 80/100 = 0.8 (in the second picture alone), 30/100 = 0.3; their median is 0.4.
    assert median_frequency(PIXELS).tolist() == pytest.approx([1.0, 0.5, 1.0, 4 / 3])


def test_enet_by_hand():
    # p: 80/190, 80/190, none, 30/190
    expected = [1 / np.log(1.02 + 8 / 19)] * 2 + [1.0, 1 / np.log(1.02 + 3 / 19)]
    assert enet(PIXELS).tolist() == pytest.approx(expected)
    assert enet(np.array([[10**12, 1, 0]]))[1] == pytest.approx(1 / np.log(1.02), rel=1e-6)


@pytest.fixture
def camvid(tmp_path):
    """Classes 0 and 3 and void in the first picture, class 0 alone in the second."""
    labels = [[[0, 0, 3, 11]], [[0, 0, 0, 0]]]
    for number, label in enumerate(labels):
        write_png(tmp_path / f"p{number}.png", np.zeros((1, 4, 3), np.uint8))
        write_png(tmp_path / f"l{number}.png", np.array(label, np.uint8))
    (tmp_path / "train.txt").write_text("p0.png l0.png\np1.png l1.png\n")
    return tmp_path


def test_the_words_are_a_configuration(camvid, capsys):
    assert main(["--config", "camvid_w18_small", "--data_path", str(camvid)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "median_frequency, 2 labels of CamVid, 12.50 % of pixels ignored"
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    # freq: sky 6/8, road 1/4; median 1/2
    assert rows["sky"] == ["85.7143", "2", "0.6667"] and rows["road"] == ["14.2857", "1", "2.0000"]
    assert rows["car"] == ["0.0000", "0", "1.0000", "absent"]
    assert lines[-2].startswith("without a pixel: building, pole, pavement, tree, sign, fence, car, pedestrian, bicyclist;")
    config = load_config("camvid_w18_small", words=[word.strip("'") for word in lines[-1].split()])
    assert list(config.loss.class_weights) == [0.6667, 1, 1, 2, 1, 1, 1, 1, 1, 1, 1] and config.loss.use_weights


def test_enet_of_files(camvid, capsys):
    assert main(["--config", "camvid_w18_small", "--data_path", str(camvid), "--method", "enet"]) == 0
    weights = [f"{1 / np.log(1.02 + share):.4f}" for share in (6 / 7, 1 / 7)]
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith(f"loss.class_weights=[{weights[0]},1.0000,1.0000,{weights[1]}{',1.0000' * 7}]'")


def test_refusals(camvid, capsys):
    words = ["--config", "camvid_w18_small"]
    assert run(main, words) == 2
    assert "--data_path FOLDER" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "--method", "mean"])
    write_png(camvid / "l1.png", np.full((1, 4), 12, np.uint8))
    assert run(main, [*words, "--data_path", str(camvid)]) == 2
    assert "label values 12" in capsys.readouterr().err
    for name in ("l0.png", "l1.png"):
        write_png(camvid / name, np.full((1, 4), 11, np.uint8))
    assert run(main, [*words, "--data_path", str(camvid)]) == 2
    assert "every pixel of the 2 labels is ignored" in capsys.readouterr().err
