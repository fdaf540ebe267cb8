"""The folder of binaries: its bytes against straightforward numpy, what it replaces, and what it leaves alone."""

import json

import cv2
import numpy as np
import pytest

from src.config.errors import UserError
from src.data.loader import EvalSample
from src.deploy.manifest import InputSpec
from src.deploy.sample_folder import open_folder, read_index, write_sample, write_samples

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
FORMATS = {
    "float32 RGB": InputSpec((1, 3, 6, 10), "float32", "RGB", MEAN, STD),
    "float32 BGR": InputSpec((1, 3, 6, 10), "float32", "BGR", MEAN, STD),
    "uint8 RGB": InputSpec((1, 3, 6, 10), "uint8", "RGB", MEAN, STD),
    "uint8 BGR": InputSpec((1, 3, 6, 10), "uint8", "BGR", MEAN, STD),
}


def samples(*sizes_hw):
    rng = np.random.default_rng(1)
    for index, size_hw in enumerate(sizes_hw):
        image = rng.integers(0, 256, (*size_hw, 3)).astype(np.uint8)
        yield EvalSample(index, f"picture {index}", image, rng.integers(0, 3, size_hw).astype(np.uint8))


def write(folder, *sizes_hw, input_format=FORMATS["float32 RGB"]):
    open_folder(folder)
    return write_samples(folder, samples(*sizes_hw), input_format, ("a", "b", "c"), 255)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("name", FORMATS)
def test_bytes_of_inputs_and_labels(name, tmp_path):
    input_format = FORMATS[name]
    assert write(tmp_path, (6, 10), (9, 7), input_format=input_format) == 2
    for sample in samples((6, 10), (9, 7)):
        resized = cv2.resize(sample.image, (10, 6), interpolation=cv2.INTER_LINEAR)
        channels = (0, 1, 2) if input_format.color_order == "RGB" else (2, 1, 0)
        data = (tmp_path / "inputs" / f"{sample.name}.bin").read_bytes()
        written = np.frombuffer(data, {"float32": "<f4", "uint8": "u1"}[input_format.dtype]).reshape(3, 6, 10)
        for place, channel in enumerate(channels):
            values = resized[..., channel]
            if input_format.dtype == "float32":
                np.testing.assert_allclose(written[place], (values / 255 - MEAN[place]) / STD[place], atol=1e-6)
            else:
                np.testing.assert_array_equal(written[place], values)
        assert (tmp_path / "labels" / f"{sample.name}.bin").read_bytes() == sample.label.tobytes()


# As IsSafeName's test in ascend310_infer/tests/formats_test.cc.
@pytest.mark.parametrize("name", ["", ".", "..", ".a", "a/b", "/a", "a\\b", "a\nb", "a\0b", "a\x7f", "a\udcff", "a" * 241, "\u00e9" * 121])
def test_a_name_that_the_runner_refuses(name, tmp_path):
    open_folder(tmp_path)
    with pytest.raises(UserError, match="its name cannot be that of a result") as error:
        write_sample(tmp_path, name, np.zeros((3, 1, 1), np.uint8), np.zeros((1, 1), np.uint8))
    assert repr(name) in str(error.value)
    assert content(tmp_path) == {".preprocess_started": b""}


@pytest.mark.parametrize("name", ["a b", "a.b", "\u00e9" * 120])
def test_a_name_that_the_runner_takes(name, tmp_path):
    open_folder(tmp_path)
    write_sample(tmp_path, name, np.zeros((3, 1, 1), np.uint8), np.zeros((1, 1), np.uint8))
    assert (tmp_path / "inputs" / f"{name}.bin").is_file()


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    open_folder(tmp_path)
    (tmp_path / "labels" / "a.bin").mkdir()
    with pytest.raises(UserError, match="labels/a.bin: cannot be written .*free some space"):
        write_sample(tmp_path, "a", np.zeros((3, 1, 1), np.uint8), np.zeros((1, 1), np.uint8))


def test_index(tmp_path):
    write(tmp_path, (6, 10), (9, 7))
    assert json.loads((tmp_path / "index.json").read_text()) == {
        "format": 1,
        "input": {"shape": [3, 6, 10], "dtype": "float32", "color_order": "RGB", "mean": list(MEAN), "std": list(STD)},
        "num_classes": 3,
        "class_names": ["a", "b", "c"],
        "ignore_label": 255,
        "samples": [
            {"name": "picture 0", "input": "inputs/picture 0.bin", "label": "labels/picture 0.bin", "height": 6, "width": 10},
            {"name": "picture 1", "input": "inputs/picture 1.bin", "label": "labels/picture 1.bin", "height": 9, "width": 7},
        ],
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.json", "inputs", "labels"]
    index = read_index(tmp_path / "labels")
    assert (index.folder, index.input_hw, index.class_names, index.ignore_label) == (tmp_path, (6, 10), ("a", "b", "c"), 255)
    assert [(sample.name, sample.size_hw) for sample in index.samples] == [("picture 0", (6, 10)), ("picture 1", (9, 7))]


def test_a_former_result_is_replaced_whole(tmp_path):
    write(tmp_path, (6, 10), (9, 7), (8, 8))
    write(tmp_path, (5, 5))
    assert sorted(content(tmp_path)) == ["index.json", "inputs/picture 0.bin", "labels/picture 0.bin"]


def test_without_an_index_while_it_is_not_whole_and_then_made_anew(tmp_path):
    def interrupted():
        yield from samples((6, 10))
        raise UserError("a broken picture")

    write(tmp_path, (6, 10), (9, 7))
    open_folder(tmp_path)
    with pytest.raises(UserError, match="a broken picture"):
        write_samples(tmp_path, interrupted(), FORMATS["uint8 RGB"], ("a", "b", "c"), 255)
    with pytest.raises(UserError, match=r"no index\.json here"):
        read_index(tmp_path)
    write(tmp_path, (6, 10))
    assert len(read_index(tmp_path).samples) == 1


@pytest.mark.parametrize("stranger", ["notes.txt", "inputs/notes.txt", "inputs/a/b.bin"])
@pytest.mark.parametrize("former", [True, False])
def test_other_peoples_files_are_left_alone(stranger, former, tmp_path):
    folder = tmp_path / "out"
    if former:
        write(folder, (6, 10))
    (folder / stranger).parent.mkdir(parents=True, exist_ok=True)
    (folder / stranger).write_text("mine")
    before = content(folder)
    with pytest.raises(UserError, match=r"which preprocess\.py did not write"):
        open_folder(folder)
    assert content(folder) == before


@pytest.mark.parametrize(
    "index",
    ["{}", "[1]", "no JSON", '{"format": 2, "samples": []}', '{"format": 1, "samples": [{"name": "../a", "height": 1, "width": 1}]}'],
)
def test_somebody_elses_index(index, tmp_path):
    (tmp_path / "index.json").write_text(index)
    with pytest.raises(UserError, match=r"index\.json: no index of preprocess\.py, or a damaged one .* run preprocess\.py again"):
        read_index(tmp_path)
    # preprocess.py itself does not say to run preprocess.py.
    with pytest.raises(UserError, match=r"holds an index\.json that is damaged .*; remove the folder or choose another one$"):
        open_folder(tmp_path)
    assert content(tmp_path) == {"index.json": index.encode()}


def test_a_linked_folder_is_not_followed(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere, (6, 10))
    folder = tmp_path / "out"
    write(folder, (6, 10))
    for path in (folder / "inputs").iterdir():
        path.unlink()
    (folder / "inputs").rmdir()
    (folder / "inputs").symlink_to(elsewhere / "inputs")
    with pytest.raises(UserError, match="holds inputs"):
        open_folder(folder)
    assert (elsewhere / "inputs" / "picture 0.bin").is_file()


def test_a_label_of_another_size_than_the_index_says(tmp_path):
    write(tmp_path, (6, 10))
    index = read_index(tmp_path)
    (tmp_path / "labels" / "picture 0.bin").write_bytes(bytes(59))
    with pytest.raises(UserError, match="59 bytes; a label of 10x6 has 60"):
        index.read_label(index.samples[0])
    (tmp_path / "labels" / "picture 0.bin").unlink()
    with pytest.raises(UserError, match="picture 0.bin: the label cannot be read"):
        index.read_label(index.samples[0])
