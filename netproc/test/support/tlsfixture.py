"""Both ends of streams over TLS, for tests."""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from netproc import NetworkProcess
from netproc.net.tls import contexts
from netproc.test.support import tlsstandin
from netproc.test.support.fixtures import TcpFixture
from netproc.test.support.tlspeers import tls_peer
from netproc.test.support.tlsstandin import AUTHORITY


class TlsFixture(TcpFixture):
    """TLS over 127.0.0.1.  Tests use the peers' sockets as plain ones; a thread does TLS for them."""

    security = staticmethod(tlsstandin.security)
    # The sentinel of a client with TLS is always called with "open\n" (N239).
    opened: ClassVar[list[str]] = ["open\n"]

    async def setUp(self) -> None:
        await super().setUp()
        self.patch(contexts, "security", self.security)

    def server_place(self) -> dict[str, Any]:
        return {**super().server_place(), "tls_parameters": AUTHORITY.server}

    def client_place(self, server: NetworkProcess) -> dict[str, Any]:
        return {**super().client_place(server), "tls_parameters": AUTHORITY.client}

    def raw_client(self, server: NetworkProcess) -> socket.socket:
        connected = super().raw_client(server)
        return tls_peer(connected, AUTHORITY.client.context, is_server=False)

    def raw_server(self) -> tuple[socket.socket, dict[str, Any]]:
        listener, place = super().raw_server()
        return _Listener(listener), {**place, "tls_parameters": AUTHORITY.client}


class _Listener(socket.socket):
    """A listening socket whose connections do TLS."""

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(fileno=listener.detach())

    def accept(self) -> tuple[socket.socket, Any]:
        connected, address = super().accept()
        return tls_peer(connected, AUTHORITY.server.context, is_server=True), address
