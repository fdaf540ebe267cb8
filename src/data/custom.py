"""A data set of one's own: a folder of pictures, one of labels, and a file of classes."""

from pathlib import Path

from src.config.errors import UserError
from src.data.basedataset import BaseDataset, DatasetInfo
from src.data.folders import find_pairs
from src.data.lists import Pair

HINT = "dataset.image_folder and dataset.label_folder name other folders"


class Custom(BaseDataset):
    """Pictures and labels of equal stems in images/train, labels/train, images/val and labels/val, or named by lists.

    Args:
        root: folder of the data set.
        list_file: as in `BaseDataset`.
        split: "train" or "val".
        ignore_label: value given to pixels that nothing counts, 0..255.
        num_samples: use only the first pictures; 0 uses all.
        info: the classes.
        folders: names of the folder of the pictures and of that of the labels.

    Raises:
        UserError: as `BaseDataset`, or if pictures and labels do not match.
    """

    def __init__(
        self,
        root: str | Path,
        list_file: str,
        split: str,
        ignore_label: int = 255,
        num_samples: int = 0,
        info: DatasetInfo | None = None,
        folders: tuple[str, str] = ("images", "labels"),
    ):
        self.folders = folders
        super().__init__(root, list_file, split, ignore_label, num_samples, info)

    def _scan(self, part: str, path: Path) -> list[Pair]:
        images, labels = self.folders
        if (self.root / images / part).is_dir() or (self.root / labels / part).is_dir():
            return find_pairs(self.root, f"{images}/{part}", f"{labels}/{part}", HINT)
        if (self.root / images).is_dir() and (self.root / labels).is_dir():
            renamed = "" if self.folders == ("images", "labels") else f" --images {images} --labels {labels}"
            raise UserError(
                f"{self.root}: neither {path.name} nor {images}/{part} and {labels}/{part}; to divide {images} and {labels} into train and "
                f"val: python -m src.data.split {self.root} --val 0.2{renamed}"
            )
        raise UserError(
            f"{self.root}: neither {path.name} nor the folders {images} and {labels}; expected {images}/{part} and {labels}/{part} with "
            f"files of equal stems ({HINT}), or a list"
        )

    def _hint(self, wrong: set[int]) -> str:
        return "'values' of a class or of 'ignored' in the file of classes say what stored values mean"
