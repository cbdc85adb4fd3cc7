"""When windows end, what they are called, and when a payment falls due."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from settlement.rule import CalendarError
from settlement.window import label_for, midnight, next_end, payment_due

MONTHLY = "FREQ=MONTHLY;BYMONTHDAY=1"


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("rule", "zone", "after", "expected"),
    [
        (MONTHLY, "Asia/Shanghai", "2017-03-01T00:00+08:00", "2017-04-01T00:00+08:00"),
        (MONTHLY, "Asia/Shanghai", "2017-03-31T23:59:59+08:00", "2017-04-01T00:00+08:00"),
        (MONTHLY, "Europe/Berlin", "2017-03-01T00:00+01:00", "2017-04-01T00:00+02:00"),
        (MONTHLY, "Europe/Berlin", "2017-10-01T00:00+02:00", "2017-11-01T00:00+01:00"),
        ("FREQ=DAILY", "Europe/Berlin", "2017-03-26T00:00+01:00", "2017-03-27T00:00+02:00"),
        # 2017-10-15 begins at 01:00 in Sao Paulo: the clocks skip midnight.
        ("FREQ=DAILY", "America/Sao_Paulo", "2017-10-14T12:00-03:00", "2017-10-15T01:00-02:00"),
        ("FREQ=DAILY", "America/Sao_Paulo", "2017-10-15T01:00-02:00", "2017-10-16T00:00-02:00"),
        # 2017-11-05 begins twice in Havana: the first time counts, and only once.
        ("FREQ=DAILY", "America/Havana", "2017-11-04T12:00-04:00", "2017-11-05T00:00-04:00"),
        ("FREQ=DAILY", "America/Havana", "2017-11-05T00:00-04:00", "2017-11-06T00:00-05:00"),
        ("FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=20", "UTC", "2017-03-01T00:00Z", "2017-03-20T00:00Z"),
        ("FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=20", "UTC", "2017-03-20T00:00Z", "2017-05-20T00:00Z"),
        ("RRULE:FREQ=WEEKLY;BYDAY=MO", "UTC", "2017-03-06T00:00Z", "2017-03-13T00:00Z"),
        ("FREQ=DAILY;BYHOUR=9", "UTC", "2017-03-06T00:00Z", "2017-03-07T00:00Z"),
    ],
)
def test_a_window_ends_at_local_midnight_of_the_next_named_day(
    rule: str, zone: str, after: str, expected: str
) -> None:
    assert next_end(rule, ZoneInfo(zone), date(2017, 3, 1), _at(after)) == _at(expected)


def test_windows_of_a_daily_calendar_follow_each_other_through_a_year_of_clock_changes() -> None:
    zone = ZoneInfo("America/Sao_Paulo")
    at = midnight(date(2017, 1, 1), zone)
    for day in range(1, 366):
        at = next_end("FREQ=DAILY", zone, date(2017, 1, 1), at)
        assert at == midnight(date(2017, 1, 1) + timedelta(days=day), zone)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("every month", "not an RFC 5545 rule"),
        ("", "not an RFC 5545 rule"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "not an RFC 5545 rule|names no day"),
        ("FREQ=DAILY;UNTIL=20180101T000000Z", "not an RFC 5545 rule"),
        ("DTSTART:20170101T000000Z\nRRULE:FREQ=DAILY", "leave out DTSTART"),
        ("FREQ=DAILY;COUNT=3", "names no day after"),
    ],
)
def test_a_calendar_rule_that_cannot_go_on_is_refused_with_the_reason(rule: str, says: str) -> None:
    with pytest.raises(CalendarError, match=says):
        next_end(rule, ZoneInfo("UTC"), date(2017, 1, 1), datetime(2017, 6, 1, tzinfo=UTC))


SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.mark.parametrize(
    ("first", "after", "expected"),
    [
        ("2026-12-01", "2027-01-01", "2026-12"),
        ("2024-02-01", "2024-03-01", "2024-02"),
        ("2026-12-01", "2026-12-02", "2026-12-01"),
        ("2026-12-31", "2027-01-01", "2026-12-31"),
        ("2026-11-30", "2026-12-07", "2026-W49"),
        ("2025-12-29", "2026-01-05", "2026-W01"),
        ("2026-12-01", "2026-12-08", "2026-12-01..2026-12-07"),
        ("2026-10-01", "2027-01-01", "2026-10-01..2026-12-31"),
        ("2026-12-05", "2027-01-05", "2026-12-05..2027-01-04"),
        # A week that is the first seven days of no month, and a February that is four weeks.
        ("2021-02-01", "2021-03-01", "2021-02"),
        ("2021-02-01", "2021-02-08", "2021-W05"),
    ],
)
def test_a_label_names_its_window_without_doubt(first: str, after: str, expected: str) -> None:
    span = [midnight(date.fromisoformat(day), SHANGHAI) for day in (first, after)]
    assert label_for(span[0], span[1], SHANGHAI, ()) == expected


@pytest.mark.parametrize(
    ("opens", "after", "taken", "expected"),
    [
        ("2026-12-10T14:00+08:00", "2027-01-01", ["2026-12"], "2026-12-10..2026-12-31"),
        ("2026-12-01T00:01+08:00", "2027-01-01", ["2026-12"], "2026-12-01..2026-12-31"),
        ("2026-12-31T14:00+08:00", "2027-01-01", ["2026-12"], "2026-12-31"),
        ("2026-12-01T14:00+08:00", "2026-12-02", ["2026-12-01"], "2026-12-01-2"),
        ("2026-12-01T15:00+08:00", "2026-12-02", ["2026-12-01", "2026-12-01-2"], "2026-12-01-3"),
        ("2026-12-02T09:00+08:00", "2026-12-07", ["2026-W49"], "2026-12-02..2026-12-06"),
        (
            "2026-12-10T15:00+08:00",
            "2027-01-01",
            ["2026-12", "2026-12-10..2026-12-31"],
            "2026-12-10..2026-12-31-2",
        ),
        # A day was called so by an earlier version.
        ("2026-12-01T00:00+08:00", "2027-01-01", ["2026-12"], "2026-12-01..2026-12-31"),
    ],
)
def test_the_rest_of_a_window_that_was_closed_early_has_a_label_of_its_own(
    opens: str, after: str, taken: list[str], expected: str
) -> None:
    span = _at(opens), midnight(date.fromisoformat(after), SHANGHAI)
    assert label_for(*span, SHANGHAI, taken) == expected


def test_every_label_of_a_daily_calendar_is_its_day() -> None:
    zone, day = ZoneInfo("America/Sao_Paulo"), date(2017, 1, 1)
    labels: list[str] = []
    at = midnight(day, zone)
    for _ in range(365):
        end = next_end("FREQ=DAILY", zone, day, at)
        labels.append(label_for(at, end, zone, labels))
        at = end
    assert labels == [(day + timedelta(days=n)).isoformat() for n in range(365)]


@pytest.mark.parametrize(
    ("rule", "opens", "closes", "due"),
    [
        (None, "2017-03-01", "2017-04-01", True),
        ("FREQ=MONTHLY;BYMONTHDAY=20", "2017-03-01", "2017-04-01", True),
        ("FREQ=MONTHLY;BYMONTHDAY=20", "2017-03-01", "2017-03-20", False),
        ("FREQ=MONTHLY;BYMONTHDAY=20", "2017-03-20", "2017-03-21", True),
        ("FREQ=MONTHLY;BYMONTHDAY=20", "2017-03-21", "2017-04-20", False),
        ("FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=20", "2017-03-01", "2017-04-01", True),
        ("FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=20", "2017-04-01", "2017-05-01", False),
        ("FREQ=DAILY;COUNT=1", "2017-03-01", "2017-04-01", False),
    ],
)
def test_a_payment_is_due_in_the_window_in_which_a_named_day_begins(
    rule: str | None, opens: str, closes: str, due: bool
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    span = [midnight(date.fromisoformat(day), berlin) for day in (opens, closes)]
    assert payment_due(rule, berlin, span[0], span[1]) is due


@pytest.mark.parametrize("year", [1997, 1999, 2000, 2003])
def test_a_payment_is_due_in_years_before_2000_as_after(year: int) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    spans = [
        (midnight(date(year, month, 1), zone), midnight(date(year, month + 1, 1), zone))
        for month in range(1, 12)
    ]
    due = [payment_due("FREQ=MONTHLY;BYMONTHDAY=20", zone, *span) for span in spans]
    assert due == [True] * 11
    # Counted from January 2000, backwards too.
    due = [payment_due("FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=20", zone, *span) for span in spans]
    assert due == [month % 2 == 1 for month in range(1, 12)]


def test_a_window_that_opens_after_midnight_does_not_hold_that_day() -> None:
    opens_at = datetime(2017, 3, 20, 5, tzinfo=UTC)
    closes_at = datetime(2017, 4, 1, tzinfo=UTC)
    assert not payment_due("FREQ=MONTHLY;BYMONTHDAY=20", ZoneInfo("UTC"), opens_at, closes_at)
