"""What a merchant agreed to: how its points are earned, how long they live, what they cost.

These are the nouns only; a price is prices.py. Reading them from a file is reading.py, from a row
of the database stored.py; what a purchase earns is earning/, what a leg costs clearing/price.py.
"""

from datetime import date
from typing import Literal

import msgspec

from coalition.earning.rates import Rate
from coalition.earning.rules.table import EarnRule
from coalition.earning.validity import Validity
from coalition.terms.prices import Price
from coalition.terms.rewards import Reward

Breakage = Literal["issuer", "house", "pool"]
# A till that was away for a month, and not one that looks for the price it likes best.
LATENESS_DAYS_DEFAULT = 31


class Terms(msgspec.Struct, frozen=True):
    """One merchant's file, whole; which of its files is in force on a day is book.py.

    The origin of all prices is code; pair_prices are those for one redeemer each, in place of
    prices. minimum_payout is in minor units of currency. lateness_days_max: how many days after it
    happened, by the merchant's own dates, a movement may still be posted.
    payment_rule is an RFC 5545 rule: a payment is due in a window that holds one of its days.
    None: due at every close. settles_through is the code of the party whose net takes this one's.
    """

    code: str
    name: str
    currency: str
    time_zone: str
    joined_on: date
    rates: tuple[Rate, ...] = ()
    validity: Validity = Validity()
    prices: tuple[Price, ...] = ()
    pair_prices: tuple[Price, ...] = ()
    suspended: bool = False
    points_outright: bool = False
    points_per_earn_max: int | None = None
    points_per_burn_max: int | None = None
    hold_seconds_max: int = 604_800
    lateness_days_max: int = LATENESS_DAYS_DEFAULT
    breakage: Breakage = "issuer"
    settles_through: str | None = None
    minimum_payout: int = 0
    payment_rule: str | None = None
    # The day that the file's name states; None: a file without one.
    filed_for: date | None = None
    # Of what one member spends on one day at all merchants together; above pin_above_points of it
    # the member's PIN is asked. None: no limit, no PIN.
    points_per_member_per_day_max: int | None = None
    pin_above_points: int | None = None
    # Beside the rates, in the order in which they are reckoned.
    rules: tuple[EarnRule, ...] = ()
    rewards: tuple[Reward, ...] = ()

    @property
    def remembers(self) -> bool:
        """Whether any rule has a memory."""
        return any(rule.keys(self.joined_on) for rule in self.rules)

    @property
    def asks_facts(self) -> bool:
        """Whether any rule asks when the member was born or joined."""
        return any(rule.when.asks_facts for rule in self.rules)


def suspended_words(code: str) -> str:
    """What a merchant is told that asks for what a suspended one may not do."""
    return f"{code} is suspended: it may reverse and void, nothing else."


class HouseTerms(msgspec.Struct, frozen=True):
    """The house's own file, house.toml: the operator, and the calendar everyone shares.

    A window ends at local midnight at the start of each day that window_rule (RFC 5545) names, in
    time_zone; the first one opens at the start of first_window_on. Points lapse by its date there.
    points_per_member_per_day_max and pin_above_points hold at every merchant, beside its own.
    """

    name: str
    currency: str
    time_zone: str
    first_window_on: date
    window_rule: str
    code: str = "house"
    minimum_payout: int = 0
    payment_rule: str | None = None
    points_per_member_per_day_max: int | None = None
    pin_above_points: int | None = None
