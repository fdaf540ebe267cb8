"""Pack a data set once, so that each training reads it several times faster than from picture files.

    python -m src.data.pack --config hrnetv2_w48 --data_path DATA --output_path PACKED
    python train.py --config hrnetv2_w48 --data_format mindrecord --data_path PACKED --output_path OUT

Writes train-000.mindrecord, val-000.mindrecord and the like, packed.json and, where the data set has one, its file of classes. Words such
as train.train_list=LIST name other lists. The pixels stay the same.
"""

import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from tqdm import tqdm

from src.config import UserError, load_config
from src.data.basedataset import BaseDataset
from src.data.loader import build_dataset, list_of
from src.data.packed_manifest import Manifest, PackedSplit, refuse_packed
from src.data.packing import pack_samples
from src.data.read_ahead import num_readers
from src.data.staging import CLASSES_FILE, staged_folder
from src.data.statistics import counted
from src.runtime.entry import WorkError, build_parser, run, split_arguments
from src.runtime.environment import prepare_environment

SPLITS = ("train", "val")
PACKED_ALREADY = "is packed already: train on it with --data_format mindrecord, or name the folder of the data set's files by --data_path"
_BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own are


def write_packed(config: Any, datasets: Mapping[str, BaseDataset], folder: Path) -> Manifest:
    """Write the splits, the classes and last what says that all is there; return that.

    Raises:
        UserError: if pictures or labels cannot be trained on.
        RuntimeError: if MindSpore fails to write.
    """
    splits = {}
    with tqdm(total=sum(map(len, datasets.values())), desc="packing", unit="img", disable=not sys.stderr.isatty(), leave=False) as bar:
        for split, dataset in datasets.items():
            files, samples = pack_samples(dataset, folder, split, num_readers(config.workers), bar.update)
            list_file, number = list_of(config, split)
            label_ids = {str(value): train_id for value, train_id in dataset.label_ids().items()}
            splits[split] = PackedSplit(list_file, number, label_ids, files, samples)
    _write_classes(config, folder)
    manifest = Manifest(config.dataset.name, list(next(iter(datasets.values())).info.class_names), splits)
    manifest.write(folder)
    return manifest


def _classes_file(config: Any) -> Path | None:
    """Return the data set's own file of classes, where there is one."""
    name = config.dataset.classes_file
    return Path(name) if name and Path(name).is_file() else None


def _write_classes(config: Any, folder: Path) -> None:
    """Keep the file of classes by its name, where there is one: data sets that need it look for it in the data folder."""
    if config.dataset.classes is None:
        return
    file = _classes_file(config)
    if file:
        shutil.copyfile(file, folder / file.name)
        return
    text = yaml.safe_dump(OmegaConf.to_container(config.dataset.classes), sort_keys=False, allow_unicode=True)
    (folder / CLASSES_FILE).write_text(text, encoding="utf-8")


def describe(datasets: Mapping[str, BaseDataset], manifest: Manifest, folder: Path, seconds: float) -> list[str]:
    """Return a line for each split and one for the whole: pictures, room on the disk, and how much that is of the files'."""
    lines, number = [], 0
    for split, part in manifest.splits.items():
        dataset = datasets[split]
        files = {path for pair in dataset.pairs for path in (pair.image, pair.label)}
        before, after = _disk_bytes(files), _disk_bytes(path for file in part.files for path in folder.glob(f"{file.name}*"))
        lines.append(
            f"{split}: {counted(len(part.samples), 'picture')} of {part.list_file} in {counted(len(part.files), 'file')}, "
            f"{after / 1e6:.2f} MB on the disk, {after / max(1, before):.2f} times the {before / 1e6:.2f} MB of pictures and labels"
        )
        number += len(part.samples)
    return [*lines, f"{counted(number, 'picture')} packed in {seconds:.1f} s, {number / seconds:.1f} a second: {folder}"]


def _disk_bytes(paths: Iterable[Path]) -> int:
    """Return the room that files take. MindRecord's pages are long and may be nearly empty: the length of a small file says little."""
    return sum(path.stat().st_blocks for path in paths) * _BLOCK_BYTES


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, pack, report; return the exit status."""
    groups = {"paths": ("data_path", "output_path"), "reading": ("workers",)}
    parser = build_parser("Pack a data set into MindRecord files that are quick to read.", groups, "hrnetv2_w48")
    parser.prog = "python -m src.data.pack"
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=list(SPLITS), help="what to pack (default: train val)")
    parser.add_argument("--force", action="store_true", default=False, help="replace packed data that are there")
    arguments = parser.parse_args(argv)
    flags, words = split_arguments(arguments)
    if "output_path" not in flags:
        raise UserError("--output_path is needed: the folder to write the packed data into")
    config = load_config(arguments.config, {**flags, "data_format": "files"}, words)
    refuse_packed(config.data_path, PACKED_ALREADY)
    if config.data_format != "files":
        raise UserError(f"data_format={config.data_format}: a data set is packed from its files; leave it out")
    folder = Path(config.output_path)
    datasets = {split: build_dataset(config, split) for split in SPLITS if split in arguments.splits}
    prepare_environment("CPU")
    start = time.perf_counter()
    try:
        with staged_folder(folder, arguments.force, datasets, (_classes_file(config) or Path(CLASSES_FILE)).name) as staging:
            manifest = write_packed(config, datasets, staging)
    except RuntimeError as error:
        raise WorkError(str(error)) from None
    print("\n".join(describe(datasets, manifest, folder, time.perf_counter() - start)))
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
