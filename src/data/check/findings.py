"""What is wrong with data, or worth knowing, and what to do about it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from src.data.check.survey import Survey
from src.data.pictures import EQUAL_CHANNELS

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


# kind of `Problem` -> how grave it is, what the files are or have, and the fix
KINDS = {
    "missing": (ERROR, "missing files", "correct the list or the data folder, or take the lines off the list"),
    "picture": (ERROR, "unreadable pictures", "replace the files, or take them off the list"),
    "label": (ERROR, "unreadable labels", "replace the files, or take them off the list"),
    "JPEG label": (ERROR, "JPEG labels, whose compression changes class numbers", "write the labels anew, as PNG"),
    "16-bit label": (ERROR, "labels of more than 8 bits", "map their values to class numbers 0..255 and save them as 8-bit PNG"),
    "grey label": (ERROR, "labels of three channels instead of one", EQUAL_CHANNELS),
    "colour label": (
        ERROR,
        "labels of colours instead of class numbers",
        "{color_hint}",
    ),
    "sizes": (
        ERROR,
        "labels of another size than their pictures",
        "write the labels anew at their pictures' size, or resize them by nearest neighbour",
    ),
    "turned": (
        ERROR,
        "labels of their pictures' size turned by 90 degrees",
        "turn the pictures as the orientation in their EXIF data says and save them without it, as labelling tools show them",
    ),
    "EXIF": (
        NOTE,
        "pictures that their EXIF orientation turns or mirrors",
        "training and evaluation take them as they are stored, predict.py and most labelling tools as viewers show them. Save them upright "
        "and without it, as by PIL's ImageOps.exif_transpose(picture).save(...), with labels that fit",
    ),
    "16-bit picture": (
        NOTE,
        "pictures of 16 bits a channel, of which the upper 8 count",
        "nothing, where they use all 16; else (10 or 12 bits of a camera) save them scaled to 0..255",
    ),
}


def file_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with single files of a split."""
    split = survey.dataset.split
    for kind, (level, title, fix) in KINDS.items():
        lines = lines_of(survey, kind)
        if lines:
            yield Finding(level, f"{split}: {title} ({len(lines)})", fix.format(color_hint=survey.dataset.COLOR_HINT), lines)


def value_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with the values of a split's labels."""
    split, dataset, pixels = survey.dataset.split, survey.dataset, survey.pixels.sum(axis=0)
    wrong = lines_of(survey, "values")
    if wrong:
        what, _, fix = dataset.describe_wrong(pixels).partition("; ")
        title = f"{split}: labels with values of no class ({len(wrong)} of {len(dataset)}); over all of them: {what}"
        yield Finding(ERROR, title, fix, [line.removesuffix(f"; {fix}") for line in wrong])
    for level, description in ((ERROR, dataset.describe_masks(pixels)), (WARNING, dataset.describe_doubtful(pixels))):
        if description:
            title, _, fix = description.partition("; ")
            yield Finding(level, f"{split}: {title}", fix)
    yield from _mask_findings(survey)
    yield from _ignored_findings(survey)


def _mask_findings(survey: Survey) -> Iterator[Finding]:
    """Yield labels that alone are 0/255 masks; where all of them are, `describe_masks` has said so."""
    values, split = survey.dataset.values, survey.dataset.split
    if values.look_like_masks(survey.pixels.sum(axis=0)):
        return
    pairs = [survey.dataset.pairs[index] for index, row in zip(survey.readable, survey.pixels, strict=True) if values.look_like_masks(row)]
    if pairs:
        title = f"{split}: labels that hold 0 and 255 alone, while others hold more ({len(pairs)})"
        fix = "look whether they are binary masks by mistake, whose 255 is ignored; nothing, where one class and ignored pixels are meant"
        yield Finding(NOTE, title, fix, [pair.named(str(pair.label)) for pair in pairs])


def _ignored_findings(survey: Survey) -> Iterator[Finding]:
    statistics, split = survey.statistics, survey.dataset.split
    is_empty = statistics.ignored_pixels == survey.pixels.sum(axis=1)
    pairs = [survey.dataset.pairs[index] for index, empty in zip(survey.readable, is_empty, strict=True) if empty]
    empty = [pair.named(str(pair.label)) for pair in pairs]
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
