"""What is known of the member who earns, for conditions that ask. Nothing yet asks."""

import msgspec


class Facts(msgspec.Struct, frozen=True, gc=False):
    """A member as the rules see it, at the moment of the earn."""
