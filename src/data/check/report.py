"""What the check says: text for a terminal, and the same for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from src.data.basedataset import DatasetInfo
from src.data.check.findings import Finding
from src.data.check.survey import Survey
from src.data.statistics import counted

EXAMPLE_INDENT = " " * 4


def format_split(survey: Survey) -> str:
    """Return a few lines: number, sizes and types of a split's pictures and labels."""
    dataset, statistics = survey.dataset, survey.statistics
    sizes = survey.sizes()
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    ends = [f"{width}x{height}" for height, width in (by_area[0], by_area[-1])] if by_area else ["none can be read"]
    size_text = ends[0] if len(sizes) <= 1 else f"{ends[0]} to {ends[1]}, {len(sizes)} different"
    return "\n".join(
        (
            f"{dataset.split}: {counted(len(dataset), 'picture')} from {dataset.origin}, {size_text}",
            f"  pictures: {_counts(survey.types('image'))}",
            f"  labels: {_counts(survey.types('label'))}; {100 * statistics.ignored_share:.2f} % of pixels ignored",
        )
    )


def _counts(types: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in types.most_common()) or "none can be read"


def format_classes(info: DatasetInfo, surveys: Mapping[str, Survey]) -> str:
    """Return a line per class: number, stored values, and for each split its share of the labelled pixels and the pictures that hold it."""
    width = max(len("class"), *(len(name) for name in info.class_names))
    stored = [_values_of(k, list(surveys.values())) for k in range(len(info.class_names))]
    value_width = max(len("values"), *(len(text) for text in stored))
    header = "".join(f"  {f'% of {split}':>10}  pictures" for split in surveys)
    lines = [f"{'':3}  {'class':{width}}  {'values':{value_width}}{header}"]
    for k, name in enumerate(info.class_names):
        columns = "".join(
            f"  {100 * survey.statistics.share[k]:10.4f}  {survey.statistics.num_pictures[k]:8d}" for survey in surveys.values()
        )
        missing = [split for split, survey in surveys.items() if not survey.statistics.is_present[k]]
        remark = f"  absent from {' and '.join(missing)}" if missing else ""
        lines.append(f"{k:3d}  {name:{width}}  {stored[k]:{value_width}}{columns}{remark}")
    return "\n".join(lines)


def _values_of(train_id: int, surveys: Sequence[Survey]) -> str:
    """Return the stored values that were found for a class; "-" where there are none."""
    found = {
        value
        for survey in surveys
        for value, mapped in survey.dataset.label_ids().items()
        if mapped == train_id and survey.pixels[:, value].any()
    }
    return ",".join(map(str, sorted(found))) or "-"


def format_findings(findings: Sequence[Finding], limit: int) -> str:
    """Return the findings with their fixes, and up to `limit` of the files of each."""
    if not findings:
        return "nothing is wrong"
    lines = []
    for finding in findings:
        lines += [f"{finding.level}: {finding.title}", f"  -> {finding.fix}"]
        lines += [EXAMPLE_INDENT + example for example in finding.examples[:limit]]
        hidden = len(finding.examples) - limit
        if hidden > 0:
            lines.append(f"{EXAMPLE_INDENT}and {hidden} more (--limit {len(finding.examples)} shows all)")
    return "\n".join(lines)


def as_tree(config: Any, surveys: Mapping[str, Survey], findings: Sequence[Finding]) -> dict[str, Any]:
    """Return everything as a tree for JSON; findings with all their files."""
    info = next(iter(surveys.values())).dataset.info
    return {
        "preset": config.preset,
        "data_path": str(config.data_path),
        "dataset": info.name,
        "splits": {split: _split_tree(survey) for split, survey in surveys.items()},
        "classes": [
            {
                "name": name,
                "pixels": {split: int(survey.statistics.class_pixels[:, k].sum()) for split, survey in surveys.items()},
                "pictures": {split: int(survey.statistics.num_pictures[k]) for split, survey in surveys.items()},
            }
            for k, name in enumerate(info.class_names)
        ],
        "findings": [
            {"level": finding.level, "title": finding.title, "fix": finding.fix, "files": list(finding.examples)} for finding in findings
        ],
    }


def _split_tree(survey: Survey) -> dict[str, Any]:
    pixels = survey.pixels.sum(axis=0)
    return {
        "pictures": len(survey.dataset),
        "from": survey.dataset.origin,
        "sizes": {f"{width}x{height}": number for (height, width), number in survey.sizes().most_common()},
        "picture_types": dict(survey.types("image")),
        "label_types": dict(survey.types("label")),
        "ignored_pixels": int(survey.statistics.ignored_pixels.sum()),
        "stored_values": {str(value): int(pixels[value]) for value in np.flatnonzero(pixels)},
    }
