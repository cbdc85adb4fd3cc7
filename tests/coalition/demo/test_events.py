"""In which order events are posted, and which of them at once."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from coalition.demo.events import Cancel, Event, Return, Reward, Sale, days, order, rounds

AT = datetime(2017, 3, 1, 17, tzinfo=UTC)


def sale(household: int, basket: int = 1) -> Sale:
    return Sale(AT, household, basket, "grocer", ())


def reward(household: int, number: int = 1) -> Reward:
    return Reward(AT, household, number, "grocer", 500)


def test_at_one_instant_points_are_earned_before_they_are_spent() -> None:
    events: list[Event] = [
        Cancel(AT, 1, 1, "fuel"),
        reward(1),
        Return(AT, 1, 5, "grocer"),
        sale(1, 9),
        sale(1, 8),
    ]
    assert sorted(events, key=order) == [events[4], events[3], events[2], events[1], events[0]]


def test_a_reward_waits_for_what_its_household_did_before_it_that_day() -> None:
    day: list[Event] = [sale(1), sale(2), reward(1), sale(1, 2), reward(3), reward(1, 2)]
    assert rounds(day) == [[day[0], day[1], day[4]], [day[2], day[3]], [day[5]]]


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans())))
def test_rounds_keep_every_event_once_and_each_household_in_order(
    plan: list[tuple[int, bool]],
) -> None:
    day: list[Event] = [
        reward(household, number) if is_reward else sale(household, number)
        for number, (household, is_reward) in enumerate(plan)
    ]
    parts = rounds(day)
    for household in (1, 2, 3):
        posted = [event for part in parts for event in part if event.household == household]
        assert posted == [event for event in day if event.household == household]
    for part in parts:
        for place, event in enumerate(part):
            before = {other.household for other in part[:place]}
            assert not (isinstance(event, Reward) and event.household in before)


def test_a_day_begins_at_midnight_in_cincinnati() -> None:
    late = Sale(datetime(2017, 3, 2, 4, 59, tzinfo=UTC), 1, 1, "grocer", ())
    early = Sale(datetime(2017, 3, 2, 5, 0, tzinfo=UTC), 1, 2, "grocer", ())
    told = [(midnight.astimezone(UTC), events) for midnight, events in days([late, early])]
    assert told == [
        (datetime(2017, 3, 1, 5, tzinfo=UTC), [late]),
        (datetime(2017, 3, 2, 5, tzinfo=UTC), [early]),
    ]
