"""postprocess.py: the lines that people grep for, the table, and one line for what is wrong."""

import numpy as np
import pytest

import postprocess
from src.data.loader import EvalSample
from src.deploy.manifest import InputSpec
from src.deploy.sample_folder import open_folder, write_samples
from src.runtime.entry import run


@pytest.fixture
def folders(tmp_path):
    """Return results and labels of two samples: 0 0 1 255 predicted as 0 1 1 1, and 1 1 as 1 1; the third class is absent."""
    labels, results = tmp_path / "labelled", tmp_path / "results"
    open_folder(labels)
    results.mkdir()
    samples = []
    for index, (label, predicted) in enumerate([([0, 0, 1, 255], [0, 1, 1, 1]), ([1, 1], [1, 1])]):
        samples.append(EvalSample(index, f"s {index}", np.zeros((1, len(label), 3), np.uint8), np.array([label], np.uint8)))
        (results / f"s {index}_0.bin").write_bytes(bytes(predicted))
    write_samples(labels, samples, InputSpec((1, 3, 4, 4), "uint8", "RGB", (0, 0, 0), (1, 1, 1)), ("road", "sky", "car"), 255)
    return results, labels


def called(*arguments):
    return run(postprocess.main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("part", ["", "labels"])
def test_the_model_zoos_format_and_a_table(part, folders, capsys):
    results, labels = folders
    assert called("--result_path", results, "--label_path", labels / part) == 0
    lines = capsys.readouterr().out.splitlines()
    # Class 0: one right of two; class 1: three right of four in the union.
    assert lines[:3] == ["=========== 310 Inference Result ===========", "miou: 0.625", "iou array: [0.5  0.75  nan]"]
    assert lines[5].split() == ["road", "0.5000", "0.5000", "2", "1"]
    assert lines[7].split() == ["car", "absent", "-", "0", "0"]
    assert "2 pictures" in lines and "means over the 2 of 3 classes that have labels" in lines


def test_a_missing_result_or_index_is_one_line(folders, tmp_path, capsys):
    results, labels = folders
    (results / "s 1_0.bin").unlink()
    for arguments, message in (
        ((results, labels), "NAME_0.bin of 1 of the 2 samples"),
        ((results, tmp_path), "no index.json here, so it is no whole result of preprocess.py"),
    ):
        assert called("--result_path", arguments[0], "--label_path", arguments[1]) == 2
        captured = capsys.readouterr()
        assert message in captured.err and len(captured.err.strip().splitlines()) == 1
        assert "miou" not in captured.out
