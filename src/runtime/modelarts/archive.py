"""Unpack a data set's archive without letting it write anywhere else."""

import gzip
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from src.config.errors import UserError

SUFFIXES = (".zip", ".tar", ".tar.gz")
_FOREIGN = "__MACOSX"  # macOS adds it to every zip file


def is_archive(url: str) -> bool:
    """Whether a name is that of an archive."""
    return url.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path, url: str) -> Path:
    """Unpack files and folders; links and devices are refused, as are paths that lead out of the folder.

    Args:
        archive: a .zip, .tar or .tar.gz file.
        folder: where to; must not exist.
        url: what the user called the archive, for messages.

    Returns:
        The folder, or the one folder in it if the archive holds nothing else.

    Raises:
        UserError: if the archive is damaged, or holds what is refused, or the disk is full.
    """
    folder.mkdir(parents=True)
    members = _zip_members if archive.name.lower().endswith(".zip") else _tar_members
    try:
        for name, stream in members(archive, url):
            path = folder / _safe(name, url)
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path, "wb") as target:
                shutil.copyfileobj(stream, target, 1 << 20)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, gzip.BadGzipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise UserError(f"{url}: the archive cannot be unpacked ({' '.join(str(error).split())}); make it again") from error
    except OSError as error:
        raise UserError(f"{url}: cannot be unpacked into {folder} ({error.strerror}); make room, or give another --cache_path") from error
    inside = [path for path in folder.iterdir() if path.name != _FOREIGN]
    if not inside:
        raise UserError(f"{url}: the archive is empty; expected a data set's folder")
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _zip_members(archive: Path, url: str) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if not member.is_dir():
                with opened.open(member) as stream:
                    yield member.filename, stream


def _tar_members(archive: Path, url: str) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            if member.isdir():
                continue
            stream = opened.extractfile(member) if member.isfile() else None
            if stream is None:
                raise UserError(f"{url}: the archive holds {member.name}, which is a link or a device; only files and folders are unpacked")
            yield member.name, stream


def _safe(name: str, url: str) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise UserError(f"{url}: the archive holds the path {name!r}, which leads out of its folder; make it again with relative paths")
    return path
