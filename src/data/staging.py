"""A packed folder that is written beside its place and takes it when it is whole."""

import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from src.checkpoint.lock import try_lock
from src.config.errors import UserError
from src.data.packed_manifest import MANIFEST
from src.data.record_file import INDEX_SUFFIX

CLASSES_FILE = "classes.yaml"
_RECORDS = re.compile(rf"(train|val)-\d+\.mindrecord({re.escape(INDEX_SUFFIX)})?")


@contextmanager
def staged_folder(folder: Path, force: bool, splits: Collection[str], classes_file: str = CLASSES_FILE) -> Iterator[Path]:
    """Yield a hidden folder beside `folder`; give it that name when the block ends well, remove it when not.

    A hidden folder that a killed process left is removed first.

    Args:
        folder: must not exist, or be empty.
        force: it may hold packed data, which are replaced at the end.
        splits: what will be in it.
        classes_file: name of its file of classes, where it has one.

    Raises:
        UserError: if it holds something else, or a split that would be lost, is a mount point, or another process writes it.
    """
    folder = folder.resolve()
    _check_output(folder, force, splits, classes_file)
    staging = folder.with_name(f".{folder.name}.packing")
    staging.mkdir(parents=True, exist_ok=True)
    lock = staging.with_name(staging.name + ".lock")
    with open(lock, "w", encoding="utf-8") as stream:
        with suppress(OSError):  # a file system without locks
            if not try_lock(stream):
                raise UserError(f"{folder}: another process packs into it")
        try:
            _tidy(staging, folder)
            yield staging
            os.sync()  # a machine that loses power leaves no empty files behind the new name
            _check_output(folder, force, splits, classes_file)
            _replace(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _check_output(folder: Path, force: bool, splits: Collection[str], classes_file: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; expected a folder to write into")
    if _is_mount_point(folder):
        raise UserError(f"{folder}: is a mount point, which cannot be replaced; name a folder in it by --output_path")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{folder}: holds other things; name a new or empty folder by --output_path")
    if not force:
        raise UserError(f"{folder}: holds packed data; --force replaces them, or name another folder by --output_path")
    _check_losses(folder, splits, classes_file)


def _check_losses(folder: Path, splits: Collection[str], classes_file: str) -> None:
    """Refuse to replace what is not packed anew."""
    packed = {path.name: _RECORDS.fullmatch(path.name) for path in folder.iterdir() if path.name not in (MANIFEST, classes_file)}
    others = sorted(name for name, match in packed.items() if match is None)
    if others:
        raise UserError(
            f"{folder}: holds {others[0]} too, which was not packed; --force would remove it: move it away, or name another folder"
        )
    lost = {match[1] for match in packed.values() if match}.difference(splits)
    if lost:
        raise UserError(
            f"{folder}: holds a packed {min(lost)} split too, which would be lost; pack it as well (--splits), or name another folder"
        )


def _is_mount_point(folder: Path) -> bool:
    """Whether something is mounted there; what is bound to a folder of the same file system is told by Linux's list alone."""
    with suppress(OSError):
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        name = re.sub(r"[\\ \t\n]", lambda match: f"\\{ord(match[0]):03o}", str(folder))
        return any(line.split(" ")[4] == name for line in mounts)
    return os.path.ismount(folder)


def _tidy(staging: Path, folder: Path) -> None:
    """Remove what a killed process left; give packed data that it was about to replace their name back."""
    for path in staging.iterdir():
        path.unlink()
    old = _old(staging)
    if old.exists() and not folder.exists():
        os.replace(old, folder)
    shutil.rmtree(old, ignore_errors=True)


def _replace(staging: Path, folder: Path) -> None:
    """Give a folder its name; what had that name is removed behind it."""
    if folder.exists():
        os.replace(folder, _old(staging))
    os.replace(staging, folder)
    shutil.rmtree(_old(staging), ignore_errors=True)


def _old(staging: Path) -> Path:
    return staging.with_name(staging.name + ".old")
