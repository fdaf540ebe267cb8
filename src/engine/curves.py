"""Draw loss, learning rate and mIoU over the steps."""

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no display on servers
import matplotlib.pyplot as plt  # noqa: E402


def draw_curves(records: list[dict[str, Any]], path: Path) -> None:
    """Write a PNG with three panels.

    Args:
        records: of metrics.jsonl, with keys kind, step and loss, lr (kind "train") or miou (kind "eval").
        path: the PNG.
    """
    figure, panels = plt.subplots(1, 3, figsize=(14, 4), constrained_layout=True)
    for panel, (kind, name, marker) in zip(panels, [("train", "loss", ""), ("train", "lr", ""), ("eval", "miou", "o")], strict=True):
        points = [(record["step"], record[name]) for record in records if record["kind"] == kind]
        if points:
            panel.plot(*zip(*points, strict=True), marker=marker, linewidth=1.2)
        panel.set(xlabel="step", title={"loss": "training loss", "lr": "learning rate", "miou": "validation mIoU"}[name])
        panel.grid(alpha=0.3)
    panels[2].set_ylim(0, 1)
    figure.savefig(path, dpi=80)
    plt.close(figure)
