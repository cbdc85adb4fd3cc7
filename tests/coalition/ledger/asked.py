"""What the state machine may ask for: four merchants' terms, and movements to draw from."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace
from tests.coalition.ledger.model_validity import PERIOD_ENDS_ON
from tests.world import FIRST_DAY, merchant

from coalition.earning.validity import Validity
from coalition.terms.prices import Price
from coalition.terms.terms import Terms

NAMES = ["ann", "bob", "cyd"]
CODES = ["telecom", "retail", "fuel", "post"]
A_DAY_MAX = 900


def terms() -> dict[str, Terms]:
    """Every kind of price: one that changes, a prefunded one, a pair's; four ways to lapse, of
    which one carries a share on and one is by inactivity; two times in which points are pending.

    At fuel less may be spent on one day than A_DAY_MAX, which is the house's.
    """
    days = Validity(days=20)
    telecom = replace(
        merchant("telecom"),
        validity=days,
        breakage="house",
        prices=(
            Price("telecom", None, FIRST_DAY, burn_price=Decimal("0.010")),
            Price("telecom", None, date(2026, 1, 15), burn_price=Decimal("0.0125")),
        ),
        pair_prices=(
            Price(
                "telecom",
                "fuel",
                date(2026, 1, 12),
                Decimal(0),
                Decimal("0.006"),
                Decimal("0.0055"),
            ),
        ),
    )
    retail = replace(
        merchant("retail"),
        validity=Validity(days=45, grace_days=7, usable_after_days=4),
        breakage="pool",
        prices=(
            Price("retail", None, FIRST_DAY, Decimal("0.004"), Decimal("0.008"), Decimal("0.0075")),
        ),
    )
    fuel = replace(
        merchant("fuel"),
        time_zone="Europe/Berlin",
        validity=Validity(
            usable_after_days=2,
            period_rule=f"FREQ=MONTHLY;BYMONTHDAY={PERIOD_ENDS_ON}",
            carried_share=Decimal("0.3"),
        ),
        lateness_days_max=12,
        prices=(Price("fuel", None, FIRST_DAY, burn_price=Decimal("0.0055")),),
        minimum_payout=500,
        points_per_member_per_day_max=500,
    )
    post = replace(
        merchant("post"),
        validity=Validity(inactive_months=1),
        prices=(Price("post", None, FIRST_DAY, burn_price=Decimal("0.007")),),
    )
    return {one.code: one for one in (telecom, retail, fuel, post)}


@dataclass(frozen=True)
class Op:
    """A movement to try. pick chooses among the burns or earns there are; ago is how late it is.

    reference is what a till calls an earn or a burn; by_reference: a reversal asks for what it
    chose by that, where it has one. returned_ago: how long ago the return was, where it says so.
    """

    kind: str
    name: str
    at: str
    points: int | None
    amount: int | None = None
    take: Any = "oldest"
    ago: timedelta = timedelta(0)
    hold_seconds: int | None = None
    peer: str = "ann"
    pick: int = 0
    reference: str | None = None
    by_reference: bool = False
    returned_ago: timedelta | None = None

    def spends(self) -> tuple[int, Any]:
        """The points and the take; those of a mix add up, because the till has seen to it."""
        if isinstance(self.take, dict):
            return sum(self.take.values()), self.take
        return self.points or 0, self.take


names, codes = st.sampled_from(NAMES), st.sampled_from(CODES)
points = st.integers(1, 400)
takes = st.one_of(
    st.sampled_from(["oldest", "own_first"]),
    codes.map(lambda code: f"only {code}"),
    st.dictionaries(codes, st.integers(1, 120), min_size=1),
)
agos = st.one_of(
    st.just(timedelta(0)),
    st.sampled_from([timedelta(seconds=40), timedelta(minutes=4), timedelta(minutes=7)]),
    st.integers(0, 50 * 24).map(lambda h: timedelta(hours=h)),
)
picks = st.integers(0, 5)
# Few, so that some name two movements.
references = st.sampled_from([None, *(f"r{number}" for number in range(8))])
some = st.none() | points
earns = st.one_of(
    st.builds(Op, st.just("earn"), names, codes, points, ago=agos, reference=references),
    st.builds(
        Op, st.just("earn"), names, codes, st.none(), st.integers(1, 40_000), ago=agos,
        reference=references,
    ),
)  # fmt: skip
burns = st.builds(
    Op, st.just("burn"), names, codes, points, take=takes, ago=agos, reference=references
)
holds = st.builds(
    Op, st.just("burn"), names, codes, points, take=takes,
    hold_seconds=st.sampled_from([60, 3600, 3 * 86_400, 25 * 86_400]), reference=references,
)  # fmt: skip
ends = st.builds(
    Op, st.sampled_from(["capture", "capture", "void"]), names, codes, some, pick=picks
)
back = {"pick": picks, "by_reference": st.booleans(), "returned_ago": st.none() | agos}
refunds = st.builds(Op, st.just("reverse_burn"), names, codes, some, **back)
returns = st.one_of(
    st.builds(Op, st.just("reverse_earn"), names, codes, some, **back),
    st.builds(Op, st.just("reverse_earn"), names, codes, st.none(), st.integers(1, 20_000), **back),
)
gifts = st.builds(Op, st.just("transfer"), names, codes, points, take=takes, peer=names)
anything = st.one_of(earns, burns, holds, ends, refunds, returns, gifts)
