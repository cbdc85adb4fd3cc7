"""The lines of a scenario table that make something happen, in the words of the domain."""

from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.scenarios.play import Parts, Play, says
from tests.world import FIRST_DAY, ZONE, done, merchant, noon

from coalition.earning.validity import Validity
from coalition.ledger.commands import (
    BurnAnswer,
    EarnAnswer,
    Outcome,
    Refused,
    ReversalAnswer,
    TransferAnswer,
)
from coalition.terms.folder import read_folder
from coalition.terms.prices import Price

PROGRAMMES = Path(__file__).parents[2] / "configs/merchants/programmes"

# ---------------------------------------------------------------- who takes part


@says(
    "merchant CODE [burn PRICE] [issue PRICE] [redeem PRICE] [points live COUNT UNIT]"
    " [grace COUNT days] [breakage CODE] [minimum MONEY]"
)
async def _merchant(
    play: Play,
    code: str,
    burn: Decimal | None,
    issue: Decimal | None,
    redeem: Decimal | None,
    count: int | None,
    unit: str | None,
    grace: int | None,
    breakage: Any,
    minimum: int | None,
) -> None:
    play.terms[code] = replace(
        merchant(code),
        prices=(Price(code, None, FIRST_DAY, issue or Decimal(0), burn or Decimal(0), redeem),),
        validity=Validity(
            months=count if unit and unit.startswith("months") else None,
            days=count if unit == "days" else None,
            until_month_end=unit == "months to month end",
            grace_days=30 if grace is None else grace,
        ),
        breakage=breakage or "issuer",
        minimum_payout=minimum or 0,
    )
    await play.terms_changed()


@says("price CODE [burn PRICE] [issue PRICE] [redeem PRICE] from DATE")
async def _price(
    play: Play,
    code: str,
    burn: Decimal | None,
    issue: Decimal | None,
    redeem: Decimal | None,
    day: date,
) -> None:
    price = Price(code, None, day, issue or Decimal(0), burn or Decimal(0), redeem)
    play.terms[code] = replace(play.terms[code], prices=(*play.terms[code].prices, price))
    await play.terms_changed()


@says("pair CODE -> CODE burn PRICE [redeem PRICE] [from DATE]")
async def _pair(
    play: Play,
    origin: str,
    redeemer: str,
    burn: Decimal,
    redeem: Decimal | None,
    day: date | None,
) -> None:
    pair = Price(origin, redeemer, day or FIRST_DAY, burn_price=burn, redeem_price=redeem)
    terms = play.terms[origin]
    play.terms[origin] = replace(terms, pair_prices=(*terms.pair_prices, pair))
    await play.terms_changed()


@says("programme NAME")
async def _programme(play: Play, name: str) -> None:
    """The merchants of a folder of files, as they stand there."""
    house, terms = read_folder(PROGRAMMES / name)
    await play.world.sync(terms, house)


@says("member NAME")
async def _member(play: Play, name: str) -> None:
    await play.world.enrol(name)


@says("day DATE [CLOCK]")
async def _day(play: Play, day: date, clock: time | None) -> None:
    now = datetime.combine(day, clock, ZONE) if clock else noon(day)
    assert now >= play.world.now, f"the clock stands at {play.world.now} and never goes back"
    play.world.now = now


# ---------------------------------------------------------------- movements


@says("earn NAME CODE POINTS [on DATE] [as LABEL]")
async def _earn(
    play: Play, name: str, code: str, points: int, day: date | None, label: str | None
) -> Outcome:
    outcome = await play.world.earn(name, code, points, on=noon(day) if day else None)
    play.named[label or ""] = outcome
    return outcome


@says("purchase NAME CODE MONEY earns POINTS [as LABEL]")
async def _purchase(
    play: Play, name: str, code: str, amount: int, points: int, label: str | None
) -> Outcome:
    outcome = await play.world.earn(name, code, amount=amount)
    answer = done(outcome)
    assert isinstance(answer, EarnAnswer)
    play.same("points", points, answer.points)
    play.named[label or ""] = outcome
    return outcome


@says("burn NAME CODE POINTS [TAKE] [on DATE] [as LABEL] [= LEGS]")
async def _burn(
    play: Play,
    name: str,
    code: str,
    points: int,
    take: str | None,
    day: date | None,
    label: str | None,
    legs: Parts | None,
) -> Outcome:
    on = noon(day) if day else None
    outcome = await play.world.burn(name, code, points, play.take(take), on=on)
    return _taken(play, outcome, label, legs)


@says("hold NAME CODE POINTS [TAKE] for COUNT minutes as LABEL [= LEGS]")
async def _hold(
    play: Play,
    name: str,
    code: str,
    points: int,
    take: str | None,
    minutes: int,
    label: str,
    legs: Parts | None,
) -> Outcome:
    seconds = minutes * 60
    outcome = await play.world.burn(name, code, points, play.take(take), hold_seconds=seconds)
    return _taken(play, outcome, label, legs)


def _taken(play: Play, outcome: Outcome, label: str | None, legs: Parts | None) -> Outcome:
    if not isinstance(outcome, Refused):
        answer = done(outcome)
        assert isinstance(answer, BurnAnswer)
        play.legs(legs, answer)
        play.named[label or ""] = outcome
    return outcome


def _named(play: Play, label: str) -> Any:
    assert label in play.named, f"no line above is called {label!r} (`... as {label}`)"
    return done(play.named[label])


@says("capture LABEL [POINTS] [= LEGS]")
async def _capture(play: Play, label: str, points: int | None, legs: Parts | None) -> Outcome:
    return _taken(play, await play.world.capture(_named(play, label), points), label, legs)


@says("void LABEL")
async def _void(play: Play, label: str) -> Outcome:
    return await play.world.void(_named(play, label))


@says("reverse burn LABEL [POINTS] [= LEGS]")
async def _reverse_burn(play: Play, label: str, points: int | None, legs: Parts | None) -> Outcome:
    return _reversed(play, await play.world.reverse_burn(_named(play, label), points), legs, None)


@says("reverse earn LABEL [POINTS] [amount MONEY] [= LEGS] [owed POINTS]")
async def _reverse_earn(
    play: Play,
    label: str,
    points: int | None,
    amount: int | None,
    legs: Parts | None,
    owed: int | None,
) -> Outcome:
    earned = _named(play, label)
    outcome = await play.world.reverse_earn(earned, points, amount=amount)
    return _reversed(play, outcome, legs, owed or 0)


def _reversed(play: Play, outcome: Outcome, legs: Parts | None, owed: int | None) -> Outcome:
    if not isinstance(outcome, Refused):
        answer = done(outcome)
        assert isinstance(answer, ReversalAnswer)
        play.legs(legs, answer)
        if owed is not None:
            play.same("owed", owed, answer.owed)
    return outcome


@says("transfer NAME -> NAME POINTS [TAKE] [= LEGS]")
async def _transfer(
    play: Play, giver: str, taker: str, points: int, take: str | None, legs: Parts | None
) -> Outcome:
    outcome = await play.world.transfer(giver, taker, points, "house", play.take(take))
    if not isinstance(outcome, Refused):
        answer = done(outcome)
        assert isinstance(answer, TransferAnswer)
        play.legs(legs, answer)
    return outcome


@says("night")
async def _night(play: Play) -> None:
    """The jobs come by: holds past their time are void, lots past their day expire."""
    await play.world.expire()


@says("refused REASON: LINE")
async def _refused(play: Play, reason: str, text: str) -> None:
    outcome = await play.step(text)
    assert isinstance(outcome, Refused), f"expected to be refused, but it was done: {outcome}"
    play.same("refused", reason, outcome.code.value)


@says("close WINDOW")
async def _close(play: Play, label: str) -> None:
    # The tables' own words for "the calendar's end has come": the clock moves on to it.
    _, ends_at = await play.world.open_window()
    play.world.now = max(play.world.now, ends_at)
    closed = await play.world.close()
    play.same("closed", [label], closed)
    await _show(play, label)


@says("close WINDOW early")
async def _close_early(play: Play, label: str) -> None:
    play.same("closed", label, await play.world.close_early())
    await _show(play, label)


async def _show(play: Play, label: str) -> None:
    result = await play.world.result(label)
    play.unnamed = [p for p in result.paths if p.amount or p.kind == "redemption"]
    play.positions = {position.party: position for position in result.positions}
    play.unstated = {code: p for code, p in play.positions.items() if p.net}
    play.paths = list(result.paths)
