"""Both ends of datagram processes, for tests."""

from __future__ import annotations

import socket
from typing import Any

from netproc import NetworkProcess
from netproc.test.support.base import PATIENCE, NetprocTestCase
from netproc.test.support.fixtures import echo


def deafen(sock: socket.socket) -> None:
    """Make the kernel refuse packets to SOCK as if it were closed, while its port stays reserved."""
    sock.connect(sock.getsockname())


class PacketTestCase(NetprocTestCase):
    async def received(self, sock: socket.socket) -> bytes:
        sock.setblocking(False)
        got: list[bytes] = []

        def look() -> bool:
            try:
                got.append(sock.recv(2000))
            except BlockingIOError:
                return False
            return True

        await self.until(look)
        return got[0]


class DatagramTestCase(PacketTestCase):
    """A test case that makes servers, clients and plain sockets."""

    family: socket.AddressFamily = socket.AF_INET
    host = "127.0.0.1"

    def place(self) -> dict[str, Any]:
        return {"host": self.host, "service": True}

    async def server(self, **keywords: Any) -> NetworkProcess:
        keywords = {"name": "server", "coding": "binary", "filter": echo, **keywords}
        return await self.make(server=True, type="datagram", **self.place(), **keywords)

    async def client(self, port: int, **keywords: Any) -> NetworkProcess:
        keywords = {"name": "client", "coding": "binary", **keywords}
        return await self.make(type="datagram", host=self.host, service=port, **keywords)

    async def client_of(self, server: NetworkProcess, **keywords: Any) -> NetworkProcess:
        return await self.client(server.contact("service"), **keywords)

    def nobody(self) -> int:
        """Return a port where packets are refused; only a socket with SO_REUSEADDR can be bound to it."""
        sock = self.socket()
        deafen(sock)
        return int(sock.getsockname()[1])

    def socket(self) -> socket.socket:
        sock = socket.socket(self.family, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.addCleanup(sock.close)
        sock.settimeout(PATIENCE)
        sock.bind((self.host, 0))
        return sock
