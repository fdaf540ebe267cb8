"""Write a data set's pictures and labels into MindRecord files."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from src.config.errors import UserError
from src.data.basedataset import BaseDataset
from src.data.class_pixels import count_values
from src.data.packed import IMAGE, LABEL
from src.data.packed_manifest import PackedFile, PackedSample
from src.data.read_ahead import read_ahead
from src.data.record_file import INDEX_SUFFIX
from src.data.strips import encode_strips

FILE_BYTES = 4 << 30  # about: a file ends after the sample that reaches it
HEADER_BYTES = 1 << 20  # MindSpore's list of pages must fit in; 4 GiB in pages of 4 MiB take 250 kB
PAGE_BYTES = (4 << 20, 1 << 28)  # smallest that is worth it, largest that MindSpore writes
SPARE_BYTES = 32 << 20  # MindSpore stops where less than 10 MiB are free
SCHEMA = {
    **{"name": {"type": "string"}, "height": {"type": "int32"}, "width": {"type": "int32"}},
    **{field: {"type": "bytes"} for field in (IMAGE, LABEL)},
}


def pack_samples(
    dataset: BaseDataset, folder: Path, prefix: str, readers: int, progress: Callable[[int], object] = lambda _: None
) -> tuple[list[PackedFile], list[PackedSample]]:
    """Write all samples of a data set in order; memory does not grow with their number.

    Args:
        dataset: pictures and labels, whose files are all there.
        folder: where to write.
        prefix: what the files' names begin with, "train" or "val".
        readers: number of threads that read and encode.
        progress: called with 1 after each sample.

    Raises:
        UserError: if a picture or a label cannot be trained on, a picture is too large for MindRecord, or the disk is full.
        RuntimeError: if MindSpore fails to write.
    """
    indices = range(len(dataset))
    largest = max(height * width for height, width in map(dataset.size_hw, indices))
    samples, total = [], np.zeros(256, np.int64)
    writer = _Writer(folder, prefix, _page_bytes(4 * largest))
    for index, (sample, image, label) in zip(indices, read_ahead(lambda k: _encode(dataset, k), indices, readers), strict=True):
        writer.write(dataset.sample_name(index), sample.size_hw, image, label)
        samples.append(sample)
        total[[int(value) for value in sample.pixels]] += list(sample.pixels.values())
        progress(1)
    masks = dataset.describe_masks(total)
    if masks:
        raise UserError(f"{dataset.label_path(0)} and {len(dataset) - 1} more: {masks}")
    return writer.finish(), samples


def _encode(dataset: BaseDataset, index: int) -> tuple[PackedSample, bytes, bytes]:
    """Return a sample's entry, picture and label; refuse what a training would refuse."""
    pair = dataset.pairs[index]
    size_hw, image, values = dataset.size_hw(index), dataset.read_image(index), dataset.read_values(index)
    pixels = count_values(values)
    wrong = dataset.describe_wrong(pixels)
    if wrong:
        raise UserError(pair.named(f"{pair.label}: {wrong}"))
    digest = hashlib.blake2b(pair.image.read_bytes(), digest_size=16).hexdigest()
    present = {str(value): int(pixels[value]) for value in np.flatnonzero(pixels)}
    sample = PackedSample(_stored(pair.image, dataset.root), _stored(pair.label, dataset.root), size_hw, digest, present)
    return sample, encode_strips(image), encode_strips(values)


def _stored(path: Path, root: Path) -> str:
    """Return a path as it is kept: inside the data folder without that."""
    return str(path.relative_to(root) if path.is_relative_to(root) else path.absolute())


def _page_bytes(sample_bytes: int) -> int:
    """Return the size of a page that holds a few samples: a power of two, since what is left of a page stays empty."""
    smallest, largest = PAGE_BYTES
    return min(max(smallest, 1 << (4 * sample_bytes - 1).bit_length()), largest)


@contextmanager
def _mindspore_errors(path: Path) -> Iterator[None]:
    """Turn what MindSpore raises, which has no common base, into a RuntimeError of one line."""
    try:
        yield
    except Exception as error:
        lines = [line.strip(" -") for line in str(error).splitlines()]
        reason = next((line for line in lines if line.startswith("[ERROR]")), lines[0] if lines else type(error).__name__)
        raise RuntimeError(f"{path}: MindSpore could not write it: {reason.removeprefix('[ERROR]').strip()}") from error


class _Writer:
    """MindRecord files of one schema, one after another."""

    def __init__(self, folder: Path, prefix: str, page_bytes: int) -> None:
        self._folder, self._prefix, self._page_bytes = folder, prefix, page_bytes
        self._files: list[PackedFile] = []
        self._writer: Any = None
        self._rows = self._bytes = 0

    @property
    def _path(self) -> Path:
        return self._folder / f"{self._prefix}-{len(self._files):03d}.mindrecord"

    def write(self, name: str, size_hw: Sequence[int], image: bytes, label: bytes) -> None:
        number = len(image) + len(label)
        if number + 1024 > self._page_bytes:
            raise UserError(
                f"{name}: takes {number >> 20} MiB, but a sample of a MindRecord file at most {self._page_bytes >> 20}; leave it out"
            )
        if shutil.disk_usage(self._folder).free < number + SPARE_BYTES:
            raise UserError(f"{self._folder.parent}: the disk is full, nothing is packed; free room, or choose another --output_path")
        row = {"name": name, "height": size_hw[0], "width": size_hw[1], IMAGE: image, LABEL: label}
        with _mindspore_errors(self._path):
            if self._writer is None:
                self._writer = self._open()
            self._writer.write_raw_data([row])
        self._rows, self._bytes = self._rows + 1, self._bytes + number
        if self._bytes >= FILE_BYTES:
            self._close()

    def finish(self) -> list[PackedFile]:
        """Close the last file; return all of them."""
        if self._writer is not None:
            self._close()
        return self._files

    def _open(self) -> Any:
        from mindspore.mindrecord import FileWriter  # slow to import, and a wrong data set is refused without it

        writer = FileWriter(str(self._path), 1)
        writer.set_header_size(HEADER_BYTES)
        writer.set_page_size(self._page_bytes)
        writer.add_schema(SCHEMA, "pictures and labels as strips of rows (src/data/strips.py)")
        writer.add_index(["name"])
        return writer

    def _close(self) -> None:
        path = self._path
        with _mindspore_errors(path):
            self._writer.commit()
        for written in (path, path.with_name(path.name + INDEX_SUFFIX)):
            with suppress(PermissionError):
                written.chmod(0o644)  # MindSpore lets the owner alone read them
        self._files.append(PackedFile(path.name, path.stat().st_size, self._rows))
        self._writer, self._rows, self._bytes = None, 0, 0
