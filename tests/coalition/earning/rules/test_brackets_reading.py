"""Brackets as a file says them: what contradicts itself is refused with its remedy."""

import pytest
from tests.coalition.earning.toml_terms import mistakes_in, terms_of

from coalition.earning.memory import PERIODS
from coalition.earning.rules.brackets import BracketsRule

RULE = '[[earn]]\nname = "sum"\nkind = "brackets"\nperiod = "month"\n'
LOW = '[[earn.brackets]]\nup_to = "100.00"\npoints = 1\nper = "20.00"\n'
HIGH = '[[earn.brackets]]\npoints = 2\nper = "20.00"\n'


def test_brackets_are_read_from_low_to_high() -> None:
    rule = terms_of(RULE + LOW + HIGH).rules[0]
    assert isinstance(rule, BracketsRule)
    assert rule.period == PERIODS["month"]
    # 5 and a half for 110.00, rounded up; above that two for every 20.00.
    assert [rule.total(spent) for spent in (999, 1_000, 10_000, 10_500, 20_000)] == [0, 1, 5, 6, 15]


def test_above_the_last_bracket_nothing_is_given() -> None:
    rule = terms_of(RULE + LOW).rules[0]
    assert isinstance(rule, BracketsRule)
    assert rule.total(99_999) == 5


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (RULE + HIGH + LOW, "nothing is left for this one"),
        (RULE + LOW + LOW, "no more than the bracket above has"),
        (RULE, "no brackets; write [[earn.brackets]]"),
        (RULE.replace('period = "month"\n', "") + LOW, "the sum is of a period"),
        (RULE.replace("month", "moon") + LOW, "is none of month, quarter, year"),
        (RULE + 'group = "one"\n' + LOW, "leave group out"),
        (RULE + LOW.replace("20.00", "0.00"), "nothing can be earned per"),
        (RULE + "caps = { per_earn = 3 }\n" + LOW, "write up_to there"),
        (RULE + 'paid_by = { telecom = "0.5", retail = "0.5" }\n' + LOW, "paid by one merchant"),
    ],
)
def test_what_contradicts_itself_is_refused(parts: str, says: str) -> None:
    assert any(says in str(mistake) for mistake in mistakes_in(parts)), mistakes_in(parts)
