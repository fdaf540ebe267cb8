"""The part of mox.file that the project calls, as its documentation tells it."""

import json
import os
import shutil
import time
from pathlib import Path


class MoxFileRespException(Exception):  # noqa: N818 - its name in moxing
    """As in moxing: derives from Exception alone."""


def _root() -> Path:
    return Path(os.environ["MOXING_STANDIN"])


def _path(url: str) -> Path:
    for scheme in ("obs://", "s3://"):
        if url.startswith(scheme):
            return _root() / url.removeprefix(scheme)
    return Path(url)


def _obey(call: str, source: str, target: str = "-") -> None:
    with open(_root() / "calls.txt", "a") as stream:
        stream.write(f"{call} {source} {target} {os.getpid()}\n")
    rules_file = _root() / "rules.json"
    rules = json.loads(rules_file.read_text()) if rules_file.exists() else []
    for rule in rules:
        if rule["call"] == call and rule["match"] in f"{source} {target}" and rule.get("times", 1) > 0:
            if "times" in rule:
                rule["times"] -= 1
                rules_file.write_text(json.dumps(rules))
            time.sleep(rule.get("sleep", 0))
            if "fail" in rule:
                raise MoxFileRespException(rule["fail"])


def exists(url: str) -> bool:
    return _path(url).exists()


def is_directory(url: str) -> bool:
    return _path(url).is_dir()


def list_directory(url: str, recursive: bool = False) -> list[str]:
    _obey("list_directory", url)
    folder = _path(url)
    found = folder.rglob("*") if recursive else folder.glob("*")
    return [path.relative_to(folder).as_posix() + ("/" if path.is_dir() else "") for path in found]


def copy(src_url: str, dst_url: str) -> None:
    source, target = _path(src_url), _path(dst_url)
    if source.is_dir():
        raise MoxFileRespException("copy takes files alone")
    if target != Path(dst_url):
        target.parent.mkdir(parents=True, exist_ok=True)  # object storage has no folders
    partial = target.with_name(f"{target.name}.partial")
    partial.write_bytes(source.read_bytes()[:1])
    try:
        _obey("copy", src_url, dst_url)
        shutil.copyfile(source, partial)
        partial.replace(target)  # an object is seen when all of it is there
    finally:
        partial.unlink(missing_ok=True)


def copy_parallel(src_url: str, dst_url: str) -> None:
    source, target = _path(src_url), _path(dst_url)
    if not source.is_dir():
        raise MoxFileRespException("copy_parallel takes folders alone")
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        name = path.relative_to(source)
        _obey("copy_parallel", f"{src_url}/{name}", f"{dst_url}/{name}")
        if os.environ.get("MOXING_STANDIN_FORGETS") == name.name:
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target / name)


def remove(url: str, recursive: bool = False) -> None:
    _obey("remove", url)
    path = _path(url)
    if path.is_dir() and recursive:
        shutil.rmtree(path)
    elif not path.is_dir():
        path.unlink()
