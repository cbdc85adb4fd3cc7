"""Draws the year's origin x redeemer matrix as an SVG: whose points were burned where.

Hand-made markup, the same bytes for the same paths. Which lines count is decided here (redemptions,
less what was given back); where they come from is figures.py.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from math import isqrt

from settlement.money import format_amount
from settlement.obligation import Obligation, Result

CELL_WIDTH, CELL_HEIGHT = 96, 50
LABEL_WIDTH, HEAD_HEIGHT = 220, 176
MARGIN, GAP, CAPTION_HEIGHT = 28, 10, 132
INK, SOFT, RULE, PAPER = "#1b2430", "#5b6675", "#d5dae1", "#ffffff"
NAME_MAX, CODE_MAX = 30, 12
# On a coloured field only pure black or white reaches 4.5:1 on every shade.
FIELD_INK = "#000000"
OWN_FILL, OWN_EDGE, EMPTY_FILL, TOTAL_FILL = "#ece7dc", "#8a7a55", "#f6f7f9", "#eef1f5"
# From pale to deep blue: light to dark also in grey, for print and for eyes that tell no hue.
SCALE = ((222, 235, 247), (107, 174, 214), (8, 48, 107))
STYLE = (
    "text{font-family:'Segoe UI','Helvetica Neue',Arial,'DejaVu Sans',sans-serif;"
    "font-variant-numeric:tabular-nums}"
)


@dataclass(frozen=True, slots=True)
class Cell:
    """What one pair came to: points, and what the redeemer is owed for them in minor units."""

    points: int = 0
    amount: int = 0


def matrix_svg(
    results: Iterable[Result], names: Mapping[str, str], *, title: str, currency: str
) -> str:
    """The matrix of every redemption in closed windows as one SVG; names maps merchants' codes.

    Merchants stand in order of the points of theirs that were burned, the most first.
    """
    points: Counter[tuple[str, str]] = Counter()
    amounts: Counter[tuple[str, str]] = Counter()
    for result in results:
        for path in result.paths:
            if path.kind == "redemption":
                points[path.origin, path.redeemer] += path.quantity
        lines = (*result.paths, *result.tills)
        paths = {line.path_no: line for line in lines if line.kind == "redemption"}
        for due in result.obligations:
            if due.path_no in paths and due.currency == currency:
                path = paths[due.path_no]
                amounts[path.origin, path.redeemer] += _owed_to(path.redeemer, due)
    burned = {code: sum(points[code, other] for other in names) for code in names}
    codes = sorted(names, key=lambda code: (-burned[code], code))
    cells = {(o, r): Cell(points[o, r], amounts[o, r]) for o in codes for r in codes}
    return _document(codes, names, cells, title=title, currency=currency)


def _owed_to(redeemer: str, due: Obligation) -> int:
    """What a debt gives the redeemer, in minor units; negative where it gives something back."""
    return (due.creditor == redeemer) * due.amount - (due.debtor == redeemer) * due.amount


def _document(
    codes: Sequence[str],
    names: Mapping[str, str],
    cells: Mapping[tuple[str, str], Cell],
    *,
    title: str,
    currency: str,
) -> str:
    width = 2 * MARGIN + LABEL_WIDTH + (len(codes) + 1) * CELL_WIDTH + GAP
    height = HEAD_HEIGHT + (len(codes) + 1) * CELL_HEIGHT + GAP + CAPTION_HEIGHT
    most = max((c.points for (o, r), c in cells.items() if o != r), default=0)
    own = sum(c.points for (o, r), c in cells.items() if o == r)
    cross = sum(c.points for (o, r), c in cells.items() if o != r)
    owed = money(sum(c.amount for c in cells.values()), currency)
    subtitle = (
        f"{own + cross:,} points redeemed: {own:,} where they were issued, "
        f"{cross:,} elsewhere, for which those who took them are owed {owed} {currency}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-labelledby="t d">',
        f'<title id="t">{escape(title)}</title><desc id="d">{escape(subtitle)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>',
        _text(MARGIN, 42, title, size=22, weight=600, anchor="start"),
        _text(MARGIN, 68, subtitle, size=14, fill=SOFT, anchor="start"),
        *_labels(codes, names),
        *_grid(codes, names, cells, most=most, currency=currency),
        *_totals(codes, cells, currency=currency),
        *_caption(height - CAPTION_HEIGHT + 30, most=most, currency=currency),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _labels(codes: Sequence[str], names: Mapping[str, str]) -> list[str]:
    left, end = MARGIN + LABEL_WIDTH, MARGIN + LABEL_WIDTH + len(codes) * CELL_WIDTH
    parts = [
        _text((left + end) // 2, 108, "burned at (the redeemer)", size=13, fill=SOFT),
        f'<path d="M{left} 118H{end}" stroke="{RULE}"/>',
        _text(
            MARGIN, HEAD_HEIGHT - 12, "issued by (the origin)", size=13, fill=SOFT, anchor="start"
        ),
        _text(_x(len(codes)), HEAD_HEIGHT - 30, "burned", size=13, weight=600),
        _text(_x(len(codes)), HEAD_HEIGHT - 14, "anywhere", size=13, weight=600),
        _text(left - 12, _y(len(codes)) - 3, "all issuers", size=13, weight=600, anchor="end"),
    ]
    for place, code in enumerate(codes):
        name = _cut(names[code], NAME_MAX)
        parts.append(_text(_x(place), HEAD_HEIGHT - 14, _cut(code, CODE_MAX), size=13, weight=600))
        parts.append(_text(left - 12, _y(place) - 3, code, size=13, weight=600, anchor="end"))
        parts.append(_text(left - 12, _y(place) + 14, name, size=12, fill=SOFT, anchor="end"))
    return parts


def _cut(words: str, most: int) -> str:
    """No more signs than have room, so that a name never runs into its neighbour."""
    return words if len(words) <= most else words[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _grid(
    codes: Sequence[str],
    names: Mapping[str, str],
    cells: Mapping[tuple[str, str], Cell],
    *,
    most: int,
    currency: str,
) -> list[str]:
    parts = []
    for row, origin in enumerate(codes):
        for column, redeemer in enumerate(codes):
            cell, is_own = cells[origin, redeemer], origin == redeemer
            fill = OWN_FILL if is_own else _shade(cell.points, most)
            told = f"{names[origin]}'s points burned at {names[redeemer]}: {cell.points:,}, " + (
                "its own" if is_own else money(cell.amount, currency) + f" {currency}"
            )
            parts.append(f"<g><title>{escape(told)}</title>")
            parts.append(_box(row, column, fill=fill, edge=OWN_EDGE if is_own else PAPER))
            second = "own" if is_own else money(cell.amount, currency)
            parts.extend(_figures(row, column, cell, second, fill=fill))
            parts.append("</g>")
    return parts


def _totals(
    codes: Sequence[str], cells: Mapping[tuple[str, str], Cell], *, currency: str
) -> list[str]:
    last = len(codes)
    sums = {(row, last): _sum(cells[code, r] for r in codes) for row, code in enumerate(codes)}
    sums |= {(last, col): _sum(cells[o, code] for o in codes) for col, code in enumerate(codes)}
    sums[last, last] = _sum(cells.values())
    parts = [_text(MARGIN + LABEL_WIDTH - 12, _y(last) + 14, "burned here", size=12, anchor="end")]
    for (row, column), cell in sums.items():
        parts.append(_box(row, column, fill=TOTAL_FILL, edge=PAPER))
        owed = money(cell.amount, currency)
        parts.extend(_figures(row, column, cell, owed, fill=TOTAL_FILL))
    return parts


def _caption(top: int, *, most: int, currency: str) -> list[str]:
    """How to read the picture, and the key to its colours."""
    lines = (
        "Read along a row: where one merchant's points were burned. "
        "Read down a column: whose points a merchant took at its till.",
        f"In each field: the points; below them, in {currency}, what the merchant that took them "
        "is owed. Framed: a merchant's own points at its own till, for which nobody owes anything.",
        "Cancelled rewards are taken off. Points that lapsed unspent are not in this picture.",
    )
    parts = [
        _text(MARGIN, top + 19 * place, line, size=13, fill=SOFT, anchor="start")
        for place, line in enumerate(lines)
    ]
    key_top, steps = top + 19 * len(lines) - 4, 8
    parts.append(_text(MARGIN, key_top + 12, "points:  1", size=12, fill=SOFT, anchor="start"))
    for step in range(steps):
        x = MARGIN + 66 + 26 * step
        fill = _shade(max(1, most * (step + 1) ** 2 // steps**2), most)
        parts.append(f'<rect x="{x}" y="{key_top}" width="26" height="15" fill="{fill}"/>')
    end = MARGIN + 66 + 26 * steps + 8
    parts.append(_text(end, key_top + 12, f"{most:,}", size=12, fill=SOFT, anchor="start"))
    return parts


def _figures(row: int, column: int, cell: Cell, second: str, *, fill: str) -> list[str]:
    if cell.points == 0 and cell.amount == 0:
        return [_text(_x(column), _y(row) + 5, "\N{EN DASH}", size=13, fill=SOFT)]
    ink = readable_on(fill)
    return [
        _text(_x(column), _y(row) - 3, f"{cell.points:,}", size=14, fill=ink, weight=600),
        _text(_x(column), _y(row) + 14, second, size=12, fill=ink),
    ]


def _box(row: int, column: int, *, fill: str, edge: str) -> str:
    x, y = _x(column) - CELL_WIDTH // 2 + 1, _y(row) - CELL_HEIGHT // 2 + 1
    return (
        f'<rect x="{x}" y="{y}" width="{CELL_WIDTH - 2}" height="{CELL_HEIGHT - 2}" rx="3" '
        f'fill="{fill}" stroke="{edge}" stroke-width="1.5"/>'
    )


def _text(
    x: int,
    y: int,
    words: str,
    *,
    size: int,
    fill: str = INK,
    weight: int = 400,
    anchor: str = "middle",
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
        f'text-anchor="{anchor}">{escape(words)}</text>'
    )


def readable_on(fill: str) -> str:
    """White or black, whichever stands out more from `fill`: 4.5:1 at least (WCAG 2.2, AA)."""
    return max((PAPER, FIELD_INK), key=lambda ink: contrast(ink, fill))


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def money(amount: int, currency: str) -> str:
    """Minor units in major units with thousands marked: (123456, "USD") -> "1,234.56"."""
    return f"{Decimal(format_amount(amount, currency)):,}"


def _shade(points: int, most: int) -> str:
    """The scale by the square root of points: few big pairs must not make the small ones vanish."""
    if points <= 0 or most <= 0:
        return EMPTY_FILL
    # Whole thousandths keep the colour the same on every machine.
    place = isqrt(1_000_000 * points // most)
    low, high = (0, 1) if place <= 500 else (1, 2)
    part = min(place - 500 * low, 500)
    mixed = (
        dark * part // 500 + pale * (500 - part) // 500
        for pale, dark in zip(SCALE[low], SCALE[high], strict=True)
    )
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _luminance(fill: str) -> float:
    channels = [int(fill[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _sum(cells: Iterable[Cell]) -> Cell:
    listed = list(cells)
    return Cell(sum(c.points for c in listed), sum(c.amount for c in listed))


def _x(column: int) -> int:
    """The middle of a column; the totals' column stands a little apart."""
    return MARGIN + LABEL_WIDTH + column * CELL_WIDTH + CELL_WIDTH // 2


def _y(row: int) -> int:
    return HEAD_HEIGHT + row * CELL_HEIGHT + CELL_HEIGHT // 2
