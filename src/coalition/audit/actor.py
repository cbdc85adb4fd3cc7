"""Who acts, spelt in one way on every posting and in every row of the audit. Pure.

key:<key_id>, person:<id>, command:<name> for what is typed at a terminal, job:<name> for what the
program does by itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

_KEY, _PERSON = "key:", "person:"
# What time alone does to points, whether a job or the next movement of its member finds it due.
LAPSE = "job:lapse"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts and from where: an address, or a user and host. name None: nobody said.

    on_act is told the name and the action of each act as it is committed.
    """

    name: str | None
    place: str = ""
    on_act: Callable[[str | None, str], None] | None = field(default=None, compare=False)


NOT_KNOWN = Actor(None)


def of_key(key_id: str) -> str:
    return f"{_KEY}{key_id}"


def key_in(actor: str) -> str | None:
    """The id of the key that an actor is; None where it is none."""
    return actor.removeprefix(_KEY) if actor.startswith(_KEY) else None


def of_command(name: str) -> str:
    return f"command:{name}"


def of_job(name: str) -> str:
    return f"job:{name}"


def of_person(person_id: str) -> str:
    return f"{_PERSON}{person_id}"


def person_in(actor: str) -> str | None:
    """The id of the person that an actor is; None where it is none."""
    return actor.removeprefix(_PERSON) if actor.startswith(_PERSON) else None
