"""Each data set in its own folders: which files belong together, what stored values mean, and what is said where something does not fit."""

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from src.config import UserError, load_config
from src.data.ade20k import INFO as ADE20K
from src.data.lip import INFO as LIP
from src.data.loader import build_dataset
from src.data.voc import INFO as VOC
from tests.data.make_data import SIZE_HW, write_png


def put(root: Path, image: str, label: str, *values: int) -> None:
    """Write a picture, and a label that holds the values in columns."""
    write_png(root / image, np.zeros((*SIZE_HW, 3), np.uint8))
    write_png(root / label, np.resize(np.array(values, np.uint8), SIZE_HW))


def build(root: Path, name: str, *words: str, split: str = "train"):
    return build_dataset(load_config("hrnetv2_w18", {"data_path": str(root)}, [f"dataset.name={name}", *words]), split)


def names(dataset) -> list[str]:
    return [dataset.sample_name(index) for index in range(len(dataset))]


def refused(root: Path, name: str, *words: str) -> str:
    with pytest.raises(UserError) as error:
        build(root, name, *words).read(0)
    assert "\n" not in str(error.value)
    return str(error.value)


class TestAde20k:
    @pytest.fixture
    def root(self, tmp_path):
        put(tmp_path, "images/training/a.jpg", "annotations/training/a.png", 0, 1, 150)
        put(tmp_path, "images/validation/b.jpg", "annotations/validation/b.png", 2)
        return tmp_path

    def test_labels_are_shifted_by_one(self, root):
        assert build(root, "ADE20K").read_label(0)[0, :3].tolist() == [255, 0, 149]
        assert (build(root, "ADE20K", split="val").read_label(0) == 1).all()

    def test_classes(self):
        # Source: objectInfo150 of CSAILVision/sceneparsing.
        chosen = {0: "wall", 1: "building", 12: "person", 20: "car", 44: "chest of drawers", 83: "truck", 127: "bicycle", 149: "flag"}
        assert {number: ADE20K.class_names[number] for number in chosen} == chosen
        assert ADE20K.palette[[0, 12, 149]].tolist() == [[120, 120, 120], [150, 5, 61], [92, 0, 255]]
        assert len(set(ADE20K.class_names)) == 150

    def test_refusals(self, root):
        put(root, "images/training/a.jpg", "annotations/training/a.png", 0, 149, 255)
        assert "label values 255 (256 pixels) are none of 0..150; 0 is what is ignored here: labels that were shifted" in refused(
            root, "ADE20K"
        )
        put(root, "images/training/a.jpg", "annotations/training/a.png", 0, 151)
        assert "scene parsing benchmark, 0..150; the full ADE20K has others" in refused(root, "ADE20K")
        Image.new("RGB", SIZE_HW[::-1]).save(root / "annotations/training/a.png")
        assert "a label of mode RGB" in refused(root, "ADE20K") and "coloured *_seg.png are of the full ADE20K" in refused(root, "ADE20K")
        (root / "annotations/training/a.png").unlink()
        put(root, "images/training/c.jpg", "annotations/training/c.png", 1)
        assert f"{root}/annotations/training/a.png: no such file" in refused(root, "ADE20K")

    def test_a_folder_too_high_or_wrong(self, root, tmp_path_factory):
        inner = root / "data/ADEChallengeData2016"
        inner.mkdir(parents=True)
        (root / "images").rename(inner / "images")
        assert f"it is in {inner}: give that by --data_path" in refused(root, "ADE20K")
        empty = tmp_path_factory.mktemp("empty")
        message = refused(empty, "ADE20K")
        assert message == (
            f"{empty}/images/training: no such folder; ADEChallengeData2016 holds images/training, images/validation, annotations/training "
            "and annotations/validation"
        )

    def test_a_list_comes_first(self, root):
        (root / "train.lst").write_text("images/validation/b.jpg annotations/validation/b.png\n")
        assert names(build(root, "ADE20K")) == ["b"]
        assert "mine.lst: no such list" in refused(root, "ADE20K", "train.train_list=mine.lst")


class TestLip:
    @pytest.fixture
    def root(self, tmp_path):
        for part, ids in (("train", "ab"), ("val", "c")):
            for stem in ids:
                put(
                    tmp_path,
                    f"TrainVal_images/{part}_images/{stem}.jpg",
                    f"TrainVal_parsing_annotations/{part}_segmentations/{stem}.png",
                    *(0, 14, 15, 19),
                )
        return tmp_path

    def test_labels_and_parts(self, root):
        assert names(build(root, "LIP")) == ["a", "b"] and names(build(root, "LIP", split="val")) == ["c"]
        assert build(root, "LIP").read_label(0)[0, :4].tolist() == [0, 14, 15, 19]

    def test_ids_choose_pictures(self, root):
        (root / "TrainVal_images/train_id.txt").write_text("b\n")
        assert names(build(root, "LIP")) == ["b"]
        (root / "mine.txt").write_text("c\na\n")
        assert names(build(root, "LIP", "train.train_list=mine.txt")) == ["c", "a"]
        (root / "mine.txt").write_text("a\nx\n")
        assert "mine.txt:2: " in refused(root, "LIP", "train.train_list=mine.txt")
        assert "TrainVal_images/x.jpg: no such file; correct the list or the data folder" in refused(
            root, "LIP", "train.train_list=mine.txt"
        )

    def test_folders_as_some_unpack_them(self, root):
        (root / "TrainVal_images").rename(root / "inner")
        (root / "TrainVal_images").mkdir()
        (root / "inner").rename(root / "TrainVal_images/TrainVal_images")
        assert names(build(root, "LIP")) == ["a", "b"]

    def test_left_and_right_by_name(self):
        pairs = [(LIP.class_names[a], LIP.class_names[b]) for a, b in LIP.flip_pairs]
        assert pairs == [("left arm", "right arm"), ("left leg", "right leg"), ("left shoe", "right shoe")]
        assert LIP.mirrored_classes.tolist() == [*range(14), 15, 14, 17, 16, 19, 18]

    def test_refusals(self, root):
        put(root, "TrainVal_images/train_images/a.jpg", "TrainVal_parsing_annotations/train_segmentations/a.png", 20)
        assert "label values 20 (768 pixels) are none of 0..19, 255; values must be LIP's parts" in refused(root, "LIP")


class TestVoc:
    @pytest.fixture
    def root(self, tmp_path):
        for stem, label in (
            ("a", "SegmentationClass"),
            ("b", "SegmentationClass"),
            ("c", "SegmentationClassAug"),
            ("b", "SegmentationClassAug"),
        ):
            put(tmp_path, f"JPEGImages/{stem}.jpg", f"{label}/{stem}.png", 0, 20 if label == "SegmentationClass" else 1, 255)
        lists = tmp_path / "ImageSets/Segmentation"
        lists.mkdir(parents=True)
        for name, ids in (("train", "a"), ("val", "b"), ("trainaug", "c\nb")):
            (lists / f"{name}.txt").write_text(f"{ids}\n")
        return tmp_path

    def test_labels_by_ids(self, root):
        assert names(build(root, "VOC")) == ["a"] and names(build(root, "VOC", split="val")) == ["b"]
        assert build(root, "VOC").read_label(0)[0, :3].tolist() == [0, 20, 255]

    def test_augmented_list(self, root):
        dataset = build(root, "VOC", "train.train_list=ImageSets/Segmentation/trainaug.txt")
        assert [dataset.label_path(k).parent.name for k in range(2)] == ["SegmentationClassAug", "SegmentationClass"]

    def test_classes_of_ones_own(self, root):
        (root / "mine.yaml").write_text("classes: [{name: rest, values: [0, 1]}, {name: thing, values: [20]}]")
        dataset = build(root, "VOC", "dataset.classes_file=mine.yaml")
        assert dataset.info.class_names == ("rest", "thing") and dataset.read_label(0)[0, :3].tolist() == [0, 1, 255]

    def test_classes(self):
        assert VOC.class_names[15] == "person" and VOC.palette[15].tolist() == [192, 128, 128]  # of the VOC devkit's colour map

    def test_refusals(self, root):
        put(root, "JPEGImages/a.jpg", "SegmentationClass/a.png", 21)
        assert "label values 21 (768 pixels) are none of 0..20, 255; values must be those of SegmentationClass" in refused(root, "VOC")
        Image.new("RGB", SIZE_HW[::-1]).save(root / "SegmentationClass/a.png")
        assert "SegmentationClass holds palette PNGs; colour-coded masks become labels by python -m src.data.colours" in refused(
            root, "VOC"
        )
        ids = root / "ImageSets/Segmentation/train.txt"
        ids.write_text("a\nx y\n")
        assert "train.txt:2: expected one name" in refused(root, "VOC")
        ids.write_text("a\na\n")
        assert "train.txt:2: a stands in" in refused(root, "VOC")
        ids.unlink()
        assert "a VOC folder holds JPEGImages, SegmentationClass and ImageSets/Segmentation/train.txt" in refused(root, "VOC")
        (root / "up").mkdir()
        (root / "ImageSets").rename(root / "up/ImageSets")
        assert f"it is in {root / 'up'}: give that by --data_path" in refused(root, "VOC")


class TestMapillary:
    @pytest.fixture
    def root(self, tmp_path):
        labels = [{"name": f"n{k}", "readable": f"N{k}", "color": [k, 0, 0], "instances": False, "evaluate": k != 1} for k in range(3)]
        (tmp_path / "config_v2.0.json").write_text(json.dumps({"labels": labels}))
        put(tmp_path, "training/images/a.jpg", "training/v2.0/labels/a.png", 0, 1, 2)
        put(tmp_path, "validation/images/b.jpg", "validation/v2.0/labels/b.png", 2)
        return tmp_path

    def test_labels_that_are_evaluated(self, root):
        dataset = build(root, "Mapillary")
        assert dataset.info.class_names == ("N0", "N2") and dataset.info.palette.tolist() == [[0, 0, 0], [2, 0, 0]]
        assert dataset.read_label(0)[0, :3].tolist() == [0, 255, 1]
        assert names(build(root, "Mapillary", split="val")) == ["b"]

    def test_the_first_version(self, root):
        put(root, "training/images/a.jpg", "training/v1.2/labels/a.png", 2)
        assert build(root, "Mapillary").label_path(0).parts[-3] == "v2.0"  # as the file of classes is called
        (root / "config_v2.0.json").rename(root / "config_v1.2.json")
        assert build(root, "Mapillary").label_path(0).parts[-3] == "v1.2"
        (root / "config_v1.2.json").rename(root / "config.json")  # 3 labels are fewer than the 124 of version 2.0
        assert build(root, "Mapillary").label_path(0).parts[-3] == "v1.2"
        put(root, "training/images/a.jpg", "training/labels/a.png", 2)
        assert build(root, "Mapillary").label_path(0).parts[-3] == "training"

    def test_refusals(self, root):
        put(root, "training/images/a.jpg", "training/v2.0/labels/a.png", 3)
        assert "are none of 0..2, 255; labels and classes must be of one version" in refused(root, "Mapillary")
        (root / "training/v2.0/labels/a.png").unlink()
        (root / "training/v2.0/labels").rmdir()
        assert "training/v2.0/labels: no such folder; Mapillary holds training/images" in refused(root, "Mapillary")


class TestCityscapesCoarse:
    @pytest.fixture
    def root(self, tmp_path):
        for folder, annotation, value in (("train", "gtFine", 7), ("train", "gtCoarse", 8), ("train_extra", "gtCoarse", 11)):
            stem = f"{folder}/aa/{folder.replace('_', '')}_000000_000019"
            put(tmp_path, f"leftImg8bit/{stem}_leftImg8bit.png", f"{annotation}/{stem}_{annotation}_labelIds.png", value)
        return tmp_path

    @pytest.mark.parametrize(
        "words, labels",
        [
            ((), [0]),
            (("train.train_list=train_coarse.lst",), [1]),
            (("train.train_list=train.lst+train_extra.lst",), [0, 2]),
            (("train.train_list=train.lst + train_coarse.lst+train_extra.lst",), [0, 1, 2]),
        ],
    )
    def test_lists_made_from_folders(self, root, words, labels):
        for _ in range(2):  # the second time from the lists that the first one kept
            dataset = build(root, "Cityscapes", *words)
            assert [int(dataset.read_label(k)[0, 0]) for k in range(len(dataset))] == labels
        assert len(set(names(dataset))) == len(labels)

    def test_refusals(self, root):
        extra = root / "gtCoarse/train_extra/aa/trainextra_000000_000019_gtCoarse_labelIds.png"
        extra.rename(extra.with_name(extra.name.replace("labelIds", "labelTrainIds")))
        message = refused(root, "Cityscapes", "train.train_list=train.lst+train_extra.lst")
        assert "train_extra.lst: its labels are labelTrainIds, those of the lists before it labelIds" in message
        (root / "train_extra.lst").unlink()
        extra.with_name(extra.name.replace("labelIds", "labelTrainIds")).unlink()
        message = refused(root, "Cityscapes", "train.train_list=train_extra.lst")
        assert "_gtCoarse_labelIds.png: no such file" in message and "(gtCoarse.zip holds it)" in message


@pytest.fixture(scope="module")
def documented(tmp_path_factory):
    """One folder that holds every data set as docs/DATASETS.md lays it out, a picture in each part."""
    root = tmp_path_factory.mktemp("documented")
    for part, other in (("train", "training"), ("val", "validation"), ("train_extra", "")):
        annotations = "gtFine" if other else "gtCoarse"
        put(root, f"leftImg8bit/{part}/aa/x_leftImg8bit.png", f"{annotations}/{part}/aa/x_{annotations}_labelIds.png", 7)
        if not other:
            continue
        put(root, f"images/{part}/x.jpg", f"labels/{part}/x.png", 1)
        put(root, f"{part}/x.png", f"{part}annot/x.png", 1)
        put(root, f"images/{other}/x.jpg", f"annotations/{other}/x.png", 1)
        put(root, f"TrainVal_images/{part}_images/x.jpg", f"TrainVal_parsing_annotations/{part}_segmentations/x.png", 1)
        put(root, f"JPEGImages/{part}.jpg", f"SegmentationClass/{part}.png", 1)
        put(root, f"{other}/images/x.jpg", f"{other}/v2.0/labels/x.png", 1)
        (root / "ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
        (root / f"ImageSets/Segmentation/{part}.txt").write_text(part)
        (root / f"{part}.txt").write_text(f"{part}/x.png {part}annot/x.png")
    for name in ("classes.yaml", "my_classes.yaml"):
        (root / name).write_text("classes: [{name: a}, {name: b}]")
    labels = [{"name": k, "readable": k, "color": [0, 0, 0], "evaluate": True} for k in "ab"]
    (root / "config_v2.0.json").write_text(json.dumps({"labels": labels}))
    return root


# data set -> the folder that its training labels come from
LABEL_FOLDERS = {
    "Cityscapes": "gtFine",
    "CamVid": "trainannot",
    "ADE20K": "annotations",
    "LIP": "TrainVal_parsing_annotations",
    "VOC": "SegmentationClass",
    "Mapillary": "training",
    "custom": "labels",
}


@pytest.mark.parametrize(
    "text, names",
    [("docs/DATASETS.md", set(LABEL_FOLDERS)), ("docs/README.md", {"custom"}), ("README.md", {"Cityscapes"})],
)
def test_the_commands_in_the_documentation_find_their_data(documented, text, names):
    lines = (Path(__file__).resolve().parents[2] / text).read_text().splitlines()
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith(("python train.py", "python -m src.data.check "))]
    seen = set()
    for command in commands:
        if "--data_path" not in command:
            continue  # --resume OUT
        words = [word for word in command if "=" in word]
        config = load_config(command[command.index("--config") + 1], {"data_path": str(documented)}, words)
        train, val = (build_dataset(config, split) for split in ("train", "val"))
        assert train.label_path(0).relative_to(documented).parts[0] == LABEL_FOLDERS[config.dataset.name] and len(val) == 1, command
        for name in ("train.lst", "val.lst", "train_extra.lst"):
            (documented / name).unlink(missing_ok=True)  # Cityscapes' lists are kept, and would come before the others' folders
        seen.add(config.dataset.name)
    assert seen == names
