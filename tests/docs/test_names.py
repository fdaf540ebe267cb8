"""What the documents name is there: files of the project, flags of its programs, keys of the configuration."""

import re
from collections.abc import Iterator

from src.config.schema import SCHEMA, flatten
from tests.docs.markdown import PROJECT, Line, pages, split_blocks

NAMED = re.compile(r"`([^`]+)`")
FOLDERS = ("src", "tests", "scripts", "docs", "benchmarks", "ascend310_infer")
SECTIONS = tuple(f"{name}." for name, entry in SCHEMA.items() if isinstance(entry, dict))
# Made by building, or by a run.
BUILT = ("ascend310_infer/out",)
# Other programs' flags.
FOREIGN = {"--bind-to", "--oversubscribe", "--shm-size", "--ipc", "--version", "--help", "--junitxml", "--no-deps", "--target", "--treads"}
# postprocess.py makes these in a loop.
LOOPED = {"--align_corners", "--half_pixel_centers"}
# Fields of a manifest, and a file.
NO_KEYS = {"model.file", "model.sha256", "model.kind", "train.lst"}


def named() -> Iterator[tuple[Line, str]]:
    """Yield what stands in backquotes in the prose of the documents, word by word."""
    for page in pages():
        for language, line in split_blocks(page):
            if language is None:
                for text in NAMED.findall(line.text.replace("\\|", "|")):
                    yield from ((line, word) for word in text.split())


def sources() -> str:
    files = [path for pattern in ("*.py", "src/**/*.py", "scripts/**/*.sh", "benchmarks/*.py") for path in PROJECT.glob(pattern)]
    files += [*PROJECT.glob("ascend310_infer/src/*"), *PROJECT.glob("tests/parity/*.py")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_files() -> None:
    missing = []
    for line, word in named():
        path = word.strip("().,;:").split("#")[0]
        if path.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and not path.startswith(BUILT):
            pattern = re.sub(r"[{<].*", "*", path.rstrip("/"))
            if not (list(PROJECT.glob(pattern)) or (PROJECT / path).exists()):
                missing.append(str(line) + f"\n    no {path}")
    assert not missing, "\n".join(missing)


def test_modules() -> None:
    modules = [(line, found) for line, word in named() for found in re.findall(r"^(?:src|tests)(?:\.\w+)+$", word)]
    assert len(modules) > 5
    for line, module in modules:
        path = PROJECT / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), line


def test_flags() -> None:
    code = sources()
    known = {f"--{name}" for name, entry in SCHEMA.items() if not isinstance(entry, dict)} | FOREIGN | LOOPED
    known |= set(re.findall(r"--\w[\w-]*", code))
    strangers = [str(line) for line, word in named() for flag in re.findall(r"^--\w[\w-]*", word) if flag not in known]
    assert not strangers, "\n".join(strangers)


def test_keys() -> None:
    keys = set(flatten())
    prefixes = {key[: key.index(".", place)] for key in keys for place in range(len(key)) if "." in key[place:]}
    strangers = []
    for line, word in named():
        if line.page == "docs/CONFIGURATION.md":
            continue  # generated; it names keys of others that have no place here
        found = re.match(r"\"?([a-z]+(?:\.\w+)+)", word)
        if found and found.group(1).startswith(SECTIONS) and not word.endswith((".py", ".sh", ".json", ".log", ".png")):
            key = found.group(1)
            if key not in keys | prefixes | NO_KEYS and not key.startswith("model.extra.STAGE"):
                strangers.append(f"{line}\n    no key {key}")
    assert not strangers, "\n".join(strangers)
