"""Routes of rewards and vouchers: the catalogue; look at a voucher, use it, cancel it."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.params import Body, FromPath, FromQuery, JSONBody

from coalition.api.answers import MoneyOut, answered, card_text, utc
from coalition.api.openapi.responses import REPLAYED_HEADER, KeyedOperation, moves, reads
from coalition.api.posting import post as post_asked
from coalition.edge.admission import ApiRequest
from coalition.edge.services import Services
from coalition.edge.unknown_cards import asking_for
from coalition.errors import CoalitionError, Code
from coalition.ledger.checks import suspended
from coalition.ledger.commands import (
    CancelVoucher,
    Done,
    OnVoucher,
    Request,
    UseVoucher,
    VoucherAnswer,
)
from coalition.ledger.vouchers import NO_SUCH
from coalition.members.cards import unknown_card
from coalition.rewards import read
from coalition.rewards.codes import CODE_CHARACTERS_MAX, digests_of
from coalition.rewards.loading import free_codes
from coalition.rewards.read import VoucherView
from coalition.rewards.voucher import EventKind, VoucherState
from coalition.terms.rewards import Alternative, Reward, RewardKind
from coalition.wire import ids
from coalition.wire.bodies import Body as AnyBody
from coalition.wire.bodies import NothingBody, UseVoucherBody
from coalition.wire.keys import body_hash, request_id
from coalition.wire.movements import read_card

_OPT = {"scopes": ("burn",), "key": "required", "right": "burn"}
_MOVES = moves(Code.NOT_FOUND, Code.NOT_USABLE, Code.MERCHANT_SUSPENDED)


class PartOut(msgspec.Struct, frozen=True):
    """origin: a merchant's code, or any."""

    origin: str
    points: int


class AlternativeOut(msgspec.Struct, frozen=True):
    """One way to pay for a piece. affordable: by the card that was asked with."""

    points: tuple[PartOut, ...]
    money: MoneyOut
    affordable: bool | msgspec.UnsetType = msgspec.UNSET


class LimitsOut(msgspec.Struct, frozen=True):
    per_burn: int | None
    per_member: int | None
    per_member_per_day: int | None
    in_all: int | None


class RewardOut(msgspec.Struct, frozen=True):
    """stock: pieces that are left, null where there is no end. pays: what the member gets a piece
    of a cash_out. stores: where it is collected, which a burn of it names. affordable: whether any
    alternative can be paid with quantity_min pieces.
    """

    reward: str
    merchant: str
    name: str
    kind: RewardKind
    price: tuple[AlternativeOut, ...]
    stock: int | None
    limits: LimitsOut
    quantity_min: int
    until: date | None
    pays: MoneyOut | None
    charity: str | None
    stores: tuple[str, ...]
    affordable: bool | msgspec.UnsetType = msgspec.UNSET


class RewardsOut(msgspec.Struct, frozen=True):
    items: tuple[RewardOut, ...]
    next_cursor: None = None


class VoucherEventOut(msgspec.Struct, frozen=True):
    kind: EventKind
    at: datetime
    amount: int | None


class VoucherOut(msgspec.Struct, frozen=True):
    """A voucher as it is today. remaining: of its value; history: what was done, in order."""

    voucher: str
    merchant: str
    reward: str
    burn_id: str
    card: str | None
    status: VoucherState
    value: MoneyOut | None
    remaining: int | None
    part_use: bool
    issued_at: datetime
    expires_on: date | None
    history: tuple[VoucherEventOut, ...]


class VoucherMovedOut(msgspec.Struct, frozen=True):
    """A voucher as its use or its cancelling left it. amount: what was used; points: what came back
    to the member, whose balance is available.
    """

    voucher: str
    merchant: str
    reward: str
    burn_id: str
    status: VoucherState
    value: MoneyOut | None
    amount: int | None
    remaining: int | None
    expires_on: date | None
    points: int
    available: int
    recorded_at: datetime


@get(
    "/rewards",
    opt={"scopes": ("burn",), "right": "burn"},
    tags=["Rewards and vouchers"],
    summary="What points buy, at all merchants",
    description="The catalogues of today, in order of merchants and as each has them in its file. "
    "With a card each says whether its member can pay it now.",
    responses=reads(Code.UNKNOWN_CARD, Code.MERCHANT_SUSPENDED),
)
async def get_rewards(request: ApiRequest, card: FromQuery[str | None] = None) -> RewardsOut:
    services, book = request.services, request.services.book
    number = None if card is None else read_card(card)
    now = services.clock()
    async with services.engine.connect() as connection:
        sold = await read.sold(connection)
        free = await free_codes(connection) if _is_any_loaded(services, now) else {}
    balance = None if number is None else await _balance(request, number, book.today(now))
    items = []
    for merchant in sorted(book.merchants.values(), key=lambda one: one.terms.code):
        on = book.business_date(merchant.merchant_id, now)
        terms = book.terms_today(merchant, now)
        for reward in terms.rewards:
            if reward.is_offered(on) and not merchant.terms.suspended:
                key = (merchant.merchant_id, reward.code)
                stock = _left(reward, sold.get(key, 0), free.get(key, 0))
                items.append(
                    _reward_out(reward, terms.code, terms.currency, stock, balance, book.codes)
                )
    return RewardsOut(tuple(items))


def _is_any_loaded(services: Services, now: datetime) -> bool:
    book = services.book
    return any(
        reward.voucher is not None and reward.voucher.external
        for merchant in book.merchants.values()
        for reward in book.terms_today(merchant, now).rewards
    )


def _left(reward: Reward, sold: int, free: int) -> int | None:
    """How many pieces are left, of stock and of loaded codes; None: there is no end."""
    left = [] if reward.stock is None else [max(0, reward.stock - sold)]
    if reward.voucher is not None and reward.voucher.external:
        left.append(free)
    return min(left, default=None)


async def _balance(request: ApiRequest, card: int, today: date) -> dict[int, int]:
    services = request.services
    async with asking_for(services, request.caller, card), services.engine.connect() as connection:
        balance = await read.balance(connection, card, today)
        if balance is None:
            raise unknown_card(card)
    merchant = services.book.merchants.get(request.caller.merchant_id)
    if merchant is not None and (refusal := suspended(merchant)) is not None:
        raise CoalitionError(refusal.code, refusal.detail)
    return balance


def _reward_out(
    reward: Reward,
    merchant: str,
    currency: str,
    stock: int | None,
    balance: dict[int, int] | None,
    codes: dict[int, str],
) -> RewardOut:
    has = None if balance is None else {codes[origin]: part for origin, part in balance.items()}
    payable = [
        msgspec.UNSET if has is None else read.is_affordable(one, reward.quantity_min, has)
        for one in reward.price
    ]
    limits = reward.limits
    return RewardOut(
        reward=reward.code,
        merchant=merchant,
        name=reward.name,
        kind=reward.kind,
        price=tuple(
            _alternative_out(one, currency, may)
            for one, may in zip(reward.price, payable, strict=True)
        ),
        stock=stock,
        limits=LimitsOut(
            limits.per_burn, limits.per_member, limits.per_member_per_day, limits.in_all
        ),
        quantity_min=reward.quantity_min,
        until=reward.ends_on,
        pays=MoneyOut(reward.pays, currency) if reward.pays else None,
        charity=reward.charity,
        stores=reward.stores,
        affordable=msgspec.UNSET if has is None else any(one is True for one in payable),
    )


def _alternative_out(
    one: Alternative, currency: str, affordable: bool | msgspec.UnsetType
) -> AlternativeOut:
    parts = tuple(PartOut(code, points) for code, points in one.mix)
    return AlternativeOut(parts, MoneyOut(one.money, currency), affordable)


@get(
    "/vouchers/{code:str}",
    opt={"scopes": ("burn",), "right": "burn"},
    tags=["Rewards and vouchers"],
    summary="A voucher by its code",
    description="Where it stands today, and what was done with it. Another merchant's is 404.",
    responses=reads(Code.NOT_FOUND),
)
async def get_voucher(request: ApiRequest, code: FromPath[str]) -> VoucherOut:
    view = await _find(request, code)
    book = request.services.book
    currency = book.merchants[view.merchant_id].terms.currency
    today = book.business_date(view.merchant_id, request.services.clock())
    return VoucherOut(
        voucher=ids.encode(ids.VOUCHER, view.member_id, view.voucher_no),
        merchant=book.codes[view.merchant_id],
        reward=view.reward,
        burn_id=ids.encode(ids.BURN, view.member_id, view.burn_no),
        card=None if view.card is None else card_text(view.card),
        status=view.state(request.services.clock(), today),
        value=None if view.value is None else MoneyOut(view.value, currency),
        remaining=view.remaining,
        part_use=view.part_use,
        issued_at=utc(view.issued_at),
        expires_on=view.expires_on,
        history=tuple(VoucherEventOut(e.kind, utc(e.at), e.amount) for e in view.history),
    )


@post(
    "/vouchers/{code:str}/use",
    opt=_OPT,
    status_code=200,
    tags=["Rewards and vouchers"],
    summary="Use a voucher, or a part of it",
    description="amount: of one that may be used in parts; absent: all that is left.",
    responses=_MOVES,
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def use_voucher(
    request: ApiRequest, code: FromPath[str], data: Annotated[UseVoucherBody, Body()]
) -> Response[VoucherMovedOut]:
    view = await _find(request, code)
    command = UseVoucher(view.member_id, view.burn_no, view.voucher_no, data.amount)
    return await _ask(request, "use_voucher", command, data)


@post(
    "/vouchers/{code:str}/cancel",
    opt=_OPT,
    status_code=200,
    tags=["Rewards and vouchers"],
    summary="Cancel a voucher that was not used",
    description="Its points go back into the very lots they came from, and its piece to the stock.",
    responses=_MOVES,
    response_headers=[REPLAYED_HEADER],
    operation_class=KeyedOperation,
)
async def cancel_voucher(
    request: ApiRequest, code: FromPath[str], data: JSONBody[NothingBody]
) -> Response[VoucherMovedOut]:
    view = await _find(request, code)
    command = CancelVoucher(view.member_id, view.burn_no, view.voucher_no)
    return await _ask(request, "cancel_voucher", command, data)


async def _find(request: ApiRequest, code: str) -> VoucherView:
    """The voucher of this code, of the caller's own rewards. Raises not_found."""
    services, caller = request.services, request.caller
    view = None
    if len(code) <= CODE_CHARACTERS_MAX and "\0" not in code:
        digests = digests_of(code, services.ring)
        async with services.engine.connect() as connection:
            view = await read.voucher(connection, digests)
    if view is None or not (caller.is_house or view.merchant_id == caller.merchant_id):
        raise CoalitionError(Code.NOT_FOUND, NO_SUCH)
    return view


async def _ask(
    request: ApiRequest, operation: str, command: OnVoucher, body: AnyBody
) -> Response[VoucherMovedOut]:
    services, caller, key = request.services, request.caller, request.idempotency_key
    assert key is not None, "the route's opt says that a key is required"
    target = ids.encode(ids.VOUCHER, command.member_id, command.voucher_no)
    asked = Request(
        command=command,
        merchant_id=caller.merchant_id,
        now=services.clock(),
        request_id=request_id(caller.merchant_id, operation, key),
        body_hash=body_hash(body, target),
        actor=caller.actor,
    )
    done = await post_asked(services, caller, operation, asked)
    return answered(_moved_out(done, services), done)


def _moved_out(done: Done, services: Services) -> VoucherMovedOut:
    answer, book = done.answer, services.book
    assert isinstance(answer, VoucherAnswer), "what was asked is about a voucher"
    currency = book.merchants[answer.merchant_id].terms.currency
    return VoucherMovedOut(
        voucher=ids.encode(ids.VOUCHER, answer.member_id, answer.voucher_no),
        merchant=book.codes[answer.merchant_id],
        reward=answer.reward,
        burn_id=ids.encode(ids.BURN, answer.member_id, answer.burn_no),
        status=answer.status,
        value=None if answer.value is None else MoneyOut(answer.value, currency),
        amount=answer.amount,
        remaining=answer.remaining,
        expires_on=answer.expires_on,
        points=answer.points,
        available=answer.available,
        recorded_at=utc(answer.recorded_at),
    )


ROUTES = [get_rewards, get_voucher, use_voucher, cancel_voucher]
