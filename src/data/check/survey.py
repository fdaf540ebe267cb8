"""Look at every picture and label of a split, and go on where one is wrong."""

import hashlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from src.config.errors import UserError
from src.data.basedataset import BaseDataset
from src.data.class_pixels import NUM_VALUES, count_values
from src.data.pictures import EQUAL_CHANNELS, LABEL_MODES, Header, is_turned_by_exif, picture_header
from src.data.statistics import Statistics


class Problem(NamedTuple):
    """What is wrong with a file: a key of `findings.KINDS` or "values", and a line that names it, without the remedy."""

    kind: str
    text: str


@dataclass(frozen=True)
class Sample:
    """What was found of a picture and its label.

    Attributes:
        image: size, format and mode of the picture; None: unknown.
        label: of the label.
        digest: of the picture's pixels; pictures of equal digests are equal, whatever their files' formats; None: it cannot be decoded.
        pixels: (256,) int64, how many pixels hold each stored value of the label; None: it cannot be read.
        problems: what is wrong.
    """

    image: Header | None
    label: Header | None
    digest: bytes | None
    pixels: np.ndarray | None
    problems: tuple[Problem, ...]


class Survey:
    """All samples of a split.

    Args:
        dataset: pictures and labels.
        samples: what was found, in the data set's order.

    Attributes:
        readable: indices of the M samples whose label can be read.
        pixels: (M, 256) int64, pixels of each stored value in these labels.
        statistics: of these labels.
    """

    def __init__(self, dataset: BaseDataset, samples: list[Sample]) -> None:
        self.dataset, self.samples = dataset, samples
        self.readable = [index for index, sample in enumerate(samples) if sample.pixels is not None]
        self.pixels = np.array([samples[index].pixels for index in self.readable], np.int64).reshape(-1, NUM_VALUES)
        sizes = np.array([_size_hw(samples[index].label) for index in self.readable], np.int64).reshape(-1, 2)
        self.statistics = Statistics(sizes, *dataset.values.by_class(self.pixels, len(dataset.info.class_names)))

    def types(self, part: str) -> Counter[str]:
        """Return how many pictures (part "image") or labels ("label") there are of each format and mode, as in "PNG RGB"."""
        headers = [getattr(sample, part) for sample in self.samples]
        return Counter(f"{header.form} {header.mode}" for header in headers if header)

    def sizes(self) -> Counter[tuple[int, int]]:
        """Return how many pictures there are of each height and width."""
        return Counter(sample.image.size_hw for sample in self.samples if sample.image)


def _size_hw(header: Header | None) -> tuple[int, int]:
    assert header is not None, "a label that was read has a header"
    return header.size_hw


def survey(dataset: BaseDataset, readers: int, progress: Callable[[int], object] = lambda _: None) -> Survey:
    """Return what a split holds.

    Args:
        dataset: pictures and labels; files may be missing.
        readers: number of reading threads.
        progress: called with 1 after each picture.
    """
    samples = []
    with ThreadPoolExecutor(readers, thread_name_prefix="picture-reader") as pool:
        for sample in pool.map(lambda index: look_at(dataset, index), range(len(dataset))):
            progress(1)
            samples.append(sample)
    return Survey(dataset, samples)


def look_at(dataset: BaseDataset, index: int) -> Sample:
    """Return what there is to know of a sample; nothing is raised for files that are wrong."""
    problems: list[Problem] = []
    image, digest = _look_at_image(dataset, index, problems)
    label, pixels = _look_at_label(dataset, index, problems)
    if image and label and image.size_hw != label.size_hw:
        kind = "turned" if image.size_hw == label.size_hw[::-1] else "sizes"
        problems.append(_problem(kind, _complaint(lambda: dataset.size_hw(index))))
    return Sample(image, label, digest, pixels, tuple(problems))


def _look_at_image(dataset: BaseDataset, index: int, problems: list[Problem]) -> tuple[Header | None, bytes | None]:
    pair, path = dataset.pairs[index], dataset.image_path(index)
    header = None
    if not path.is_file():
        problems.append(Problem("missing", pair.named(str(path))))
        return None, None
    try:
        header = picture_header(path)
        pixels = dataset.read_image(index)
        if is_turned_by_exif(path):
            problems.append(Problem("EXIF", pair.named(str(path))))
    except UserError as error:
        problems.append(_problem("picture", pair.named(str(error))))
        return header, None
    if header.mode.startswith("I;16"):
        problems.append(Problem("16-bit picture", pair.named(f"{path} is of mode {header.mode}")))
    # The size goes in as well: a picture of 2x3 equal pixels is another one than that of 3x2.
    return header, hashlib.blake2b(np.ascontiguousarray(pixels).data, digest_size=16, salt=b"%dx%d" % header.size_hw).digest()


def _look_at_label(dataset: BaseDataset, index: int, problems: list[Problem]) -> tuple[Header | None, np.ndarray | None]:
    pair, path = dataset.pairs[index], dataset.label_path(index)
    header = None
    if not path.is_file():
        problems.append(Problem("missing", pair.named(str(path))))
        return None, None
    try:
        header = picture_header(path)
        values = dataset.read_values(index)
    except UserError as error:
        problems.append(_problem(_kind_of_label(header, error), pair.named(str(error))))
        return header, None
    pixels = count_values(values)
    wrong = dataset.describe_wrong(pixels)
    if wrong:
        problems.append(Problem("values", pair.named(f"{path}: {wrong}")))
    return header, pixels


def _kind_of_label(header: Header | None, error: UserError) -> str:
    """Return why a label cannot be read."""
    if header and header.form == "JPEG":
        return "JPEG label"
    if header and header.mode not in LABEL_MODES:
        grey = "grey label" if EQUAL_CHANNELS in str(error) else "colour label"
        return "16-bit label" if header.mode.startswith(("I", "F")) else grey
    return "label"


def _complaint(complain: Callable[[], object]) -> str:
    """Return the words of the one who complains."""
    try:
        complain()
    except UserError as error:
        return str(error)
    raise AssertionError("nothing is wrong")


def _problem(kind: str, text: str) -> Problem:
    """Return a problem without its remedy, which stands once above all files of the kind."""
    return Problem(kind, text.partition("; ")[0])
