"""Why a server is of no use: to a call, to a session, or at all."""

from __future__ import annotations

from rods.errors import shown

MOST_SHOWN = 600  # characters of a fault: one line


class ServerFault(Exception):
    """A server cannot be used for a session; the message says why and names the server."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message, MOST_SHOWN))


class ResetFault(ServerFault):
    """A server does not come back to its start state, and the next one would not either."""


class ServerEnded(Exception):
    """A server ended in a call.

    Attributes:
        killed: whether its process was killed from outside.
    """

    def __init__(self, why: str, killed: bool) -> None:
        super().__init__(why)
        self.killed = killed


class ServerSlow(Exception):
    """A call took too long."""


class ServerRefused(Exception):
    """A server answered a call with an error of the protocol, or not as its own schema says."""
