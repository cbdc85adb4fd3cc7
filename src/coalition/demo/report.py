"""Prints what the demo came to, for a reader who has never seen it: tables, units and plain words.

The figures come from figures.py and the replay's tally; nothing is computed here but ratios.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from coalition.demo.events import Sale, Year
from coalition.demo.figures import Figures, add_up
from coalition.demo.picture import money
from coalition.demo.replay import Tally
from coalition.errors import Code
from coalition.verify import Breach

BREACHES_SHOWN_MAX = 20

_WHAT = {
    "sale": "purchases that earned points",
    "return": "purchases brought back, their points taken back",
    "reward": "rewards paid with points",
    "cancel": "rewards cancelled, their points given back",
}
_WHY = {
    Code.NOTHING_EARNED: "too small to earn a point",
    Code.INSUFFICIENT_POINTS: "no points to burn",
    Code.ALREADY_REVERSED: "nothing left to take back",
}


def print_year(console: Console, year: Year) -> None:
    """What was read, before anything is posted."""
    sales = sum(isinstance(event, Sale) for event in year.events)
    console.print(
        f"Read {year.lines:,} lines of {year.baskets:,} shopping baskets of "
        f"{len(year.households):,} households in 2017.\n"
        f"They make {sales:,} purchases, each at one merchant ({year.free_parts:,} more cost "
        f"nothing and earn nothing), and {year.redemptions:,} coupons, each a reward to pay."
    )


def print_windows(console: Console, windows: Mapping[str, Figures], currency: str) -> None:
    """A line a settlement window (a month), and the year."""
    table = Table(
        title=f"What each month came to: points, and money in {currency}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
    )
    table.add_column("month", no_wrap=True)
    for head in (
        "points\nissued",
        "taken\nback",
        "burned\nhome",
        "burned\naway",
        "lapsed",
        "gross\nmoney",
        "net\nmoney",
        "gross\n/ net",
    ):
        # In a terminal that is too narrow a figure runs on below; it is never cut off.
        table.add_column(head, justify="right", overflow="fold")
    for label, figures in windows.items():
        table.add_row(label, *_cells(figures, currency))
    table.add_section()
    table.add_row("year", *_cells(add_up(windows.values()), currency), style="bold")
    console.print(table)
    console.print(
        "home: at the merchant that issued the points\naway: at another, which is then owed money\n"
        "gross: every debt to or from the house (the clearing house), one by one\n"
        "net: what is paid once each month's debts are set off against each other\n"
        "lapsed: not burned in time\ntaken back: the purchase was brought back"
    )


def print_tally(console: Console, tally: Tally) -> None:
    """What was posted, and each kind of refusal counted under its code."""
    table = Table(
        title="What was asked of the ledger", title_justify="left", box=box.SIMPLE_HEAD,
        padding=(0, 2, 0, 0), pad_edge=False,
    )  # fmt: skip
    table.add_column("count", justify="right", no_wrap=True)
    table.add_column("what")
    for kind, words in _WHAT.items():
        table.add_row(f"{tally.posted[kind]:,}", words)
    table.add_row(
        f"{tally.partial:,}", "of the rewards: fewer points than it needs, all there were"
    )
    table.add_row(
        f"{tally.moot:,}", "returns or cancellations of what had not been posted: not asked"
    )
    table.add_section()
    for (kind, code), count in sorted(tally.refused.items()):
        table.add_row(f"{count:,}", f"refused: {kind}, {code}" + _because(code))
    console.print(table)


def print_verdict(console: Console, breaches: Sequence[Breach]) -> None:
    """Whether the ledger is in order, and which rows are not."""
    if not breaches:
        console.print(
            "All hold: no point is lost or made twice, every month's positions add up to zero, and "
            "every closed month comes out of the ledger again as it was closed."
        )
        return
    console.print(f"NOT in order: {len(breaches):,} rows break a rule:")
    for breach in breaches[:BREACHES_SHOWN_MAX]:
        console.print(f"  {breach.rule}: {breach.row}", markup=False, highlight=False)


def print_end(console: Console, folder_out: Path, last_window: str, merchant: str) -> None:
    """What to open, and what to type next."""
    statement = folder_out / last_window / f"{merchant}.xlsx"
    console.print(
        "\nOpen next:\n"
        f"  {folder_out / 'matrix.svg'}  the year in one picture (any browser)\n"
        f"  {statement}  a merchant's statement (any spreadsheet program)\n"
        "Type next:\n"
        "  make serve        run the coalition's API, with its documentation under /schema\n"
        "  coalition --help  everything the command line does, with examples",
        soft_wrap=True,
    )


def _because(code: Code) -> str:
    return f" ({_WHY[code]})" if code in _WHY else ""


def _cells(figures: Figures, currency: str) -> list[str]:
    ratio = "-" if figures.ratio is None else f"{figures.ratio:.1f}"
    points = (
        figures.issued,
        figures.taken_back,
        figures.burned_own,
        figures.burned_cross,
        figures.expired,
    )
    amounts = (figures.gross, figures.net)
    return [*(f"{p:,}" for p in points), *(money(a, currency) for a in amounts), ratio]
