"""Twisted's protocols over netproc's TLS: the peer's certificate, when it is known, and `startTLS`."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHandshakeListener, ISSLTransport
from twisted.internet.ssl import (
    Certificate,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.protocols import amp
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from netproc.test.support.protocols import (
    AUTHORITY,
    LOCALHOST,
    EndpointFixture,
    Kept,
    ProcessEndpoints,
    SocketEndpoints,
    TwistedEndpoints,
)

CERTIFICATE = PrivateCertificate.loadPEM(b"".join(LOCALHOST))
TRUSTED = Certificate.loadPEM(AUTHORITY.pem)


def client_options(name: str = "localhost") -> Any:
    return optionsForClientTLS(name, trustRoot=trustRootFromCertificates([TRUSTED]))


@implementer(IHandshakeListener)
class Speaker(LineReceiver):
    """Records its calls, and the peer's certificate when the handshake is done."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def connectionMade(self) -> None:
        self.events.append("made")

    def handshakeCompleted(self) -> None:
        self.events.append("handshake")

    def lineReceived(self, line: bytes) -> None:
        self.events.append(line)

    def connectionLost(self, reason: Failure = None) -> None:
        self.events.append(reason.type)


class UpgradingServer(Speaker):
    def lineReceived(self, line: bytes) -> None:
        super().lineReceived(line)
        if line == b"STARTTLS":
            self.sendLine(b"go ahead")
            self.transport.startTLS(CERTIFICATE.options())
        else:
            self.sendLine(line.upper())


class UpgradingClient(Speaker):
    options: Any = None

    def connectionMade(self) -> None:
        super().connectionMade()
        self.sendLine(b"STARTTLS")

    def lineReceived(self, line: bytes) -> None:
        super().lineReceived(line)
        if line == b"go ahead":
            self.transport.startTLS(self.options or client_options())
            # This line waits for the handshake, and is never sent in clear text.
            self.sendLine(b"secret")


class Greet(amp.Command):
    arguments = [(b"name", amp.Unicode())]
    response = [(b"greeting", amp.Unicode())]


class Host(amp.AMP):
    @Greet.responder
    def greet(self, name: str) -> dict[str, object]:
        return {"greeting": f"hello {name}"}

    @amp.StartTLS.responder
    def secure(self) -> dict[str, object]:
        return {"tls_localCertificate": CERTIFICATE, "tls_verifyAuthorities": [TRUSTED]}


class Guest(amp.AMP):
    lost: Failure | None = None

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self.lost = reason


class StartTLSContract:
    """Protocols that switch to TLS."""

    async def upgraded(self, client: Any) -> tuple[Any, Any]:
        factory = Kept(UpgradingServer)
        port = await self.serve(factory)
        protocol = await self.client(port).connect(Kept(client))
        await self.until(lambda: factory.made)
        return factory.made[0], protocol

    async def test_lines(self) -> None:
        server, client = await self.upgraded(UpgradingClient)
        await self.until(lambda: client.events[-1] == b"SECRET")
        for protocol in (server, client):
            self.assertTrue(ISSLTransport.providedBy(protocol.transport))
        transport = client.transport
        self.assertEqual(
            CERTIFICATE.serialNumber(), Certificate.peerFromTransport(transport).serialNumber()
        )
        self.assertEqual("leaf", transport.getPeerCertificate().get_subject().CN)
        transport.loseConnection()
        await self.until(
            lambda: ConnectionDone in server.events and ConnectionDone in client.events
        )
        self.assertEqual(
            ["made", b"go ahead", "handshake", b"SECRET", ConnectionDone], client.events
        )
        self.assertEqual(
            ["made", b"STARTTLS", "handshake", b"secret", ConnectionDone], server.events
        )

    async def test_a_client_that_does_not_verify(self) -> None:
        """netproc adds no checks to the context of the protocol."""

        class Careless(UpgradingClient):
            options = CERTIFICATE.options()

        _, client = await self.upgraded(Careless)
        await self.until(lambda: client.events[-1] == b"SECRET")
        client.transport.loseConnection()

    async def test_the_server_is_another(self) -> None:
        class Wary(UpgradingClient):
            options = client_options("other.example")

        server, client = await self.upgraded(Wary)
        ended = lambda protocol: isinstance(protocol.events[-1], type)  # noqa: E731
        await self.until(lambda: ended(server) and ended(client))
        self.assertEqual(["made", b"go ahead"], client.events[:-1])
        self.assertNotIn(b"secret", server.events)

    async def test_amp(self) -> None:
        factory = Kept(Host)
        guest = await self.client(await self.serve(factory)).connect(Kept(Guest))
        self.assertEqual({"greeting": "hello you"}, await guest.callRemote(Greet, name="you"))
        await guest.callRemote(
            amp.StartTLS, tls_localCertificate=CERTIFICATE, tls_verifyAuthorities=[TRUSTED]
        )
        self.assertEqual({"greeting": "hello TLS"}, await guest.callRemote(Greet, name="TLS"))
        for protocol in (guest, factory.made[0]):
            self.assertEqual(CERTIFICATE.serialNumber(), protocol.peerCertificate.serialNumber())
        guest.transport.loseConnection()
        await self.until(lambda: guest.lost)
        guest.lost.trap(ConnectionDone)


class TwistedStartTLSTests(TwistedEndpoints, StartTLSContract):
    """Over Twisted's endpoints."""


class ProcessStartTLSTests(ProcessEndpoints, StartTLSContract):
    """Over processes."""


class SocketStartTLSTests(SocketEndpoints, StartTLSContract):
    """Over netproc's sockets."""


class HandshakeTests(EndpointFixture):
    """TLS from the beginning."""

    async def test_both_sides_are_told(self) -> None:
        key, certificate = (self.file(pem) for pem in LOCALHOST)
        trust = self.file(AUTHORITY.pem)
        own = f"tls-key={key}:tls-cert={certificate}"

        class Greeting(Speaker):
            def handshakeCompleted(self) -> None:
                super().handshakeCompleted()
                self.peer = Certificate.peerFromTransport(self.transport)
                self.sendLine(b"hello")

        factory = Kept(Greeting)
        port = await self.listen(
            f"netproc:0:host=local:{own}:tls-client-ca={trust}:tls-require-client-cert=t", factory
        )
        place = f"netproc:localhost:{port.getHost().port}:{own}:tls-trust={trust}"
        client = await self.connect(place, Kept(Greeting))
        client.events.append("connected")
        await self.until(lambda: len(client.events) == 4 and len(factory.made[0].events) == 3)
        self.assertEqual(["made", "connected", "handshake", b"hello"], client.events)
        self.assertEqual(["made", "handshake", b"hello"], factory.made[0].events)
        for protocol in (client, factory.made[0]):
            self.assertEqual(CERTIFICATE.serialNumber(), protocol.peer.serialNumber())
