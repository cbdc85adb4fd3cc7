"""Caps as a file says them: what contradicts itself is refused with its remedy."""

import pytest
from tests.coalition.earning.toml_terms import mistakes_in, terms_of

RULE = '[[earn]]\nname = "bonus"\nkind = "fixed"\npoints = 50\n'


def test_caps_go_from_the_earn_to_the_member() -> None:
    caps = "caps = { per_earn = 50, per_day = 100, per_period = 500, per_member = 900 }\n"
    rule = terms_of(RULE + 'period = "year"\n' + caps).rules[0]
    assert (rule.per_earn, rule.per_day, rule.per_period, rule.per_member) == (50, 100, 500, 900)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ("caps = { per_day = 49 }\n", "less than the 50 points that the rule gives"),
        ("caps = { per_day = 100, per_member = 60 }\n", "less than per_day allows, 100"),
        ("caps = { per_period = 60 }\n", 'write period = "month"'),
        ('period = "month"\n', "nothing is summed over it"),
        ("caps = { per_week = 60 }\n", "unknown key"),
    ],
)
def test_what_contradicts_itself_is_refused(parts: str, says: str) -> None:
    assert any(says in str(mistake) for mistake in mistakes_in(RULE + parts))
