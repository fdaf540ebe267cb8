"""Names of data sets, and what a configuration must know of them before their files are read."""

from src.config.errors import UserError

# How many classes a data set has; None: its classes come from a file.
NUM_CLASSES: dict[str, int | None] = {
    "Cityscapes": 19,
    "CamVid": 11,
    "ADE20K": 150,
    "LIP": 20,
    "VOC": 21,
    "Mapillary": None,
    "custom": None,
}
# Data sets with classes from a file -> where in the data folder it is, if dataset.classes_file does not say so.
CLASSES_FILES: dict[str, tuple[str, ...]] = {
    "VOC": (),
    "Mapillary": ("config_v2.0.json", "config_v1.2.json", "config.json"),
    "custom": ("classes.yaml",),
}


def check_takes_classes(name: str, has_classes: bool) -> None:
    """Refuse classes of one's own for a data set that has its own, and none where they are needed.

    Args:
        name: `dataset.name`.
        has_classes: there is a `dataset.classes_file`, or `dataset.classes`.

    Raises:
        UserError: if they do not go together.
    """
    if has_classes and name not in CLASSES_FILES:
        raise UserError(f"dataset.classes_file is for dataset.name {', '.join(CLASSES_FILES)}; {name} has classes of its own")
    if not has_classes and NUM_CLASSES[name] is None:
        files = " or ".join(CLASSES_FILES[name])
        raise UserError(
            f"dataset.name={name} needs classes: {files} in --data_path, or dataset.classes_file=FILE (docs/DATASETS.md, Your own classes)"
        )
