"""The folder of raw binaries that preprocess.py writes for programs without Python: inputs, labels, and an index of both."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.checkpoint.atomic import atomic_path
from src.config.errors import UserError
from src.data.loader import EvalSample
from src.deploy.manifest import InputSpec

FORMAT = 1
INDEX_FILE = "index.json"
STARTED_FILE = ".preprocess_started"  # there while the folder is not whole, so that one left behind is known as ours
PARTS = ("inputs", "labels")


@dataclass(frozen=True)
class SampleEntry:
    """A sample of the index: its name, and height and width of its label, which are its picture's own, pixels."""

    name: str
    size_hw: tuple[int, int]

    @property
    def input_file(self) -> str:
        """Path inside the folder."""
        return f"inputs/{self.name}.bin"

    @property
    def label_file(self) -> str:
        """Path inside the folder."""
        return f"labels/{self.name}.bin"

    def as_json(self) -> dict[str, Any]:
        """Return the sample's entry."""
        height, width = self.size_hw
        return {"name": self.name, "input": self.input_file, "label": self.label_file, "height": height, "width": width}


@dataclass(frozen=True)
class SampleIndex:
    """What postprocess.py needs of an index.

    Attributes:
        folder: where it lies.
        input_hw: height and width of what the network takes, pixels.
        class_names: K names.
        ignore_label: label value that nothing counts.
        samples: in the order of the data set.
    """

    folder: Path
    input_hw: tuple[int, int]
    class_names: tuple[str, ...]
    ignore_label: int
    samples: tuple[SampleEntry, ...]

    def read_label(self, sample: SampleEntry) -> np.ndarray:
        """Return a label, HW uint8.

        Raises:
            UserError: if it is missing or of another size than the index says.
        """
        path = self.folder / sample.label_file
        height, width = sample.size_hw
        try:
            label = np.fromfile(path, np.uint8)
        except OSError as error:
            raise UserError(f"{path}: the label cannot be read ({error.strerror}); run preprocess.py again") from None
        if label.size != height * width:
            raise UserError(f"{path}: {label.size} bytes; a label of {width}x{height} has {height * width}; run preprocess.py again")
        return label.reshape(height, width)


def open_folder(folder: Path) -> None:
    """Make the folder, or empty it of a former result of ours, and mark it as not whole.

    Raises:
        UserError: if it holds anything else, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        former = _former_files(folder)
        (folder / STARTED_FILE).touch()
        (folder / INDEX_FILE).unlink(missing_ok=True)
        for path in former:
            path.unlink()
        for part in PARTS:
            (folder / part).mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"--train_path {folder}: cannot be written ({error.strerror}); choose another folder") from None


def _former_files(folder: Path) -> list[Path]:
    """Return the binaries of a former result."""
    entries = sorted(path.name for path in folder.iterdir())
    if not entries:
        return []
    ours = STARTED_FILE in entries or INDEX_FILE in entries
    strangers = [name for name in entries if name not in (*PARTS, INDEX_FILE, STARTED_FILE)]
    files = []
    for part in PARTS:
        if (folder / part).is_symlink():
            strangers.append(part)
        elif (folder / part).is_dir():
            found = sorted((folder / part).iterdir())
            strangers += [f"{part}/{path.name}" for path in found if path.suffix != ".bin" or not path.is_file()]
            files += found
    if strangers or not ours:
        what = strangers[0] if strangers else entries[0]
        raise UserError(f"--train_path {folder}: holds {what}, which preprocess.py did not write; give an empty or a new folder")
    if INDEX_FILE in entries and STARTED_FILE not in entries:
        _check_index(folder)
    return files


def _check_index(folder: Path) -> None:
    """Refuse an index that may be somebody else's."""
    try:
        read_index(folder)
    except UserError:
        raise UserError(
            f"--train_path {folder}: holds an {INDEX_FILE} that is damaged or not of preprocess.py; remove the folder or choose another one"
        ) from None


def write_samples(
    folder: Path,
    samples: Iterable[EvalSample],
    spec: InputSpec,
    class_names: Sequence[str],
    ignore_label: int,
    progress: Callable[[int], None] = lambda count: None,
) -> int:
    """Write inputs and labels one by one, and the index last; return the number of samples.

    Args:
        folder: as `open_folder` leaves it.
        samples: pictures and labels.
        spec: what the graph takes.
        class_names: K names.
        ignore_label: label value that nothing counts.
        progress: called after each sample with 1.

    Raises:
        UserError: if a picture or label cannot be read, or a file cannot be written.
    """
    entries = []
    for sample in samples:
        entries.append(write_sample(folder, sample.name, spec.prepare(sample.image), sample.label))
        progress(1)
    write_index(folder, entries, spec, class_names, ignore_label)
    return len(entries)


def write_sample(folder: Path, name: str, graph_input: np.ndarray, label: np.ndarray) -> SampleEntry:
    """Write a sample's input, (3, height, width) as the graph takes it, and its label, HW uint8; return its entry of the index.

    Raises:
        UserError: if the C++ runner would refuse the name (IsSafeName in ascend310_infer/src/index.cc), or a file cannot be written.
    """
    is_utf8 = not re.search("[\ud800-\udfff]", name)  # what Python makes of a file's name that is not
    if not is_utf8 or not re.fullmatch(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*", name) or len(name.encode()) > 240:
        expected = "UTF-8 of at most 240 bytes without a dot in front, slashes, backslashes and control characters"
        raise UserError(f"the picture {name!r}: its name cannot be that of a result; expected {expected}: rename it")
    entry = SampleEntry(name, (label.shape[0], label.shape[1]))
    for file, array in ((entry.input_file, graph_input), (entry.label_file, label)):
        try:
            (folder / file).write_bytes(array.tobytes())
        except OSError as error:
            raise UserError(f"{folder / file}: cannot be written ({error.strerror}); free some space, or choose another folder") from None
    return entry


def write_index(folder: Path, entries: Sequence[SampleEntry], spec: InputSpec, class_names: Sequence[str], ignore_label: int) -> None:
    """Write the index, which makes the folder a whole one."""
    made_for = asdict(spec)
    del made_for["dynamic"]  # binaries have one size
    index = {
        "format": FORMAT,
        "input": {**made_for, "shape": spec.shape[1:]},
        "num_classes": len(class_names),
        "class_names": list(class_names),
        "ignore_label": ignore_label,
        "samples": [entry.as_json() for entry in entries],
    }
    with atomic_path(folder / INDEX_FILE) as temporary:
        temporary.write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    (folder / STARTED_FILE).unlink()


def read_index(folder: Path) -> SampleIndex:
    """Return the index of a folder, or of the folder above it for its labels/.

    Raises:
        UserError: if there is none, or it lacks something.
    """
    found = [place for place in (folder, folder.absolute().parent) if (place / INDEX_FILE).is_file()]
    if not found or (found[0] != folder and folder.name not in PARTS):
        raise UserError(f"{folder}: no {INDEX_FILE} here, so it is no whole result of preprocess.py; run that first")
    path = found[0] / INDEX_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, expected {FORMAT}")
        samples = tuple(_entry(sample) for sample in content["samples"])
        if not samples:
            raise ValueError("no samples")
        height, width = (int(side) for side in content["input"]["shape"][1:])
        names = tuple(str(name) for name in content["class_names"])
        return SampleIndex(found[0], (height, width), names, int(content["ignore_label"]), samples)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: no index of preprocess.py, or a damaged one ({error!r}); run preprocess.py again") from None


def _entry(sample: dict[str, Any]) -> SampleEntry:
    name, size_hw = sample["name"], (int(sample["height"]), int(sample["width"]))
    if not isinstance(name, str) or Path(name).name != name:
        raise ValueError(f"sample name {name!r}")
    if min(size_hw) < 1:
        raise ValueError(f"{name}: size {size_hw}")
    return SampleEntry(name, size_hw)
