"""What a request's body may hold: one struct a route, with the bounds that one field can tell.

Whether the fields fit together, and the merchant who sent them, is movements.py.
"""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from coalition.earning.purchase import POINTS_MAX, Channel
from coalition.ledger.commands import BALANCE_MAX

# (?![\s\S]) is the end of the text in Python's and in OpenAPI's (ECMA-262) expressions alike.
# PostgreSQL's text holds every character but NUL.
_NO_NUL = r"^[^\x00]*(?![\s\S])"
# A language tag in BCP 47's shape: zh, zh-CN, zh-Hans-CN.
_LOCALE = r"^[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,3}(?![\s\S])"
_CODE = r"^[a-z][a-z0-9-]{0,62}(?![\s\S])"
_CURRENCY = r"^[A-Z]{3}(?![\s\S])"
_PHONE = r"^\+?[0-9 ()./-]{3,64}(?![\s\S])"
_ONE_TIME = r"^[0-9]{6}(?![\s\S])"
_PIN = r"^[0-9]{4,12}(?![\s\S])"
# What a text that does not match is told.
IN_WORDS = {
    _NO_NUL: "text without a NUL character (\\u0000)",
    _LOCALE: "a language tag, such as zh-CN",
    _CODE: "a merchant's code in lower case, such as telecom",
    _CURRENCY: "three capital letters (ISO 4217), such as CNY",
    _PIN: "4 to 12 digits",
    _ONE_TIME: "6 digits",
    _PHONE: "3 to 64 digits, spaces and ( ) . / -, with or without a + in front",
}

Points = Annotated[
    int, Meta(ge=1, le=POINTS_MAX, description="A whole number of points.", examples=[500])
]
Amount = Annotated[
    int,
    Meta(ge=0, le=BALANCE_MAX, description="Money in minor units (cents, fen).", examples=[12_500]),
]
CardText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="A card number: 16 digits with a Luhn check digit.",
        examples=["9000000000000001"],
    ),
]
Currency = Annotated[str, Meta(pattern=_CURRENCY, description="ISO 4217.", examples=["CNY"])]
MerchantCode = Annotated[str, Meta(pattern=_CODE, examples=["telecom"])]
Reference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=_NO_NUL,
        description="The merchant's own name for it, such as a receipt number.",
        examples=["receipt-4711"],
    ),
]
OccurredAt = Annotated[
    datetime,
    Meta(
        tz=True,
        description="When it happened at the till (RFC 3339 with an offset): not before the card "
        "was issued, and not longer ago than the merchant's terms allow (31 days unless they say "
        "otherwise); a burn takes no points earned after it. Absent: now.",
        examples=["2026-03-01T09:30:00+08:00"],
    ),
]
ReturnedAt = Annotated[
    datetime,
    Meta(
        tz=True,
        description="When the return happened at the till (RFC 3339 with an offset), not before "
        "what is returned, and not longer ago than the merchant's terms allow. Absent: now.",
        examples=["2026-03-02T10:00:00+08:00"],
    ),
]
AmountBack = Annotated[
    int, Meta(ge=1, le=BALANCE_MAX, description="Of the goods returned, in minor units.")
]
AnyCardText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="A card number of the member, one that was replaced or blocked included.",
        examples=["9000000000000001"],
    ),
]
Pin = Annotated[
    str,
    Meta(
        pattern=_PIN,
        description="4 to 12 digits. It is no part of what makes a body the same under a key.",
        examples=["730619"],
    ),
]
_Short = Annotated[str, Meta(min_length=1, max_length=130, pattern=_NO_NUL)]

Secret = Annotated[str, Meta(min_length=1, max_length=1000)]
OneTimeCode = Annotated[str, Meta(pattern=_ONE_TIME, examples=["755224"])]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What every body shares: unknown fields are refused, and an absent field stays absent."""

    def __repr__(self) -> str:
        # Wherever one is printed: what a caller sent is a person's, and may hold a PIN.
        return f"<{type(self).__name__}>"


class NothingBody(Body, frozen=True):
    """No fields: the body is {} or absent."""


class ItemBody(Body, frozen=True):
    """A line of a purchase. amount is the whole line's total, not the price of one piece."""

    amount: Annotated[
        Amount,
        Meta(description="The line's total in minor units (cents, fen), for all its pieces."),
    ]
    category: _Short | None = None
    sku: _Short | None = None
    quantity: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="How many pieces, for terms that give points by the piece. Elsewhere 1, or "
            "left out: more is refused as invalid, since amount is the line's total already, and "
            "is never multiplied.",
        ),
    ] = 1


class TakeBody(Body, frozen=True):
    """Only one origin's points, or exactly so much of each origin. Exactly one of the two."""

    only: MerchantCode | None = None
    mix: Annotated[dict[MerchantCode, Points], Meta(min_length=1, max_length=100)] | None = None


TakeText = Annotated[
    Literal["oldest", "own_first"] | TakeBody,
    Meta(
        description="Which points to take: those that expire first, the redeemer's own first, "
        "one origin's only, or an exact mix of origins."
    ),
]


class EarnBody(Body, frozen=True):
    """A purchase by amount or by items, an action, or both; or points outright where the merchant's
    terms allow it.
    """

    card: CardText
    amount: Amount | None = None
    currency: Currency | None = None
    items: Annotated[tuple[ItemBody, ...], Meta(max_length=500)] = ()
    action: (
        Annotated[_Short, Meta(description="What the member did, as the merchant's terms name it.")]
        | None
    ) = None
    code: _Short | None = None
    points: Points | None = None
    occurred_at: OccurredAt | None = None
    reference: Reference | None = None
    channel: Annotated[Channel, Meta(description="How it came in.")] | None = None
    region: (
        Annotated[_Short, Meta(description="Where, as the merchant's terms name it.")] | None
    ) = None
    store: (
        Annotated[_Short, Meta(description="The store, as the merchant's terms name it.")] | None
    ) = None
    tax: Annotated[Amount, Meta(description="Of the amount: tax, in minor units.")] = 0
    delivery: Annotated[Amount, Meta(description="Of the amount: delivery, in minor units.")] = 0
    paid_with_points: Annotated[
        Amount, Meta(description="Of the amount: what was paid with points, in minor units.")
    ] = 0


class CollectBody(Body, frozen=True):
    """Where a reward is collected: one of the stores that its catalogue names."""

    store: Annotated[str, Meta(min_length=1, max_length=63, pattern=_NO_NUL, examples=["north"])]


class BurnBody(Body, frozen=True):
    """Points out. With hold, they are only reserved until a capture, a void or hold_seconds."""

    card: CardText
    points: Points | None = None
    reward: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=63,
                pattern=_NO_NUL,
                description="A reward of the caller's catalogue by its code; its price says "
                "points and take.",
                examples=["airtime-50"],
            ),
        ]
        | None
    ) = None
    take: TakeText = "oldest"
    hold: bool = False
    hold_seconds: Annotated[int, Meta(ge=1, le=31_536_000, examples=[900])] | None = None
    occurred_at: OccurredAt | None = None
    reference: Reference | None = None
    pin: Pin | None = None
    quantity: Annotated[
        int, Meta(ge=1, le=POINTS_MAX, description="How many pieces of the reward.")
    ] = 1
    price: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=999,
                description="Which alternative of the reward's price pays, from 0. Absent: the "
                "first that the member can pay.",
            ),
        ]
        | None
    ) = None
    collect: CollectBody | None = None


class UseVoucherBody(Body, frozen=True):
    """How much of a voucher's value. Absent: all that is left of it."""

    amount: (
        Annotated[
            int, Meta(ge=1, le=BALANCE_MAX, description="In minor units of the voucher's currency.")
        ]
        | None
    ) = None


class PartBody(Body, frozen=True):
    """How many points of a burn. Absent: all there are."""

    points: Points | None = None


class ReverseEarnBody(Body, frozen=True):
    """How much of an earn: points, or the amount of the goods returned. Absent: all of it."""

    points: Points | None = None
    amount: AmountBack | None = None
    occurred_at: ReturnedAt | None = None


class ReverseBurnBody(Body, frozen=True):
    """How many points of a burn. Absent: all there are."""

    points: Points | None = None
    occurred_at: ReturnedAt | None = None


class ReverseEarnCalledBody(Body, frozen=True):
    """The earn by the reference it was sent with, and how much of it. Absent: all of it."""

    card: AnyCardText
    reference: Reference
    points: Points | None = None
    amount: AmountBack | None = None
    occurred_at: ReturnedAt | None = None


class ReverseBurnCalledBody(Body, frozen=True):
    """The burn by the reference it was sent with, and how many points of it. Absent: all."""

    card: AnyCardText
    reference: Reference
    points: Points | None = None
    occurred_at: ReturnedAt | None = None


class TransferBody(Body, frozen=True):
    """A gift from one member to another. pin is the giver's."""

    from_card: CardText
    to_card: CardText
    points: Points
    take: TakeText = "oldest"
    pin: Pin | None = None


class PinBody(Body, frozen=True):
    """A PIN to be set, and the one before, where there is one and it is not the house that asks."""

    pin: Pin
    old_pin: Pin | None = None


class EnrolBody(Body, frozen=True):
    """A new member. Nothing is required."""

    external_ref: Annotated[str, Meta(min_length=1, max_length=255, pattern=_NO_NUL)] | None = None
    phone: Annotated[str, Meta(pattern=_PHONE)] | None = None
    birthday: date | None = None
    locale: Annotated[str, Meta(pattern=_LOCALE)] | None = None


class CorrectBody(Body, frozen=True):
    """What is put right of a member. null takes a field away; what is left out stays as it is."""

    external_ref: (
        Annotated[str, Meta(min_length=1, max_length=255, pattern=_NO_NUL)] | UnsetType | None
    ) = UNSET
    phone: Annotated[str, Meta(pattern=_PHONE)] | UnsetType | None = UNSET
    birthday: date | UnsetType | None = UNSET
    locale: Annotated[str, Meta(pattern=_LOCALE)] | UnsetType | None = UNSET


class CloseBody(Body, frozen=True):
    """How to close a window. early: before its end. dry_run: compute, and change nothing.

    prices, in a dry run only, are laid over the agreed ones: a merchant or a pair "a->b" to its
    issue_price, burn_price, redeem_price as decimal strings, in major units a point.
    """

    dry_run: bool = False
    early: bool = False
    prices: dict[_Short, dict[_Short, _Short]] | None = None


class SignInBody(Body, frozen=True):
    """Who signs in. code: of the authenticator app, where the person has one."""

    email: Annotated[str, Meta(min_length=3, max_length=254, examples=["ann@example.com"])]
    password: Secret
    code: OneTimeCode | None = None


class SetupBody(Body, frozen=True):
    """The one-time secret that a person was given to set a password with."""

    setup: Annotated[str, Meta(min_length=1, max_length=100)]


class FinishSetupBody(Body, frozen=True):
    """The password, and the code that the app shows now, which confirms the second factor."""

    setup: Annotated[str, Meta(min_length=1, max_length=100)]
    password: Secret
    code: OneTimeCode | None = None


class PasswordBody(Body, frozen=True):
    """Another password in the place of the one before."""

    old_password: Secret
    password: Secret


class PersonBody(Body, frozen=True):
    """A new person. merchant: whose; a merchant's code or house. Absent: whose the asker is."""

    email: Annotated[str, Meta(min_length=3, max_length=254, examples=["ann@example.com"])]
    name: Annotated[str, Meta(min_length=1, max_length=200, examples=["Ann Example"])]
    role: Annotated[str, Meta(min_length=1, max_length=20, examples=["finance"])]
    merchant: MerchantCode | None = None


class RejectBody(Body, frozen=True):
    """Why a proposal is rejected."""

    reason: Annotated[str, Meta(min_length=1, max_length=1000, pattern=_NO_NUL)]
