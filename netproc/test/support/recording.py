"""Twisted protocols that record their calls, and a test case that runs a script over TCP and the memory network."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IListeningPort,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from netproc.test.support.base import NetprocTestCase, reactor
from netproc.testing import MemoryNetwork


class Recording(Protocol):
    """Keeps the names of the callbacks, and how many bytes were received between two of them."""

    transport: Any
    pauses = False
    raises_in = ""

    def __init__(self) -> None:
        self.events: list[str | int] = []

    def note(self, event: str) -> None:
        self.events.append(event)
        if event == self.raises_in:
            raise ZeroDivisionError

    def connectionMade(self) -> None:
        if self.pauses:
            self.transport.pauseProducing()
        self.note("made")

    def dataReceived(self, data: bytes) -> None:
        before = self.events.pop() if isinstance(self.events[-1], int) else 0
        assert isinstance(before, int)
        self.events.append(before + len(data))
        if self.raises_in == "data":
            raise ZeroDivisionError

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.note(f"lost: {type(reason.value).__name__}")

    @property
    def received(self) -> int:
        return sum(event for event in self.events if isinstance(event, int))

    @property
    def lost(self) -> bool:
        return str(self.events[-1]).startswith("lost")


@implementer(IHalfCloseableProtocol)
class HalfClosing(Recording):
    def readConnectionLost(self) -> None:
        self.note("read lost")

    def writeConnectionLost(self) -> None:
        self.note("write lost")


class Builder(Factory):
    """Builds protocols of a class, or none, and counts its starts."""

    noisy = False

    def __init__(self, kind: type[Recording] | None) -> None:
        self.kind = kind
        self.built: list[Recording] = []
        self.calls: list[str] = []

    def buildProtocol(self, addr: object) -> Any:
        self.calls.append(type(addr).__name__)
        if self.kind is None:
            return None
        self.built.append(self.kind())
        return self.built[-1]

    def startFactory(self) -> None:
        self.calls.append("start")

    def stopFactory(self) -> None:
        self.calls.append("stop")


class Place:
    """A listening server, and how to connect to it."""

    port: Any

    def __init__(
        self,
        server: IStreamServerEndpoint,
        client: Callable[[IListeningPort], IStreamClientEndpoint],
    ) -> None:
        self.server_endpoint = server
        self._client = client

    def listen(self, kind: type[Recording] | None) -> None:
        self.server = Builder(kind)
        self.port = self.server_endpoint.listen(self.server).result
        self.client_endpoint = self._client(self.port)

    def connect(self, kind: type[Recording] | None) -> Deferred[Any]:
        self.client = Builder(kind)
        return self.client_endpoint.connect(self.client)


def over_tcp() -> Place:
    return Place(
        TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"),
        lambda port: TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port),  # type: ignore[attr-defined]
    )


def in_memory() -> Place:
    network = MemoryNetwork()
    return Place(network.server_endpoint(), lambda port: network.client_endpoint())


Script = Callable[[Place], Awaitable[None]]
Talk = Callable[[Recording, Recording], Awaitable[None]]


class BothCase(NetprocTestCase):
    async def over_both(self, script: Script, errors: int = 0) -> None:
        for make_place in (over_tcp, in_memory):
            place = make_place()
            await script(place)
            if not place.port.disconnected:
                await place.port.stopListening()
            logged = self.flushLoggedErrors(ZeroDivisionError)
            self.assertEqual(errors, len(logged), make_place.__name__)

    async def talk(
        self,
        talk: Talk,
        expected: tuple[list[str | int], list[str | int]],
        client: type[Recording] = Recording,
        server: type[Recording] = Recording,
        errors: int = 0,
    ) -> None:
        """TALK between a client and a server ends both connections, and the two see what is EXPECTED."""

        async def script(place: Place) -> None:
            place.listen(server)
            one = await place.connect(client)
            await self.until(lambda: place.server.built)
            (other,) = place.server.built
            await talk(one, other)
            await self.until(lambda: one.lost and other.lost, f"{one.events}, {other.events}")
            self.assertEqual(expected, (one.events, other.events), str(place.server_endpoint))

        await self.over_both(script, errors)
