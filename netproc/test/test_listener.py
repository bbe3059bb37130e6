"""net/listener.py: how each error of accept is handled."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netproc.net import listener as listener_module
from netproc.net.listener import LONGEST_PAUSE, MOST_ACCEPTS, NOT_LISTENING, SHORTAGE, Listener


class FakeReactor(Clock):
    """Only records which readers are registered."""

    running = True

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()

    def addReader(self, reader: Any) -> None:
        self.readers.add(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.discard(reader)

    def addWriter(self, writer: Any) -> None:
        pass

    def removeWriter(self, writer: Any) -> None:
        pass


class FakeSocket:
    """Its accept raises or returns the given errnos and sockets, in order."""

    type = socket.SOCK_STREAM

    family = socket.AF_INET

    def __init__(self, *results: int | socket.socket) -> None:
        self.results = list(results)
        self.closed = False

    def fileno(self) -> int:
        return 999

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", 7)

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        if not self.results:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        result = self.results.pop(0)
        if isinstance(result, int):
            raise OSError(result, os.strerror(result))
        return result, ("127.0.0.1", 40000)

    def close(self) -> None:
        self.closed = True


class Watcher:
    def __init__(self) -> None:
        self.failed: list[int | None] = []
        self.lost: list[int | None] = []

    def accept_failed(self, error: OSError) -> None:
        self.failed.append(error.errno)

    def listener_lost(self, error: OSError) -> None:
        self.lost.append(error.errno)


class Greeter(Protocol):
    made: list[Protocol]

    def connectionMade(self) -> None:
        self.made.append(self)


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class Raising(Protocol):
    """Raises SystemExit in the method PLACE."""

    def __init__(self, place: str) -> None:
        setattr(self, place, self.exit)

    def exit(self, *arguments: Any) -> None:
        raise SystemExit


class ListenerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.watcher = Watcher()
        self.made: list[Protocol] = []
        self.peers: list[socket.socket] = []
        self.log = EventLoggingObserver()
        globalLogPublisher.addObserver(self.log)
        self.addCleanup(globalLogPublisher.removeObserver, self.log)

    def listen(self, *results: int | socket.socket, factory: Factory | None = None) -> Listener:
        if factory is None:
            made = self.made
            factory = Factory.forProtocol(type("Greeter", (Greeter,), {"made": made}))
            factory.noisy = False
        self.socket = FakeSocket(*results)
        listener = Listener(
            self.socket,
            self.reactor,
            factory,
            watcher=self.watcher,
        )
        listener.startListening()
        return listener

    def connection(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self.peers.append(theirs)
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        return ours

    def lines(self) -> list[str]:
        return [
            event["what"] for event in self.log if "cannot accept" in event.get("log_format", "")
        ]

    def test_shortages_pause_and_the_pause_grows(self) -> None:
        for number in SHORTAGE:
            self.watcher.failed.clear()
            listener = self.listen(*[number] * 10, self.connection())
            pauses = []
            while self.socket.results:
                listener.doRead()
                if self.socket.results:
                    self.assertNotIn(listener, self.reactor.readers)
                    (call,) = self.reactor.getDelayedCalls()
                    pauses.append(round(call.getTime() - self.reactor.seconds(), 2))
                    self.reactor.advance(pauses[-1])
                    self.assertIn(listener, self.reactor.readers)
            self.assertEqual([0.1, 0.2, 0.4, 0.8] + [LONGEST_PAUSE] * 6, pauses)
            self.assertEqual([number] * 10, self.watcher.failed)
            listener.stopListening()

    def test_one_log_line_a_second(self) -> None:
        listener = self.listen(*[errno.ECONNABORTED] * 50)
        listener.doRead()
        self.assertEqual(["Software caused connection abort"], self.lines())
        self.socket.results = [errno.ECONNABORTED]
        self.reactor.advance(1)
        listener.doRead()
        self.assertEqual(2, len(self.lines()))
        self.assertEqual(" (49 more not logged)", self.log[-1]["more"])
        listener.stopListening()

    def test_other_errors_skip_one_connection(self) -> None:
        others = (
            *("ECONNABORTED", "EPERM", "EINTR", "ENETDOWN", "EPROTO", "ENOPROTOOPT", "EHOSTDOWN"),
            *("ENONET", "EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH"),
        )
        for name in others:
            number = getattr(errno, name)
            self.made.clear()
            listener = self.listen(number, self.connection())
            listener.doRead()
            self.assertEqual(1, len(self.made), name)
            self.assertIn(listener, self.reactor.readers)
            listener.stopListening()

    def test_a_broken_socket_is_the_end(self) -> None:
        for number in NOT_LISTENING:
            listener = self.listen(number)
            listener.doRead()
            self.assertEqual(number, self.watcher.lost[-1])
            self.assertTrue(self.socket.closed)
            self.assertNotIn(listener, self.reactor.readers)

    def test_the_reactor_gets_its_turn(self) -> None:
        listener = self.listen(*[errno.EPERM] * 1000)
        listener.doRead()
        self.assertEqual(1000 - MOST_ACCEPTS, len(self.socket.results))
        listener.stopListening()

    def test_an_error_that_stays_pauses(self) -> None:
        listener = self.listen(*[errno.EPERM] * MOST_ACCEPTS, self.connection())
        listener.doRead()
        self.assertNotIn(listener, self.reactor.readers)
        self.reactor.advance(0.1)
        self.assertIn(listener, self.reactor.readers)
        listener.stopListening()

    def test_stopping_ends_a_pause(self) -> None:
        listener = self.listen(errno.EMFILE)
        listener.doRead()
        listener.stopListening()
        listener.stopListening()
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_pause_and_resume(self) -> None:
        listener = self.listen()
        listener.pauseProducing()
        self.assertNotIn(listener, self.reactor.readers)
        listener.doRead()
        listener.resumeProducing()
        self.assertIn(listener, self.reactor.readers)
        listener.stopListening()

    def test_pausing_while_it_waits_for_descriptors(self) -> None:
        listener = self.listen(errno.EMFILE)
        listener.doRead()
        listener.pause()
        self.reactor.advance(1)
        self.assertNotIn(listener, self.reactor.readers)
        listener.stopListening()

    def test_a_factory_that_wants_nobody(self) -> None:
        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = lambda address: None
        connection = self.connection()
        self.listen(connection, factory=factory).doRead()
        self.assertEqual(-1, connection.fileno())

    def test_a_factory_that_raises(self) -> None:
        def build(address: object) -> IProtocol:
            raise ZeroDivisionError

        factory = Factory()
        factory.noisy = False
        factory.buildProtocol = build
        connection = self.connection()
        listener = self.listen(connection, factory=factory)
        listener.doRead()
        self.assertEqual(-1, connection.fileno())
        self.assertIn(listener, self.reactor.readers)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_whatever_one_connection_raises_the_others_are_served(self) -> None:
        """This includes SystemExit, whichever callback raises it."""
        for place in ("logPrefix", "connectionMade", "dataReceived"):
            bad, good = self.connection(), self.connection()
            protocols = [Raising(place), Echo()]
            factory = Factory()
            factory.noisy = False
            factory.buildProtocol = lambda address, rest=protocols: rest.pop(0)
            listener = self.listen(bad, good, factory=factory)
            for peer in self.peers[-2:]:
                peer.send(b"hello")
            listener.doRead()
            self.assertEqual(b"hello", self.peers[-1].recv(5), place)
            self.assertEqual((-1, True), (bad.fileno(), listener.connected), place)
            self.assertEqual(1, len(self.flushLoggedErrors(SystemExit)), place)
            self.reactor.advance(0)
            listener.stopListening()

    def test_a_peer_whose_address_is_gone(self) -> None:
        def gone(*arguments: Any) -> None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

        self.patch(listener_module, "peer_address", gone)
        connection = self.connection()
        listener = self.listen(connection)
        listener.doRead()
        self.assertEqual((-1, []), (connection.fileno(), self.made))
        self.assertEqual(["Transport endpoint is not connected"], self.lines())
        self.assertIn(listener, self.reactor.readers)
        listener.stopListening()

    def test_a_protocol_that_raises(self) -> None:
        lost: list[Failure] = []

        class Raising(Protocol):
            def connectionMade(self) -> None:
                raise ZeroDivisionError

            def connectionLost(self, reason: Failure = None) -> None:
                lost.append(reason)

        connection = self.connection()
        self.listen(connection, factory=Factory.forProtocol(Raising)).doRead()
        self.reactor.advance(0)
        self.assertEqual((-1, 1), (connection.fileno(), len(lost)))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_the_end_of_the_reactor_closes(self) -> None:
        self.reactor.running = False
        listener = self.listen()
        listener.connectionLost(Failure(Exception()))
        self.assertEqual((True, []), (self.socket.closed, self.watcher.lost))

    def test_a_descriptor_that_the_reactor_finds_unusable_is_the_end(self) -> None:
        listener = self.listen()
        listener.connectionLost(Failure(Exception()))
        self.assertEqual((True, [errno.EBADF]), (self.socket.closed, self.watcher.lost))

    def test_a_connection_that_cannot_be_watched(self) -> None:
        first, second = self.connection(), self.connection()
        listener = self.listen(first, second)

        def add_reader(reader: Any) -> None:
            if reader.fileno() == first.fileno():
                raise OSError(errno.ENOSPC, "no room")
            self.reactor.readers.add(reader)

        self.patch(self.reactor, "addReader", add_reader)
        listener.doRead()
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))
        self.assertEqual(-1, first.fileno())
        watched = {reader.fileno() for reader in self.reactor.readers}
        self.assertEqual({second.fileno(), listener.fileno()}, watched)
        listener.stopListening()

    def test_host(self) -> None:
        listener = self.listen()
        self.assertEqual(7, listener.getHost().port)
        self.assertEqual("127.0.0.1:7", listener.logPrefix())
        listener.stopListening()
