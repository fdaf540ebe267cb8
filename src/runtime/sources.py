"""The source files that a process runs: their digest, as long as they are what it has imported."""

import hashlib
import sys
from pathlib import Path

import psutil

_SOURCES = Path(__file__).resolve().parents[1]
_STARTED = psutil.Process().create_time()
_SECONDS = 2.0  # the kernel tells the boot in whole seconds, and the start from that


class ChangedSourceError(RuntimeError):
    """A source file may be another one than this process has imported."""


def sources_digest() -> str:
    """Return the digest of all files under src/ and of the program that was started.

    A file whose inode is not older than this process may have been changed between the import and now. That time cannot be set by whoever
    copies files, unlike the time of the last modification.

    Raises:
        ChangedSourceError: if there is such a file, or one that was imported is gone.
        OSError: if a file cannot be read.
    """
    digest = hashlib.sha256()
    paths = [*sorted(_SOURCES.rglob("*.py")), *_program()]
    gone = _imported().difference(paths)
    if gone:
        raise ChangedSourceError(f"{min(gone)} is gone since this process started")
    for path in paths:
        digest.update(str(path).encode(errors="surrogateescape") + b"\0" + path.read_bytes() + b"\0")
        if path.stat().st_ctime > _STARTED - _SECONDS:  # after reading: what was read is what is older
            raise ChangedSourceError(f"{path} is not older than this process")
    return digest.hexdigest()


def _program() -> list[Path]:
    """Return the script or module that was started, which MindSpore's own check looks at too; none where it is no file."""
    names = getattr(sys.modules["__main__"], "__file__", None), sys.argv[0]
    return sorted({Path(name).resolve() for name in names if name and Path(name).is_file()})


def _imported() -> set[Path]:
    files = [getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name.split(".")[0] == "src"]
    return {path for path in (Path(file).resolve() for file in files if file) if path.is_relative_to(_SOURCES) and path.suffix == ".py"}
