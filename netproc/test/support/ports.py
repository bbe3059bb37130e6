"""Ports of 127.0.0.1 that the system picks."""

from __future__ import annotations

import socket


def listens(port: int) -> bool:
    """Whether any program listens at PORT."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def reserve_port() -> socket.socket:
    """Return a socket with a port that the system picks, and reserves while the socket is open.

    The socket does not listen.  A server that asks for the number of the port, and for SO_REUSEADDR as
    servers do, still gets it.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock
