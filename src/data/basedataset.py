"""What all data sets share: a list of pictures and labels, reading, and refusing what does not fit."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from src.config.errors import UserError
from src.data.class_pixels import count_values
from src.data.folders import check_data_folder
from src.data.label_values import LabelValues
from src.data.lists import Pair, list_path, origin, read_pairs, refuse_missing, unique_names
from src.data.pictures import Box, check_end, picture_size_hw, read_image, read_index_label

MASKS = (
    "the labels hold only 0 and 255: these look like binary masks, in which 255 is ignored; "
    "give the second class `values: [255]` in a file of classes (dataset.name=custom; docs/DATASETS.md, Your own classes)"
)


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set without its files.

    Attributes:
        name: as in `dataset.name`.
        class_names: K names, in the order of train ids.
        palette: (K, 3) uint8, RGB colour of each class.
        class_weights: K loss weights, or None.
        picture_size_hw: height and width that its pictures have, pixels; None: they differ.
        flip_pairs: classes that change places when a picture is mirrored, such as left and right arms.
        label_ids: train id of each value that a label file may hold, None is ignored; None: values are train ids, and 255 is ignored.
        classes_file: where the classes were read from, if they were.
    """

    name: str
    class_names: tuple[str, ...]
    palette: np.ndarray
    class_weights: tuple[float, ...] | None = None
    picture_size_hw: tuple[int, int] | None = None
    flip_pairs: tuple[tuple[int, int], ...] = ()
    label_ids: Mapping[int, int | None] | None = None
    classes_file: str = ""

    @property
    def mirrored_classes(self) -> np.ndarray:
        """(K,) intp: what each class is in a mirrored picture; mirroring twice changes nothing."""
        classes = np.arange(len(self.class_names))
        for left, right in self.flip_pairs:
            classes[[left, right]] = right, left
        return classes


def named_colors(table: str) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names and the (K, 3) uint8 palette of a table "road 804080, sidewalk f423e8, ..."."""
    entries = [entry.rsplit(maxsplit=1) for entry in table.split(",")]
    return tuple(" ".join(name.split()) for name, _ in entries), np.array([list(bytes.fromhex(color)) for _, color in entries], np.uint8)


class BaseDataset:
    """Pictures and labels named by a list.

    A subclass sets `info`, says in `_scan` where its own folders have their files, and may override `label_ids`, `COLOR_HINT` and what
    says more of wrong labels: `_hint`, `describe_doubtful`, `_where_from`.

    Args:
        root: folder of the data set.
        list_file: list of "image label" lines, inside `root`, or several joined by "+". Where there is no file of that name but it is a key
            of `SCANNED`, the data set's folders are looked through.
        split: "train" or "val".
        ignore_label: value given to pixels that nothing counts, 0..255.
        num_samples: use only the first pictures of the list; 0 uses all.
        info: classes from a file; None: those of the data set.

    Raises:
        UserError: if the folder or the list is missing, or the list is empty or malformed. Files that it names may be missing:
            `refuse_missing_files`.
    """

    info: DatasetInfo
    SCANNED: Mapping[str, str] = {"train.lst": "train", "val.lst": "val"}  # list -> the part of the data that it stands for
    COLOR_HINT = "colour-coded masks become labels by python -m src.data.colours"

    def __init__(
        self,
        root: str | Path,
        list_file: str,
        split: str,
        ignore_label: int = 255,
        num_samples: int = 0,
        info: DatasetInfo | None = None,
    ):
        if info is not None:
            self.info = info
        self.root = Path(root)
        self.split = split
        self.ignore_label = ignore_label
        check_data_folder(root, self.info.name)
        pairs = self._all_pairs(list_file)
        self.pairs = pairs[:num_samples] if num_samples else pairs
        self.names = unique_names(self.root, self.pairs)
        self.values = LabelValues(self.label_ids(), ignore_label)

    def _all_pairs(self, list_file: str) -> list[Pair]:
        names = [list_file] if list_path(self.root, list_file).is_file() else list_file.split("+")
        return [pair for name in names for pair in self._find_pairs(list_path(self.root, name.strip()))]

    def _find_pairs(self, path: Path) -> list[Pair]:
        part = None if path.is_file() else self.SCANNED.get(path.name)
        return read_pairs(self.root, path) if part is None else self._scan(part, path)

    def _scan(self, part: str, path: Path) -> list[Pair]:
        """Return the pictures and labels of a part of the data in the data set's own folders; `path` is the list that is not there."""
        return read_pairs(self.root, path)

    def label_ids(self) -> Mapping[int, int | None]:
        """Return the train id of each value that a label file may hold; None is ignored."""
        if self.info.label_ids is not None:
            return self.info.label_ids
        return {**{k: k for k in range(len(self.info.class_names))}, 255: None}

    @property
    def origin(self) -> str:
        """The lists or folders that the pictures come from."""
        return origin(self.root, self.pairs)

    def refuse_missing_files(self) -> None:
        """Raise a UserError where a picture or a label is missing."""
        refuse_missing(self.root, self.pairs, self._where_from)

    def _where_from(self, path: Path) -> str:
        """Return where a file that is missing comes from, or ''."""
        return ""

    def __len__(self) -> int:
        return len(self.pairs)

    def sample_name(self, index: int) -> str:
        """Return a name that no other sample has, for output files."""
        return self.names[index]

    def image_path(self, index: int) -> Path:
        """Return the path of a picture."""
        return self.pairs[index].image

    def label_path(self, index: int) -> Path:
        """Return the path of a label."""
        return self.pairs[index].label

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return picture (HWC uint8 RGB) and label (HW uint8 train ids, `ignore_label` where nothing counts).

        Raises:
            UserError: if a file cannot be read, sizes differ, or the label holds values of no class.
        """
        self.size_hw(index)
        return self.read_image(index), self.read_label(index)

    def size_hw(self, index: int) -> tuple[int, int]:
        """Return the height and width of picture and label, pixels, from the files' headers.

        Raises:
            UserError: if they differ, or a file is no picture.
        """
        pair = self.pairs[index]
        with _naming(pair):
            size, label_size = picture_size_hw(pair.image), picture_size_hw(pair.label)
        if size != label_size:
            sides = f"{size[1]}x{size[0]} pixels but its label {pair.label} is {label_size[1]}x{label_size[0]}"
            raise UserError(pair.named(f"{pair.image} is {sides}; they must agree"))
        return size

    def check_image_end(self, index: int) -> None:
        """Check that a picture's file is not cut off, without decoding it.

        Raises:
            UserError: if the end of a PNG or JPEG is missing.
        """
        with _naming(self.pairs[index]):
            check_end(self.image_path(index))

    def read_image(self, index: int, box: Box | None = None) -> np.ndarray:
        """Return a picture, or a rectangle (top, left, bottom, right) of it; HWC uint8 RGB."""
        with _naming(self.pairs[index]):
            return read_image(self.image_path(index), box)

    def read_label(self, index: int, box: Box | None = None) -> np.ndarray:
        """Return a label, or a rectangle of it; HW uint8 train ids.

        Raises:
            UserError: if the file is no index picture or holds values of no class.
        """
        values = self.read_values(index, box)
        wrong = self.describe_wrong(count_values(values))
        if wrong:
            raise UserError(self.pairs[index].named(f"{self.label_path(index)}: {wrong}"))
        return cv2.LUT(values, self.values.table)

    def read_values(self, index: int, box: Box | None = None) -> np.ndarray:
        """Return a label, or a rectangle of it, as stored; HW uint8.

        Raises:
            UserError: if the file is no index picture.
        """
        with _naming(self.pairs[index]):
            return read_index_label(self.label_path(index), box, self.COLOR_HINT)

    def value_pixels(self, index: int) -> np.ndarray:
        """Return how many pixels of a label hold each stored value, (256,) int64.

        Raises:
            UserError: if the file is no index picture.
        """
        return count_values(self.read_values(index))

    def image_digests(self) -> list[str] | None:
        """Return what tells the pictures' files from each other where it is known without reading them; None where it is not."""
        return None

    def describe_wrong(self, pixels: np.ndarray) -> str:
        """Return which stored values are of no class, and how to mend that; "" where all are good.

        Args:
            pixels: (256,) int64, how many pixels hold each value.
        """
        wrong = self.values.wrong(pixels)
        if not wrong:
            return ""
        hint = self._hint(set(wrong)) or f"map them to the {len(self.info.class_names)} classes of {self.info.name} or to 255"
        return f"{self.values.describe(wrong, pixels)}; {hint}"

    def describe_masks(self, pixels: np.ndarray) -> str:
        """Return what is wrong with labels that are 0/255 masks, and how to mend that; "" where they are none.

        Args:
            pixels: (256,) int64, how many pixels of all labels hold each value.
        """
        return MASKS if self.values.look_like_masks(pixels) else ""

    def describe_doubtful(self, pixels: np.ndarray) -> str:
        """Return why labels without a wrong value are yet likely to be of another kind, and how to mend that; "" where they are not.

        Args:
            pixels: (256,) int64, how many pixels of all labels hold each value.
        """
        return ""

    def _hint(self, wrong: set[int]) -> str:
        """Return how to mend labels that hold these wrong values, or ''."""
        return "these look like Cityscapes labelIds: set dataset.name=Cityscapes" if max(wrong) <= 33 and len(wrong) > 3 else ""


@contextmanager
def _naming(pair: Pair) -> Iterator[None]:
    """Put the line of the list in front of what is wrong with a file."""
    try:
        yield
    except UserError as error:
        raise UserError(pair.named(str(error))) from None
