"""Draws a bar chart as SVG.  `report.py` says what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABEL, BAR, GAP, TOP = 720, 230, 18, 8, 34
#: Between the longest bar and the right border, for its number.
NUMBER = 90

STYLE = """
text { font: 13px sans-serif; fill: #333 }
.title { font-weight: bold }
.number { fill: #555 }
.other { fill: #b8c0cc }
.base { fill: #6b7686 }
.ours { fill: #2f7ed8 }
.range { stroke: #333; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text, .number { fill: #ddd }
  .range { stroke: #ddd }
}
"""


@dataclass(frozen=True)
class Bar:
    """One line of a chart."""

    label: str
    value: float
    least: float
    greatest: float
    #: "ours", "base" or "other".
    colour: str = "other"


def bar_chart(title: str, bars: Sequence[Bar], form: str = "{:,.0f}") -> str:
    """An SVG document: a bar for each of BARS with its number, and a thin line over its range."""
    height = TOP + len(bars) * (BAR + GAP)
    scale = (WIDTH - LABEL - NUMBER) / max(bar.greatest for bar in bars)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text class="title" x="0" y="16">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        lines += _bar(bar, TOP + number * (BAR + GAP), scale, form)
    return "\n".join([*lines, "</svg>", ""])


def _bar(bar: Bar, top: int, scale: float, form: str) -> list[str]:
    base, middle = top + BAR - 5, top + BAR / 2
    end, least, greatest = (LABEL + v * scale for v in (bar.value, bar.least, bar.greatest))
    number = form.format(bar.value)
    return [
        f'<text x="{LABEL - 8}" y="{base}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect class="{bar.colour}" x="{LABEL}" y="{top}" width="{end - LABEL:.1f}" height="{BAR}"/>',
        f'<line class="range" x1="{least:.1f}" x2="{greatest:.1f}" y1="{middle}" y2="{middle}"/>',
        f'<text class="number" x="{max(end, greatest) + 6:.1f}" y="{base}">{number}</text>',
    ]
