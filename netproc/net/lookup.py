"""Look up the addresses for a host, a service and an address family.

`making/client.py` and `making/server.py` hand in the look-up of a spec, and give the addresses to `net/endpoints.py`
(at run time).  Numeric hosts and "local" are answered at once, without a thread.

Names are looked up by the resolver that the program has installed with the reactor, if there is one.  Otherwise netproc
asks the system, in its own threads.  The reactor has few threads: ten look-ups that hang would delay all other work that
needs a thread, and the end of the program.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from functools import cache, partial
from threading import Thread
from typing import Any, TypeAlias

# Twisted has no public name for the resolver that reactors have by default.
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

#: A function that looks up addresses, such as `resolve`.
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

#: The error of getaddrinfo for a host that is not numeric.  The resolver may still find it.
_NOT_NUMERIC = socket.EAI_NONAME
_NOT_KNOWN = "Name or service not known"

#: The most look-ups that the system does at the same time.  A look-up whose deadline has passed counts until the system
#: gives it up, which takes 10 to 30 s with the usual settings.
MOST_LOOKUPS = 64


@cache
def _threads() -> ThreadPool:
    """Return the threads for look-ups.  The program does not wait for them when it ends."""
    threads = ThreadPool(0, MOST_LOOKUPS, "netproc look-ups")
    threads.threadFactory = partial(Thread, daemon=True)  # type: ignore[assignment]
    threads.start()
    return threads


def _resolver(reactor: INetprocReactor) -> IHostnameResolver:
    """Return the resolver that the program has installed, or one that asks the system in our threads."""
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
    """Like `resolve`, but block until there is a result, for a service that binds before the reactor runs."""
    try:
        return succeed(_getaddrinfo(lookup, 0))
    except socket.gaierror as error:
        return fail(_failed(lookup, error.strerror or str(error)))
    except ProcessError as error:
        return fail(error)


def _failed(lookup: Lookup, problem: str) -> ProcessError:
    return ProcessError(None, f"{lookup.host}/{lookup.service} {problem}")


def _port(lookup: Lookup) -> int:
    """Return the number of the service's port.  A name is looked up in the system's table of services."""
    if lookup.service.isdecimal():
        return int(lookup.service)
    try:
        protocol = "udp" if lookup.kind == socket.SOCK_DGRAM else "tcp"
        return socket.getservbyname(lookup.service, protocol)
    except (OSError, ValueError):  # an unknown name, or an impossible one
        raise _failed(lookup, "Servname not supported for ai_socktype") from None


def _family(lookup: Lookup) -> int:
    return _FAMILIES[lookup.family] if lookup.family in _FAMILIES else int(lookup.family or 0)


def _getaddrinfo(lookup: Lookup, flags: int) -> Sequence[SocketAddress]:
    found: Sequence[tuple[Any, ...]] = socket.getaddrinfo(
        lookup.host.encode("ascii"),
        _port(lookup),
        _family(lookup),
        # Seqpacket addresses are looked up as stream addresses.  If there are no such sockets, making the socket fails.
        socket.SOCK_DGRAM if lookup.kind == socket.SOCK_DGRAM else socket.SOCK_STREAM,
        flags=flags | socket.AI_NUMERICSERV,
    )
    return [SocketAddress(family, raw) for family, _, _, _, raw in found]


def _resolve_name(lookup: Lookup, reactor: INetprocReactor) -> Deferred[Sequence[SocketAddress]]:
    try:
        lookup.host.encode("idna")
    except UnicodeError:
        # A label is too long.  The resolver would raise an exception in its thread and never answer.
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
        # The caller cancels it when its deadline passes.  The thread that does the look-up cannot be stopped.
        self.answer: Deferred[Sequence[SocketAddress]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Do nothing: only the result is needed."""

    def addressResolved(self, address: IAddress) -> None:
        found = from_twisted_address(address)
        if found is not None:
            self._found.append(found)

    def resolutionComplete(self) -> None:
        if self.answer.called:
            return
        if self._found:
            self.answer.callback(self._found)
        else:
            self.answer.errback(_failed(self._lookup, _NOT_KNOWN))
