"""What the owner of the database changes, as consistently as rows alone can be, and the rule that
names it.

docs/tampering.md shows the same table to those who have to trust it; the ledger that it is done to
is test_tampering.py's.
"""

from dataclasses import dataclass

from tests.coalition.crowd import RETAIL, TELECOM, card

from coalition.verify.check import AGREED, MOVEMENTS, WINDOWS

SUMS_BEFORE = "an account's available points are the sum of its journal"
LOTS = "a lot's points are what remains of it and what its legs took"
ACCOUNTS = "every member has an account, and whatever moves points is an account's"
NUMBERS = "every number that an account gave out is a posting's, a lot's or a voucher's"
OF_EARNS = "a lot was made by an earn or a transfer, and each of these made one"
OF_BURNS = "a burn is what its postings made of it"
CAPTURED = "a captured hold's legs have the day and the window of its capture"
WRITTEN = "a leg was written by a posting"
ABOUT = "what captures, voids and reverses is about a movement of its member"
GOOD_UNTIL = "until when a lot is good is what it was granted with, or what a refund made of that"
CARDS = "a posting's card is its member's"
IN_WINDOWS = "whatever is in a window is in one that is there"
WITHOUT = "whatever was posted since digests are has one"
JOINED = "a leg has its lot's origin and its burn's kind and redeemer"


@dataclass(frozen=True, slots=True)
class Tampering:
    """What is done, as the owner does it with triggers set aside, and the rule that names it."""

    what: str
    rule: str
    statements: tuple[str, ...]


# Member 1, in January: posting 1 earns lot 2 at telecom and 3 lot 4 at retail, 100 each; burn 5
# takes 30 of lot 2; hold 6 takes 20 and capture 7 posts 15 of them. In February: posting 8 earns
# lot 9 at telecom, 100; burn 10 takes 70; reversal 11 gives 10 back; transfer 12 gives 5 to member
# 2; hold 13 takes 15. Member 3's points lapse while they are away, and come back with time to live;
# it owes telecom points in the end.
_NEW_EARN = (
    "insert into posting (member_id, posting_no, kind, merchant_id, card_number, change,"
    " available_after, occurred_at, recorded_at, window_id, mark) select 2, 3, 'earn', 3,"
    f" {card(2)}, 50, 55, recorded_at, recorded_at, window_id, mark from posting"
    " where member_id = 1 and posting_no = 13",
    "insert into lot (member_id, lot_no, earn_no, origin_id, kind, points, remaining, earned_at,"
    " earned_on, window_id) select 2, 4, 3, 3, 'outright', 50, 50, recorded_at, '2017-02-10',"
    " window_id from posting where member_id = 1 and posting_no = 13",
    "update account set available = 55, last_no = 4 where member_id = 2",
)
TABLE = (
    Tampering(
        "posting.amount",
        MOVEMENTS,
        ("update posting set amount = 7 where member_id = 1 and posting_no = 8",),
    ),
    Tampering(
        "posting.kind",
        MOVEMENTS,
        ("update posting set kind = 'burn' where member_id = 1 and posting_no = 6",),
    ),
    Tampering(
        "posting.merchant",
        MOVEMENTS,
        (f"update posting set merchant_id = {RETAIL} where member_id = 1 and posting_no = 8",),
    ),
    Tampering(
        "posting.window",
        MOVEMENTS,
        ("update posting set window_id = 2 where member_id = 1 and posting_no = 3",),
    ),
    Tampering(
        "posting.target",
        ABOUT,
        ("update posting set target_no = 8 where member_id = 1 and posting_no = 11",),
    ),
    Tampering(
        "posting.target, of another movement of the same kind",
        MOVEMENTS,
        ("update posting set target_no = 5 where member_id = 1 and posting_no = 11",),
    ),
    Tampering(
        "posting.request",
        MOVEMENTS,
        ("update posting set request_id = null where member_id = 1 and posting_no = 10",),
    ),
    Tampering(
        "posting.body_hash",
        MOVEMENTS,
        ("update posting set body_hash = 2 where member_id = 1 and posting_no = 10",),
    ),
    Tampering(
        "posting.actor",
        MOVEMENTS,
        ("update posting set actor = 'key:Another1' where member_id = 1 and posting_no = 10",),
    ),
    Tampering(
        "posting.reference",
        MOVEMENTS,
        ("update posting set reference = 'x' where member_id = 1 and posting_no = 10",),
    ),
    Tampering(
        "posting.occurred_at",
        MOVEMENTS,
        (
            "update posting set occurred_at = occurred_at - interval '1 s'"
            " where member_id = 1 and posting_no = 8",
        ),
    ),
    Tampering(
        "posting.recorded_at",
        MOVEMENTS,
        (
            "update posting set recorded_at = recorded_at - interval '1 s'"
            " where member_id = 1 and posting_no = 8",
        ),
    ),
    Tampering(
        "posting.card",
        CARDS,
        (f"update posting set card_number = {card(2)} where member_id = 1 and posting_no = 8",),
    ),
    Tampering(
        "posting.card taken away",
        CARDS,
        ("update posting set card_number = null where member_id = 1 and posting_no = 8",),
    ),
    Tampering(
        "a posting of another member",
        ACCOUNTS,
        ("update posting set member_id = 99 where member_id = 1 and posting_no = 13",),
    ),
    Tampering(
        "a posted burn's row deleted",
        OF_BURNS,
        ("delete from burn where member_id = 1 and burn_no = 5",),
    ),
    Tampering(
        "a posted burn's row and its legs deleted, and the points put back",
        OF_BURNS,
        (
            "delete from burn where member_id = 1 and burn_no = 10",
            "delete from leg where member_id = 1 and burn_no = 10",
            "update lot set remaining = points - coalesce((select sum(points) from leg"
            " where leg.member_id = lot.member_id and leg.lot_no = lot.lot_no), 0)",
        ),
    ),
    Tampering("an account's row deleted", ACCOUNTS, ("delete from account where member_id = 1",)),
    Tampering(
        "the account's row of a member without movements deleted",
        ACCOUNTS,
        ("delete from account where member_id = 4",),
    ),
    Tampering("an account of nobody", ACCOUNTS, ("insert into account (member_id) values (99)",)),
    Tampering(
        "a burn in another window",
        OF_BURNS,
        ("update burn set window_id = 2 where member_id = 1 and burn_no = 5",),
    ),
    Tampering(
        "a burn on another day",
        MOVEMENTS,
        ("update burn set occurred_on = '2017-01-02' where member_id = 1 and burn_no = 5",),
    ),
    Tampering(
        "a captured burn on another day",
        CAPTURED,
        ("update burn set occurred_on = '2017-01-02' where member_id = 1 and burn_no = 6",),
    ),
    Tampering(
        "a captured burn on another day, with its legs",
        MOVEMENTS,
        (
            "update burn set occurred_on = '2017-01-02' where member_id = 1 and burn_no = 6",
            "update leg set occurred_on = '2017-01-02' where member_id = 1 and burn_no = 6"
            " and posting_no = 6",
        ),
    ),
    Tampering(
        "a held burn posted without a capture",
        OF_BURNS,
        (
            "update burn set status = 'posted', window_id = 2 where member_id = 1 and burn_no = 13",
            "update leg set window_id = 2 where member_id = 1 and burn_no = 13",
            "update account set held = 0 where member_id = 1",
        ),
    ),
    Tampering(
        "a hold's end",
        MOVEMENTS,
        (
            "update burn set hold_expires_at = hold_expires_at + interval '1 year'"
            " where member_id = 1 and burn_no = 13",
        ),
    ),
    Tampering(
        "a hold's points",
        MOVEMENTS,
        (
            "update burn set points = 5 where member_id = 1 and burn_no = 13",
            "update leg set points = 5 where member_id = 1 and burn_no = 13",
            "update lot set remaining = remaining + 10 where member_id = 1 and lot_no ="
            " (select lot_no from leg where member_id = 1 and burn_no = 13)",
            "update account set held = 5, available = available + 10 where member_id = 1",
            "update posting set change = -5, available_after = available_after + 10"
            " where member_id = 1 and posting_no = 13",
        ),
    ),
    Tampering(
        "a lot that is good for longer",
        MOVEMENTS,
        ("update lot set expires_on = '2031-01-31' where member_id = 1 and lot_no = 9",),
    ),
    Tampering(
        "a lot that is good for longer, as if a refund had made it so",
        GOOD_UNTIL,
        (
            "update lot set first_expires_on = expires_on, expires_on = '2031-01-31'"
            " where member_id = 1 and lot_no = 9",
        ),
    ),
    Tampering(
        "a lot that a refund gave more time, and a change still more",
        GOOD_UNTIL,
        ("update lot set expires_on = '2031-01-31' where member_id = 3 and lot_no = 2",),
    ),
    Tampering(
        "a lot that a refund gave more time, and a change still more, with its leg",
        MOVEMENTS,
        (
            "update lot set expires_on = '2031-01-31' where member_id = 3 and lot_no = 2",
            "update leg set good_until = '2031-01-31' where member_id = 3 and points < 0",
        ),
    ),
    Tampering(
        "an invented earn in the open window, with its lot, account and numbers",
        WITHOUT,
        _NEW_EARN,
    ),
    Tampering(
        "an invented earn with a digest of somebody else's",
        MOVEMENTS,
        (
            *_NEW_EARN,
            "update posting set digest = (select digest from posting where member_id = 1"
            " and posting_no = 8) where member_id = 2 and posting_no = 3",
            "update account set digest = (select digest from posting where member_id = 1"
            " and posting_no = 8) where member_id = 2",
        ),
    ),
    Tampering(
        "an earn of more points, with its lot and account",
        MOVEMENTS,
        (
            "update posting set change = 200, available_after = available_after + 100"
            " where member_id = 1 and posting_no = 8",
            "update posting set available_after = available_after + 100"
            " where member_id = 1 and posting_no > 8",
            "update lot set points = 200, remaining = remaining + 100"
            " where member_id = 1 and lot_no = 9",
            "update account set available = available + 100 where member_id = 1",
        ),
    ),
    Tampering(
        "lot.remaining",
        LOTS,
        ("update lot set remaining = remaining - 1 where member_id = 1 and lot_no = 9",),
    ),
    Tampering(
        "a lot's origin",
        MOVEMENTS,
        (
            f"update lot set origin_id = {RETAIL} where member_id = 1 and lot_no = 9",
            f"update leg set origin_id = {RETAIL} where member_id = 1 and lot_no = 9",
        ),
    ),
    Tampering("a lot without its earn", OF_EARNS, ("update lot set earn_no = 5 where lot_no = 9",)),
    Tampering("a lot deleted", JOINED, ("delete from lot where member_id = 1 and lot_no = 2",)),
    Tampering(
        "a leg into the open window",
        WRITTEN,
        (
            "insert into leg (member_id, lot_no, posting_no, burn_no, origin_id, redeemer_id, kind,"
            f" points, occurred_on, window_id, leg_no) values (1, 9, 77, 10, {TELECOM}, {RETAIL},"
            " 'redemption', 5, '2017-02-10', 2, 1)",
        ),
    ),
    Tampering(
        "a leg to another redeemer, with its burn",
        MOVEMENTS,
        (
            f"update leg set redeemer_id = {TELECOM} where member_id = 1 and burn_no = 10",
            f"update burn set redeemer_id = {TELECOM} where member_id = 1 and burn_no = 10",
        ),
    ),
    Tampering("account.available", SUMS_BEFORE, ("update account set available = available + 1",)),
    Tampering("account.last_no", NUMBERS, ("update account set last_no = 99 where member_id = 1",)),
    Tampering(
        "a debt",
        "what a member owes is the sum of its debts, each of a reversed earn",
        ("update debt set points = points - 1 where member_id = 3",),
    ),
    Tampering(
        "a debt, with its account",
        "what a member owes an origin is what reversed earns left owing, less what was paid since",
        (
            "update debt set points = points - 1 where member_id = 3",
            "update account set owed = owed - 1 where member_id = 3",
        ),
    ),
    Tampering(
        "a debt, with its account and posting",
        MOVEMENTS,
        (
            "update debt set points = points - 1 where member_id = 3",
            "update account set owed = owed - 1 where member_id = 3",
            "update posting set owed = owed - 1, lapsed = lapsed + 1"
            " where member_id = 3 and owed > 0",
        ),
    ),
    Tampering(
        "a movement into a window that is not there",
        IN_WINDOWS,
        ("update posting set window_id = 9 where member_id = 1 and posting_no = 8",),
    ),
    Tampering(
        "a digest taken away",
        MOVEMENTS,
        ("update posting set digest = null where member_id = 1 and posting_no = 8",),
    ),
    Tampering(
        "a mark of a transaction that never was",
        WITHOUT,
        ("update posting set mark = mark + 1000000 where member_id = 1 and posting_no = 13",),
    ),
    Tampering(
        "all digests of a member taken away",
        WITHOUT,
        (
            "update posting set digest = null where member_id = 1",
            "update account set digest = null where member_id = 1",
        ),
    ),
    Tampering(
        "a window's label",
        WINDOWS,
        ("update settlement_window set label = '2016-12' where window_id = 1",),
    ),
    Tampering(
        "a window's closed_at",
        WINDOWS,
        ("update settlement_window set closed_at = closed_at + interval '1 s'",),
    ),
    Tampering(
        "a party's name on statements",
        WINDOWS,
        (f"update position set party_name = 'Nobody' where party_id = {TELECOM}",),
    ),
    Tampering(
        "a window's results, with all that depends on them",
        WINDOWS,
        (
            "update position set instructed = 0, closing = opening + net where window_id = 1",
            "update window_terms set terms_no = 1 where merchant_id = 0",
        ),
    ),
    Tampering(
        "a window's terms",
        WINDOWS,
        (f"update window_terms set terms_no = 99 where merchant_id = {TELECOM}",),
    ),
    Tampering(
        "a window's digest taken away, and its format set back to that of the time before digests",
        WINDOWS,
        (
            "update settlement_window set digest = null, statement_format = 2 where window_id = 1",
            f"update position set party_name = 'Nobody' where party_id = {TELECOM}",
        ),
    ),
    Tampering(
        "a new price that reaches back",
        AGREED,
        (
            "insert into price (origin_id, effective_from, burn_price, recorded_at)"
            f" values ({TELECOM}, '2017-02-01', 9, '2017-01-01')",
        ),
    ),
    Tampering(
        "a price in force",
        AGREED,
        (f"update price set burn_price = 9 where origin_id = {TELECOM}",),
    ),
    Tampering(
        "terms in force",
        AGREED,
        (
            "update terms set terms = jsonb_set(terms, '{points_per_burn_max}', '1')"
            f" where merchant_id = {TELECOM}",
        ),
    ),
    Tampering(
        "a movement deleted in the middle, with all that it wrote",
        MOVEMENTS,
        (
            "delete from posting where member_id = 1 and posting_no = 8",
            "delete from lot where member_id = 1 and lot_no = 9",
        ),
    ),
)
