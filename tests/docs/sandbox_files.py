"""The data, pictures and weights that the commands of the documents name, tiny."""

import json
from pathlib import Path

import cv2
import numpy as np
import yaml

from src.data import synthetic
from src.data.class_table import camvid_table
from tests.tiny import write_camvid

CLASSES = {"classes": [{"name": "a", "color": [10, 20, 30]}, {"name": "b", "color": [0, 200, 0]}]}


def write_data(root: Path) -> None:
    """Write a picture or two of each data set, and single pictures."""
    for name in ("CITYSCAPES", "data/synthetic"):
        synthetic.main(["--data_path", str(root / name), *"--num_train 4 --num_val 2 --size 64 128".split()])
    write_camvid(root / "CAMVID")
    write_every_layout(root / "DATASETS")
    rng = np.random.default_rng(0)
    for name, size_hw in (("picture.png", (40, 60)), ("FOLDER/a.png", (40, 60)), ("my_pictures/a.png", (40, 60)), ("GLOB1.jpg", (40, 60))):
        write(root / name, rng.integers(0, 256, (*size_hw, 3), np.uint8))
    frame = cv2.resize(rng.integers(0, 256, (16, 32, 3), np.uint8), (2048, 1024))
    write(root / "FRAME_2048x1024.png", frame)
    video = cv2.VideoWriter(str(root / "drive.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for _ in range(3):
        video.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
    video.release()
    write(root / "CITYSCAPES/leftImg8bit/test/aa/x_leftImg8bit.png", frame[::16, ::16])
    write(root / "CITYSCAPES/leftImg8bit/train_extra/aa/y_leftImg8bit.png", frame[::16, ::16])
    write(root / "CITYSCAPES/gtCoarse/train_extra/aa/y_gtCoarse_labelIds.png", np.full((64, 128), 7, np.uint8))
    (root / "my_classes.yaml").write_text(yaml.safe_dump(CLASSES))
    shape = {"label": "b", "points": [[2, 2], [20, 2], [20, 20]], "shape_type": "polygon"}
    (root / "ANNOTATIONS").mkdir()
    (root / "ANNOTATIONS/a.json").write_text(
        json.dumps({"shapes": [shape], "imageHeight": 40, "imageWidth": 60, "imagePath": "a.png", "version": "5"})
    )
    polygons = {"imgHeight": 64, "imgWidth": 128, "objects": [{"label": "road", "polygon": [[0, 0], [90, 0], [90, 50]]}]}
    for part in ("train", "val"):
        (root / f"CITYSCAPES/gtFine/{part}/aa").mkdir(parents=True)
        (root / f"CITYSCAPES/gtFine/{part}/aa/x_gtFine_polygons.json").write_text(json.dumps(polygons))
    colours = camvid_table().palette
    write(root / "MASKS/a.png", colours[rng.integers(0, 11, (20, 30))][..., ::-1])
    for index in range(4):
        write(root / f"UNDIVIDED/images/drive{index // 2}_{index:04d}.png", rng.integers(0, 256, (40, 56, 3), np.uint8))
        write(root / f"UNDIVIDED/labels/drive{index // 2}_{index:04d}.png", rng.integers(0, 2, (40, 56), np.uint8))


def write_every_layout(root: Path) -> None:
    """Write one folder that is LIP, VOC, ADE20K, Mapillary and a custom data set at once, with two pictures in each part."""
    rng = np.random.default_rng(1)
    picture, label = rng.integers(0, 256, (48, 64, 3), np.uint8), np.zeros((48, 64), np.uint8)
    label[:, 30:] = 1
    for part, other in (("train", "training"), ("val", "validation")):
        for name in ("x", "y"):
            for image, annotation in (
                (f"images/{part}/{name}.jpg", f"labels/{part}/{name}.png"),
                (f"images/{other}/{name}.jpg", f"annotations/{other}/{name}.png"),
                (f"TrainVal_images/{part}_images/{name}.jpg", f"TrainVal_parsing_annotations/{part}_segmentations/{name}.png"),
                (f"JPEGImages/{part}{name}.jpg", f"SegmentationClass/{part}{name}.png"),
                (f"{other}/images/{name}.jpg", f"{other}/v2.0/labels/{name}.png"),
            ):
                write(root / image, picture)
                write(root / annotation, label)
        (root / "ImageSets/Segmentation").mkdir(parents=True, exist_ok=True)
        (root / f"ImageSets/Segmentation/{part}.txt").write_text(f"{part}x\n{part}y\n")
    (root / "classes.yaml").write_text(yaml.safe_dump(CLASSES))
    labels = [{"name": name, "readable": name, "color": [0, 0, 0], "evaluate": True} for name in "ab"]
    (root / "config_v2.0.json").write_text(json.dumps({"labels": labels}))


def write_foreign_weights(root: Path) -> None:
    """Write random weights of tiny networks as others would."""
    from tests.checkpoint.conversion import foreign_files, test_convert_resnet

    for source, name in (("official", "ocrnet_hr48.pth"), ("mmseg", "hr18.pth")):
        path, _ = foreign_files.write_source(source, root)
        path.rename(root / name)
    arrays = test_convert_resnet.resnet(test_convert_resnet.SEVEN)
    foreign_files.save_torch(root / "resnet50-torchvision.pth", arrays, None)


def write(path: Path, pixels: np.ndarray) -> None:
    """Write a picture, BGR or grey, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
