"""Stream processes over Twisted's endpoints, with and without wrapping factories."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IStreamServerEndpoint
from zope.interface import implementer

from netproc import NetworkProcess, ProcessError
from netproc.process.input import CONGESTED
from netproc.test.support.base import PATIENCE
from netproc.test.support.contract import StreamContract
from netproc.test.support.fixtures import BROKEN, ForeignFixture, echo
from netproc.test.support.peers import accept, fill, in_thread, reset, silent_listener
from netproc.test.support.protocols import Wrapped


class WrappedFixture(ForeignFixture):
    """A test case with both ends of streams whose endpoints wrap factories."""

    def server_place(self) -> dict[str, Any]:
        return {"endpoint": Wrapped(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))}

    def client_place(self, server: NetworkProcess) -> dict[str, Any]:
        return self._client(server.contact("service"))

    def raw_server(self) -> tuple[socket.socket, dict[str, Any]]:
        listener, _ = super().raw_server()
        return listener, self._client(listener.getsockname()[1])

    def _client(self, port: int) -> dict[str, Any]:
        return {"endpoint": Wrapped(TCP4ClientEndpoint(reactor, "127.0.0.1", port))}


class SilentTests(ForeignFixture):
    async def test_an_endpoint_that_takes_too_long(self) -> None:
        port, sockets = silent_listener()
        for sock in sockets:
            self.addCleanup(sock.close)
        made = self.make(name="c", connect_timeout=0.2, endpoint=f"tcp:127.0.0.1:{port}")
        error = await self.failure_of(made, ProcessError)
        self.assertEqual(
            (errno.ETIMEDOUT, "make client process failed: timed out (connect)"),
            (error.errno, str(error)),
        )


class ResetTests(ForeignFixture):
    async def test_while_the_input_waits_for_the_output(self) -> None:
        """With a transport that reports a failed write, and with one that only reports the lost connection."""
        for endpoint in ("tcp:0:interface=127.0.0.1", "netproc:0:host=local"):
            server = await self.make(
                name="s", server=True, endpoint=endpoint, filter=echo, coding="binary"
            )
            with self.raw_client(server) as peer:
                peer.setblocking(False)
                await self.until(lambda peer=peer, server=server: fill(peer) or self.waits(server))
                (connection,) = self.connections(server)
                reset(peer)
            await connection.closed
            self.assertEqual(BROKEN, self.events(connection)[-1])
            server.delete()

    def connections(self, server: NetworkProcess) -> list[NetworkProcess]:
        return [process for process in self.ledger.events if process.accepted_by is server]

    def waits(self, server: NetworkProcess) -> bool:
        return any(c._input.gate & CONGESTED for c in self.connections(server))


class CancelTests(ForeignFixture):
    async def test_a_connect_that_is_given_up(self) -> None:
        port, sockets = silent_listener()
        for sock in sockets:
            self.addCleanup(sock.close)
        made = self.make(name="c", endpoint=f"tcp:127.0.0.1:{port}")
        made.cancel()
        await self.failure_of(made, CancelledError)
        made = self.make(name="c", endpoint=f"tcp:127.0.0.1:{port}")
        await self.failure_of(made.addTimeout(0.05, reactor), TimeoutError)

    async def test_a_server_that_is_given_up(self) -> None:
        @implementer(IStreamServerEndpoint)
        class Never:
            def listen(self, factory: Any) -> Deferred[Any]:
                return Deferred(lambda answer: answer.errback(ZeroDivisionError()))

        made = self.make(name="s", server=True, endpoint=Never())
        made.cancel()
        await self.failure_of(made, CancelledError)


class DrainTests(ForeignFixture):
    """If the transport takes all data at once, it does not ask for more."""

    async def test_what_was_sent_before_the_connect(self) -> None:
        listener, place = self.raw_server()
        self.addCleanup(listener.close)
        process = await self.make(name="c", nowait=True, coding="binary", **place)
        process.send(b"x" * 20_000)
        drained = process.drain()
        peer = await in_thread(accept, listener)
        self.addCleanup(peer.close)
        await drained.addTimeout(PATIENCE, reactor)
        self.assertEqual(0, process.pending)


class WrappedContractTests(WrappedFixture, StreamContract):
    """The contract over endpoints that wrap factories."""


class ForeignContractTests(ForeignFixture, StreamContract):
    """The contract over Twisted's TCP."""
