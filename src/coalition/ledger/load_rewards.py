"""What a group's commands need of rewards: nothing, for nearly all of them."""

from collections.abc import Iterable, Mapping, Sequence

import asyncpg

from coalition.ledger.commands import Burn, Request
from coalition.ledger.state import BurnRow, Posting, State
from coalition.rewards import store
from coalition.rewards.voucher import RewardKey
from coalition.terms.book import Book

_ABOUT_VOUCHERS = ("use_voucher", "cancel_voucher")


async def load_desk(
    connection: asyncpg.Connection,
    state: State,
    requests: Iterable[Request],
    burns: Mapping[tuple[int, int], BurnRow],
    seen: Sequence[Posting],
    book: Book,
) -> None:
    """Lock what is gone of the rewards that are asked for or may come back, after the accounts, and
    read the vouchers of the burns that are loaded.
    """
    wanted = _wanted(requests, state, book)
    bought = {of: burn for of, burn in burns.items() if burn.reward is not None}
    if not wanted and not bought:
        return
    desk = state.rewards
    known = {(burn.redeemer_id, burn.reward or "") for burn in bought.values()}
    await store.lock_counts(connection, desk, {key for _, key in wanted}, known)
    if wanted:
        await store.load_taken(connection, desk, wanted)
    if bought:
        await store.load_vouchers(connection, desk, {*bought})
    done = {(p.member_id, p.posting_no) for p in seen if p.kind in _ABOUT_VOUCHERS}
    if done:
        await store.load_events(connection, desk, done)


def _wanted(requests: Iterable[Request], state: State, book: Book) -> set[tuple[int, RewardKey]]:
    """Which member asks for which reward, of those that there are."""
    wanted: set[tuple[int, RewardKey]] = set()
    for request in requests:
        command = request.command
        if not isinstance(command, Burn) or command.wants is None:
            continue
        card, merchant = state.cards.get(command.card), book.merchants.get(request.merchant_id)
        if card is None or merchant is None:
            continue
        code = command.wants.reward
        terms = book.terms_today(merchant, request.now)
        if any(reward.code == code for reward in terms.rewards):
            wanted.add((card.member_id, (request.merchant_id, code)))
    return wanted
