"""Host, service and family to addresses.

`make.py` hands in the look-up of a spec and gives the addresses to `net/endpoints.py`.  Numeric hosts and
"local" are answered at once and never touch a thread.  Names go to the resolver that the program has installed with the
reactor, if any.  Otherwise threads of netproc's own ask the system: those of the reactor are few, and ten look-ups that
hang would hold up everything else that needs one, and the end of the program.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import cache, partial
from threading import Thread
from typing import Any, TypeAlias

# Twisted has no public name for the resolver that reactors begin with, and none for a pool with this one.
from twisted.internet._resolver import GAIResolver
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from ..core.address import SocketAddress
from ..core.errors import ProcessError
from ..core.spec import Lookup
from .interfaces import INetprocReactor
from .sockets import from_twisted_address

#: How the addresses of a look-up are found.
Resolver: TypeAlias = Callable[[Lookup, INetprocReactor], Deferred[Sequence[SocketAddress]]]

_FAMILIES: dict[str | int | None, int] = {
    None: socket.AF_UNSPEC,
    "ipv4": socket.AF_INET,
    "ipv6": socket.AF_INET6,
}
_ADDRESS_TYPES: dict[int, list[type[IAddress]]] = {
    socket.AF_UNSPEC: [IPv4Address, IPv6Address],
    socket.AF_INET: [IPv4Address],
    socket.AF_INET6: [IPv6Address],
}

#: What getaddrinfo says when a host is not numeric; the resolver may still find it.
_NOT_NUMERIC = socket.EAI_NONAME
_NOT_KNOWN = "Name or service not known"

#: Look-ups that the system does at the same time.  One whose deadline has passed counts until the system gives it up,
#: which takes 10 to 30 s with the usual settings.
MOST_LOOKUPS = 64


@cache
def _threads() -> ThreadPool:
    """Threads that the end of the program does not wait for."""
    threads = ThreadPool(0, MOST_LOOKUPS, "netproc look-ups")
    threads.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
    threads.start()
    return threads


def _resolver(reactor: INetprocReactor) -> IHostnameResolver:
    """The program's resolver, or the system's in threads of our own."""
    installed = reactor.nameResolver
    if isinstance(installed, GAIResolver):
        return GAIResolver(reactor, _threads, socket.getaddrinfo)
    return installed


def resolve(lookup: Lookup, reactor: INetprocReactor) -> Deferred[Sequence[SocketAddress]]:
    """Look up the addresses of a host and a service.

    Args:
        lookup: The host and the service.
        reactor: The reactor.

    Returns:
        A Deferred that fires with at least one address, in the order of the resolver.  It fails with a `ProcessError`
        without an errno.  Unless a host name has to be looked up, it has fired when the call returns.
    """
    try:
        addresses = _getaddrinfo(lookup, socket.AI_NUMERICHOST)
    except socket.gaierror as error:
        if error.errno == _NOT_NUMERIC:
            return _resolve_name(lookup, reactor)
        return fail(_failed(lookup, error.strerror or str(error)))
    except ProcessError as error:
        return fail(error)
    return succeed(addresses)


def resolve_blocking(lookup: Lookup, reactor: INetprocReactor) -> Deferred[Sequence[SocketAddress]]:
    """The same, fired on return, for a service that binds before the reactor runs."""
    try:
        return succeed(_getaddrinfo(lookup, 0))
    except socket.gaierror as error:
        return fail(_failed(lookup, error.strerror or str(error)))
    except ProcessError as error:
        return fail(error)


def _failed(lookup: Lookup, problem: str) -> ProcessError:
    return ProcessError(None, f"{lookup.host}/{lookup.service} {problem}")


def _port(lookup: Lookup) -> int:
    """The port of the service, which the system's table of services may have to tell."""
    if lookup.service.isdecimal():
        return int(lookup.service)
    try:
        protocol = "udp" if lookup.kind == socket.SOCK_DGRAM else "tcp"
        return socket.getservbyname(lookup.service, protocol)
    except (OSError, ValueError):  # unknown, or nothing that the system could know
        raise _failed(lookup, "Servname not supported for ai_socktype") from None


def _family(lookup: Lookup) -> int:
    return _FAMILIES[lookup.family] if lookup.family in _FAMILIES else int(lookup.family or 0)


def _getaddrinfo(lookup: Lookup, flags: int) -> Sequence[SocketAddress]:
    found: Sequence[tuple[Any, ...]] = socket.getaddrinfo(
        lookup.host.encode("ascii"),
        _port(lookup),
        _family(lookup),
        # Seqpacket addresses are looked up as those of streams; the socket is what fails then.
        socket.SOCK_DGRAM if lookup.kind == socket.SOCK_DGRAM else socket.SOCK_STREAM,
        flags=flags | socket.AI_NUMERICSERV,
    )
    return [SocketAddress(family, raw) for family, _, _, _, raw in found]


def _resolve_name(lookup: Lookup, reactor: INetprocReactor) -> Deferred[Sequence[SocketAddress]]:
    try:
        lookup.host.encode("idna")
    except UnicodeError:
        # Too long a label: the resolver would raise in its thread and never answer.
        return fail(_failed(lookup, _NOT_KNOWN))
    receiver = _Receiver(lookup)
    types = _ADDRESS_TYPES[_family(lookup)]
    _resolver(reactor).resolveHostName(receiver, lookup.host, _port(lookup), types)
    return receiver.answer


@implementer(IResolutionReceiver)
class _Receiver:
    """Collects the addresses that a resolver finds."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._found: list[SocketAddress] = []
        # Cancelled when the deadline passes; the thread that looks up cannot be stopped.
        self.answer: Deferred[Sequence[SocketAddress]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """The look-up has begun."""

    def addressResolved(self, address: IAddress) -> None:
        """One address."""
        found = from_twisted_address(address)
        if found is not None:
            self._found.append(found)

    def resolutionComplete(self) -> None:
        """That was all."""
        if self.answer.called:
            return
        if self._found:
            self.answer.callback(self._found)
        else:
            self.answer.errback(_failed(self._lookup, _NOT_KNOWN))
