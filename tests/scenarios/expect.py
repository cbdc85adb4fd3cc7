"""The lines of a scenario table that expect something, and the check that nothing was left out."""

from collections import defaultdict
from datetime import date
from decimal import Decimal

from tests.scenarios.play import Parts, Play, says, show

from settlement.obligation import PathLine, Position


@says("balance NAME POINTS [held POINTS] [owed POINTS][: LEGS]")
async def _balance(
    play: Play, name: str, points: int, held: int | None, owed: int | None, origins: Parts | None
) -> None:
    balance = await play.world.balance(name)
    expected = (points, held or 0, owed or 0)
    play.same("available, held, owed", expected, (balance.available, balance.held, balance.owed))
    if origins is not None:
        there: dict[str, int] = defaultdict(int)
        for lot in await play.world.lots(name):
            there[lot.origin] += lot.remaining
        play.same("origins", dict(origins), {code: n for code, n in there.items() if n})


@says("lots NAME: LOTS")
async def _lots(play: Play, name: str, expected: list[tuple[str, int, date | None]]) -> None:
    there = [(x.origin, x.remaining, x.expires_on) for x in await play.world.lots(name)]
    play.same("open lots, oldest first", expected, [lot for lot in there if lot[1]])


@says("path CODE -> CODE REASON POINTS points [at PRICE] MONEY")
async def _path(
    play: Play,
    origin: str,
    redeemer: str,
    kind: str,
    points: int,
    price: Decimal | None,
    amount: int,
) -> None:
    _find(play, (origin, redeemer, kind, points, price, amount, None))


@says("correction CODE -> CODE REASON POINTS points [at PRICE] MONEY of WINDOW")
async def _correction(
    play: Play,
    origin: str,
    redeemer: str,
    kind: str,
    points: int,
    price: Decimal | None,
    amount: int,
    about: str,
) -> None:
    line = _find(play, (origin, redeemer, kind, points, price, amount, about))
    assert line.is_correction or kind != "redemption", "this line is late, it corrects nothing"


@says("late CODE -> CODE REASON POINTS points [at PRICE] MONEY of WINDOW")
async def _late(
    play: Play,
    origin: str,
    redeemer: str,
    kind: str,
    points: int,
    price: Decimal | None,
    amount: int,
    about: str,
) -> None:
    line = _find(play, (origin, redeemer, kind, points, price, amount, about))
    assert not line.is_correction, "this line is a correction, it is not late"


Wanted = tuple[str, str, str, int, Decimal | None, int, str | None]


def _find(play: Play, wanted: Wanted) -> PathLine:
    origin, redeemer, kind, points, price, amount, about = wanted
    for line in play.paths:
        found = (line.origin, line.redeemer, line.kind, line.quantity, line.amount, line.about)
        if found == (origin, redeemer, kind, points, amount, about) and price in (None, line.price):
            play.paths.remove(line)
            play.unnamed = [other for other in play.unnamed if other is not line]
            return line
    raise AssertionError(f"the window's other lines are: {'; '.join(map(show, play.paths))}")


@says("position CODE MONEY [opening MONEY] [paid MONEY] [closing MONEY]")
async def _position(
    play: Play,
    party: str,
    net: int,
    opening: int | None,
    paid: int | None,
    closing: int | None,
) -> None:
    there = play.positions.get(party) or Position(party, "CNY", 0, 0, 0, 0)
    play.unstated.pop(party, None)
    play.same("net in minor units", net, there.net)
    for what, expected, actual in (
        ("opening", opening, there.opening),
        ("paid", paid, there.instructed),
        ("closing", closing, there.closing),
    ):
        if expected is not None:
            play.same(f"{what} in minor units", expected, actual)
