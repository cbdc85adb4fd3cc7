"""What a group's commands need of rewards: nothing, for nearly all of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import asyncpg

from coalition.ledger.burned import BurnRow
from coalition.ledger.commands import Burn, Request
from coalition.ledger.state import Posting, State
from coalition.rewards import store
from coalition.rewards.voucher import RewardKey
from coalition.terms.book import Book
from coalition.terms.rewards import VOUCHERS_PER_BURN_MAX, Reward

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
    read the vouchers of `burns`, all of which are of rewards.
    """
    asked = _asked(requests, state, book)
    wanted = {(one.member_id, one.key) for one in asked}
    if not wanted and not burns:
        return
    desk = state.rewards
    known = {(burn.redeemer_id, burn.reward or "") for burn in burns.values()}
    await store.lock_counts(connection, desk, {key for _, key in wanted}, known)
    if wanted:
        await store.load_taken(connection, desk, wanted)
    needed: Counter[RewardKey] = Counter()
    for one in asked:
        if one.reward.voucher is not None and one.reward.voucher.external:
            needed[one.key] += min(one.quantity, VOUCHERS_PER_BURN_MAX)
    if needed:
        await store.load_free(connection, desk, needed)
    if burns:
        await store.load_vouchers(connection, desk, {*burns})
    done = {(p.member_id, p.posting_no) for p in seen if p.kind in _ABOUT_VOUCHERS}
    if done:
        await store.load_events(connection, desk, done)


class _Asked(NamedTuple):
    """A member that asks for so many pieces of a reward that there is."""

    member_id: int
    key: RewardKey
    reward: Reward
    quantity: int


def _asked(requests: Iterable[Request], state: State, book: Book) -> list[_Asked]:
    asked: list[_Asked] = []
    for request in requests:
        command = request.command
        if not isinstance(command, Burn) or command.wants is None:
            continue
        card, merchant = state.cards.get(command.card), book.merchants.get(request.merchant_id)
        if card is None or merchant is None:
            continue
        wants, terms = command.wants, book.terms_today(merchant, request.now)
        for reward in terms.rewards:
            if reward.code == wants.reward:
                key = (request.merchant_id, reward.code)
                asked.append(_Asked(card.member_id, key, reward, wants.quantity))
    return asked
