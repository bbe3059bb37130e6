"""A relay on the wire that keeps every byte, to see what went in clear text.

It stands between a client and a server, of whomever; the tests ask `Wiretap` what the client said.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTCP
from twisted.protocols.portforward import ProxyClient, ProxyClientFactory, ProxyFactory, ProxyServer


class _TowardsServer(ProxyClient):
    def dataReceived(self, data: bytes) -> None:
        self.factory.server.factory.from_server += data
        super().dataReceived(data)


class _TowardsServerFactory(ProxyClientFactory):
    protocol = _TowardsServer


class _FromClient(ProxyServer):
    clientProtocolFactory = _TowardsServerFactory  # noqa: N815

    def dataReceived(self, data: bytes) -> None:
        self.factory.from_client += data
        super().dataReceived(data)


class Wiretap(ProxyFactory):
    """Listens at `own_port` for the server at PORT; all that ever came through is in the two fields."""

    protocol = _FromClient
    noisy = False

    def __init__(self, reactor: IReactorTCP, port: int) -> None:
        super().__init__("127.0.0.1", port)
        self.from_client = b""
        self.from_server = b""
        self._listening: Any = reactor.listenTCP(0, self, interface="127.0.0.1")
        self.own_port: int = self._listening.getHost().port

    def stop(self) -> Any:
        """Take no more; what is connected goes on."""
        return self._listening.stopListening()
