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
TAKES_CLASSES = ("VOC", "Mapillary", "custom")  # dataset.classes_file says which


def check_takes_classes(name: str, has_classes: bool) -> None:
    """Refuse classes of one's own for a data set that has its own, and none where they are needed.

    Args:
        name: `dataset.name`.
        has_classes: there is a `dataset.classes_file`, or `dataset.classes`.

    Raises:
        UserError: if they do not go together.
    """
    if has_classes and name not in TAKES_CLASSES:
        raise UserError(f"dataset.classes_file is for dataset.name {', '.join(TAKES_CLASSES)}; {name} has classes of its own")
    if has_classes or NUM_CLASSES[name] is not None:
        return
    if name == "Mapillary":
        raise UserError("dataset.name=Mapillary needs its config_v2.0.json or config.json: in --data_path, or by dataset.classes_file=FILE")
    raise UserError(f"dataset.name={name} needs its classes: add dataset.classes_file=FILE.yaml (docs/DATASETS.md, Your own classes)")
