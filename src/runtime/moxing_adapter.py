"""Object storage (OBS) through ModelArts' module `moxing`; the only file that knows its API.

What that API is like, and what follows here:

- `copy` takes files, `copy_parallel` folders alone.
- An object appears in OBS when all of it has arrived, and replaces an older one in that moment, so files are sent under their own names:
  a renaming would be a second copy and a removal.
- `list_directory` gives names with or without a closing slash; with `recursive=True` folders too.
- `remove` does nothing, without an error, to a folder that is not removed recursively.
- Its exceptions derive from `Exception` alone, so that is what is caught.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from src.config.errors import UserError
from src.runtime.entry import WorkError

SCHEMES = ("obs://", "s3://")


def is_remote(url: str, flag: str) -> bool:
    """Return whether a url is of object storage; False for what exists on this machine.

    Args:
        url: obs://BUCKET/..., s3://BUCKET/..., or an existing folder or file.
        flag: the flag that gave it, for messages.

    Raises:
        UserError: if it is neither.
    """
    if not url.strip():
        raise UserError(f"--{flag} is empty: give a url, or leave the flag out")
    if url.startswith(SCHEMES):
        if not url.split("://", 1)[1].strip("/"):
            raise UserError(f"--{flag} {url}: names no bucket; expected obs://BUCKET/FOLDER")
        return True
    if "://" in url:
        raise UserError(f"--{flag} {url}: unknown kind of url '{url.split('://')[0]}://'; expected obs://, s3:// or an existing local path")
    if not Path(url).exists():
        raise UserError(f"--{flag} {url}: exists neither here nor, without obs:// or s3:// in front, in object storage")
    return False


class ObjectStorage:
    """Files of OBS, by their urls without a slash at the end.

    Raises:
        UserError: if there is no `moxing`.
    """

    def __init__(self) -> None:
        try:
            self._file = importlib.import_module("moxing").file
        except ImportError as error:
            reason = "" if isinstance(error, ModuleNotFoundError) and error.name == "moxing" else f" ({error})"
            raise UserError(
                f"the module 'moxing', which reads obs:// and s3://, cannot be imported{reason}: this is no ModelArts job, or its image "
                "lacks moxing; use an image of ModelArts, or existing local paths in place of the urls"
            ) from error

    def exists(self, url: str) -> bool:
        """Whether there is such a file or folder."""
        return bool(self._call(url, "looking it up", self._file.exists, url))

    def is_folder(self, url: str) -> bool:
        """Whether it is a folder."""
        return bool(self._call(url, "looking it up", self._file.is_directory, url))

    def names(self, url: str) -> list[str]:
        """Return the names of the files and folders in a folder, sorted."""
        return sorted(name.rstrip("/") for name in self._call(url, "listing it", self._file.list_directory, url))

    def fetch_file(self, url: str, path: Path) -> None:
        """Copy a file to a local path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._call(url, "copying it from there", self._file.copy, url, str(path))
        if not path.is_file():
            raise WorkError(f"{url}: moxing told no error, but the copy {path} is missing; start the job again")

    def fetch_folder(self, url: str, folder: Path) -> None:
        """Copy all that is in a folder into a local one, and look whether everything has arrived."""
        folder.mkdir(parents=True, exist_ok=True)
        self._call(url, "copying it from there", self._file.copy_parallel, url, str(folder))
        listed = self._call(url, "listing it", self._file.list_directory, url, recursive=True)
        absent = [name for name in listed if not name.endswith("/") and not (folder / name).exists()]
        absent = [name for name in absent if not self.is_folder(f"{url}/{name}")]  # an empty folder is copied or not
        if absent:
            raise WorkError(
                f"{url}: moxing told no error, but {len(absent)} files were not copied, such as {absent[0]}; start the job again"
            )

    def put(self, path: Path, url: str) -> None:
        """Copy a local file; an object that was there is replaced when all of the new one has arrived."""
        self._call(url, "copying to it", self._file.copy, str(path), url)

    def remove(self, url: str) -> None:
        """Remove a file if it is there."""
        if self.exists(url):
            self._call(url, "removing it", self._file.remove, url)

    @staticmethod
    def _call(url: str, what: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise WorkError(f"{url}: {what} failed ({type(error).__name__}: {reason})") from error
