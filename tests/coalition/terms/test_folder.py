"""A folder of merchants' files: what it comes to, and every mistake in it with its line."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from coalition.earning.rates import Rate
from coalition.earning.validity import Validity
from coalition.terms.folder import MerchantFilesError, check_folder, read_folder
from coalition.terms.prices import Price

CONFIGS = Path(__file__).parents[3] / "configs" / "merchants"

HOUSE = """\
name = "House"
currency = "CNY"
time_zone = "Asia/Shanghai"

[calendar]
windows = "FREQ=MONTHLY;BYMONTHDAY=1"
first_window_on = 2017-01-01
"""
TELECOM = """\
name = "Telecom"
currency = "CNY"
time_zone = "Asia/Shanghai"
joined_on = 2017-01-01

[earning]
points_per_earn_max = 5000
[[earning.rates]]
category = "data"
points = 2
per = "1.00"
[[earning.rates]]
category = "*"
points = "1.5"
per = "10.00"

[validity]
months = 24
until_month_end = true

[burning]
hold_seconds_max = 60

[[prices]]
effective_from = 2017-07-01
burn_price = "0.011"
redeem_price = "0.009"
[[prices]]
effective_from = 2017-01-01
burn_price = "0.010"
redeem_price = "0.009"

[[pair_prices]]
redeemer = "retail"
effective_from = 2017-01-01
burn_price = "0.007"
redeem_price = "0.006"

[settlement]
breakage = "house"
minimum_payout = "12.50"

[calendar]
payments = "FREQ=MONTHLY;BYMONTHDAY=-1"
"""
RETAIL = """\
name = "Retail"
currency = "CNY"
time_zone = "Asia/Shanghai"
joined_on = 2017-01-01
[[prices]]
effective_from = 2017-01-01
burn_price = "0.008"
"""


def write(folder: Path, **files: str) -> Path:
    for code, content in ({"house": HOUSE, "telecom": TELECOM, "retail": RETAIL} | files).items():
        (folder / f"{code}.toml").write_text(content, encoding="utf-8")
    return folder


def mistakes_in(folder: Path) -> list[str]:
    return [str(mistake).removeprefix(f"{folder}/") for mistake in check_folder(folder)]


def test_a_file_says_what_its_terms_say(tmp_path: Path) -> None:
    house, (retail, telecom) = read_folder(write(tmp_path))
    assert (house.code, house.currency, house.first_window_on) == ("house", "CNY", date(2017, 1, 1))
    assert house.window_rule == "FREQ=MONTHLY;BYMONTHDAY=1"
    assert retail.code == "retail"
    assert retail.rates == ()
    assert retail.prices == (
        Price("retail", None, date(2017, 1, 1), Decimal(0), Decimal("0.008"), None),
    )
    assert telecom.rates == (Rate("data", Decimal(2), 100), Rate("*", Decimal("1.5"), 1000))
    assert telecom.validity == Validity(months=24, until_month_end=True)
    assert [one.effective_from.month for one in telecom.prices] == [1, 7]
    assert telecom.pair_prices == (
        Price(
            "telecom", "retail", date(2017, 1, 1), Decimal(0), Decimal("0.007"), Decimal("0.006")
        ),
    )
    assert (telecom.points_per_earn_max, telecom.hold_seconds_max) == (5000, 60)
    assert (telecom.breakage, telecom.minimum_payout) == ("house", 1250)
    assert telecom.payment_rule == "FREQ=MONTHLY;BYMONTHDAY=-1"


def test_how_late_a_till_may_be_is_31_days_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    late = TELECOM.replace("\n\n[earning]", "\nlateness_days_max = 7\n\n[earning]", 1)
    _, (retail, telecom) = read_folder(write(tmp_path, telecom=late))
    assert (telecom.lateness_days_max, retail.lateness_days_max) == (7, 31)


def test_a_merchant_and_the_house_limit_what_is_spent_on_one_day(tmp_path: Path) -> None:
    limit = "points_per_member_per_day_max = 700\npin_above_points = 0\n"
    write(
        tmp_path,
        house=HOUSE + "[burning]\n" + limit,
        telecom=TELECOM.replace("[burning]\n", "[burning]\n" + limit),
    )
    house, (retail, telecom) = read_folder(tmp_path)
    found = [one.points_per_member_per_day_max for one in (house, telecom, retail)]
    assert found == [700, 700, None]
    assert [one.pin_above_points for one in (house, telecom, retail)] == [0, 0, None]
    write(tmp_path, house=HOUSE + "[burning]\npoints_per_burn_max = 5\n")
    (mistake,) = mistakes_in(tmp_path)
    assert "points_per_burn_max: unknown key" in mistake


# What stands in telecom.toml, what is written instead, the line, and what the report says.
ONE_MISTAKE = [
    ('name = "Telecom"', "", None, 'name is missing; write name = "..."'),
    ('name = "Telecom"', "name = 7", 1, "name: 7 is not a text; write it in quotes"),
    ('name = "Telecom"', 'nmae = "x"\nname = "T"', 1, "nmae: unknown key; did you mean name?"),
    ('name = "Telecom"', 'name = "T', 1, 'a quote is missing; write name = "T"'),
    ('currency = "CNY"', 'currency = "CNZ"', 2, '"CNZ" is not a currency of ISO 4217; did you'),
    ('name = "Telecom"', 'name = "Tele\\u0000com"', 1, "holds the character U+0000"),
    ('name = "Telecom"', 'name = "Tele\\ncom"', 1, "write it in one line"),
    (
        'currency = "CNY"',
        'currency = "RMB"',
        2,
        '"RMB" is not a currency of ISO 4217; did you mean "CNY"?',
    ),
    ('currency = "CNY"', "currency = CNY", 2, 'write currency = "CNY"'),
    ('currency = "CNY"', 'currency = "cny"', 2, 'did you mean "CNY"?'),
    ('"Asia/Shanghai"', '"Asia/Shangai"', 3, 'did you mean "Asia/Shanghai"?'),
    ('"Asia/Shanghai"', '"Asia"', 3, '"Asia" is not a time zone of the IANA database'),
    ("joined_on = 2017-01-01", 'joined_on = "2017-01-01"', 4, "write it without quotes"),
    ("joined_on = 2017-01-01", "joined_on = 2017-01-01T08:00:00", 4, "is not a date"),
    ("joined_on = 2017-01-01", "joined_on = 2017-02-30", 4, "not TOML: invalid date or datetime"),
    ("joined_on = 2017-01-01", "joined_on = 2016-12-31", 4, "2016-12-31 is before the first price"),
    (
        "joined_on = 2017-01-01",
        "joined_on = 2017-01-01\nlateness_days_max = 0",
        5,
        "lateness_days_max: 0 is not a whole number from 1 to 366, without quotes",
    ),
    (
        "joined_on = 2017-01-01",
        "joined_on = 2017-01-01\nlateness_days = 9",
        5,
        "lateness_days_max?",
    ),
    ("points_per_earn_max = 5000", "points_per_earn_max = 0", 7, "0 is not a whole number from 1"),
    ("points_per_earn_max = 5000", "outright = 1", 7, "write outright = true or false"),
    (
        "points_per_earn_max = 5000",
        "point_per_earn_max = 5",
        7,
        "did you mean points_per_earn_max?",
    ),
    ('category = "data"', 'category = "*"', 13, '"*" has a rate above already'),
    ("points = 2", "points = 2.5", 10, "earning.rates[0].points: 2.5 is not an amount"),
    ("points = 2", "points = -2", 10, "-2 is not an amount; write it as a decimal string"),
    ("points = 2", "points = true", 10, "true is not an amount"),
    ("points = 2\n", "", 8, "earning.rates[0].points is missing; write points ="),
    (
        'per = "1.00"',
        'per = "1,00"',
        11,
        'earning.rates[0].per: "1,00" is not an amount; '
        'write it as a decimal string such as "1.00"',
    ),
    ('per = "10.00"', 'per = "10.001"', 15, "has more than 2 digits after the point"),
    ('per = "10.00"', 'per = "0"', 15, 'nothing can be earned per "0"'),
    ('per = "10.00"', "per = 10.00", 15, "10.00 is not an amount"),
    ('per = "10.00"', 'per = "1e3"', 15, '"1e3" is not an amount'),
    ('per = "10.00"', 'per = "١"', 15, "is not an amount"),
    ("months = 24", "months = 24\ndays = 3", 19, "not both; leave out one"),
    ("months = 24", "months = 0", 18, "validity.months: 0 is not a whole number from 1 to 1200"),
    ("months = 24\n", "", 18, "there is no end to move; write months or days as well"),
    ("[validity]", "[validity]\ngrace_day = 3", 18, "did you mean grace_days?"),
    ("[validity]", "[valdity]", 17, "valdity: unknown key; did you mean validity?"),
    ("[burning]\n", "[[burning]]\n", 21, "is not a table; write it as [burning]"),
    ('burn_price = "0.011"', 'burn_price = "0.0110001"', 26, "more than 6 digits after the point"),
    ('burn_price = "0.011"', 'burn_price = "1000000"', 26, "is too large"),
    ('burn_price = "0.011"', 'burn_price = "-1"', 26, '"-1" is not an amount'),
    ('burn_price = "0.011"', 'brun_price = "1"', 26, "did you mean burn_price?"),
    ("effective_from = 2017-07-01", "effective_from = 2017-01-01", 29, "prices from 2017-01-01"),
    ("effective_from = 2017-07-01\n", "", 24, "prices[0].effective_from is missing; write"),
    ('redeemer = "retail"', 'redeemer = "retial"', 34, 'did you mean "retail"?'),
    ('redeemer = "retail"', 'redeemer = "telecom"', 34, "no price with itself"),
    ('redeemer = "retail"\n', "", 33, "pair_prices[0].redeemer is missing"),
    ('burn_price = "0.007"\n', "", 33, "pair_prices[0].burn_price is missing"),
    ('breakage = "house"', 'breakage = "mine"', 40, "is not one of issuer, house, pool"),
    ('breakage = "house"', 'settles_through = "house"', 40, "everyone settles with the house"),
    ('breakage = "house"', 'settles_through = "telecom"', 40, "cannot settle through itself"),
    ('breakage = "house"', 'settles_through = "dealer"', 40, '"dealer" is not a merchant'),
    ('"12.50"', '"12.505"', 41, "more than 2 digits after the point"),
    ("=MONTHLY;", "=MONTHLI;", 44, "FREQ must be one of YEARLY, MONTHLY, WEEKLY, DAILY"),
    ("=MONTHLY;", "=HOURLY;", 44, "FREQ must be one of"),
    ("MONTHDAY=-1", "MONTHDAY=x", 44, "BYMONTHDAY must be numbers from 1 to 31"),
    ("MONTHDAY=-1", "MONTHDAY=31;BYMONTH=2", 44, "names no day in the 100 years"),
    ("MONTHDAY=-1", "MONTHDAY=0", 44, "0 is none"),
    ("MONTHDAY=-1", "MONTHDAY=1;BYMONTHDAY=2", 44, "BYMONTHDAY stands twice"),
    ("MONTHDAY=-1", "MONTHDAY=1;COUNT=3", 44, "COUNT is not a part that counts here"),
    ("MONTHDAY=-1", "MONTHDAY=1;INTERVAL=0", 44, "INTERVAL must be a whole number from 1"),
    ("FREQ=MONTHLY;BYMONTHDAY=-1", "monthly", 44, "monthly is not a part"),
]


@pytest.mark.parametrize(("old", "new", "line", "says"), ONE_MISTAKE)
def test_a_mistake_is_reported_with_its_line_and_what_would_be_right(
    tmp_path: Path, old: str, new: str, line: int | None, says: str
) -> None:
    assert old in TELECOM
    write(tmp_path, telecom=TELECOM.replace(old, new, 1))
    (mistake,) = mistakes_in(tmp_path)
    where = "telecom.toml: " if line is None else f"telecom.toml:{line}: "
    assert mistake.startswith(where)
    assert says.lower() in mistake.lower()


def test_every_mistake_of_every_file_is_reported_at_once(tmp_path: Path) -> None:
    write(
        tmp_path,
        house=HOUSE.replace("MONTHDAY=1", "MONTHDAY=x").replace("name", "nam"),
        telecom=TELECOM.replace("points = 2", "points = x"),
        retail=RETAIL.replace('"0.008"', "0.008").replace("joined_on", "joined"),
    )
    with pytest.raises(MerchantFilesError) as error:
        read_folder(tmp_path)
    found = [(Path(one.file).name, one.line) for one in error.value.mistakes]
    assert found == [
        ("house.toml", None),
        ("house.toml", 1),
        ("house.toml", 6),
        ("retail.toml", None),
        ("retail.toml", 4),
        ("retail.toml", 7),
        ("telecom.toml", 10),
    ]
    assert error.value.detail.count("\n") == 6


@pytest.mark.parametrize(
    ("prices", "line", "says"),
    [
        ("", None, "no prices; write [[prices]]"),
        ("prices = []", None, "no prices"),
        ("prices = 3", 5, "prices: not a list of tables; write each as [[prices]]"),
        ("[prices]", 5, "prices: not a list of tables"),
        ("[[pair_prices]]\nredeemer = 1", None, "no prices"),
        ("[[prices]]\neffective_from = 1", 6, "1 is not a date"),
    ],
)
def test_a_merchant_without_prices_is_a_mistake(
    tmp_path: Path, prices: str, line: int | None, says: str
) -> None:
    head = RETAIL.partition("[[prices]]")[0]
    write(tmp_path, retail=head + prices)
    found = mistakes_in(tmp_path)
    where = "retail.toml: " if line is None else f"retail.toml:{line}: "
    assert any(one.startswith(where) and says in one for one in found), found


def test_a_currency_without_minor_units_has_no_digits_after_the_point(tmp_path: Path) -> None:
    yen = TELECOM.replace('"CNY"', '"JPY"').replace("12.50", "1250")
    write(tmp_path, telecom=yen, retail=RETAIL.replace('"CNY"', '"JPY"'))
    assert mistakes_in(tmp_path) == [
        'telecom.toml:11: earning.rates[0].per: "1.00" has more than 0 digits after the point; '
        'write it such as "1"',
        'telecom.toml:15: earning.rates[1].per: "10.00" has more than 0 digits after the point; '
        'write it such as "1"',
    ]


def test_where_currencies_differ_the_redeem_price_is_stated(tmp_path: Path) -> None:
    write(
        tmp_path,
        telecom=TELECOM.replace('redeem_price = "0.006"\n', ""),
        retail=RETAIL.replace('"CNY"', '"USD"'),
    )
    assert mistakes_in(tmp_path) == [
        "retail.toml:5: prices[0]: telecom prices its points in CNY and this merchant is paid in "
        "USD; state the redeem_price in USD",
        "telecom.toml:33: pair_prices[0]: retail is paid in USD and this merchant pays in CNY; "
        "state the redeem_price in USD",
    ]


def test_where_points_are_prefunded_the_redeem_price_is_stated(tmp_path: Path) -> None:
    free = 'issue_price = "0.010"\nburn_price = "0"'
    prefunded = TELECOM.replace('burn_price = "0.010"', free)
    without_pair = prefunded.partition("[[pair_prices]]")[0]
    write(tmp_path, telecom=without_pair)
    assert mistakes_in(tmp_path) == [
        "retail.toml:5: prices[0]: telecom pays when it issues a point and nothing when one is "
        "burned here; state the redeem_price in CNY"
    ]
    write(tmp_path, telecom=prefunded)
    assert mistakes_in(tmp_path) == []


def test_settling_through_others_may_not_go_round(tmp_path: Path) -> None:
    def through(code: str) -> str:
        return f'{RETAIL}[settlement]\nsettles_through = "{code}"\n'

    write(tmp_path, retail=through("b"), a=through("retail"), b=through("a"), c=through("a"))
    assert mistakes_in(tmp_path) == [
        f"{code}.toml:9: settlement.settles_through: {way} goes round; end it at one of them"
        for code, way in [
            ("a", "a -> retail -> b -> a"),
            ("b", "b -> a -> retail -> b"),
            ("retail", "retail -> b -> a -> retail"),
        ]
    ]


def test_a_file_with_a_mistake_is_still_a_known_merchant(tmp_path: Path) -> None:
    write(tmp_path, retail="name = ")
    assert mistakes_in(tmp_path) == [
        "retail.toml:1: not TOML: invalid value; nothing stands after name ="
    ]


def test_names_of_files_are_codes_and_some_are_reserved(tmp_path: Path) -> None:
    write(tmp_path, pool=RETAIL, Shop=RETAIL)
    assert mistakes_in(tmp_path) == [
        'Shop.toml: "Shop" is not a code; use at most 63 of a-z, 0-9 and -, '
        "beginning with a letter",
        'pool.toml: "pool" is reserved; name the file otherwise',
    ]


def test_a_folder_needs_a_house(tmp_path: Path) -> None:
    (write(tmp_path) / "house.toml").unlink()
    (mistake,) = check_folder(tmp_path)
    assert "no house.toml; write the house's name and calendar there" in str(mistake)
    assert "no such folder" in str(check_folder(tmp_path / "none")[0])
    with pytest.raises(MerchantFilesError):
        read_folder(tmp_path / "none")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("FREQ=MONTHLY;BYMONTHDAY=0", "0 is none"),
        ("FREQ=WEEKLY;BYDAY=1MO", "without a number"),
        ("FREQ=DAILY\\nEXDATE:20170102", "in one line"),
        ("FREQ=DAILY;INTERVAL=100000000", "names no day in the 100 years after 2017-01-01"),
    ],
)
def test_a_rule_of_windows_that_would_run_as_something_else_is_refused(
    tmp_path: Path, rule: str, says: str
) -> None:
    write(tmp_path, house=HOUSE.replace("FREQ=MONTHLY;BYMONTHDAY=1", rule))
    (mistake,) = mistakes_in(tmp_path)
    assert mistake.startswith("house.toml:6: calendar.windows: ")
    assert says in mistake


def test_a_rule_that_passes_over_months_is_warned_of_and_read(tmp_path: Path) -> None:
    write(tmp_path, house=HOUSE.replace("BYMONTHDAY=1", "BYMONTHDAY=31"))
    (warning,) = mistakes_in(tmp_path)
    assert warning == (
        'house.toml:6: warning: calendar.windows: "FREQ=MONTHLY;BYMONTHDAY=31": it passes over '
        "February, April, June, September and November; "
        "BYMONTHDAY=-1 is the last day of every month"
    )
    assert read_folder(tmp_path)[0].window_rule == "FREQ=MONTHLY;BYMONTHDAY=31"


def test_a_first_window_of_long_ago_is_a_mistake(tmp_path: Path) -> None:
    write(tmp_path, house=HOUSE.replace("2017-01-01", "0001-01-01"))
    (mistake,) = mistakes_in(tmp_path)
    assert "0001-01-01 is too early; write a day from 1900-01-01 on" in mistake


def test_text_that_is_not_utf_8_is_reported_with_its_line(tmp_path: Path) -> None:
    (write(tmp_path) / "retail.toml").write_bytes(b'name = "x"\n\n# caf\xe9\n')
    assert mistakes_in(tmp_path) == ["retail.toml:3: not UTF-8; save the file as UTF-8 text"]


@pytest.mark.parametrize("name", ["alliance", "demo"])
def test_the_files_that_come_along_have_no_mistake(name: str) -> None:
    assert check_folder(CONFIGS / name) == []


def test_the_demo_has_a_coalition_of_ten_with_every_kind_of_contract() -> None:
    _, terms = read_folder(CONFIGS / "demo")
    assert len(terms) == 10
    assert {one.currency for one in terms} == {"USD"}
    assert {one.breakage for one in terms} == {"issuer", "house", "pool"}
    assert all(one.joined_on <= date(2017, 1, 1) for one in terms)
    assert all((one.validity.months or 99) <= 6 for one in terms)


def test_terms_from_a_day_are_a_file_of_their_own(tmp_path: Path) -> None:
    dated = RETAIL.partition("[[prices]]")[0]
    write(tmp_path, **{"retail.2026-12-01": dated})
    _, (retail, telecom, from_december) = read_folder(tmp_path)
    assert (retail.filed_for, telecom.filed_for) == (None, None)
    assert (from_december.code, from_december.filed_for) == ("retail", date(2026, 12, 1))


@pytest.mark.parametrize(
    ("name", "content", "mistake"),
    [
        ("retail.20261201", "", '"20261201" is not a date; name the file like'),
        ("retail.2026-02-30", "", '"2026-02-30" is not a date; name the file like'),
        ("house.2026-12-01", "", "terms of house have no dates; write them in house.toml"),
        ("shop.2026-12-01", "", "there is no shop.toml; the merchant's own file comes first"),
        ("retail.2017-01-01", "", "the merchant joined on 2017-01-01; date it later"),
        ("retail.2026-12-01", "suspended = true\n", "suspended: must be as in retail.toml"),
        (
            "retail.2026-12-01",
            "[[prices]]\neffective_from = 2026-12-01\n",
            "prices: prices have days of their own; write them in retail.toml",
        ),
    ],
)
def test_a_file_with_a_date_goes_with_the_file_without(
    tmp_path: Path, name: str, content: str, mistake: str
) -> None:
    write(tmp_path, **{name: RETAIL.partition("[[prices]]")[0] + content})
    found = [one for one in mistakes_in(tmp_path) if one.startswith(f"{name}.toml")]
    assert any(mistake in one for one in found), found
