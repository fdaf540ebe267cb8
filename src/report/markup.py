"""Pieces of HTML: tables that can be sorted, bars, tiles. Every text is escaped here."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

NOTHING = "\N{EN DASH}"  # shown where there is no number


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        text: what is shown.
        order: what the column is sorted by; nan comes last either way, and None is the text.
        share: 0..1, drawn behind the text; None draws nothing.
        swatch: RGB colour of a square in front of the text.
        note: shown behind the text in small letters.
        hint: shown where the mouse rests.
    """

    text: str
    order: float | None = None
    share: float | None = None
    swatch: Sequence[int] | None = None
    note: str = ""
    hint: str = ""


def score_cell(value: float, hint: str = "", digits: int = 4) -> Cell:
    """Return the cell of a score, 0..1, with a bar; of nothing for nan."""
    return Cell(number(value, digits), value, None if math.isnan(value) else value, hint=hint)


def count_cell(count: int) -> Cell:
    """Return the cell of a number of pixels."""
    return Cell(f"{count:,d}", float(count))


def number(value: float, digits: int = 4) -> str:
    """Return a number with so many digits; a dash for nan."""
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], kind: str = "bars", identifier: str = "") -> str:
    """Return a table in a box that scrolls sideways; a click on a head sorts it.

    Args:
        heads: of the columns; the first one is of text, the others of numbers.
        rows: as many cells each.
        kind: how shares are drawn: "bars" or "heat".
        identifier: of the table, for links and tests.
    """
    head = "".join(f'<th scope="col"><button type="button">{escape(text)}</button></th>' for text in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>\n" for row in rows)
    name = f' id="{escape(identifier)}"' if identifier else ""
    return f'<div class="scroll"><table class="{kind}"{name}><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>'


def _cell(cell: Cell) -> str:
    attributes = ""
    if cell.order is not None:
        attributes += f' data-order="{"" if math.isnan(cell.order) else repr(float(cell.order))}"'
    if cell.share is not None:
        attributes += f' class="share" style="--share:{100 * cell.share:.1f}%"'
    if cell.hint:
        attributes += f' title="{escape(cell.hint)}"'
    note = f' <small class="note">{escape(cell.note)}</small>' if cell.note else ""
    return f"<td{attributes}>{swatch(cell.swatch) if cell.swatch is not None else ''}{escape(cell.text)}{note}</td>"


def swatch(color: Sequence[int]) -> str:
    """Return a small square of an RGB colour."""
    return f'<i class="swatch" style="background:rgb({",".join(str(int(value)) for value in color)})"></i>'


def bars(entries: Sequence[tuple[str, float, str]]) -> str:
    """Return horizontal bars of scores.

    Args:
        entries: label, score 0..1 or nan, and a remark in small letters.
    """
    lines = [
        f'<div class="bar"><span>{escape(label)}</span><b style="--share:{0 if math.isnan(value) else 100 * value:.1f}%"></b>'
        f"<output>{number(value)}</output><small>{escape(remark)}</small></div>"
        for label, value, remark in entries
    ]
    return f'<div class="chart">{"".join(lines)}</div>'


def histogram(counts: Sequence[int]) -> str:
    """Return upright bars of how many pictures there are in equal parts of 0..1."""
    highest = max(1, *counts)
    columns = []
    for k, count in enumerate(counts):
        hint = f"{count} with a mean IoU of {k / len(counts):.2f} to {(k + 1) / len(counts):.2f}"
        columns.append(f'<i style="height:{100 * count / highest:.1f}%" title="{hint}"><small>{count or ""}</small></i>')
    axis = '<div class="axis"><span>0</span><span>0.5</span><span>1</span></div>'
    return f'<div class="histogram">{"".join(columns)}</div>{axis}'


def tiles(entries: Sequence[tuple[str, str]]) -> str:
    """Return a row of large numbers, each with its name."""
    return f'<dl class="tiles">{"".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in entries)}</dl>'


def definitions(entries: Sequence[tuple[str, str]]) -> str:
    """Return names and values below each other."""
    return f'<dl class="settings">{"".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in entries)}</dl>'


def image(data: bytes, kind: str, description: str) -> str:
    """Return a picture that is part of the page.

    Args:
        data: the file.
        kind: "png" or "jpeg".
        description: for those who do not see it.
    """
    return f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode("ascii")}" alt="{escape(description)}">'
