"""Twisted protocols get the same calls over the memory network as over TCP; each test runs over both."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.task import Clock
from zope.interface import implementer

from netproc.test.support.base import NetprocTestCase
from netproc.test.support.recording import BothCase, Builder, HalfClosing, Place, Recording
from netproc.testing import MemoryNetwork

#: More bytes than all buffers between two ends hold.
MUCH = b"x" * 12_000_000


class Raising(Recording):
    raises_in = "data"


class RaisingWhenMade(Recording):
    raises_in = "made"


class RaisingAtHalfClose(HalfClosing):
    raises_in = "read lost"


class Paused(Recording):
    pauses = True


class Ending(HalfClosing):
    """Closes the connection at the end of its input."""

    def readConnectionLost(self) -> None:
        super().readConnectionLost()
        self.transport.loseConnection()


@implementer(IPushProducer)
class Pushing:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


@implementer(IPullProducer)
class Pulled(Pushing):
    def __init__(self, transport: Any) -> None:
        super().__init__()
        self.transport = transport

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if len(self.calls) == 4:
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        else:
            self.transport.write(b"piece")


class ClosingTests(BothCase):
    async def test_in_order(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            client.transport.write(b"one")
            client.transport.writeSequence([b"two", b"three"])
            await self.until(lambda: server.received == 11)
            server.transport.write(b"answer")
            server.transport.loseConnection()

        await self.talk(
            talk, (["made", 6, "lost: ConnectionDone"], ["made", 11, "lost: ConnectionDone"])
        )

    async def test_everything_is_written_before(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            client.transport.write(MUCH)
            client.transport.loseConnection()
            client.transport.write(b"and this, too")

        await self.talk(
            talk,
            (
                ["made", "lost: ConnectionDone"],
                ["made", len(MUCH) + 13, "lost: ConnectionDone"],
            ),
        )

    async def test_half_by_half(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            client.transport.write(MUCH)
            client.transport.loseWriteConnection()
            await self.until(lambda: "read lost" in server.events)
            client.transport.write(b"lost, since the side is shut")
            server.transport.write(MUCH)
            server.transport.loseWriteConnection()
            await self.until(lambda: "read lost" in client.events)
            client.transport.loseConnection()
            server.transport.loseConnection()

        end = "lost: ConnectionDone"
        await self.talk(
            talk,
            (
                ["made", "write lost", len(MUCH), "read lost", end],
                ["made", len(MUCH), "read lost", "write lost", end],
            ),
            HalfClosing,
            HalfClosing,
        )

    async def test_a_protocol_without_half_close_ends_at_once(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            client.transport.pauseProducing()
            server.transport.write(MUCH)
            client.transport.loseWriteConnection()
            await self.until(lambda: server.lost)
            client.transport.resumeProducing()
            await self.until(lambda: "read lost" in client.events)
            self.assertLess(client.received, len(MUCH))
            client.events[:] = [e for e in client.events if isinstance(e, str)]
            client.transport.loseConnection()

        await self.talk(
            talk,
            (
                ["made", "write lost", "read lost", "lost: ConnectionDone"],
                ["made", "lost: ConnectionDone"],
            ),
            HalfClosing,
        )

    async def test_with_unread_input(self) -> None:
        """The peer reads the data and the end of input; its next write fails."""

        async def talk(client: Recording, server: Recording) -> None:
            server.transport.write(b"nobody reads it")
            client.transport.write(b"last")
            await self.until(lambda: server.received == 4)
            client.transport.loseConnection()
            await self.until(lambda: "read lost" in server.events)
            server.transport.write(b"into the void")

        await self.talk(
            talk,
            (
                ["made", "lost: ConnectionDone"],
                ["made", 4, "read lost", "lost: ConnectionLost"],
            ),
            Paused,
            HalfClosing,
        )

    async def test_writing_to_a_peer_that_has_closed(self) -> None:
        """The first write is taken, and the second fails."""

        async def talk(client: Recording, server: Recording) -> None:
            client.transport.loseConnection()
            await self.until(lambda: "read lost" in server.events)
            server.transport.write(b"taken")
            await self.nothing_happens(False, lambda: server.lost)
            server.transport.write(b"refused")

        await self.talk(
            talk,
            (["made", "lost: ConnectionDone"], ["made", "read lost", "lost: ConnectionLost"]),
            Recording,
            HalfClosing,
        )

    async def test_abort(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            client.transport.write(MUCH)
            client.transport.abortConnection()
            client.transport.abortConnection()
            client.transport.write(b"nothing")
            client.transport.loseConnection()
            self.assertFalse(client.lost)

        await self.talk(
            talk, (["made", "lost: ConnectionAborted"], ["made", "lost: ConnectionLost"])
        )

    async def test_reset_after_data(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            client.transport.write(b"data")
            await self.nothing_happens(["made"], lambda: server.events)
            client.transport.abortConnection()
            await self.until(lambda: client.lost)
            self.assertEqual(["made"], server.events)
            server.transport.resumeProducing()

        await self.talk(
            talk,
            (["made", "lost: ConnectionAborted"], ["made", 4, "lost: ConnectionLost"]),
            server=Paused,
        )

    async def test_reset_while_output_waits(self) -> None:
        """A protocol that has paused its input is notified of the reset because its output fails."""

        async def talk(client: Recording, server: Recording) -> None:
            server.transport.write(MUCH)
            await self.nothing_happens(["made"], lambda: server.events)
            client.transport.abortConnection()

        await self.talk(
            talk,
            (["made", "lost: ConnectionAborted"], ["made", "lost: ConnectionLost"]),
            Paused,
            Paused,
        )

    async def test_input_that_waits_while_paused(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            client.transport.write(b"one")
            client.transport.loseConnection()
            await self.until(lambda: client.lost)
            await self.nothing_happens(["made"], lambda: server.events)
            server.transport.resumeProducing()

        await self.talk(
            talk,
            (["made", "lost: ConnectionDone"], ["made", 3, "lost: ConnectionDone"]),
            server=Paused,
        )


class ExceptionTests(BothCase):
    async def test_in_data_received(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            client.transport.write(b"x")

        await self.talk(
            talk,
            (["made", "lost: ConnectionDone"], ["made", 1, "lost: ZeroDivisionError"]),
            server=Raising,
            errors=1,
        )

    async def test_in_read_connection_lost(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            client.transport.loseWriteConnection()

        await self.talk(
            talk,
            (
                ["made", "write lost", "read lost", "lost: ConnectionDone"],
                ["made", "read lost", "lost: ZeroDivisionError"],
            ),
            Ending,
            RaisingAtHalfClose,
            errors=1,
        )

    async def test_in_connection_made_of_a_server(self) -> None:
        """Twisted logs it, and the connection goes on."""

        async def talk(client: Recording, server: Recording) -> None:
            client.transport.write(b"x")
            await self.until(lambda: server.received)
            client.transport.loseConnection()

        await self.talk(
            talk,
            (["made", "lost: ConnectionDone"], ["made", 1, "lost: ConnectionDone"]),
            server=RaisingWhenMade,
            errors=1,
        )

    async def test_in_connection_made_of_a_client(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            connecting = place.connect(RaisingWhenMade)
            await self.until(lambda: place.server.built and place.server.built[0].lost)
            self.assertNoResult(connecting)
            self.assertEqual(
                (["made", "lost: ZeroDivisionError"], ["made", "lost: ConnectionDone"]),
                (place.client.built[0].events, place.server.built[0].events),
            )

        await self.over_both(script, errors=1)


class ProducerTests(BothCase):
    async def test_push(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            producer = Pushing()
            client.transport.registerProducer(producer, True)
            self.assertRaises(RuntimeError, client.transport.registerProducer, producer, True)
            client.transport.write(b"little")
            await self.until(lambda: server.received == 6)
            self.assertEqual([], producer.calls)
            client.transport.write(MUCH)
            self.assertEqual(["pause"], producer.calls)
            await self.until(lambda: "resume" in producer.calls)
            self.assertEqual(["pause", "resume"], producer.calls)
            # A producer that is not paused keeps nothing open.
            client.transport.loseConnection()
            await self.until(lambda: client.lost)
            self.assertEqual(["pause", "resume", "stop"], producer.calls)

        end = "lost: ConnectionDone"
        await self.talk(talk, (["made", end], ["made", len(MUCH) + 6, end]))

    async def test_a_paused_producer_delays_the_close(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            producer = Pushing()
            client.transport.registerProducer(producer, True)
            client.transport.write(MUCH)
            client.transport.loseConnection()
            await self.until(lambda: "resume" in producer.calls and server.received == len(MUCH))
            await self.nothing_happens(False, lambda: client.lost or server.lost)
            client.transport.write(b"last")
            client.transport.unregisterProducer()
            await self.until(lambda: client.lost)
            self.assertEqual(["pause", "resume"], producer.calls)

        end = "lost: ConnectionDone"
        await self.talk(talk, (["made", end], ["made", len(MUCH) + 4, end]))

    async def test_pull(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            producer = Pulled(client.transport)
            client.transport.registerProducer(producer, False)
            await self.until(lambda: client.lost)
            self.assertEqual(["resume"] * 4, producer.calls)

        end = "lost: ConnectionDone"
        await self.talk(talk, (["made", end], ["made", 15, end]))

    async def test_a_producer_is_stopped_at_the_end(self) -> None:
        async def talk(client: Recording, server: Recording) -> None:
            producer = Pushing()
            client.transport.registerProducer(producer, True)
            server.transport.loseConnection()
            await self.until(lambda: client.lost)
            self.assertEqual(["stop"], producer.calls)
            late = Pushing()
            client.transport.registerProducer(late, True)
            self.assertEqual(["stop"], late.calls)

        end = "lost: ConnectionDone"
        await self.talk(talk, (["made", end], ["made", end]))


class ListeningTests(BothCase):
    async def test_a_paused_port(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            place.port.pauseProducing()
            client = await place.connect(Recording)
            client.transport.write(b"early")
            await self.nothing_happens([], lambda: place.server.built)
            place.port.resumeProducing()
            await self.until(lambda: place.server.built and place.server.built[0].received == 5)
            client.transport.loseConnection()
            await self.until(lambda: place.server.built[0].lost)

        await self.over_both(script)

    async def test_connections_that_wait_are_reset(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            place.port.pauseProducing()
            clients = [await place.connect(Recording) for _ in range(3)]
            await place.port.stopListening()
            await self.until(lambda: all(client.lost for client in clients))
            for client in clients:
                self.assertEqual(["made", "lost: ConnectionLost"], client.events)
            self.assertEqual(["start", "stop"], place.server.calls)

        await self.over_both(script)

    async def test_connections_outlive_the_port(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            client = await place.connect(Recording)
            await self.until(lambda: place.server.built)
            await place.port.stopListening()
            client.transport.write(b"x")
            await self.until(lambda: place.server.built[0].received)
            client.transport.loseConnection()
            await self.until(lambda: place.server.built[0].lost)

        await self.over_both(script)

    async def test_nothing_listens(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            await place.port.stopListening()
            await self.failure_of(place.connect(Recording), ConnectionRefusedError)
            await self.until(lambda: place.client.calls == ["start", "stop"])

        await self.over_both(script)

    async def test_a_port_that_closes_while_a_client_connects(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            connecting = place.connect(Recording)
            stopped = place.port.stopListening()
            error = await self.failure_of(connecting, ConnectError)
            self.assertEqual(errno.ECONNRESET, error.osError)
            await stopped
            self.assertEqual(([], []), (place.client.built, place.server.built))

        await self.over_both(script)

    async def test_a_connect_that_is_cancelled(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            connecting = place.connect(Recording)
            self.assertNoResult(connecting)
            connecting.cancel()
            await self.failure_of(connecting, ConnectingCancelledError)
            await self.nothing_happens([], lambda: place.client.built + place.server.built)

        await self.over_both(script)

    async def test_a_server_that_builds_no_protocol(self) -> None:
        async def script(place: Place) -> None:
            place.listen(None)
            client = await place.connect(Recording)
            await self.until(lambda: client.lost)
            self.assertEqual(["made", "lost: ConnectionDone"], client.events)

        await self.over_both(script)

    async def test_a_client_that_builds_no_protocol(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            error = await self.failure_of(place.connect(None), Exception)
            self.assertEqual("NoProtocol", type(error).__name__)
            await self.until(lambda: place.server.built and place.server.built[0].lost)
            self.assertEqual(["made", "lost: ConnectionDone"], place.server.built[0].events)

        await self.over_both(script)

    async def test_the_calls_of_the_factories(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            client = await place.connect(Recording)
            await self.until(lambda: place.server.built)
            client.transport.loseConnection()
            await self.until(lambda: client.lost and place.server.built[0].lost)
            await place.port.stopListening()
            for factory in (place.server, place.client):
                self.assertEqual(["start", "IPv4Address", "stop"], factory.calls)
                self.assertEqual(0, factory.numPorts)

        await self.over_both(script)

    async def test_addresses(self) -> None:
        async def script(place: Place) -> None:
            place.listen(Recording)
            client = await place.connect(Recording)
            await self.until(lambda: place.server.built)
            near, far = client.transport, place.server.built[0].transport
            self.assertEqual(near.getPeer(), place.port.getHost())
            self.assertEqual(near.getPeer(), far.getHost())
            self.assertEqual(near.getHost(), far.getPeer())
            self.assertNotEqual(near.getHost(), far.getHost())
            for end in (near, far):
                end.setTcpNoDelay(True)
                end.setTcpKeepAlive(True)
                self.assertTrue(end.getTcpNoDelay() and end.getTcpKeepAlive())
            near.loseConnection()
            await self.until(lambda: place.server.built[0].lost)

        await self.over_both(script)


class NetworkTests(NetprocTestCase):
    async def test_one_server_at_a_time(self) -> None:
        network = MemoryNetwork()
        for _ in range(2):
            port = await network.server_endpoint().listen(Builder(Recording))
            error = await self.failure_of(
                network.server_endpoint().listen(Builder(Recording)), CannotListenError
            )
            self.assertEqual(errno.EADDRINUSE, error.socketError.errno)
            # The failed listen has not disturbed the first port.
            client = await network.client_endpoint().connect(Builder(Recording))
            client.transport.loseConnection()
            await port.stopListening()

    async def test_networks_know_nothing_of_each_other(self) -> None:
        port = await MemoryNetwork().server_endpoint().listen(Builder(Recording))
        connecting = MemoryNetwork().client_endpoint().connect(Builder(Recording))
        await self.failure_of(connecting, ConnectionRefusedError)
        await port.stopListening()


class ClockTests(NetprocTestCase):
    def test_everything_waits_for_the_clock(self) -> None:
        clock = Clock()
        network = MemoryNetwork(clock)
        server = Builder(Recording)
        port = self.successResultOf(network.server_endpoint().listen(server))
        connecting = network.client_endpoint().connect(Builder(Recording))
        self.assertNoResult(connecting)
        clock.pump([0] * 5)
        client = self.successResultOf(connecting)
        client.transport.write(b"x")
        self.assertEqual(["made"], server.built[0].events)
        client.transport.loseConnection()
        port.stopListening()
        clock.pump([0] * 5)
        self.assertEqual(["made", 1, "lost: ConnectionDone"], server.built[0].events)
        self.assertEqual([], clock.getDelayedCalls())
