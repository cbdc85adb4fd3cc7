"""[[earn]] blocks that contradict themselves: each mistake with its line and remedy."""

import pytest
from tests.coalition.earning.toml_terms import HEAD, RATES, mistakes_in, terms_of

ABOVE = HEAD.count("\n") + RATES.count("\n")
BONUS = '[[earn]]\nname = "bonus"\nkind = "fixed"\npoints = 10\n'
SECOND = '[[earn]]\nname = "second"\nkind = "fixed"\npoints = 10\n'


@pytest.mark.parametrize(
    ("block", "line", "says"),
    [
        ('[[earn]]\nname = "a"\nkind = "rte"', 3, '"rte" is no kind of rule; did you mean "rate"?'),
        ('[[earn]]\nname = "a"', 1, 'earn[0].kind is missing; write kind = "..."'),
        ('[[earn]]\nkind = "fixed"\npoints = 1', 1, "earn[0].name is missing"),
        (BONUS.replace("bonus", "b" * 61), 2, "61 characters; write at most 60"),
        (BONUS.replace("bonus", "purchase"), 2, '"purchase" is what the earning.rates are called'),
        (BONUS + BONUS, 6, 'another rule is called "bonus"; name each differently'),
        (BONUS + "per = 1", 5, "unknown key"),
        (BONUS.replace("10", "0"), 4, "0 is not a whole number from 1"),
        (BONUS.replace("10", "-5"), 4, "-5 is not a whole number from 1"),
        (BONUS.replace("points = 10\n", ""), 1, "points is missing"),
        (BONUS + 'lots = "gift"', 5, '"gift" is not one of purchase, tenure'),
        (BONUS + 'choose = "best"', 5, "there is nothing to choose from; write group as well"),
        (
            f'{BONUS}group = "g"\n{SECOND}group = "g"\nchoose = "first"',
            11,
            'the group "g" chooses the best above; write the same for all its rules',
        ),
        (
            BONUS + 'paid_by = { telecom = "0.5", retail = "0.4" }',
            5,
            "the shares add up to 0.9, not to 1",
        ),
        (BONUS + 'paid_by = { telecom = "1", retail = "0" }', 5, "a share of 0 pays nothing"),
        (
            BONUS + "paid_by = { telecom = 1 }",
            5,
            "1 is not an amount; write it as a decimal",
        ),
        (BONUS + 'net_of = ["vat"]', 5, '"vat" is no part of an amount; write one of delivery'),
        (BONUS + 'net_of = "tax"', 5, 'not a list of texts; write it as net_of = ["..."]'),
        (
            BONUS + "[earn.when]\nfrom = 2026-12-24\nuntil = 2026-12-01",
            7,
            "2026-12-01 is before it begins, on 2026-12-24",
        ),
        (
            BONUS + "[earn.when]\nuntil = 2016-12-01",
            6,
            "the rule can never apply: 2016-12-01 is over before 2017-01-01",
        ),
        (
            BONUS + '[earn.when]\nfrom = 2026-11-23\nuntil = 2026-11-26\nweekdays = ["sat", "sun"]',
            7,
            "the rule can never apply: no sat, sun is from 2026-11-23 to 2026-11-26",
        ),
        (BONUS + '[earn.when]\nweekdays = ["sta"]', 6, 'did you mean "sat"?'),
        (BONUS + "[earn.when]\nweekdays = []", 6, "[] is not a list of texts"),
        (BONUS + '[earn.when]\nhours = "18-22"', 6, 'write it such as "18:00-22:00"'),
        (BONUS + '[earn.when]\nhours = "18:00-24:30"', 6, "no time of day"),
        (BONUS + '[earn.when]\nhours = "18:00-18:00"', 6, "holds no minute"),
        (BONUS + '[earn.when]\nchannel = ["fax"]', 6, '"fax" is none of web, sms, phone, store'),
        (BONUS + '[earn.when]\nminimum = "0.00"', 6, "every purchase comes to 0 at least"),
        (BONUS + '[earn.when]\nminimum = "-1.00"', 6, '"-1.00" is not an amount'),
        (BONUS + '[earn.when]\nstore = ["a", "a"]', 6, '"a" stands there twice'),
        (BONUS + "[earn.when]\nday = 1", 6, "unknown key"),
        (
            BONUS + "[earn.caps]\nper_earn = 9",
            6,
            "9 is less than the 10 points that",
        ),
        (BONUS + "[earn.caps]\nper_earn = 0", 6, "0 is not a whole number from 1"),
        (
            '[[earn]]\nname = "r"\nkind = "rate"\npoints = 2\nper = "1.00"\n'
            '[earn.when]\nminimum = "30.00"\n[earn.caps]\nper_earn = 59',
            9,
            "59 is less than the 60 points",
        ),
        (
            '[[earn]]\nname = "r"\nkind = "rate"\npoints = 2\nper = "0"',
            5,
            "nothing can be earned per",
        ),
        ('[[earn]]\nname = "r"\nkind = "rate"\npoints = 0\nper = "1.00"', 4, "gives nothing"),
        ('[[earn]]\nname = "r"\nkind = "rate"\npoints = "-2"\nper = "1.00"', 4, '"-2" is not an'),
        ('[[earn]]\nname = "q"\nkind = "quantity"', 1, "points is missing"),
        ('[[earn]]\nname = "q"\nkind = "quantity"\npoints = 0', 4, "0 a piece gives nothing"),
        ('[[earn]]\nname = "i"\nkind = "items"', 1, "no product; write [earn.points]"),
        ('[[earn]]\nname = "i"\nkind = "items"\n[earn.points]\na = "1"', 5, "not a whole number"),
        (
            '[[earn]]\nname = "i"\nkind = "items"\npoints = { a = 1 }\nwhen = { sku = ["b"] }',
            5,
            '"b" is not among the points',
        ),
        ('[[earn]]\nname = "m"\nkind = "multiplier"', 1, "factor is missing"),
        ('[[earn]]\nname = "m"\nkind = "multiplier"\nfactor = "0.5"', 4, "gives nothing more"),
        ('[[earn]]\nname = "m"\nkind = "multiplier"\nfactor = 1', 4, "gives nothing more"),
        (
            '[[earn]]\nname = "m"\nkind = "multiplier"\nfactor = 2\nof = ["purchse"]',
            5,
            'no rule is called "purchse"; did you mean "purchase"?',
        ),
        (
            '[[earn]]\nname = "m"\nkind = "multiplier"\nfactor = 2\nof = ["m"]',
            5,
            "a rule does not multiply itself",
        ),
        (
            '[[earn]]\nname = "m"\nkind = "multiplier"\nfactor = 2\nof = ["n"]\n'
            '[[earn]]\nname = "n"\nkind = "multiplier"\nfactor = 2',
            5,
            '"n" is reckoned after this one; give it a higher priority than this',
        ),
        (
            f'{BONUS}group = "g"\n[[earn]]\nname = "m"\nkind = "multiplier"\nfactor = 2\n'
            'of = ["bonus"]\ngroup = "g"',
            10,
            '"bonus" is of the same group: only one of the two applies',
        ),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(
    block: str, line: int, says: str
) -> None:
    found = mistakes_in(RATES + block)
    assert [(one.line, says in one.message) for one in found] == [(ABOVE + line, True)], found


def test_every_mistake_is_told_at_once() -> None:
    found = mistakes_in(
        RATES + BONUS.replace("10", "-1") + 'group = ""\n[earn.caps]\nper_earn = -1'
    )
    assert len(found) == 3


def test_a_factor_on_nothing_is_a_mistake() -> None:
    (found,) = mistakes_in('[[earn]]\nname = "m"\nkind = "multiplier"\nfactor = 2\n')
    assert "it multiplies nothing" in found.message


def test_rules_are_kept_in_the_order_in_which_they_are_reckoned() -> None:
    terms = terms_of(
        '[[earn]]\nname = "m"\nkind = "multiplier"\nfactor = 2\npriority = 9\n'
        + BONUS
        + SECOND
        + "priority = 1\n"
    )
    assert [rule.name for rule in terms.rules] == ["second", "bonus", "m"]
