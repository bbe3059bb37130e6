"""A relay that keeps every byte, so that tests see what was sent in clear text.

It connects any client with any server; the fields of `Wiretap` have the bytes.
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
    """Listens at `own_port` for the server at PORT; its two fields have all bytes of both directions."""

    protocol = _FromClient
    noisy = False

    def __init__(self, reactor: IReactorTCP, port: int) -> None:
        super().__init__("127.0.0.1", port)
        self.from_client = b""
        self.from_server = b""
        self._listening: Any = reactor.listenTCP(0, self, interface="127.0.0.1")
        self.own_port: int = self._listening.getHost().port

    def stop(self) -> Any:
        """Accept no more connections; those that exist go on."""
        return self._listening.stopListening()
