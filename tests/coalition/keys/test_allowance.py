"""How fast a key may ask: one bucket for requests and for rows of files."""

from coalition.keys.allowance import Allowance


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_seconds_worth_of_requests_may_come_at_once_and_no_more() -> None:
    clock = Clock()
    allowance = Allowance(8, clock)
    assert [allowance.take("a") for _ in range(9)] == [0] * 8 + [1]
    assert allowance.take("b") == 0, "each key has its own"
    clock.now_s += 0.125
    assert [allowance.take("a") for _ in range(2)] == [0, 1]


def test_rows_spend_what_requests_spend_and_leave_them_half() -> None:
    clock = Clock()
    allowance = Allowance(10, clock)
    assert allowance.rows_max == 5
    assert allowance.take_rows("a", 5) == 0
    assert allowance.take_rows("a", 5) == 0.5, "until the bucket is full again"
    assert [allowance.take("a") for _ in range(6)] == [0] * 5 + [1]
    clock.now_s += 1
    assert allowance.take_rows("a", 2) == 0
    assert [allowance.take("a") for _ in range(9)] == [0] * 8 + [1]


def test_however_little_a_key_may_ask_its_files_get_on() -> None:
    clock = Clock()
    allowance = Allowance(1, clock)
    assert allowance.rows_max == 1
    assert allowance.take_rows("a", 1) == 0
    assert allowance.take_rows("a", 1) == 1
    clock.now_s += 1
    assert allowance.take_rows("a", 1) == 0


def test_without_a_limit_nothing_is_counted() -> None:
    allowance = Allowance(0)
    assert allowance.rows_max is None
    assert [allowance.take("a"), allowance.take_rows("a", 1_000_000)] == [0, 0.0]
