"""The data sets by name, and what a configuration says of theirs: the one place that knows names and colours of classes."""

from dataclasses import replace
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from src.config.classes import Classes, parse_classes, voc_color
from src.data import ade20k, camvid, cityscapes, custom, lip, mapillary, voc
from src.data.basedataset import BaseDataset, DatasetInfo

DATASETS: dict[str, type[BaseDataset]] = {
    "Cityscapes": cityscapes.Cityscapes,
    "CamVid": camvid.CamVid,
    "ADE20K": ade20k.Ade20k,
    "LIP": lip.Lip,
    "VOC": voc.Voc,
    "Mapillary": mapillary.Mapillary,
    "custom": custom.Custom,
}


def dataset_info(config: Any) -> DatasetInfo:
    """Return names, colours and mirroring of the configuration's classes; no data is read.

    Classes of `dataset.classes` are those. Where `dataset.num_classes` is not the data set's (weights that were trained elsewhere), classes
    are numbered and have distinct colours.

    Args:
        config: reads `dataset`.
    """
    section = config.dataset
    if section.classes is not None:
        classes = parse_classes(OmegaConf.to_container(section.classes), section.classes_file or "dataset.classes")
        return replace(info_of_classes(section.name, classes), classes_file=section.classes_file or "")
    info, num_classes = DATASETS[section.name].info, section.num_classes
    if num_classes == len(info.class_names):
        return info
    names = tuple(f"class {number}" for number in range(num_classes))
    palette = np.array([voc_color(number) for number in range(num_classes)], np.uint8)
    return DatasetInfo(info.name, names, palette, picture_size_hw=info.picture_size_hw)


def info_of_classes(name: str, classes: Classes) -> DatasetInfo:
    """Return what one's own classes say of a data set of that name."""
    names = tuple(entry.name for entry in classes.entries)
    palette = np.array([entry.color for entry in classes.entries], np.uint8)
    return DatasetInfo(name, names, palette, flip_pairs=classes.flip_pairs, label_ids=classes.label_ids)
