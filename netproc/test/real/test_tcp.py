"""Stream processes over TCP."""

from __future__ import annotations

import socket
from typing import Any

from netproc import NetworkProcess
from netproc.test.real.contract import Fixture, StreamContract
from netproc.test.support.peers import connect


class TcpFixture(Fixture):
    """Over 127.0.0.1."""

    def server_place(self) -> dict[str, Any]:
        return {"host": "local", "service": True}

    def client_place(self, server: NetworkProcess) -> dict[str, Any]:
        return {"host": "local", "service": server.contact("service")}

    def raw_client(self, server: NetworkProcess) -> socket.socket:
        return connect(socket.AF_INET, ("127.0.0.1", server.contact("service")))

    def raw_server(self) -> tuple[socket.socket, dict[str, Any]]:
        listener = socket.create_server(("127.0.0.1", 0))
        return listener, {"host": "local", "service": listener.getsockname()[1]}


class TcpContractTests(TcpFixture, StreamContract):
    """The contract over TCP."""


del Fixture, StreamContract
