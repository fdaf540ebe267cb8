"""The page: sections put into the template, written as one file."""

from html import escape
from pathlib import Path
from string import Template

from src.checkpoint.atomic import atomic_path
from src.engine.evaluator import EvalResult
from src.report.collector import Collector
from src.report.markup import definitions, image
from src.report.pictures import picture_section
from src.report.scores import class_section, confusion_list, distance_section, headline, remarks, size_section
from src.report.settings import time_section

REPORT_FILE = "report.html"
_FOLDER = Path(__file__).parent


def write_report(
    folder: Path, result: EvalResult, collector: Collector, settings: list[tuple[str, str]], configuration: str, name: str
) -> Path:
    """Write report.html beside eval.json; the file is complete or absent.

    Args:
        folder: where `evaluate` wrote its files; the confusion matrix is taken from there.
        result: the scores.
        collector: what it saw of all pictures of the result.
        settings: names and values of what decided the numbers.
        configuration: the complete one, as YAML.
        name: what was evaluated, for the title.

    Returns:
        The file.
    """
    path = folder / REPORT_FILE
    text = render(result, collector, settings, configuration, name, (folder / "eval" / "confusion.png").read_bytes())
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def render(
    result: EvalResult, collector: Collector, settings: list[tuple[str, str]], configuration: str, name: str, confusion_png: bytes
) -> str:
    """Return the page; arguments as for `write_report`."""
    occurs = (result.scores.pixels + result.scores.predicted) > 0
    return Template(_read("template.html")).substitute(
        style=_read("style.css"),
        script=_read("script.js"),
        name=escape(name),
        date=escape(dict(settings).get("date", "")),
        headline=headline(result, collector.boundary),
        remarks="".join(f"<p>{escape(line[0].upper() + line[1:])}.</p>" for line in remarks(result)),
        classes=class_section(result, collector),
        confusion=image(confusion_png, "png", "confusion matrix"),
        confusions=confusion_list(result),
        sizes=size_section(collector),
        distances=distance_section(collector),
        pictures=picture_section(collector.gallery, collector.info, occurs),
        times=time_section(result, collector.stopwatch),
        settings=definitions(settings),
        configuration=escape(configuration),
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
