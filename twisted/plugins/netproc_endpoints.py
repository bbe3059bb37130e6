"""The plugins for the endpoint descriptions "netproc:…" and "starttls:…".

Twisted imports this file for every endpoint description that is not one of its own kinds, so it imports nothing of netproc.
`netproc/commands/endpointstrings.py` is imported when a description names one of these.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import (
    IReactorCore,
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(
    IPlugin, IStreamClientEndpointStringParserWithReactor, IStreamServerEndpointStringParser
)
class _Netproc:
    prefix = "netproc"

    def parseStreamClient(
        self, reactor: IReactorCore, *words: Any, **options: Any
    ) -> IStreamClientEndpoint:
        from netproc.commands.endpointstrings import netproc_client

        return netproc_client(reactor, words, options)

    def parseStreamServer(
        self, reactor: IReactorCore, *words: Any, **options: Any
    ) -> IStreamServerEndpoint:
        from netproc.commands.endpointstrings import netproc_server

        return netproc_server(reactor, words, options)


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
class _StartTLS:
    prefix = "starttls"

    def parseStreamClient(
        self, reactor: IReactorCore, *words: Any, **options: Any
    ) -> IStreamClientEndpoint:
        from netproc.commands.endpointstrings import starttls_client

        return starttls_client(reactor, words, options)


netproc = _Netproc()
starttls = _StartTLS()
