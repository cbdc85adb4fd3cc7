"""The id that a request is about, in its path or its row: what it names, or 404. Pure."""

from coalition.errors import CoalitionError, Code
from coalition.wire import ids

_NAMES = {ids.EARN: "earn", ids.BURN: "burn", ids.LOT: "lot"}


def read_target(prefix: str, text: str) -> tuple[int, int]:
    """(member_id, number) of an id. Raises not_found for whatever is none of ours."""
    found = ids.decode(prefix, text)
    if found is None:
        raise not_found(prefix)
    return found


def not_found(prefix: str) -> CoalitionError:
    """The same words whether there is none or it is another's, so that they tell nothing."""
    return CoalitionError(Code.NOT_FOUND, f"There is no such {_NAMES[prefix]}.")
