"""Draw loss, learning rate, mIoU and speed over the steps of one or several runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Records = Sequence[Mapping[str, Any]]

_MIN_SMOOTHED = 40  # values of a curve below which it is drawn as it is
_WINDOWS = 25  # a smoothed curve's window is this part of it
_HEADROOM = 1.06  # of the upper limit, over the largest value
_MAX_IN_COLUMN = 8  # names of runs in the legend


def draw_curves(records: Records, path: Path) -> None:
    """Write the PNG of one run: see `draw_runs`."""
    draw_runs({"": records}, path)


def draw_runs(runs: Mapping[str, Records], path: Path) -> None:
    """Write a PNG with four panels: training loss, validation mIoU, learning rate, and pictures per second.

    A noisy loss is drawn faintly, its moving average over it. Where a run tells how long steps take and not how many pictures they have,
    the last panel shows the time per step. What a run does not tell is left out.

    Args:
        runs: name -> records as in metrics.jsonl: kind, step and epoch, with loss, lr, images_per_second and step_ms (kind "train")
            or miou (kind "eval").
        path: the PNG.
    """
    figure = Figure(figsize=(13, 7.5), layout="constrained")
    FigureCanvasAgg(figure)
    speed = ("step_ms", "time per step, ms") if _lacks_speed(runs) else ("images_per_second", "training speed, pictures/s")
    kinds = [("train", "loss", "training loss"), ("eval", "miou", "validation mIoU"), ("train", "lr", "learning rate"), ("train", *speed)]
    panels = figure.subplots(2, 2).ravel()
    for panel, (kind, name, title) in zip(panels, kinds, strict=True):
        for number, (run, records) in enumerate(runs.items()):
            steps, values = curve(records, kind, name)
            if len(steps):
                _plot(panel, steps, values, run, f"C{number % 10}", smoothed=name in ("loss", *speed), marked=kind == "eval")
        panel.set(title=title, xlabel="step")
        panel.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))
        panel.grid(alpha=0.3)
        _limit(panel, name)
    _share_steps(panels, runs)
    if len(runs) > 1:
        handles = [panels[0].plot([], [], color=f"C{number % 10}", linewidth=2)[0] for number in range(len(runs))]
        figure.legend(handles, list(runs), loc="outside lower center", ncols=min(4, -(-len(runs) // _MAX_IN_COLUMN) + 2), frameon=False)
    figure.savefig(path, dpi=90, format="png")


def curve(records: Records, kind: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and values, (N,) float64 each, of the records that have a value."""
    points = [(record["step"], record[name]) for record in records if record["kind"] == kind and record.get(name) is not None]
    steps, values = np.array(points, np.float64).reshape(-1, 2).T
    return steps, values


def smooth(values: np.ndarray) -> np.ndarray:
    """Return the moving average over a 25th of the values, at the ends over those that there are."""
    window = max(3, len(values) // _WINDOWS) | 1  # odd, so that it has a middle
    kernel = np.ones(window)
    middle = slice(window // 2, window // 2 + len(values))
    return np.convolve(values, kernel)[middle] / np.convolve(np.ones(len(values)), kernel)[middle]


def epoch_steps(records: Records) -> float | None:
    """Return how many steps an epoch has, from the last record of the last epoch that another follows, or from an evaluation."""
    evaluated = [record["step"] / record["epoch"] for record in records if record["kind"] == "eval" and record.get("epoch")]
    if evaluated:
        return evaluated[-1]
    trained = [record for record in records if record["kind"] == "train" and record.get("epoch")]
    last = max((record["epoch"] for record in trained), default=0)
    ends = [record["step"] / record["epoch"] for record in trained if record["epoch"] == last - 1]
    return max(ends, default=None)


def _plot(panel: Any, steps: np.ndarray, values: np.ndarray, run: str, color: str, *, smoothed: bool, marked: bool) -> None:
    style = {"color": color, "marker": "o" if marked or len(steps) == 1 else "", "markersize": 4, "linewidth": 1.3}
    if smoothed and len(values) >= _MIN_SMOOTHED:
        panel.plot(steps, values, color=color, alpha=0.25, linewidth=0.8)
        values = smooth(values)
    panel.plot(steps, values, label=run, **style)


def _limit(panel: Any, name: str) -> None:
    if name == "miou":
        panel.set_ylim(0, 1)
    elif panel.lines:
        panel.set_ylim(bottom=0, top=_top(panel, clips=name != "lr"))
    else:
        panel.text(0.5, 0.5, "not in the log", transform=panel.transAxes, ha="center", va="center", color="0.5")


def _top(panel: Any, *, clips: bool) -> float | None:
    """Return an upper limit a little above the values or, where the largest are far away, above all but a hundredth; None: no limit."""
    values = np.concatenate([np.asarray(line.get_ydata(), np.float64) for line in panel.lines])
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.max() <= 0:
        return None
    largest = float(finite.max())
    common = 1.15 * float(np.quantile(finite, 0.99))
    return common if clips and largest > 2 * common > 0 else _HEADROOM * largest


def _share_steps(panels: Sequence[Any], runs: Mapping[str, Records]) -> None:
    """Give all panels the same steps, and epochs along the upper edge of the first row where all runs have the same."""
    last = max((record["step"] for records in runs.values() for record in records), default=1)
    for panel in panels:
        panel.set_xlim(0, 1.02 * max(last, 1))
    lengths = {epoch_steps(records) for records in runs.values()}
    length = lengths.pop()
    if lengths or not length:
        return
    for panel in panels[:2]:
        epochs = panel.secondary_xaxis("top", functions=(lambda step: step / length, lambda epoch: epoch * length))
        epochs.set_xlabel("epoch")
        epochs.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=True))


def _lacks_speed(runs: Mapping[str, Records]) -> bool:
    """Tell whether a run has times of steps, and no pictures per second."""
    return any(
        len(curve(records, "train", "step_ms")[0]) and not len(curve(records, "train", "images_per_second")[0]) for records in runs.values()
    )
