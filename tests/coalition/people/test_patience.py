"""Wrong sign-ins are borne for so long; nobody's tries shut another out."""

import hashlib
from collections.abc import Hashable
from typing import Any

from coalition.people.patience import COUNTS_MAX, Patience, Spent

VICTIM, OTHER = b"victim", b"other"


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def borne(patience: Patience, tries: int, *, addresses: int = 1, person: bytes = VICTIM) -> int:
    """How many of so many tries are compared with a password."""
    made = (patience.take(f"10.{n % addresses}", person, None) for n in range(tries))
    return sum(isinstance(one, Spent) for one in made)


def test_of_ten_thousand_tries_of_one_address_five_are_compared() -> None:
    patience = Patience(Clock())
    assert borne(patience, 10_000) == 5
    assert isinstance(patience.take("another", VICTIM, None), Spent)


def test_an_address_that_tries_many_persons_is_slowed_and_no_other() -> None:
    patience = Patience(Clock())
    tried = [patience.take("10.0", b"%d" % n, None) for n in range(1000)]
    assert sum(isinstance(one, Spent) for one in tried) == 30
    assert isinstance(patience.take("another", b"0", None), Spent)


def test_from_ten_thousand_addresses_three_hundred_are_compared_and_the_known_browser_gets_in() -> (
    None
):
    patience = Patience(Clock())
    assert borne(patience, 10_000, addresses=10_000) == 300
    assert isinstance(patience.take("the victim's", VICTIM, None), int)
    assert isinstance(patience.take("the victim's", VICTIM, "its mark"), Spent)
    assert isinstance(patience.take("the victim's", OTHER, None), Spent)


def test_a_stolen_mark_has_ten_tries_and_then_what_anybody_has() -> None:
    patience = Patience(Clock())
    made = [patience.take("10.0", VICTIM, "mark") for _ in range(100)]
    assert sum(isinstance(one, Spent) for one in made) == 15


def test_what_was_right_counts_for_nothing_and_what_was_wrong_wears_off() -> None:
    clock = Clock()
    patience = Patience(clock)
    for _ in range(1000):
        spent = patience.take("10.0", VICTIM, None)
        assert isinstance(spent, Spent)
        patience.give_back(spent)
    assert borne(patience, 100) == 5
    wait_s = patience.take("10.0", VICTIM, None)
    assert wait_s == 60
    clock.now_s += 60
    assert borne(patience, 100) == 1


def test_however_many_try_the_table_is_bounded() -> None:
    patience = Patience(Clock())
    for n in range(COUNTS_MAX):
        patience.take(f"10.{n}", hashlib.sha256(b"%d" % n).digest(), None)
    # Two more may come with the try that fills it, and then there is a crowd of each kind.
    assert len(patience._level_s) <= COUNTS_MAX + 5


class Levels(dict[Hashable, float]):
    """Counts how often somebody goes through all of them."""

    passes = 0

    def items(self) -> Any:
        self.passes += 1
        return super().items()


def test_a_full_table_is_not_gone_through_at_every_try() -> None:
    clock = Clock()
    patience = Patience(clock)
    levels = Levels({("address", n): clock.now_s + 1_000_000 for n in range(COUNTS_MAX)})
    patience._level_s = levels
    patience.take("10.0", VICTIM, None)
    assert levels.passes == 1
    patience._level_s = levels
    for n in range(100):
        patience.take(f"10.{n}", VICTIM, None)
    assert levels.passes == 1
