"""The protocols by which TLS channels use the code that makes connections and checks peers.

`contexts.py` has a `Security` for each set of parameters, and `engine.py` (at run time) the `Engine` of a connection;
`channel.py` and `attach.py` use them by these protocols only.
"""

from __future__ import annotations

import socket
from typing import Protocol

from OpenSSL import SSL

from ...core.errors import ProcessError


class Engine(Protocol):
    """One TLS connection, and the check of its peer."""

    @property
    def connection(self) -> SSL.Connection:
        """The connection of pyOpenSSL, in its role of client or server; a `SocketConnection` uses the socket itself."""

    def check(self) -> ProcessError | None:
        """Return what is wrong with the peer, or None if it is the right one.  Never raises.

        Called once: after the handshake, or when it has failed because of a certificate.
        """

    def peer_status(self) -> dict[str, object]:
        """Return what is known of the connection and its peer."""


class Security(Protocol):
    """How one side does TLS: what all TLS connections of a process have in common."""

    def engine(self, name: str | None, sock: socket.socket | None = None) -> Engine:
        """Return a new engine: a client's, whose server must be NAME, or a server's, if NAME is None.

        It works on SOCK if that is given and possible, otherwise on memory.

        :raises ProcessArgumentError: if NAME cannot be verified.
        """
