"""A catalogue in a merchant's file: what it comes to, and every mistake with its line at once."""

from pathlib import Path

import pytest
from tests.coalition.terms.test_folder import HOUSE

from coalition.earning.validity import Validity
from coalition.terms.folder import check_folder, read_folder
from coalition.terms.rewards import Alternative, Limits, Reward, VoucherTerms
from coalition.terms.stored import from_stored, to_stored

MERCHANT = """\
name = "{code}"
currency = "CNY"
time_zone = "Asia/Shanghai"
joined_on = 2017-01-01
[[prices]]
effective_from = 2017-01-01
burn_price = "0.010"
"""
AIRTIME = """\
[[rewards]]
code = "airtime-50"
name = "50 yuan of airtime"
kind = "voucher"
price = [
  { telecom = 500, retail = 500 },
  { any = 1000, money = "20.00" },
]
stock = 100
limits = { per_burn = 5, per_member = 10, per_member_per_day = 2 }
from = 2017-02-01
until = 2017-12-31
voucher = { valid = "3 months", part_use = true, value = "50.00" }
"""
LINES = MERCHANT.count("\n")


def _folder(path: Path, rewards: str) -> Path:
    (path / "house.toml").write_text(HOUSE)
    (path / "telecom.toml").write_text(MERCHANT.format(code="telecom") + rewards)
    (path / "retail.toml").write_text(MERCHANT.format(code="retail"))
    return path


def test_a_reward_is_what_its_section_says_and_is_stored_so(tmp_path: Path) -> None:
    _, (_, telecom) = read_folder(_folder(tmp_path, AIRTIME))
    (reward,) = telecom.rewards
    assert (reward.code, reward.kind, reward.stock) == ("airtime-50", "voucher", 100)
    assert reward.price == (
        Alternative((("telecom", 500), ("retail", 500))),
        Alternative((("any", 1000),), money=2_000),
    )
    assert reward.limits == Limits(per_burn=5, per_member=10, per_member_per_day=2)
    assert reward.voucher == VoucherTerms(Validity(months=3), part_use=True, value=5_000)
    assert from_stored(to_stored(telecom)) == telecom


def test_terms_that_were_stored_before_there_were_rewards_have_none(tmp_path: Path) -> None:
    _, (retail, _) = read_folder(_folder(tmp_path, AIRTIME))
    assert from_stored(to_stored(retail).replace(',"rewards":[]', "")) == retail


MISTAKES = [
    ("stock = 100", "stock = -1", 9, "-1 is not a whole number"),
    ("stock = 100", 'stock = "unlimited"', None, ""),
    ("retail = 500", "retial = 500", 6, 'did you mean "retail"?'),
    ("retail = 500", "retail = -500", 6, "-500 is not a whole number of points from 1"),
    ("retail = 500", "any = 500", 6, "any is of whatever origin and stands alone"),
    ("any = 1000, money", "retail = 500, telecom = 500, money", 7, "the same mix stands before"),
    ("any = 1000, money", "money", 7, "no points"),
    ('"20.00"', '"20.001"', 7, "more than 2 digits"),
    ("until = 2017", "until = 2016", 12, "is before 2017-02-01"),
    ("per_member = 10", "per_member = 1", 10, "can never be reached"),
    ("per_burn = 5", "in_all = 5", 10, "there is a stock already"),
    ('"3 months"', '"three months"', 13, 'write it such as "3 months"'),
    (', value = "50.00"', "", 13, "of what is a part used?"),
    ('kind = "voucher"', 'kind = "gift"', 4, "is not one of goods"),
    ('kind = "voucher"', "", 1, "kind is missing"),
    ('kind = "voucher"', 'kind = "cash_out"', 1, 'write pays = "1.00"'),
    ('kind = "voucher"', 'kind = "donation"', 1, "whom is the donation for?"),
    ('"airtime-50"', '"Airtime 50"', 2, "is not a code"),
    ('name = "50', 'nmae = "50', 3, "did you mean name?"),
    ("stock = 100", 'stores = ["north", "north"]', 9, "stands there twice"),
    ("stock = 100", "stores = [1]", 9, "not a list of names"),
    ("part_use = true", 'redeemer_paid = "later"', 13, '"later" is not one of issue, use'),
    ("part_use = true", 'part_use = true, redeemer_paid = "use"', 13, "is used whole"),
    ('valid = "3 months", part_use = true', 'redeemer_paid = "use"', 13, "until when is its use"),
    ("part_use = true", 'breakage = "issuer"', 13, "who is paid at issue keeps it"),
]


@pytest.mark.parametrize(("good", "bad", "line", "says"), MISTAKES)
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(
    tmp_path: Path, good: str, bad: str, line: int | None, says: str
) -> None:
    assert good in AIRTIME
    mistakes = check_folder(_folder(tmp_path, AIRTIME.replace(good, bad)))
    if line is None:
        assert mistakes == []
        return
    assert any(says in one.message for one in mistakes), mistakes
    told = next(one for one in mistakes if says in one.message)
    assert told.line == LINES + line
    assert told.file.endswith("telecom.toml")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    bad = AIRTIME
    for good, wrong in (("= 100", "= -1"), ("telecom = 500", "telekom = 500"), ('"3 m', '"x m')):
        bad = bad.replace(good, wrong, 1)
    assert len(check_folder(_folder(tmp_path, bad + AIRTIME))) == 4


def test_a_reward_is_offered_from_its_first_day_to_its_last(tmp_path: Path) -> None:
    _, (_, telecom) = read_folder(_folder(tmp_path, AIRTIME))
    (reward,) = telecom.rewards
    first, last = reward.starts_on, reward.ends_on
    assert first is not None
    assert last is not None
    days = (first, last, first.replace(month=1), last.replace(year=2018))
    assert [reward.is_offered(day) for day in days] == [True, True, False, False]
    always = Reward("a", "a", "goods", (Alternative((("any", 1),)),))
    assert always.is_offered(first)
