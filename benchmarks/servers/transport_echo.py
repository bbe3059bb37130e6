"""A protocol on the transport of netproc, without a process: what the process costs is the difference.

The word names the reactor.
"""

from __future__ import annotations

from common import BACKLOG, HOST, announce, end_with_parent, install_reactor

install_reactor()

from twisted.internet import reactor  # noqa: E402
from twisted.internet.protocol import Factory, Protocol  # noqa: E402

from netproc.core.address import parse_address  # noqa: E402
from netproc.net.endpoints import ServerEndpoint  # noqa: E402


class Echo(Protocol):
    """Sends back what comes."""

    def dataReceived(self, data: bytes) -> None:
        """Send it back."""
        self.transport.write(data)  # type: ignore[union-attr]


def main() -> None:
    """Serve."""
    address = parse_address((*map(int, HOST.split(".")), 0), "local")
    endpoint = ServerEndpoint(reactor=reactor, addresses=[address], backlog=BACKLOG)  # type: ignore[arg-type]
    port = endpoint.listen_now(Factory.forProtocol(Echo))
    announce({"tcp": port.getHost().port})  # type: ignore[attr-defined]
    reactor.run()


if __name__ == "__main__":
    end_with_parent()
    main()
