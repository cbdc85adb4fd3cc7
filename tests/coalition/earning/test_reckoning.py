"""What purchases earn by rules: each kind, conditions, groups, caps, factors and who pays."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.coalition.earning.toml_terms import RATES, points_by_rule, reckoned, terms_of

from coalition.earning.purchase import Item, Purchase

# A Saturday.
SATURDAY = datetime(2026, 11, 28, 18, 30, tzinfo=ZoneInfo("Asia/Shanghai"))


def purchase(amount: int | None = None, *items: Item, **said: Any) -> Purchase:
    return Purchase(said.pop("at", SATURDAY), amount, items, **said)


def rule(name: str, kind: str, keys: str, *tables: str) -> str:
    return "\n".join([f'[[earn]]\nname = "{name}"\nkind = "{kind}"', keys, *tables]) + "\n"


# ---------------------------------------------------------------- kinds


def test_a_rate_counts_what_its_conditions_choose_and_rounds_down_once() -> None:
    terms = terms_of(
        RATES
        + rule(
            "data", "rate", 'points = "1.5"\nper = "10.00"', "[earn.when]", 'category = ["data"]'
        )
    )
    bought = purchase(10_000, Item(1_500, "data"), Item(1_499, "data"), Item(900, "voice"))
    assert points_by_rule(terms, bought) == {"purchase": 100, "data": 4}


def test_a_quantity_counts_pieces_and_an_item_without_one_is_a_piece() -> None:
    terms = terms_of(rule("pieces", "quantity", 'points = "0.5"'))
    bought = purchase(None, Item(900, "milk", quantity=4), Item(200, "tea"))
    assert points_by_rule(terms, bought) == {"pieces": 2}  # 2.5


def test_items_give_the_points_of_each_product() -> None:
    terms = terms_of(rule("tins", "items", 'points = { "tin-900" = 108, "tin-400" = 34 }'))
    bought = purchase(
        None, Item(27_000, sku="tin-900", quantity=2), Item(9_000, sku="tin-400"), Item(100)
    )
    assert points_by_rule(terms, bought) == {"tins": 250}


def test_a_fixed_number_is_given_once_for_an_action_without_a_purchase() -> None:
    terms = terms_of(
        RATES + rule("survey", "fixed", "points = 50", "[earn.when]", 'action = ["survey"]')
    )
    found = reckoned(terms, purchase(action="survey"))
    assert [(one.rule, one.lots, one.points) for one in found.granted] == [("survey", "reward", 50)]
    assert [(one.rule, one.why) for one in found.passed] == [("purchase", "comes to 0 points")]
    assert points_by_rule(terms, purchase(9_000)) == {"purchase": 90}


def test_a_multiplier_adds_to_what_others_gave_in_whole_points() -> None:
    terms = terms_of(
        RATES
        + rule("half more", "multiplier", 'factor = "1.5"\nof = ["purchase"]')
        + rule("bonus", "fixed", "points = 7")
    )
    # 10.60 gives 10, and half of 10.
    assert points_by_rule(terms, purchase(1_060)) == {"purchase": 10, "bonus": 7, "half more": 5}


def test_a_multiplier_of_all_before_it_multiplies_multipliers_too() -> None:
    terms = terms_of(
        RATES
        + rule("double", "multiplier", "factor = 2")
        + rule("triple", "multiplier", "factor = 3")
    )
    assert points_by_rule(terms, purchase(10_000)) == {
        "purchase": 100,
        "double": 100,
        "triple": 400,
    }


# ---------------------------------------------------------------- conditions

MEETING = [
    ('category = ["data", "voice"]', {}, True),
    ('category = ["gift"]', {}, False),
    ('sku = ["s1"]', {}, True),
    ('category = ["data"]\nsku = ["s2"]', {}, False),  # of one item both
    ('channel = ["web", "sms"]', {"channel": "sms"}, True),
    ('channel = ["web"]', {"channel": "store"}, False),
    ('channel = ["web"]', {}, False),
    ('region = ["north"]', {"region": "north"}, True),
    ('store = ["s-1"]', {"store": "s-2"}, False),
    ("from = 2026-11-28\nuntil = 2026-11-28", {}, True),
    ("from = 2026-11-29", {}, False),
    ("until = 2026-11-27", {}, False),
    ('weekdays = ["sat", "sun"]', {}, True),
    ('weekdays = ["mon"]', {}, False),
    ('hours = "18:30-18:31"', {}, True),
    ('hours = "18:31-24:00"', {}, False),
    ('hours = "22:00-02:00"', {"at": SATURDAY.replace(hour=23)}, True),
    ('hours = "22:00-02:00"', {"at": SATURDAY.replace(hour=1)}, True),
    ('hours = "22:00-02:00"', {"at": SATURDAY.replace(hour=2, minute=0)}, False),
    ('minimum = "100.00"', {}, True),
    ('minimum = "100.01"', {}, False),
    ('category = ["data"]\nminimum = "60.01"', {}, False),  # of what the rule looks at
]


@pytest.mark.parametrize(("when", "said", "holds"), MEETING)
def test_a_rule_applies_where_all_that_is_written_holds(
    when: str, said: dict[str, Any], holds: bool
) -> None:
    terms = terms_of(rule("bonus", "fixed", "points = 5", "[earn.when]", when))
    bought = purchase(10_000, Item(6_000, "data", "s1"), Item(4_000, "voice", "s2"), **said)
    found = reckoned(terms, bought)
    assert (len(found.granted), len(found.passed)) == ((1, 0) if holds else (0, 1))


@pytest.mark.parametrize(
    ("net_of", "points"),
    [
        ('["tax"]', 90),
        ('["delivery", "tax"]', 85),
        ('["points"]', 75),
        ('["tax", "delivery", "points"]', 60),
    ],
)
def test_the_base_may_leave_out_tax_delivery_and_what_was_paid_with_points(
    net_of: str, points: int
) -> None:
    terms = terms_of(rule("net", "rate", f'points = 1\nper = "1.00"\nnet_of = {net_of}'))
    bought = purchase(10_000, tax=1_000, delivery=500, with_points=2_500)
    assert points_by_rule(terms, bought) == {"net": points}


def test_parts_are_taken_off_chosen_items_in_proportion() -> None:
    terms = terms_of(
        rule(
            *("net", "rate", 'points = 1\nper = "1.00"\nnet_of = ["points"]'),
            *("[earn.when]", 'category = ["data"]'),
        )
    )
    bought = purchase(10_000, Item(4_000, "data"), with_points=2_500)
    assert points_by_rule(terms, bought) == {"net": 30}


def test_a_purchase_of_nothing_earns_nothing_net_of_anything() -> None:
    terms = terms_of(rule("net", "rate", 'points = 1\nper = "1.00"\nnet_of = ["tax"]'))
    assert reckoned(terms, purchase(0)).points == 0


# ---------------------------------------------------------------- stacking

CAMPAIGNS = "\n".join(
    rule(name, "fixed", f'points = {points}\npriority = {priority}\ngroup = "campaigns"\nCHOOSE')
    for name, points, priority in (("small", 10, 3), ("large", 30, 2), ("other", 30, 1))
)


def test_of_a_group_the_best_applies_and_of_equals_the_first() -> None:
    found = reckoned(terms_of(CAMPAIGNS.replace("CHOOSE", "")), purchase(100))
    assert [(one.rule, one.points) for one in found.granted] == [("large", 30)]
    assert [(one.rule, one.why) for one in found.passed] == [
        ("small", "would give 10; large applies"),
        ("other", "would give 30; large applies"),
    ]


def test_of_a_group_that_chooses_the_first_the_highest_priority_that_gives_any_applies() -> None:
    terms = terms_of(CAMPAIGNS.replace("CHOOSE", 'choose = "first"'))
    assert points_by_rule(terms, purchase(100)) == {"small": 10}
    late = CAMPAIGNS.replace("CHOOSE", 'choose = "first"', 1).replace(
        "points = 10", "points = 10\nwhen = { until = 2026-01-01 }"
    )
    terms = terms_of(late.replace("CHOOSE", 'choose = "first"'))
    assert points_by_rule(terms, purchase(100)) == {"large": 30}


def test_a_group_chooses_between_a_multiplier_and_a_bonus_after_all_others() -> None:
    terms = terms_of(
        RATES
        + rule("double", "multiplier", 'factor = 2\ngroup = "g"')
        + rule("bonus", "fixed", 'points = 50\ngroup = "g"')
        + rule("welcome", "fixed", "points = 5")
    )
    small = {"purchase": 10, "welcome": 5, "bonus": 50}
    assert points_by_rule(terms, purchase(1_000)) == small
    large = {"purchase": 100, "welcome": 5, "double": 105}
    assert points_by_rule(terms, purchase(10_000)) == large


def test_a_cap_holds_a_rule_down_and_says_so() -> None:
    terms = terms_of(
        rule("data", "rate", 'points = 1\nper = "1.00"', "[earn.caps]", "per_earn = 60")
        + rule("double", "multiplier", "factor = 2")
    )
    found = reckoned(terms, purchase(10_000))
    # What is multiplied is what the rule gave.
    assert [(one.rule, one.points, one.note) for one in found.granted] == [
        ("data", 60, "100 points, and at most 60 an earn"),
        ("double", 60, ""),
    ]


def test_shares_are_paid_to_the_point_and_a_share_of_none_makes_no_lot() -> None:
    terms = terms_of(
        rule("bonus", "fixed", 'points = 1\npaid_by = { retail = "0.4", telecom = "0.6" }')
    )
    (granted,) = reckoned(terms, purchase(100)).granted
    assert granted.paid_by == (("telecom", 1),)


def test_a_rule_whose_payer_cannot_pay_is_passed_over() -> None:
    terms = terms_of(
        RATES + rule("bonus", "fixed", 'points = 9\npaid_by = { retail = "0.4", telecom = "0.6" }')
    )
    found = reckoned(terms, purchase(100), {"retail": "retail, who pays, is suspended"})
    assert found.points == 1
    assert [one.why for one in found.passed] == ["retail, who pays, is suspended"]


# ---------------------------------------------------------------- properties

names = st.sampled_from(["a", "b", "c", "d", "e", "f"])
kinds = st.sampled_from(
    [
        ("rate", 'points = "1.7"\nper = "0.30"'),
        ("quantity", "points = 3"),
        ("items", "points = { s1 = 4, s2 = 9 }"),
        ("fixed", "points = 25"),
        ("multiplier", 'factor = "2.3"'),
    ]
)
extras = st.lists(
    st.sampled_from(
        [
            'net_of = ["tax"]',
            "priority = 4",
            'paid_by = { retail = "0.3", fuel = "0.3", telecom = "0.4" }',
            'when = { category = ["data"] }',
            "caps = { per_earn = 30 }",
        ]
    ),
    unique_by=lambda key: key.split()[0],
    max_size=4,
)
groups = st.sampled_from(["", 'group = "g"'])
rules = st.lists(st.tuples(names, kinds, extras, groups), unique_by=lambda one: one[0], max_size=6)
bought_items = st.builds(
    Item,
    st.integers(0, 100_000),
    st.sampled_from(["data", None]),
    st.sampled_from(["s1", "s2", None]),
    st.integers(1, 9),
)
purchases = st.builds(
    lambda items, more, tax: purchase(
        sum(item.amount for item in items) + more, *items, tax=min(tax, more)
    ),
    st.lists(bought_items, max_size=5),
    st.integers(0, 50_000),
    st.integers(0, 9_000),
)


def written(found: list[Any], choose: str) -> str:
    return RATES + "".join(
        rule(name, kind, "\n".join([keys, *more, group, choose if group else ""]))
        for name, (kind, keys), more, group in found
    )


@given(rules, purchases)
def test_shares_add_up_and_no_rule_stands_twice(found: list[Any], bought: Purchase) -> None:
    result = reckoned(terms_of(written(found, "")), bought)
    for one in result.granted:
        assert sum(points for _, points in one.paid_by) == one.points > 0
        assert all(points > 0 for _, points in one.paid_by)
    told = [one.rule for one in result.granted] + [one.rule for one in result.passed]
    assert sorted(told) == sorted({"purchase", *(one[0] for one in found)})
    assert result.points == sum(one.points for one in result.granted)


@given(rules, purchases)
def test_a_groups_best_is_never_less_than_its_first(found: list[Any], bought: Purchase) -> None:
    members = {name for name, _, _, group in found if group}
    best, first = (
        sum(
            points
            for name, points in points_by_rule(terms_of(written(found, choose)), bought).items()
            if name in members
        )
        for choose in ('choose = "best"', 'choose = "first"')
    )
    assert best >= first
