"""Which parameters of a network a set of arrays gives, and whether that is enough."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from src.checkpoint.sources.source import ALWAYS_DROPPED
from src.config.errors import UserError
from src.models.builder import is_backbone
from src.models.dropout import is_training_state

_CLASSIFIER_PREFIXES = ("aux_head.3.", "cls_head.", "last_layer.3.")
_MIN_BACKBONE = 0.9

Shape = tuple[int, ...]


@dataclass
class LoadReport:
    """Which parameters a file gave a network, by name."""

    matched: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    reinitialised: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.matched)} matched"]
        for title in ("dropped", "missing", "unexpected", "reinitialised"):
            names = getattr(self, title)
            parts.append(f"{len(names)} {title}" + (f" ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})" if names else ""))
        return ", ".join(parts)

    def table(self) -> str:
        """Return a line for each kind, with names where there are few, and groups of names where there are many."""
        titles = {"matched": "matched", "dropped": "dropped on purpose", "missing": "missing", "unexpected": "unexpected"}
        titles["reinitialised"] = "reinitialised"
        lines = []
        for kind, title in titles.items():
            names = getattr(self, kind)
            listed = "" if kind == "matched" or not names else f": {_summary(names)}"
            lines.append(f"{title:>20} {len(names):>5}{listed}")
        return "\n".join(lines)


def _summary(names: list[str], limit: int = 6) -> str:
    if len(names) <= limit:
        return ", ".join(names)
    groups = Counter("*.num_batches_tracked" if name.endswith(".num_batches_tracked") else f"{name.split('.')[0]}.*" for name in names)
    listed = [f"{group} ({count})" for group, count in groups.most_common(limit)]
    return ", ".join(listed + (["..."] if len(groups) > limit else []))


def match(arrays: Mapping[str, np.ndarray], shapes: Mapping[str, Shape]) -> LoadReport:
    """Return the report of arrays against a network's shapes; what has another shape stands under `reinitialised`."""
    report = LoadReport(missing=[name for name in shapes if name not in arrays])
    for name, array in arrays.items():
        if name in shapes:
            (report.matched if shapes[name] == array.shape else report.reinitialised).append(name)
        else:
            (report.dropped if _is_dropped(name) else report.unexpected).append(name)
    return report


def _is_dropped(name: str) -> bool:
    return is_training_state(name) or any(re.fullmatch(pattern, name) for pattern in ALWAYS_DROPPED)


def check_shapes(
    where: str, report: LoadReport, arrays: Mapping[str, np.ndarray], shapes: Mapping[str, Shape], *, classes_may_differ: bool
) -> None:
    """Refuse arrays of other shapes than the network's.

    Args:
        where: the flag and the file, for the message.
        report: of these arrays and shapes.
        arrays: the file's.
        shapes: the network's.
        classes_may_differ: allow other shapes that come from another number of classes alone.

    Raises:
        UserError: naming a parameter with both shapes.
    """
    by_classes = {
        name for name in report.reinitialised if name.startswith(_CLASSIFIER_PREFIXES) and arrays[name].shape[1:] == shapes[name][1:]
    }
    for name in report.reinitialised:
        if name not in by_classes:
            raise UserError(
                f"{where}: {name} is {arrays[name].shape} in the file and {shapes[name]} in the network; "
                "the file belongs to another network: leave out --config and words of model to take the file's, or give its own"
            )
    if by_classes and not classes_may_differ:
        name = min(by_classes)
        raise UserError(
            f"{where}: the file tells {arrays[name].shape[0]} classes apart and the configuration {shapes[name][0]} ({name}): "
            "leave out what names another data set or number of classes; new classes are for train.py to learn"
        )


def check_enough(where: str, report: LoadReport, shapes: Mapping[str, Shape], *, complete: bool) -> None:
    """Refuse a file with less than 90 % of the backbone or, for a complete network, with anything missing.

    Raises:
        UserError: with the counts.
    """
    backbone = {name for name in shapes if is_backbone(name)}
    matched = len(backbone & set(report.matched))
    if matched < _MIN_BACKBONE * len(backbone):
        raise UserError(
            f"{where}: only {matched} of {len(backbone)} backbone parameters are in the file "
            f"({report}); it belongs to another network or names its layers differently"
        )
    if complete and report.matched and all(is_backbone(name) for name in report.matched):
        raise UserError(f"{where}: the file holds a backbone alone, which tells no classes apart: train it first, with train.py")
    if complete and report.missing:
        raise UserError(
            f"{where}: {len(report.missing)} parameters of the network are not in the file, such as {report.missing[0]}; "
            "give the --config that it was trained with"
        )
