"""What is known of the member who earns, for conditions and rules that ask."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from coalition.earning.memory import NOTHING_YET, VISITS, Key, Tally


class Facts(msgspec.Struct, frozen=True, gc=False):
    """A member as the rules see it, at the moment of the earn. tallies: what was counted so far.

    has_earned: the member earned at this merchant before its rules began to count visits.
    enrolled_at and birth_month are None where nobody asks, or they are not known.
    """

    tallies: Mapping[Key, Tally] = {}
    has_earned: bool = False
    enrolled_at: datetime | None = None
    birth_month: int | None = None

    def tally(self, key: Key) -> Tally:
        return self.tallies.get(key, NOTHING_YET)

    @property
    def is_first_visit(self) -> bool:
        return not (self.has_earned or self.tally(VISITS).times)
