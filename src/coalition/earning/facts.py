"""What is known of the member who earns, for conditions and rules that ask."""

from collections.abc import Mapping

import msgspec

from coalition.earning.memory import NOTHING_YET, Key, Tally


class Facts(msgspec.Struct, frozen=True, gc=False):
    """A member as the rules see it, at the moment of the earn. tallies: what was counted so far."""

    tallies: Mapping[Key, Tally] = {}

    def tally(self, key: Key) -> Tally:
        return self.tallies.get(key, NOTHING_YET)
