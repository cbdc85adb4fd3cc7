"""What a window's lines come to in figures."""

from decimal import Decimal

from coalition.demo.figures import Figures, add_up, figures_of
from settlement.obligation import Obligation, PathLine, Position, Result


def path(kind: str, origin: str, redeemer: str, points: int, about: str | None = None) -> PathLine:
    return PathLine(1, origin, redeemer, kind, points, Decimal("0.01"), points, "USD", about)


RESULT = Result(
    paths=(
        path("issue", "grocer", "grocer", 5_000),
        path("redemption", "grocer", "grocer", 300),
        path("redemption", "grocer", "fuel", 1_000),
        path("redemption", "grocer", "fuel", -200, about="2017-01"),
        path("redemption", "fuel", "grocer", 100),
        path("clawback", "grocer", "grocer", 70),
        path("expiry", "fuel", "fuel", 40),
    ),
    obligations=(
        Obligation(1, "grocer", "house", 800, "USD", "burn", 1),
        Obligation(2, "house", "fuel", 700, "USD", "redeem", 1),
        Obligation(3, "fuel", "grocer", 55, "USD", "through:fuel"),
    ),
    positions=(
        Position("grocer", "USD", receivable=0, payable=800, opening=0, instructed=0),
        Position("fuel", "USD", receivable=700, payable=0, opening=0, instructed=0),
        Position("house", "USD", receivable=800, payable=700, opening=0, instructed=0),
    ),
)


def test_points_are_told_apart_by_where_they_went_with_cancelled_ones_taken_off() -> None:
    figures = figures_of(RESULT)
    assert figures.issued == 5_000
    assert figures.burned_own == 300
    assert figures.burned_cross == 900
    assert figures.taken_back == 70
    assert figures.expired == 40
    assert figures.corrections == 1


def test_gross_is_every_debt_once_and_net_is_what_is_paid_to_or_by_the_house() -> None:
    figures = figures_of(RESULT)
    assert (figures.gross, figures.net) == (1_500, 1_500)
    assert figures.ratio == 1


def test_a_year_is_the_sum_of_its_windows() -> None:
    year = add_up([Figures(issued=1, gross=90, net=30), Figures(issued=2, gross=10, net=10)])
    assert (year.issued, year.gross, year.net, year.ratio) == (3, 100, 40, Decimal("2.5"))


def test_where_nothing_is_paid_there_is_no_ratio() -> None:
    assert add_up([]).ratio is None
