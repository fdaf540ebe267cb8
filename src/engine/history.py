"""What a run records: metrics.jsonl, TensorBoard files and curves.png."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tensorboardX import SummaryWriter

from src.checkpoint.atomic import atomic_path, room_errors
from src.engine.curves import draw_curves

METRICS_FILE = "metrics.jsonl"


class History:
    """Append records to metrics.jsonl and TensorBoard, and draw the curves from them.

    Args:
        folder: the run's output directory.
        first_step: batches done before; later records of an interrupted run are dropped, so that each step stands once.
        is_evaluated: the evaluation after `first_step` is done; if not, its record is dropped too.
    """

    def __init__(self, folder: Path, first_step: int = 0, is_evaluated: bool = True) -> None:
        self._folder = folder
        self._path = folder / METRICS_FILE
        last_eval = first_step if is_evaluated else first_step - 1
        records = read_metrics(self._path)
        kept = [record for record in records if record["step"] <= (last_eval if record["kind"] == "eval" else first_step)]
        with atomic_path(self._path) as temporary:
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        self._board = SummaryWriter(str(folder / "tb"), purge_step=first_step + 1)

    def add(self, kind: str, step: int, **values: Any) -> None:
        """Record values.

        Args:
            kind: "train" or "eval"; TensorBoard's tags are kind/name.
            step: batches done.
            values: numbers by name.
        """
        with room_errors(self._path), open(self._path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")
        for name, value in values.items():
            if isinstance(value, int | float):
                self._board.add_scalar(f"{kind}/{name}", value, step)

    def draw(self) -> None:
        """Write curves.png."""
        with atomic_path(self._folder / "curves.png") as temporary:
            draw_curves(read_metrics(self._path), temporary)

    def close(self) -> None:
        """Flush TensorBoard's file; on a full disk what it still holds is lost."""
        try:
            self._board.close()
        except OSError:
            # It would try again as the process ends, in tracebacks that bury the one line that matters. (tensorboardX 2.6)
            records = self._board.file_writer.event_writer._ev_writer._py_recordio_writer
            records._writer = SimpleNamespace(write=len, flush=lambda: None, close=lambda: None)
            self._board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the records of a metrics.jsonl; a last line that was cut off by a kill is left out."""
    if not path.is_file():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records
