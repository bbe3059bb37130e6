"""Stream processes over UNIX sockets."""

from __future__ import annotations

import socket
from typing import Any

from netproc import NetworkProcess
from netproc.test.real.contract import Fixture, StreamContract
from netproc.test.real.peers import connect


class UnixFixture(Fixture):
    """Over sockets with files in the test's own directory."""

    _counter = 0

    def path(self) -> str:
        """A path that is not in use, short enough for a socket."""
        self._counter += 1
        directory = self.mktemp()
        return f"{directory[-60:].replace('/', '_')}{self._counter}"

    def server_place(self) -> dict[str, Any]:
        return {"family": "local", "service": self.path()}

    def client_place(self, server: NetworkProcess) -> dict[str, Any]:
        return {"family": "local", "service": server.contact("service")}

    def raw_client(self, server: NetworkProcess) -> socket.socket:
        return connect(socket.AF_UNIX, server.contact("service"))

    def raw_server(self) -> tuple[socket.socket, dict[str, Any]]:
        path = self.path()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        return listener, {"family": "local", "service": path}


class UnixContractTests(UnixFixture, StreamContract):
    """The contract over UNIX sockets."""


del Fixture, StreamContract
