"""Ports of 127.0.0.1 that the system picks."""

from __future__ import annotations

import socket


def listens(port: int) -> bool:
    """Does anybody listen at PORT?"""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def reserve_port() -> socket.socket:
    """A socket that has a port of the system's choice, which gives it to nobody else meanwhile.

    It does not listen, so that a server that asks for that port by its number, and for SO_REUSEADDR as
    servers do, gets it all the same.
    """
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    return sock
