"""What is wrong with data, or worth knowing, and what to do about it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from src.data.check.survey import Survey

# How grave a finding is: training refuses the data or would break on it; it trains or measures something else than is meant; good to know.
ERROR, WARNING, NOTE = "error", "warning", "note"


@dataclass(frozen=True)
class Finding:
    """Something found.

    Attributes:
        level: ERROR, WARNING or NOTE.
        title: one line with the split and the numbers.
        fix: what to do, with the command or the words.
        examples: lines that name the files, all of them.
    """

    level: str
    title: str
    fix: str
    examples: Sequence[str] = field(default_factory=tuple)


# kind of `Problem` -> what the files are or have, and the fix
KINDS = {
    "missing": ("missing files", "correct the list or the data folder, or take the lines off the list"),
    "picture": ("unreadable pictures", "replace the files, or take them off the list"),
    "label": ("unreadable labels", "replace the files, or take them off the list"),
    "JPEG label": ("JPEG labels, whose compression changes class numbers", "write the labels anew, as PNG"),
    "16-bit label": ("labels of more than 8 bits", "map their values to class numbers 0..255 and save them as 8-bit PNG"),
    "colour label": (
        "labels of colours instead of class numbers",
        "{color_hint}",
    ),
    "sizes": (
        "labels of another size than their pictures",
        "write the labels anew at their pictures' size, or resize them by nearest neighbour",
    ),
    "turned": (
        "labels of their pictures' size turned by 90 degrees",
        "turn the pictures as the orientation in their EXIF data says and save them without it, as labelling tools show them",
    ),
}


def file_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with single files of a split."""
    split = survey.dataset.split
    for kind, (title, fix) in KINDS.items():
        lines = lines_of(survey, kind)
        if lines:
            yield Finding(ERROR, f"{split}: {title} ({len(lines)})", fix.format(color_hint=survey.dataset.COLOR_HINT), lines)
    deep = [
        f"{survey.dataset.where(index)}: {survey.dataset.image_path(index)} is of mode {sample.image.mode}"
        for index, sample in enumerate(survey.samples)
        if sample.image and sample.image.mode.startswith("I;16")
    ]
    if deep:
        title = f"{split}: pictures of 16 bits a channel, of which the upper 8 count ({len(deep)})"
        yield Finding(NOTE, title, "nothing, where they use all 16; else (10 or 12 bits of a camera) save them scaled to 0..255", deep)


def value_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with the values of a split's labels."""
    split, dataset, pixels = survey.dataset.split, survey.dataset, survey.pixels.sum(axis=0)
    wrong = lines_of(survey, "values")
    if wrong:
        what, _, fix = dataset.describe_wrong(pixels).partition("; ")
        yield Finding(
            ERROR, f"{split}: labels with values of no class ({len(wrong)} of {len(dataset)}); over all of them: {what}", fix, wrong
        )
    for level, description in ((ERROR, dataset.describe_masks(pixels)), (WARNING, dataset.describe_doubtful(pixels))):
        if description:
            title, _, fix = description.partition("; ")
            yield Finding(level, f"{split}: {title}", fix)
    yield from _ignored_findings(survey)


def _ignored_findings(survey: Survey) -> Iterator[Finding]:
    statistics, split = survey.statistics, survey.dataset.split
    is_empty = statistics.ignored_pixels == survey.pixels.sum(axis=1)
    empty = [
        f"{survey.dataset.where(index)}: {survey.dataset.label_path(index)}"
        for index, empty in zip(survey.readable, is_empty, strict=True)
        if empty
    ]
    if empty:
        yield Finding(
            NOTE, f"{split}: labels of which every pixel is ignored ({len(empty)})", "take them off the list: nothing is learned", empty
        )
    if statistics.ignored_share > 0.5:
        values = [
            str(value) for value, train_id in survey.dataset.label_ids().items() if train_id is None and survey.pixels[:, value].any()
        ]
        title = f"{split}: {100 * statistics.ignored_share:.1f} % of the pixels are ignored (value {', '.join(values)})"
        yield Finding(WARNING, title, "look whether a class is meant by that value; in the file of classes, `values` says which")


def lines_of(survey: Survey, kind: str) -> list[str]:
    """Return the lines of all problems of a kind."""
    return [problem.text for sample in survey.samples for problem in sample.problems if problem.kind == kind]


def by_gravity(findings: Iterable[Finding]) -> list[Finding]:
    """Return errors first, then warnings, then notes."""
    return sorted(findings, key=lambda finding: (ERROR, WARNING, NOTE).index(finding.level))
