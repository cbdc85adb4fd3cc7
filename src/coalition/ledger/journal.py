"""The journal's lines: the one place where a posting is built."""

from datetime import datetime

from coalition.ledger.commands import Request
from coalition.ledger.state import Member, Posting, State
from coalition.terms.book import Book


def write(
    kind: str,
    number: int,
    change: int,
    request: Request,
    member: Member,
    state: State,
    book: Book,
    *,
    merchant_id: int,
    card: int | None,
    occurred_at: datetime | None = None,
    owed: int = 0,
    lapsed: int = 0,
    target_no: int | None = None,
    amount: int | None = None,
    peer_member_id: int | None = None,
    reference: str | None = None,
    is_keyed: bool = True,
) -> Posting:
    """Write a member's line for what `request` did, after the balance has moved by `change`.

    merchant_id is in whose history it stands; occurred_at None: at request.now. is_keyed False: the
    line is not found under the request's key, because another member's line of it is.
    """
    pending_until = member.account.pending_until
    posting = Posting(
        member_id=member.account.member_id,
        posting_no=number,
        kind=kind,
        merchant_id=merchant_id,
        card=card,
        change=change,
        available_after=member.account.available,
        occurred_at=occurred_at or request.now,
        recorded_at=request.now,
        window_id=state.window.window_id,
        owed=owed,
        target_no=target_no,
        amount=amount,
        peer_member_id=peer_member_id,
        request_id=request.request_id if is_keyed else None,
        body_hash=request.body_hash if is_keyed else None,
        reference=reference,
        lapsed=lapsed,
        imported=state.is_import,
        actor=request.actor,
        # To know the day costs more than the rest of a line, and few need it.
        pending_after=0 if pending_until is None else member.pending_on(book.today(request.now)),
    )
    state.record_posting(member, posting)
    return posting
