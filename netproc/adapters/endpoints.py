"""Endpoints whose connections are network processes, for any Twisted protocol factory.

`commands/endpointstrings.py` makes them from endpoint descriptions.  `making/make.py` and `streams/openstream.py` make
the processes, which are in the process table as all others.  `transport.py` connects each to its protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from ..core.address import format_address
from ..core.answers import to_bytes
from ..core.coding import Text
from ..core.errors import NegotiationError, ProcessError
from ..making.make import KEYWORDS, make
from ..net.interfaces import INetprocReactor
from ..net.sockets import twisted_address
from ..process.process import NetworkProcess
from ..streams.openstream import open_network_stream
from .transport import ProcessTransport

log = Logger()

#: A protocol receives bytes.
_FOR_PROTOCOLS: Mapping[str, object] = {"coding": "binary", "filter_multibyte": False}

#: Returns a Deferred for an open process, which reads no input yet (filter=True).
Opener = Callable[[], Deferred[NetworkProcess]]


def client_opener(keywords: Mapping[str, object], reactor: INetprocReactor) -> Opener:
    """Return an opener that connects by KEYWORDS of make_network_process."""
    all_of_them = {**KEYWORDS, **keywords, **_FOR_PROTOCOLS, "filter": True, "sentinel": _silent}
    return lambda: make(all_of_them, None, reactor)


def starttls_opener(
    keywords: Mapping[str, Any], with_greeting: bool, reactor: INetprocReactor
) -> Opener:
    """Return an opener that connects by KEYWORDS of open_network_stream and starts TLS by STARTTLS.

    WITH_GREETING says whether the protocol receives the server's greeting first, although it was sent in clear text.
    """

    async def connect() -> NetworkProcess:
        process, properties = await open_network_stream(
            **keywords,
            buffer=None,
            type="starttls",
            return_list=True,
            coding="binary",
            filter=True,
            sentinel=_silent,
            reactor=reactor,
        )
        if process is None:
            raise NegotiationError(properties.error)
        if with_greeting and properties.greeting:
            process.unread(to_bytes(properties.greeting))
        assert isinstance(process, NetworkProcess)
        return process

    return lambda: Deferred.fromCoroutine(connect())


def _silent(process: NetworkProcess, event: str) -> None:
    """Ignore EVENT: the transport notifies the protocol."""


def _ignore(process: NetworkProcess, data: Text) -> None:
    """Do nothing: there is no input before there is a protocol."""


@implementer(IStreamClientEndpoint)
@dataclass(frozen=True)
class ProcessClientEndpoint:
    """A client endpoint: `open_process` opens the process of each connection."""

    open_process: Opener

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Return a Deferred for the connected protocol.

        It fails with ProcessError or ProcessArgumentError.  Cancelling it gives up the attempt.
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        factory.doStart()
        try:
            process = await self.open_process()
        except BaseException:
            factory.doStop()
            raise
        process.closed.addCallback(lambda _: factory.doStop())
        try:
            protocol = factory.buildProtocol(twisted_address(process._contact.remote))
            if protocol is None:
                peer = format_address(process._contact.remote)
                raise ProcessError(None, "the factory has returned no protocol", peer)
        except BaseException:
            process.delete()
            raise
        transport = ProcessTransport(process, protocol)
        transport.connect()
        # Later: callbacks of the Deferred set up the protocol before it receives input.
        process.reactor.callLater(0, transport.begin)
        return protocol


@implementer(IStreamServerEndpoint)
@dataclass(frozen=True)
class ProcessServerEndpoint:
    """A server endpoint that listens by `keywords` of make_network_process."""

    keywords: Mapping[str, object]
    reactor: INetprocReactor

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Return a Deferred for the port; it fails with ProcessError or ProcessArgumentError."""
        accepting = _Accepting(protocolFactory)
        keywords = {**KEYWORDS, "server": True, **self.keywords, **_FOR_PROTOCOLS}
        made = make(
            {**keywords, "filter": _ignore, "sentinel": accepting.event}, None, self.reactor
        )
        return made.addCallback(ProcessPort, protocolFactory)


class _Accepting:
    """Makes a protocol for each connection of a server."""

    def __init__(self, factory: IProtocolFactory) -> None:
        self._factory = factory

    def event(self, process: NetworkProcess, event: str) -> None:
        """The sentinel: if PROCESS is a new connection, connect it to a protocol."""
        if process.accepted_by is None or not process.live:
            return
        process.sentinel = _silent
        try:
            address = twisted_address(process._contact.remote)
            protocol = self._factory.buildProtocol(address)
        except Exception:
            log.failure("The factory failed; the connection is closed")
            protocol = None
        if protocol is None:
            process.delete()
        else:
            transport = ProcessTransport(process, protocol)
            transport.connect()
            transport.begin()


@implementer(IListeningPort)
class ProcessPort:
    """The port of a server process.  Connections stay open when it stops listening."""

    def __init__(self, process: NetworkProcess, factory: IProtocolFactory) -> None:
        self._process = process
        factory.doStart()
        process.closed.addCallback(lambda _: factory.doStop())

    def startListening(self) -> None:
        """Do nothing: the port is listening already."""

    def stopListening(self) -> Deferred[None]:
        """Stop listening; return a Deferred that fires when the descriptor is closed."""
        self._process.delete()
        return self._process.closed.addCallback(lambda _: None)

    def getHost(self) -> IAddress:
        """Return the address on which the port listens."""
        return twisted_address(self._process._contact.local)

    def pauseProducing(self) -> None:
        """Accept no connections until resumed."""
        self._process.stop()

    def resumeProducing(self) -> None:
        """Accept connections again."""
        self._process.resume()
