"""Read what a run recorded: its folder, a metrics.jsonl, or a text log, ours or one in the manner of MindSpore's model zoo."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from src.checkpoint.run_folder import LOG_FILE
from src.config.errors import UserError
from src.engine.history import METRICS_FILE, read_metrics

Record = dict[str, Any]

_DRAWN = ("loss", "lr", "miou", "step_ms", "images_per_second")
_LOG_SUFFIXES = (".log", ".txt", ".jsonl")
_NUMBER = r"([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|nan|inf))"
_STEP = re.compile(rf"epoch: (\d+),? step: (\d+), loss is \[?{_NUMBER}")
_EPOCH_TIME = re.compile(rf"epoch time: {_NUMBER} ms, per step time: {_NUMBER} ms")
_STEP_TIME = re.compile(rf"step time: {_NUMBER} ms.*, {_NUMBER} img/s, lr: {_NUMBER}")
_MIOU = re.compile(rf"===> mIoU: {_NUMBER}")
_PICTURES = re.compile(r"batch: (\d+) per device x (\d+) ranks")
_EPOCH_STEPS = re.compile(r"(\d+) steps per epoch")


def read_run(path: Path) -> list[Record]:
    """Return a run's records as in metrics.jsonl, in the order of their steps.

    Args:
        path: an output folder, its metrics.jsonl, or a text log.

    Raises:
        UserError: if there is nothing of a run in it.
    """
    source = _source(path)
    try:
        records = read_metrics(source) if source.suffix == ".jsonl" else parse_log(source.read_text(encoding="utf-8", errors="replace"))
        records = sorted(map(_checked, records), key=lambda record: record["step"])
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror})") from error
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
        raise UserError(f"{source}: its lines are no records of training (expected a run's {METRICS_FILE})") from None
    if not records:
        raise UserError(f"{source}: no step and no evaluation in it; expected lines such as 'epoch: 2 step: 124, loss is 0.32'")
    return records


def _checked(record: Record) -> Record:
    """Return a record with numbers where numbers are drawn; those that are not finite are left out.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: if it is no record.
    """
    numbers = {name: record[name] for name in _DRAWN if record.get(name) is not None}
    if any(not isinstance(value, int | float) for value in (*numbers.values(), record["step"], record.get("epoch") or 0)):
        raise TypeError
    finite = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
    return {**record, **finite, "kind": str(record["kind"]), "step": int(record["step"]), "epoch": int(record.get("epoch") or 0)}


def _source(path: Path) -> Path:
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"{path}: no such file or folder; give a run's output folder, its {METRICS_FILE}, or a text log")
        return path
    candidates = [path / METRICS_FILE, path / LOG_FILE]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise UserError(f"{path}: neither {METRICS_FILE} nor {LOG_FILE} in it; give a run's output folder or a log")


def parse_log(text: str) -> list[Record]:
    """Return the records of a text log. A step or evaluation that stands in it again, after a run went on, counts as it stands last."""
    length = _steps_per_epoch(text)
    pictures = _pictures_per_step(text)
    records: dict[tuple[str, int], Record] = {}
    epoch, step = 0, 0
    for line in text.splitlines():
        if match := _STEP.search(line):
            epoch = int(match[1])
            step = (epoch - 1) * length + int(match[2])
            records["train", step] = {"kind": "train", "step": step, "epoch": epoch, "loss": _finite(match[3])}
        elif (match := _STEP_TIME.search(line)) and ("train", step) in records:
            names = ("step_ms", "images_per_second", "lr")
            records["train", step] |= dict(zip(names, map(_finite, match.groups()), strict=True))
        elif (match := _EPOCH_TIME.search(line)) and ("train", step) in records:
            records["train", step] |= _speed(float(match[2]), pictures)
        elif match := _MIOU.search(line):
            records["eval", step] = {"kind": "eval", "step": step, "epoch": epoch, "miou": _finite(match[1])}
    return list(records.values())


def _steps_per_epoch(text: str) -> int:
    stated = _EPOCH_STEPS.findall(text)
    return int(stated[-1]) if stated else max((int(match[1]) for match in _STEP.findall(text)), default=0)


def _pictures_per_step(text: str) -> int | None:
    match = _PICTURES.search(text)
    return int(match[1]) * int(match[2]) if match else None


def _speed(step_ms: float, pictures: int | None) -> dict[str, float]:
    speed = {"step_ms": step_ms}
    return speed | {"images_per_second": pictures * 1000 / step_ms} if pictures and step_ms else speed


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each run: of its folder or log, with as many folders before it as tell runs apart.

    The suffix of a log is left out where the runs have different names without it.

    Raises:
        UserError: if a run is given twice.
    """
    sources = [_source(path).resolve() for path in paths]
    named = [source.parent if source.name in (METRICS_FILE, LOG_FILE) else source for source in sources]
    for place, path in enumerate(paths):
        if named[place] in named[:place]:
            raise UserError(f"{path}: this run is given twice")
    short = [path.with_suffix("") if path.suffix in _LOG_SUFFIXES and path.is_file() else path for path in named]
    parts = [path.parts for path in (short if len(set(short)) == len(short) else named)]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(parts):
        depth += 1
    return ["/".join(part[-depth:]) for part in parts]
