"""What a movement's digest is made over: everything of it that never changes, and nobody's name."""

from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import pytest
from msgspec.structs import replace

from coalition.ledger.burned import BurnRow, Leg
from coalition.ledger.earned import ReversedLot
from coalition.ledger.sealed import content_of, seal
from coalition.ledger.state import Account, Lot, Member, Posting, State
from settlement.window import Window

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = date(2026, 3, 1)
WINDOW = Window(3, "2026-03", NOW, NOW + timedelta(days=31), "open")
EARN = Posting(
    7, 1, "earn", 5, 9000000000000019, 100, 100, NOW, NOW, 3,
    amount=12_345, request_id=UUID(int=1), body_hash=9, reference="receipt 1",
)  # fmt: skip
LOT = Lot(7, 2, 1, 5, "purchase", 100, 100, NOW, DAY, date(2027, 3, 1), 3)
HOLD = Posting(7, 3, "hold", 6, 9000000000000019, -40, 60, NOW, NOW, 3)
BURN = BurnRow(7, 3, 6, "redemption", 40, 0, "held", DAY, NOW, None, 9000000000000019, NOW)
LEG = Leg(7, 2, 3, 3, 5, 6, "redemption", 40, DAY, None, None, 1, date(2027, 3, 1))
CAPTURE = Posting(7, 4, "capture", 6, 9000000000000019, 0, 60, NOW, NOW, 3, target_no=3)


def test_the_way_of_writing_never_changes() -> None:
    """Digests of rows that are stored were made over these bytes."""
    assert content_of(EARN, [LOT], [], []).decode() == (
        '[1,{"member_id":7,"posting_no":1,"kind":"earn","merchant_id":5,"card":null,"change":'
        '100,"available_after":100,"occurred_at":"2026-03-01T12:00:00Z","recorded_at":"2026-0'
        '3-01T12:00:00Z","window_id":3,"amount":12345,"request_id":"00000000-0000-0000-0000-0'
        '00000000001","body_hash":9,"reference":"receipt 1"},[{"member_id":7,"lot_no":2,"earn'
        '_no":1,"origin_id":5,"kind":"purchase","points":100,"remaining":0,"earned_at":"2026-'
        '03-01T12:00:00Z","earned_on":"2026-03-01","expires_on":"2027-03-01","window_id":3}],'
        "[],[]]"
    )
    assert content_of(HOLD, [], [BURN], [LEG]).decode() == (
        '[1,{"member_id":7,"posting_no":3,"kind":"hold","merchant_id":6,"card":null,"change":'
        '-40,"available_after":60,"occurred_at":"2026-03-01T12:00:00Z","recorded_at":"2026-03'
        '-01T12:00:00Z","window_id":3},[],[{"member_id":7,"burn_no":3,"redeemer_id":6,"kind":'
        '"redemption","points":0,"returned":0,"status":"","occurred_on":"0001-01-01","hold_ex'
        'pires_at":"2026-03-01T12:00:00Z","window_id":null,"card":null,"occurred_at":null}],['
        '{"member_id":7,"lot_no":2,"posting_no":3,"burn_no":3,"origin_id":5,"redeemer_id":6,"'
        'kind":"redemption","points":40,"occurred_on":"0001-01-01","window_id":null,"about_wi'
        'ndow_id":null,"leg_no":1,"good_until":"2027-03-01"}]]'
    )


@pytest.mark.parametrize("name", sorted(set(Posting.__struct_fields__) - {"card"}))
def test_every_column_of_a_posting_is_covered_but_its_card(name: str) -> None:
    value = getattr(EARN, name)
    other: object = 99
    if isinstance(value, bool):
        other = not value
    elif isinstance(value, str):
        other = "other"
    elif isinstance(value, datetime):
        other = value + timedelta(seconds=1)
    elif isinstance(value, UUID):
        other = UUID(int=2)
    changed = replace(EARN, **{name: other})
    assert content_of(changed, [LOT], [], []) != content_of(EARN, [LOT], [], [])


def test_a_cards_number_names_a_person_and_is_in_no_digest() -> None:
    assert content_of(replace(EARN, card=None), [LOT], [], []) == content_of(EARN, [LOT], [], [])
    assert content_of(HOLD, [], [replace(BURN, card=None)], [LEG]) == content_of(
        HOLD, [], [BURN], [LEG]
    )


def test_a_time_is_the_same_whatever_the_clock_that_it_was_sent_by() -> None:
    there = timezone(timedelta(hours=8))
    sent = replace(EARN, occurred_at=EARN.occurred_at.astimezone(there))
    lot = replace(LOT, earned_at=LOT.earned_at.astimezone(there))
    assert content_of(sent, [lot], [], []) == content_of(EARN, [LOT], [], [])


def test_what_becomes_of_a_lot_later_changes_nothing_of_its_earn() -> None:
    spent = replace(LOT, remaining=0)
    longer = replace(LOT, expires_on=date(2028, 1, 1), first_expires_on=LOT.expires_on)
    for lot in (spent, longer):
        assert content_of(EARN, [lot], [], []) == content_of(EARN, [LOT], [], [])
    shorter = replace(LOT, expires_on=date(2026, 4, 1))
    assert content_of(EARN, [shorter], [], []) != content_of(EARN, [LOT], [], [])


def test_what_becomes_of_a_hold_later_is_covered_by_its_capture() -> None:
    on = date(2026, 3, 2)
    posted = replace(BURN, status="posted", points=30, occurred_on=on, window_id=3)
    leg = replace(LEG, occurred_on=on, window_id=3)
    assert content_of(HOLD, [], [posted], [leg]) == content_of(HOLD, [], [BURN], [LEG])
    captured = content_of(CAPTURE, [], [posted], [])
    for change in ({"points": 31}, {"occurred_on": DAY}, {"window_id": 4}):
        assert content_of(CAPTURE, [], [replace(posted, **change)], []) != captured
    # What a reversal returns later is the reversal's.
    assert content_of(CAPTURE, [], [replace(posted, returned=30)], []) == captured


def test_two_movements_of_one_member_in_one_group_follow_each_other() -> None:
    state = State(WINDOW)
    member = Member(Account(7, 100, 0, 0, 2, None))
    for number in (1, 2):
        state.record_posting(member, replace(EARN, posting_no=number))
    seal(state, b"key")
    first, second = state.digests
    assert member.account.digest == second
    alone = State(WINDOW)
    alone.record_posting(Member(Account(7, 100, 0, 0, 2, None)), replace(EARN, posting_no=2))
    seal(alone, b"key")
    assert alone.digests != [second]
    assert first != second


def test_which_rule_gave_a_lot_and_what_was_taken_back_of_each_are_covered() -> None:
    assert content_of(EARN, [replace(LOT, rule="bonus")], [], []) != content_of(EARN, [LOT], [], [])
    back = [ReversedLot(7, 2, 4, 50, 0, 10), ReversedLot(7, 3, 4, 50, 0, 20)]
    other = [replace(back[0], owed=20), replace(back[1], owed=10)]
    assert content_of(EARN, [], [], [], back) != content_of(EARN, [], [], [], other)
    assert content_of(EARN, [], [], [], back) != content_of(EARN, [], [], [])
