"""What needs a second person: a proposal's states, and who may decide on it. Pure.

    proposed -> approved      by another person, and carried out in the same database transaction
             -> rejected      by another person, who says why
             -> void          approved, but it could not be done any more; it says why

What is proposed is kept as a kind and JSON, so that nothing here knows windows or prices; who
carries it out is api/proposals.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from coalition.errors import CoalitionError, Code

Status = Literal["proposed", "approved", "rejected", "void"]


@dataclass(frozen=True, slots=True)
class Approval:
    """A proposal and what became of it. by and decided_by are spelt as audit/actor.py does."""

    approval_no: int
    approval_id: str
    kind: str
    content: Mapping[str, Any]
    proposed_by: str
    proposed_at: datetime
    status: Status
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


class VoidError(Exception):
    """What was proposed cannot be done any more; the text says why, and the proposal is void."""


def check_may_decide(approval: Approval, by: str) -> None:
    """Raise CoalitionError where this person may not decide on it.

    own_approval: it is the proposer; invalid: it is decided already.
    """
    if approval.proposed_by == by:
        raise CoalitionError(
            Code.OWN_APPROVAL, "who proposed it does not decide on it: ask another approver"
        )
    if approval.status != "proposed":
        raise CoalitionError(Code.INVALID, f"it is {approval.status} already")
