"""What a packed folder holds, as its `packed.json` says: the one file without which the others are nothing."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from src.config.errors import UserError

MANIFEST = "packed.json"
FORMAT = 1
COMMAND = "python -m src.data.pack"


@dataclass(frozen=True)
class PackedSample:
    """What is known of a picture and its label without reading them.

    Attributes:
        image: path of the picture that it was, relative to the data folder where it lay in there.
        label: path of the label, likewise.
        size_hw: height and width, pixels.
        digest: of the picture's file.
        pixels: how many pixels of the label hold each value that occurs; JSON makes the values text.
    """

    image: str
    label: str
    size_hw: tuple[int, int]
    digest: str
    pixels: Mapping[str, int]


@dataclass(frozen=True)
class PackedFile:
    """A MindRecord file: its name, its size in bytes, and how many samples it holds."""

    name: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class PackedSplit:
    """A split.

    Attributes:
        list_file: the list that it was.
        num_samples: how many of its pictures were taken; 0: all.
        label_ids: train id of each stored value; None is ignored. JSON makes the values text.
        files: in order.
        samples: in order.
    """

    list_file: str
    num_samples: int
    label_ids: Mapping[str, int | None]
    files: list[PackedFile]
    samples: list[PackedSample]


@dataclass(frozen=True)
class Manifest:
    """What a packed folder holds.

    Attributes:
        dataset: `dataset.name`.
        classes: names, in the order of train ids.
        splits: by "train" and "val".
    """

    dataset: str
    classes: list[str]
    splits: Mapping[str, PackedSplit]

    def write(self, folder: Path) -> None:
        """Write it into a folder."""
        (folder / MANIFEST).write_text(json.dumps({"format": FORMAT, **asdict(self)}) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Return what a folder says that it holds.

        Raises:
            UserError: if it is no packed folder, or one of another format.
        """
        path = folder / MANIFEST
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
            if tree.pop("format") != FORMAT:
                raise UserError(f"{path}: of another format than {FORMAT}; pack the data set again with this version: {COMMAND}")
            splits = {name: _split_of(content) for name, content in tree.pop("splits").items()}
            return cls(**tree, splits=splits)
        except FileNotFoundError:
            raise UserError(
                f"{folder}: holds no packed data ({MANIFEST}); pack a data set by {COMMAND}, or set data_format=files"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path}: cannot be read ({' '.join(str(error).split())}); pack the data set again: {COMMAND}") from None


def _split_of(tree: dict[str, Any]) -> PackedSplit:
    files = [PackedFile(**entry) for entry in tree.pop("files")]
    samples = [PackedSample(**{**entry, "size_hw": tuple(entry["size_hw"])}) for entry in tree.pop("samples")]
    if sum(file.rows for file in files) != len(samples):
        raise ValueError("its numbers of samples do not agree")
    return PackedSplit(**tree, files=files, samples=samples)


def refuse_packed(folder: str | Path | None, remark: str = "holds packed data; add --data_format mindrecord") -> None:
    """Refuse a packed folder where picture files are wanted.

    Args:
        folder: None is none.
        remark: what is said of it.

    Raises:
        UserError: if it is one.
    """
    if folder is not None and (Path(folder) / MANIFEST).is_file():
        raise UserError(f"{folder}: {remark}")
