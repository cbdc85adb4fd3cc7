"""How a time is spelt, and that no door rounds one into the next day."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from coalition.errors import CoalitionError, Code
from coalition.wire.bodies import EarnBody
from coalition.wire.syntax import decode, read_right
from coalition.wire.times import exact

LAST_MOMENT = "2026-10-31T23:59:59.9999999+08:00"


def test_digits_beyond_microseconds_are_cut_off_and_never_rounded() -> None:
    assert exact(LAST_MOMENT) == "2026-10-31T23:59:59.999999+08:00"
    assert exact("2026-10-31T23:59:59.999999Z") == "2026-10-31T23:59:59.999999Z"
    assert exact("2026-10-31T23:59:59Z") == "2026-10-31T23:59:59Z"


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-31 23:59:59+08:00",
        "2026-10-31T23:59:59+0800",
        "2026-10-31T23:59:59",
        "2026-10-31",
        "",
    ],
)
def test_a_time_without_t_or_a_colon_in_its_offset_is_invalid(text: str) -> None:
    with pytest.raises(CoalitionError, match="with T and its offset") as refused:
        exact(text)
    assert refused.value.code is Code.INVALID


@pytest.mark.parametrize("field", [b"occurred_at", rb"occurred\u005fat"])
def test_the_last_moment_of_october_stays_in_october_in_the_routes_and_the_lane(
    field: bytes,
) -> None:
    body = b'{"card": "9000000000000001", "amount": 1, "%s": "%s"}' % (field, LAST_MOMENT.encode())
    right = read_right(body, EarnBody)
    assert right is not None
    for found in (decode(body, EarnBody), right[0]):
        assert found.occurred_at is not None
        at = found.occurred_at.astimezone(ZoneInfo("Asia/Shanghai"))
        assert (at.date(), at.microsecond) == (date(2026, 10, 31), 999_999)


def test_a_time_that_the_decoder_alone_would_read_is_refused_in_a_body() -> None:
    body = b'{"card": "9000000000000001", "amount": 1, "occurred_at": "2026-10-31T23:59:59+0800"}'
    assert read_right(body, EarnBody) is None
    with pytest.raises(CoalitionError, match="with T and its offset"):
        decode(body, EarnBody)


def test_an_exact_time_is_what_it_was() -> None:
    body = b'{"card": "9000000000000001", "amount": 1, "occurred_at": "2026-10-31T15:59:59Z"}'
    assert decode(body, EarnBody).occurred_at == datetime(2026, 10, 31, 15, 59, 59, tzinfo=UTC)
