import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from src.config.errors import UserError
from src.data.cityscapes import LABEL_BY_NAME, Cityscapes
from src.data.street.canvas import rasterize
from src.data.synthetic import LABEL_ID, main, render_scene, write_street_scenes

SIZE_HW = (64, 128)


def digests(root):
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    write_street_scenes(root, 5, 3, SIZE_HW, seed=3)
    return root


def test_layout_is_read_as_cityscapes(scenes):
    train, val = Cityscapes(scenes, "train.lst", "train"), Cityscapes(scenes, "val.lst", "val")
    assert (len(train), len(val), train.label_kind) == (5, 3, "labelIds")
    image, label = train.read(0)
    assert image.shape == (*SIZE_HW, 3) and label.shape == SIZE_HW
    cities = [{d.image_path(k).parent.name for k in range(len(d))} for d in (train, val)]
    assert len(cities[0]) == 3 and len(cities[1]) == 2 and not cities[0] & cities[1]
    assert train.image_path(0).name == "aldermoor_000000_000019_leftImg8bit.png"


def test_polygons_rasterise_to_the_label(scenes):
    for path in sorted(scenes.glob("gtFine/*/*/*_polygons.json")):
        polygons = json.loads(path.read_text())
        label = np.asarray(Image.open(str(path).replace("_polygons.json", "_labelIds.png")))
        assert (polygons["imgHeight"], polygons["imgWidth"]) == label.shape
        objects = [(entry["label"], np.array(entry["polygon"])) for entry in polygons["objects"]]
        np.testing.assert_array_equal(rasterize(objects, label.shape, LABEL_ID), label)
        assert label.min() > 0  # every pixel is labelled


def test_a_scene_depends_on_seed_split_and_index_only():
    picture, label, polygons = render_scene("train", 4, SIZE_HW, 3)
    again = render_scene("train", 4, SIZE_HW, 3)
    np.testing.assert_array_equal(picture, again[0])
    np.testing.assert_array_equal(label, again[1])
    assert polygons == again[2]
    for other in (("val", 4, SIZE_HW, 3), ("train", 5, SIZE_HW, 3), ("train", 4, SIZE_HW, 4)):
        assert not np.array_equal(picture, render_scene(*other)[0])


def test_files_equal_the_scene_rendered_alone(scenes):
    picture, label, _ = render_scene("train", 4, SIZE_HW, 3)
    name = "birkental_000001_000019"
    np.testing.assert_array_equal(np.asarray(Image.open(scenes / f"leftImg8bit/train/birkental/{name}_leftImg8bit.png")), picture)
    np.testing.assert_array_equal(np.asarray(Image.open(scenes / f"gtFine/train/birkental/{name}_gtFine_labelIds.png")), label)


@pytest.mark.parametrize("size_hw", [(256, 512), (96, 96), (75, 50)])
def test_classes_appear_in_most_pictures(size_hw):
    counts = np.array([np.bincount(render_scene("train", k, size_hw, 1)[1].ravel(), minlength=34) for k in range(8)])
    present = np.flatnonzero(counts.sum(axis=0))
    assert (counts[:, LABEL_BY_NAME["road"].id] > 0.1 * size_hw[0] * size_hw[1]).all()
    if size_hw == (256, 512):
        assert 12 <= len(present) <= 15
        assert ((counts[:, present] > 150).mean(axis=0) > 0.5).all()


def test_same_request_is_reused_and_a_missing_file_restored(scenes):
    before, times = digests(scenes), {p: p.stat().st_mtime_ns for p in scenes.rglob("*.png")}
    write_street_scenes(scenes, 5, 3, SIZE_HW, seed=3)
    assert {p: p.stat().st_mtime_ns for p in scenes.rglob("*.png")} == times
    for path in list(scenes.glob("gtFine/val/*/*"))[:2] + list(scenes.glob("leftImg8bit/train/*/*"))[:1]:
        path.unlink()
    write_street_scenes(scenes, 5, 3, SIZE_HW, seed=3)
    assert digests(scenes) == before


def test_another_request_leaves_the_earlier_one(scenes):
    before = digests(scenes)
    with pytest.raises(UserError, match=r"holds other scenes \(version 1, num_train 5, .* seed 3\); choose another folder"):
        write_street_scenes(scenes, 2, 1, SIZE_HW, seed=2)
    assert digests(scenes) == before


def test_foreign_data_is_left_alone(tmp_path):
    (tmp_path / "train.txt").touch()
    with pytest.raises(UserError, match="is not empty and was not generated here"):
        write_street_scenes(tmp_path, 2, 1, SIZE_HW)
    assert [path.name for path in tmp_path.iterdir()] == ["train.txt"]


@pytest.mark.parametrize(
    "arguments", [["--num_train", "0"], ["--num_val", "0"], ["--size", "8", "64"], ["--size", "1000000", "64"], ["--seed", "-1"]]
)
def test_impossible_requests(tmp_path, capsys, arguments):
    assert main(["--data_path", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert "must" in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_unwritable_folder(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--data_path", str(tmp_path / "file" / "data"), "--num_train", "1", "--num_val", "1"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_damaged_manifest(tmp_path):
    (tmp_path / "synthetic.json").write_text("{")
    with pytest.raises(UserError, match="synthetic.json: is damaged"):
        write_street_scenes(tmp_path, 1, 1, SIZE_HW)
