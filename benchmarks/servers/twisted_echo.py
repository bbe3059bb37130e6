"""The server that others are compared with: plain protocols of Twisted's.  The word names the reactor."""

from __future__ import annotations

from typing import Any

from common import (
    BACKLOG,
    CERTIFICATE,
    HOST,
    KEY,
    PIECES,
    announce,
    end_with_parent,
    install_reactor,
    unix_path,
)

install_reactor()

from twisted.internet import reactor as installed  # noqa: E402
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol  # noqa: E402
from twisted.internet.ssl import PrivateCertificate  # noqa: E402

# It has no type that says all that it can.
reactor: Any = installed


class Echo(Protocol):
    """Sends back what comes."""

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)  # type: ignore[union-attr]


class Pieces(Protocol):
    """Sends it back in pieces."""

    def dataReceived(self, data: bytes) -> None:
        """Send it back in pieces."""
        size = max(1, len(data) // PIECES)
        for at in range(0, len(data), size):
            self.transport.write(data[at : at + size])  # type: ignore[union-attr]


class Sink(Protocol):
    """Takes what comes."""

    def dataReceived(self, data: bytes) -> None:
        """Take it."""


class Packets(DatagramProtocol):
    """Sends back each packet."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Send it back."""
        self.transport.write(datagram, addr)  # type: ignore[union-attr]


def listen(protocol: type[Protocol]) -> object:
    """Listen on TCP; the port."""
    return reactor.listenTCP(0, Factory.forProtocol(protocol), BACKLOG, HOST).getHost().port


def main() -> None:
    """Serve."""
    path = unix_path()
    reactor.listenUNIX(path, Factory.forProtocol(Echo), BACKLOG)
    own = PrivateCertificate.loadPEM(KEY.read_bytes() + CERTIFICATE.read_bytes())
    tls = reactor.listenSSL(0, Factory.forProtocol(Echo), own.options(), BACKLOG, HOST)
    udp = reactor.listenUDP(0, Packets(), HOST)
    ports = {
        "tcp": listen(Echo),
        "pieces": listen(Pieces),
        "sink": listen(Sink),
        "tls": tls.getHost().port,
        "udp": udp.getHost().port,
    }
    announce(ports, path)
    reactor.run()


if __name__ == "__main__":
    end_with_parent()
    main()
