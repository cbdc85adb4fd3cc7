"""What the demo prints: whole figures, in a narrow terminal too, and every refusal."""

import io
from collections import Counter

from rich.console import Console

from coalition.demo.figures import Figures
from coalition.demo.replay import Tally
from coalition.demo.report import print_tally, print_verdict, print_windows
from coalition.errors import Code
from coalition.verify import Breach

REAL = Figures(5_611_942, 56_288, 208_140, 398_588, 2_319_960, 11_302_81, 8_159_28, 30)
LARGE = Figures(10**9, 10**9, 10**9, 10**9, 10**9, 10**9, 10**9, 3)


def console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=80), out


def test_a_real_year_fits_a_terminal_of_80_columns() -> None:
    printed, out = console()
    print_windows(printed, {"2017-12": REAL}, "USD")
    assert "5,611,942" in out.getvalue()
    assert max(len(line.rstrip()) for line in out.getvalue().splitlines()) <= 80


def test_no_figure_is_ever_cut_off() -> None:
    printed, out = console()
    print_windows(printed, {"2017-11": LARGE}, "USD")
    assert "\N{HORIZONTAL ELLIPSIS}" not in out.getvalue()
    digits = sum(out.getvalue().count(digit) for digit in "01")
    # Two rows of five figures of 10 digits and two of 10 with cents, besides labels and ratios.
    assert digits >= 2 * 7 * 10


def test_the_years_line_adds_the_months_up() -> None:
    printed, out = console()
    print_windows(printed, {"2017-11": REAL, "2017-12": REAL}, "USD")
    (year,) = (line for line in out.getvalue().splitlines() if "year" in line)
    assert year.split()[1:3] == ["11,223,884", "112,576"]


def test_every_refusal_is_counted_under_its_code() -> None:
    printed, out = console()
    refused = Counter({("sale", Code.NOTHING_EARNED): 7, ("reward", Code.INSUFFICIENT_POINTS): 8})
    print_tally(printed, Tally(Counter(sale=5), refused, partial=2, moot=1))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["7", "refused:", "sale,", "nothing_earned"] in [line[:4] for line in lines]
    assert ["8", "refused:", "reward,", "insufficient_points"] in [line[:4] for line in lines]


def test_a_breach_is_named_with_its_rule_and_row() -> None:
    printed, out = console()
    print_verdict(printed, [Breach("windows add up", "window [1]: 5")])
    assert "1 rows break a rule" in out.getvalue()
    assert "windows add up: window [1]: 5" in out.getvalue()
