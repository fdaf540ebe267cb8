"""The section of the report that shows pictures."""

from collections.abc import Sequence
from html import escape

import numpy as np

from src.data.basedataset import DatasetInfo
from src.report.drawing import STRIPES, WRONG
from src.report.gallery import Gallery, Panel
from src.report.markup import histogram, image, swatch

TITLES = ("truth", "prediction", "errors")


def picture_section(gallery: Gallery, info: DatasetInfo, shown_classes: np.ndarray) -> str:
    """Return how the pictures' scores are spread, the legend, and the worst and the best pictures.

    Args:
        gallery: the panels.
        info: names and colours of the classes.
        shown_classes: (K,) bool, classes that occur.
    """
    parts = [histogram(gallery.histogram.tolist()), _legend(info, shown_classes)]
    for title, panels in (("Worst", gallery.worst()), ("Best", gallery.best())):
        if panels:
            parts.append(f"<h3>{title} {len(panels)}</h3>\n<div class='panels'>{_figures(title.lower(), panels, info)}</div>")
    return "\n".join(parts)


def _legend(info: DatasetInfo, shown_classes: np.ndarray) -> str:
    entries = [(info.palette[k].tolist(), info.class_names[k]) for k in np.flatnonzero(shown_classes)]
    entries += [(WRONG, "wrong (in errors)"), (STRIPES[0], "ignored (in errors: stripes)")]
    return f'<p class="legend">{"".join(f"<span>{swatch(color)}{escape(name)}</span> " for color, name in entries)}</p>'


def _figures(kind: str, panels: Sequence[Panel], info: DatasetInfo) -> str:
    return "\n".join(_figure(kind, number, panel, info) for number, panel in enumerate(panels, start=1))


def _figure(kind: str, number: int, panel: Panel, info: DatasetInfo) -> str:
    score = panel.score
    drawn = "".join(
        f'<button type="button" class="zoom">{image(data, "jpeg", f"{title} of {score.name}")}<small>{title}</small></button>'
        for title, data in zip(TITLES, panel.pictures, strict=True)
    )
    caption = f"<b>{number}. {escape(score.name)}</b> <span>mean IoU <b>{score.miou:.4f}</b> of {_classes(score.num_classes)}</span>"
    return f'<figure class="{kind}"><figcaption>{caption} <span>{escape(_cost(panel, info))}</span></figcaption>{drawn}</figure>'


def _classes(count: int) -> str:
    return f"{count} class{'' if count == 1 else 'es'}"


def _cost(panel: Panel, info: DatasetInfo) -> str:
    """Return which class costs the picture most, and what it is taken for."""
    score = panel.score
    if score.worst_iou == 1:
        return "without an error"
    taken = f", missed mostly as {info.class_names[score.taken_for]}" if score.taken_for is not None else ", nothing of it missed"
    return f"costs most: {info.class_names[score.worst_class]}, IoU {score.worst_iou:.3f}{taken}"
