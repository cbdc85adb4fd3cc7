"""What each role may do: the one table of it, for the API and for pages. Pure.

A person may do nothing that its role does not name here. A right says what is done; whose it is
done to is told by the person's party: a merchant's person reaches its own merchant alone.
"""

from typing import Literal, get_args

Right = Literal[
    "earn",  # points in, and their reversal
    "burn",  # points out, held, captured, voided, reversed
    "transfer",  # gifts between members
    "batches",  # files of movements
    "paths",  # where points came from and went: lots, burns
    "members.read",  # find a member, a card, its points and history
    "members.change",  # enrol, correct, replace, block, unblock, set a PIN
    "members.export",  # all that is kept about a person
    "members.erase",
    "statements",  # windows, paths, positions, statements
    "windows.close",
    "audit",
    "people.read",  # who works there
    "people",  # made, disabled, reset
    "approvals",  # what is proposed
    "approvals.decide",
]
RIGHTS: frozenset[Right] = frozenset(get_args(Right))

Role = Literal["operator", "finance", "approver", "auditor", "care", "manager", "counter"]

HOUSE_ROLES: dict[Role, frozenset[Right]] = {
    "operator": frozenset(
        {
            *("members.read", "members.change", "members.export", "members.erase"),
            *("paths", "people.read", "people", "audit", "approvals"),
        }
    ),
    "finance": frozenset({"statements", "windows.close", "paths", "approvals"}),
    # Reads what it decides on, and may propose a close itself, for another approver.
    "approver": frozenset(
        {"statements", "windows.close", "paths", "audit", "approvals", "approvals.decide"}
    ),
    "auditor": frozenset({"statements", "paths", "audit", "people.read", "approvals"}),
    "care": frozenset({"members.read", "members.change", "paths"}),
}
MERCHANT_ROLES: dict[Role, frozenset[Right]] = {
    "manager": frozenset(
        {
            *("earn", "burn", "transfer", "batches", "paths", "statements"),
            *("members.read", "members.change", "members.export", "people.read", "people"),
        }
    ),
    "finance": frozenset({"statements", "paths"}),
    "counter": frozenset({"earn", "burn", "paths", "members.read", "members.change"}),
    "auditor": frozenset({"statements", "paths"}),
}
# Who moves money, or says who may: a password alone does not do.
_TWO_FACTORS: frozenset[Role] = frozenset({"operator", "finance", "approver", "manager"})
# Rights that let a file's rows, or a request, move points: as the scopes of a key are called.
_MOVES: tuple[Right, ...] = ("earn", "burn", "transfer")


def roles_of(*, is_house: bool) -> dict[Role, frozenset[Right]]:
    """The roles that the house, or a merchant, gives its people."""
    return HOUSE_ROLES if is_house else MERCHANT_ROLES


def rights_of(role: str, *, is_house: bool) -> frozenset[Right]:
    """What a person of this role may; nothing for a role that there is not."""
    return next(
        (may for name, may in roles_of(is_house=is_house).items() if name == role), frozenset()
    )


def moves_of(rights: frozenset[Right]) -> frozenset[str]:
    """The movements among them, as scopes of a key."""
    return frozenset(right for right in _MOVES if right in rights)


def needs_code(role: str) -> bool:
    """Whether this role signs in with a second factor only."""
    return role in _TWO_FACTORS
