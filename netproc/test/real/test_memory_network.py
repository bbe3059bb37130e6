"""The memory network of netproc.testing keeps the contract of streams."""

from __future__ import annotations

import socket
from typing import Any

from netproc import NetworkProcess
from netproc.test.support import memorybridge
from netproc.test.support.contract import StreamContract
from netproc.test.support.fixtures import StreamFixture
from netproc.testing import MemoryNetwork


class MemoryFixture(StreamFixture):
    """A test case with one memory network for each server; plain sockets are joined to it."""

    foreign = True

    def server_place(self) -> dict[str, Any]:
        self.network = MemoryNetwork()
        return {"endpoint": self.network.server_endpoint()}

    def client_place(self, server: NetworkProcess) -> dict[str, Any]:
        return {"endpoint": self.network.client_endpoint()}

    def raw_client(self, server: NetworkProcess) -> socket.socket:
        return memorybridge.raw_client(self.network)

    def raw_server(self) -> tuple[socket.socket, dict[str, Any]]:
        network = MemoryNetwork()
        listener = socket.create_server(("127.0.0.1", 0))
        port = memorybridge.raw_server(network, listener)
        self.addCleanup(port.stopListening)
        return listener, {"endpoint": network.client_endpoint()}


class MemoryContractTests(MemoryFixture, StreamContract):
    """The contract over the memory network."""
