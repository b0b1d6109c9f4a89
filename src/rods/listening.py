"""The address that a server of ours listens on."""

from __future__ import annotations

import socket

from rods.errors import UserError


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Args:
        port: 0 for any that is free.

    Raises:
        UserError: the address cannot be used.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        way = "choose another port with --port, or 0 for any"
        raise UserError(f"{host}:{port}: {error.strerror or error}; {way}") from None


def address(host: str, listening: socket.socket) -> str:
    """What a browser or a client is given."""
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listening.getsockname()[1]}"
