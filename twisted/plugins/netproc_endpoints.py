"""Tells Twisted that there are endpoints "netproc:…" and "starttls:…".

Twisted reads this file whenever a program looks for an endpoint that it does not know, so it imports nothing of netproc;
`netproc/endpointstrings.py` is imported when one of these is named.
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
