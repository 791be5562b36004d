"""The first table of the page as a picture beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

FILE: Final = "benchmarks.svg"
SHOWN: Final = f"![Microseconds of CPU per client, on a logarithmic scale]({FILE})"

COLUMN: Final = "µs of CPU per client"
PHASES: Final = ("first", "again", "churn")
COLOURS: Final = ("#b4541a", "#2a6f97", "#6a994e")

WIDTH: Final = 960
LEFT: Final = 400
RIGHT: Final = 70
TOP: Final = 56
BAR: Final = 12
GROUP: Final = 3 * BAR + 14


@dataclass(frozen=True)
class Line:
    """One subject and what it takes in each phase, in microseconds of CPU per client."""

    name: str
    figures: tuple[float, ...]


def lines_of(page: str) -> list[Line]:
    """What the first table of the page says. ValueError where it has none with the column."""
    rows = [[cell.strip() for cell in each.split("|")[1:-1]] for each in page.splitlines() if each.startswith("|")]
    for start, heads in enumerate(rows):
        at = next((number for number, head in enumerate(heads) if head.startswith(COLUMN)), None)
        if at is None:
            continue
        found = []
        for cells in rows[start + 2 :]:  # behind the line of dashes
            figures = cells[at].split(" / ") if len(cells) > at else []
            if len(figures) != len(PHASES):
                break
            found.append(Line(cells[0].replace("*", ""), tuple(float(each.replace(",", "")) for each in figures)))
        return found
    message = f"the page has no table with the column {COLUMN!r}"
    raise ValueError(message)


def drawn(lines: list[Line]) -> str:
    """The picture: a bar per subject and phase; its length goes by the logarithm, for the figures lie three powers of ten apart."""
    figures = [each for line in lines for each in line.figures]
    low, high = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))
    height = TOP + GROUP * len(lines) + 30

    def across(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{COLUMN}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="24" font-size="15">{COLUMN}, logarithmic; less is better</text>',
    ]
    for number, (phase, colour) in enumerate(zip(PHASES, COLOURS, strict=True)):
        x = LEFT + 110 * number
        parts.append(
            f'<rect x="{x}" y="34" width="12" height="12" fill="{colour}"/><text x="{x + 17}" y="45">{phase}</text>'
        )
    for power in range(low, high + 1):
        x = across(10.0**power)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{height - 24}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 8}" text-anchor="middle" fill="#555">{10.0**power:,g}</text>')
    for row, line in enumerate(lines):
        y = TOP + GROUP * row + 6
        parts.append(f'<text x="{LEFT - 10}" y="{y + 2 * BAR - 2}" text-anchor="end">{escape(line.name)}</text>')
        for number, (value, colour) in enumerate(zip(line.figures, COLOURS, strict=True)):
            top, end = y + BAR * number, across(value)
            parts.append(
                f'<rect class="bar" x="{LEFT}" y="{top}" width="{end - LEFT:.1f}" height="{BAR - 1}" fill="{colour}"/>'
                f'<text x="{end + 5:.1f}" y="{top + BAR - 2}" font-size="11">{value:,g}</text>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"
