"""Bring a job's data, weights and earlier results to this machine."""

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from src.checkpoint.run_folder import CONFIG_FILE, STATE_FILE
from src.config.errors import UserError
from src.config.loading import config_beside
from src.runtime.modelarts import node_copy
from src.runtime.modelarts.archive import SUFFIXES, is_archive, unpack
from src.runtime.moxing_adapter import ObjectStorage, is_remote

COPIES = "copies"
OUTPUT = "output"
_NUMBERED = re.compile(r"epoch_(\d+)\.ckpt")


@dataclass
class Inputs:
    """What a job was given, checked as far as that needs no copying.

    Attributes:
        urls: flag -> url without a slash at the end, of those of data_url, train_url, checkpoint_url and resume that were given.
        cache: folder for copies.
        trains: it is a training run, which must not overwrite another one.
        new_output: a new run writes its results into CACHE/output, so that what an earlier job left there is moved out of the way.
        storage: object storage, where a url is of it.
        remote: the flags whose url is of object storage.

    Raises:
        UserError: if a url is neither of object storage nor here, or object storage is asked for where there is no `moxing`.
    """

    urls: dict[str, str]
    cache: Path
    trains: bool
    new_output: bool = False
    storage: ObjectStorage | None = field(init=False)
    remote: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.urls = {flag: url.rstrip("/") or url for flag, url in self.urls.items()}
        self.remote = {flag for flag, url in self.urls.items() if is_remote(url, flag)}
        self.storage = ObjectStorage() if self.remote else None

    @property
    def need_copying(self) -> bool:
        """Whether something is to be done once per node."""
        return bool(self.remote) or self.new_output or is_archive(self.urls.get("data_url", ""))

    def fetch(self) -> dict[str, str]:
        """Bring everything here and return where it is: data_path, checkpoint_path, resume. What is small and may be wrong comes first.

        Raises:
            UserError: if something is missing or of no use.
            WorkError: if copying failed.
        """
        self._check_target()
        if self.need_copying:
            self._clear()
        paths = {}
        if "checkpoint_url" in self.urls:
            paths["checkpoint_path"] = str(self._fetch_weights())
        if "resume" in self.urls:
            paths["resume"] = str(self._fetch_results())
        if "data_url" in self.urls:
            paths["data_path"] = str(self._fetch_data())
        return paths

    def _check_target(self) -> None:
        """Refuse a train_url that holds another run, as check_output refuses such a folder as --output_path."""
        url = self.urls.get("train_url")
        if not self.trains or url is None or url == self.urls.get("resume"):
            return
        state = f"{url}/{STATE_FILE}"
        if self._remote.exists(state) if "train_url" in self.remote else Path(state).exists():
            raise UserError(f"--train_url {url} holds a run already: continue it with --resume {url}, or choose another folder")

    def _clear(self) -> None:
        """Remove an earlier job's copies, which may differ from what the urls hold now; results are moved, not removed."""
        copies, output = self.cache / COPIES, self.cache / OUTPUT
        if copies.exists():
            print(f"removing the copies of an earlier job: {copies}", flush=True)
            shutil.rmtree(copies)
        if (self.new_output or "resume" in self.remote) and output.exists():
            number = next(n for n in range(1, 10**6) if not output.with_name(f"{OUTPUT}.{n}").exists())
            earlier = output.rename(output.with_name(f"{OUTPUT}.{number}"))
            print(f"results of an earlier job were in {output}; they are in {earlier} now", flush=True)

    def _fetch_data(self) -> Path:
        url, target = self.urls["data_url"], self.cache / COPIES / "data"
        if "data_url" not in self.remote:
            if Path(url).is_dir():
                return Path(url)
            if not is_archive(url):
                raise UserError(_no_data(url))
            print(f"unpacking {url}", flush=True)
            return unpack(Path(url), target, url)
        if is_archive(url) and not self._remote.is_folder(url):
            archive = self._fetch_file("data_url", self.cache / COPIES / Path(url).name)
            folder = unpack(archive, target, url)
            archive.unlink()  # the disk has better uses
            return folder
        if not self._remote.is_folder(url):
            raise UserError(_no_data(url) if self._remote.exists(url) else f"--data_url {url}: no such folder or archive")
        print(f"copying {url} to {target}", flush=True)
        self._remote.fetch_folder(url, target)
        if not any(target.iterdir()):
            raise UserError(f"--data_url {url}: the folder is empty")
        return target

    def _fetch_weights(self) -> Path:
        url = self.urls["checkpoint_url"]
        if "checkpoint_url" not in self.remote:
            path = Path(url)
            return path / choose_weights([child.name for child in path.iterdir()], url) if path.is_dir() else path
        if self._remote.is_folder(url):
            url = f"{url}/{choose_weights(self._remote.names(url), url)}"
        if not url.endswith(".ckpt"):
            raise UserError(f"--checkpoint_url {url}: expected a .ckpt file, or a folder with one")
        path = self._fetch_file("checkpoint_url", self.cache / COPIES / "checkpoint" / Path(url).name, url)
        beside = config_beside(path)
        beside_url = f"{url.removesuffix('.ckpt')}.yaml"
        if self._remote.exists(beside_url):
            self._remote.fetch_file(beside_url, beside)
        return path

    def _fetch_results(self) -> Path:
        url, target = self.urls["resume"], self.cache / OUTPUT
        if "resume" not in self.remote:
            return Path(url)
        for name in (STATE_FILE, CONFIG_FILE):
            if not self._remote.exists(f"{url}/{name}"):
                raise UserError(f"--resume {url}: no {name} in this folder, so there is nothing to resume")
        print(f"copying {url} to {target}", flush=True)
        self._remote.fetch_folder(url, target)
        return target

    def _fetch_file(self, flag: str, path: Path, url: str | None = None) -> Path:
        url = url or self.urls[flag]
        if not self._remote.exists(url):
            raise UserError(f"--{flag} {url}: no such file")
        print(f"copying {url} to {path}", flush=True)
        self._remote.fetch_file(url, path)
        return path

    @property
    def _remote(self) -> ObjectStorage:
        assert self.storage is not None
        return self.storage


def check_cache(cache: Path) -> None:
    """Refuse a folder that was not made by such a job but holds what one would remove.

    Raises:
        UserError: if `copies` in it is somebody else's.
    """
    if (cache / COPIES).exists() and not (cache / node_copy.STATE_FILE).exists():
        raise UserError(f"--cache_path {cache}: {cache / COPIES} was not made by this program, which would remove it; give another folder")


def choose_weights(names: list[str], url: str) -> str:
    """Return which of a folder's files to take: best.ckpt, last.ckpt, the only .ckpt, or the epoch_NNNN.ckpt of the latest epoch.

    Raises:
        UserError: naming what is there.
    """
    weights = sorted(name for name in names if name.endswith(".ckpt") and not name.startswith("."))
    for name in ("best.ckpt", "last.ckpt"):
        if name in weights:
            return name
    if len(weights) == 1:
        return weights[0]
    numbered = {int(match[1]): name for name in weights if (match := _NUMBERED.fullmatch(name))}
    if numbered:
        return numbered[max(numbered)]
    found = ", ".join(sorted(weights or names)[:8]) or "nothing"
    raise UserError(f"--checkpoint_url {url}: cannot tell which weights to take; the folder holds {found}; name one .ckpt file in the url")


def _no_data(url: str) -> str:
    return f"--data_url {url}: expected a folder, or an archive ({', '.join(SUFFIXES)})"
