"""Events that a reactor has for a closed socket, after another socket got its number."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from netproc import NetworkProcess
from netproc.core.address import SocketAddress
from netproc.net.connector import Connector
from netproc.net.sockets import hang_up
from netproc.test.support.base import NetprocTestCase, reactor
from netproc.test.support.fixtures import MB, Recorder, TcpFixture, UnixFixture
from netproc.test.support.peers import in_thread, read_exactly, reset, silent_listener


def tell_hang_up(descriptor: Any, reason: Exception) -> None:
    """Do what Twisted's reactors do when the kernel reports that DESCRIPTOR has hung up."""
    reactor.removeReader(descriptor)
    reactor.removeWriter(descriptor)
    descriptor.connectionLost(Failure(reason))


class StaleEventContract:
    async def test_a_connection_goes_on(self) -> None:
        for reason in (ConnectionDone(), ConnectionLost()):
            heard = Recorder()
            process, peer = await self.client_of_raw(filter=heard)
            process.send(b"x" * 15 * MB)
            await self.turn()
            tell_hang_up(process._lifecycle.channel.transport, reason)
            self.assertEqual(15 * MB, len(await in_thread(read_exactly, peer, 15 * MB)))
            peer.send(b"answer")
            await self.until(lambda heard=heard: heard.data == b"answer")
            process.delete()

    async def test_a_paused_connection_stays_paused(self) -> None:
        heard = Recorder()
        process, peer = await self.client_of_raw(filter=heard, stop=True)
        tell_hang_up(process._lifecycle.channel.transport, ConnectionLost())
        peer.send(b"later")
        await self.nothing_happens([], lambda: heard.pieces)
        process.resume()
        await self.until(lambda: heard.data == b"later")

    async def test_a_server_goes_on(self) -> None:
        server = await self.server(filter=Recorder())
        tell_hang_up(server._lifecycle.port, ConnectionLost())
        self.assertEqual("listen", server.status)
        self.raw_client(server).close()
        await (await self.connection(server)).closed

    async def test_the_descriptor_of_a_connection_that_was_reset_in_the_same_batch(self) -> None:
        """The first connection ends the second, whose hang-up is the next event; a third gets its number."""
        connections: list[NetworkProcess] = []

        def end_second(process: NetworkProcess, data: bytes) -> None:
            if process is connections[0]:
                connections[1]._linger = 0
                connections[1].delete()
            else:
                process.send(data)

        def note(process: NetworkProcess, event: str) -> None:
            if event.startswith("open from"):
                connections.append(process)

        server = await self.server(filter=end_second, sentinel=note)
        first, second = self.raw_client(server), self.raw_client(server)
        self.addCleanup(first.close)
        await self.until(lambda: len(connections) == 2)
        connections[1].stop()
        connections[1].send(b"x" * 15 * MB)
        await self.until_quiet(lambda: connections[1].pending)
        # These three are ready in this order in the reactor's next turn.
        first.send(b"now")
        third = self.raw_client(server)
        self.addCleanup(third.close)
        reset(second)
        self.addCleanup(os.close, os.open(os.devnull, os.O_RDONLY))  # the peer's number
        await self.until(lambda: len(connections) == 3)
        third.send(b"question")
        self.assertEqual(b"question", await in_thread(read_exactly, third, 8))
        for connection in connections:
            connection.delete()


class TcpStaleEventTests(TcpFixture, StaleEventContract):
    """Over TCP."""


class UnixStaleEventTests(UnixFixture, StaleEventContract):
    """Over UNIX sockets."""


class ConnectingTests(NetprocTestCase):
    async def test_an_attempt_goes_on(self) -> None:
        port, sockets = silent_listener()
        for sock in sockets:
            self.addCleanup(sock.close)
        connector = Connector(reactor, [SocketAddress(socket.AF_INET, ("127.0.0.1", port))], {}, 5)
        connecting = connector.start()
        await self.until(lambda: connector._attempts)
        (attempt,) = connector._attempts
        attempt.doWrite()
        tell_hang_up(attempt, ConnectionLost())
        self.assertNoResult(connecting)
        sockets[0].accept()[0].close()
        (await connecting)[0].close()


class HangUpTests(NetprocTestCase):
    def test_what_is_behind_it(self) -> None:
        ours, theirs = socket.socketpair()
        self.assertIsNone(hang_up(ours))
        theirs.close()
        error = hang_up(ours)
        assert error is not None
        self.assertEqual(errno.ECONNRESET, error.errno)
        ours.close()
        error = hang_up(ours)
        assert error is not None
        self.assertEqual(errno.EBADF, error.errno)
