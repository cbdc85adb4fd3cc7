"""What every kind of rule has to say for itself."""

from typing import get_args

from coalition.earning.rules.rule import Rule
from coalition.earning.rules.table import KINDS, EarnRule


def test_every_kind_grants_and_says_in_words_what() -> None:
    kinds = get_args(EarnRule)
    assert len(kinds) == len(KINDS)
    for kind in kinds:
        assert kind.grant is not Rule.grant, kind
        assert kind.in_words is not Rule.in_words, kind
