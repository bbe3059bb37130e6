"""Both ends of streams over TCP, UNIX sockets and the endpoints of Twisted, for tests.

`contract.py` is mixed into these; `tlsfixture.py` adds TLS.
"""

from __future__ import annotations

import os
import socket
from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint

from netproc import NetworkProcess
from netproc.test.support.base import NetprocTestCase
from netproc.test.support.peers import accept, connect, in_thread

BROKEN = "connection broken by remote peer\n"
#: How often a test repeats a step that could go wrong by chance; "make stress" repeats it 200 times.
TIMES = int(os.environ.get("NETPROC_TIMES", "20"))
MB = 1_000_000


def echo(process: NetworkProcess, data: Any) -> None:
    process.send(data)


class Recorder:
    """A filter that keeps its input."""

    def __init__(self) -> None:
        self.pieces: list[Any] = []

    def __call__(self, process: NetworkProcess, data: Any) -> None:
        self.pieces.append(data)

    @property
    def data(self) -> Any:
        return (b"" if self.pieces and isinstance(self.pieces[0], bytes) else "").join(self.pieces)


class StreamFixture(NetprocTestCase):
    """A test case that makes both ends of a connection; subclasses say where."""

    #: The events of a client that was made without nowait, when the Deferred fires.
    opened: ClassVar[list[str]] = []

    def server_place(self) -> dict[str, Any]:
        """The keywords that say where a server listens."""
        raise NotImplementedError

    def client_place(self, server: NetworkProcess) -> dict[str, Any]:
        """The keywords with which a client connects to SERVER."""
        raise NotImplementedError

    def raw_client(self, server: NetworkProcess) -> socket.socket:
        """Return a plain socket that is connected to SERVER."""
        raise NotImplementedError

    def raw_server(self) -> tuple[socket.socket, dict[str, Any]]:
        """Return a listening plain socket, and the keywords with which a client connects to it."""
        raise NotImplementedError

    async def server(self, **keywords: Any) -> NetworkProcess:
        keywords = {"name": "server", "server": True, "coding": "binary", **keywords}
        return await self.make(**self.server_place(), **keywords)

    async def client(self, server: NetworkProcess, **keywords: Any) -> NetworkProcess:
        keywords = {"name": "client", "coding": "binary", **keywords}
        return await self.make(**self.client_place(server), **keywords)

    async def client_of_raw(self, **keywords: Any) -> tuple[NetworkProcess, socket.socket]:
        """Return a client process and the plain socket at its other end."""
        listener, place = self.raw_server()
        keywords = {"name": "client", "coding": "binary", **keywords}
        with listener:
            accepting = in_thread(accept, listener)
            process = await self.make(**place, **keywords)
            peer = await accepting
        self.addCleanup(peer.close)
        return process, peer

    def connections(self, server: NetworkProcess) -> list[NetworkProcess]:
        """Return the connections that SERVER has accepted, oldest first."""
        return [p for p in self.ledger.events if p.name.startswith(f"{server.name} <")]

    async def connection(self, server: NetworkProcess) -> NetworkProcess:
        """Wait for the only connection of SERVER, and return it."""
        await self.until(lambda: self.connections(server))
        (found,) = self.connections(server)
        self.addCleanup(found.delete)
        return found

    async def all_closed(self, server: NetworkProcess) -> None:
        """Wait until all connections of SERVER have closed after their peers."""
        for connection in self.connections(server):
            await connection.closed


class TcpFixture(StreamFixture):
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


class UnixFixture(StreamFixture):
    """Over sockets with files."""

    def server_place(self) -> dict[str, Any]:
        return {"family": "local", "service": self.socket_path()}

    def client_place(self, server: NetworkProcess) -> dict[str, Any]:
        return {"family": "local", "service": server.contact("service")}

    def raw_client(self, server: NetworkProcess) -> socket.socket:
        return connect(socket.AF_UNIX, server.contact("service"))

    def raw_server(self) -> tuple[socket.socket, dict[str, Any]]:
        path = self.socket_path()
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        return listener, {"family": "local", "service": path}


class ForeignFixture(StreamFixture):
    """Over tcp: endpoints, as objects and as descriptions."""

    foreign = True

    def server_place(self) -> dict[str, Any]:
        return {"endpoint": "tcp:0:interface=127.0.0.1"}

    def client_place(self, server: NetworkProcess) -> dict[str, Any]:
        return {"endpoint": f"tcp:127.0.0.1:{server.contact('service')}"}

    def raw_client(self, server: NetworkProcess) -> socket.socket:
        return connect(socket.AF_INET, ("127.0.0.1", server.contact("service")))

    def raw_server(self) -> tuple[socket.socket, dict[str, Any]]:
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        return listener, {"endpoint": TCP4ClientEndpoint(reactor, "127.0.0.1", port)}
