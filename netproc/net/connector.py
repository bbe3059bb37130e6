"""Connect to one of several addresses: the first that answers is used.

`net/endpoints.py` hands in the addresses, and receives a connected socket or one error that names all addresses.

The addresses are tried in their order, but with IPv6 and IPv4 in turn, as in RFC 8305.  The next address is tried after
250 ms, or at once when an attempt fails.  Earlier attempts continue until one succeeds or the deadline passes.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from ..core.address import SocketAddress, format_address
from ..core.errors import NetprocError, ProcessError, from_os_error
from . import sockets
from .dispatch import DISPATCH
from .interfaces import INetprocReactor

#: Seconds until the next address is tried while earlier ones have not answered.
ATTEMPT_DELAY = 0.25

#: Seconds until a UNIX server with a full backlog is tried again.  The kernel does not report when there is room.
BACKLOG_DELAY = 0.02

FAILED = "make client process failed"

Connected: TypeAlias = tuple[socket.socket, SocketAddress]


def interleave(addresses: Sequence[SocketAddress]) -> list[SocketAddress]:
    """Return ADDRESSES with the address families in turn, beginning with that of the first."""
    queues: dict[int, deque[SocketAddress]] = {}
    for address in addresses:
        queues.setdefault(address.family, deque()).append(address)
    ordered = []
    while queues:
        for family in list(queues):
            ordered.append(queues[family].popleft())
            if not queues[family]:
                del queues[family]
    return ordered


class Connector:
    """One attempt to connect to any of ADDRESSES, for TIMEOUT seconds at most.

    OPTIONS are network options.  KIND is SOCK_STREAM or SOCK_SEQPACKET.
    """

    def __init__(
        self,
        reactor: INetprocReactor,
        addresses: Sequence[SocketAddress],
        options: Mapping[str, object],
        timeout: float,
        kind: int = socket.SOCK_STREAM,
    ) -> None:
        self._reactor = reactor
        self._kind = kind
        self._waiting = deque(interleave(addresses))
        self._options = options
        self._timeout = timeout
        self._attempts: list[_Attempt] = []
        self._errors: list[tuple[SocketAddress, OSError]] = []
        self._next_timer: IDelayedCall | None = None
        self._deadline: IDelayedCall | None = None
        self._result: Deferred[Connected] = Deferred(lambda _: self._stop())

    def start(self) -> Deferred[Connected]:
        """Return a Deferred that fires with a connected socket and the address of its peer, but not before `start` returns.

        It fails with ProcessError: the error of the last address that failed, with the names of all addresses, or the
        error of an option that cannot be set.  Cancelling the Deferred ends all attempts.
        """
        self._deadline = self._reactor.callLater(self._timeout, self._too_late)
        self._next_timer = self._reactor.callLater(0, self._next)
        return self._result

    def _next(self) -> None:
        """Try the next address, and arrange that the one after it is tried in ATTEMPT_DELAY."""
        self._next_timer = None
        while self._waiting:
            attempt = _Attempt(self._waiting.popleft(), self._reactor, self._answered)
            try:
                attempt.begin(self._kind, self._options)
            except NetprocError as error:
                # The same option would fail for every address.
                self._finish(error)
                return
            except Exception as error:
                self._errors.append((attempt.address, _os_error(error)))
                continue
            self._attempts.append(attempt)
            if self._waiting:
                self._next_timer = self._reactor.callLater(ATTEMPT_DELAY, self._next)
            return
        if not self._attempts:
            self._finish(self._failure())

    def _answered(self, attempt: _Attempt, error: OSError | None) -> None:
        """Handle the end of an attempt, with an ERROR or with success."""
        self._attempts.remove(attempt)
        if error is None:
            self._finish((attempt.sock, attempt.address))
            return
        self._errors.append((attempt.address, error))
        if self._next_timer is not None:
            self._next_timer.cancel()
        self._next()

    def _too_late(self) -> None:
        self._deadline = None
        late = _error(errno.ETIMEDOUT)
        tried = [attempt.address for attempt in self._attempts]
        # If the reactor was busy, some or all addresses may not have been tried yet.  Report these as timed out too.
        self._errors.extend((address, late) for address in [*tried, *self._waiting])
        self._finish(self._failure())

    def _finish(self, result: Connected | NetprocError) -> None:
        self._stop()
        if isinstance(result, NetprocError):
            self._result.errback(result)
        else:
            DISPATCH.run(self._result.callback, result)

    def _failure(self) -> ProcessError:
        """Return the last error, as in Emacs (N36), with the addresses that failed."""
        if not self._errors:
            return ProcessError(None, f"{FAILED}: there is no address")
        last = self._errors[-1][1]
        addresses = ", ".join(format_address(address) for address, _ in self._errors)
        return from_os_error(last, FAILED, addresses)

    def _stop(self) -> None:
        for timer in (self._next_timer, self._deadline):
            if timer is not None and timer.active():
                timer.cancel()
        self._waiting.clear()
        while self._attempts:
            self._attempts.pop().abandon()


@implementer(IWriteDescriptor)
class _Attempt:
    """A socket that is connecting to ADDRESS.  It becomes writable when there is an answer.

    ANSWERED is called with the attempt and its error, which is None after success.
    """

    def __init__(
        self,
        address: SocketAddress,
        reactor: INetprocReactor,
        answered: Callable[[_Attempt, OSError | None], None],
    ) -> None:
        self.address = address
        self._reactor = reactor
        self._answered = answered
        self._retry: IDelayedCall | None = None
        self.sock: socket.socket

    def begin(self, kind: int, options: Mapping[str, object]) -> None:
        """Make the socket and begin to connect it.  If that raises an exception, the socket is closed."""
        self.sock = sockets.make_socket(self.address.family, kind)
        try:
            sockets.set_options(self.sock, options)
            self._connect()
        except BaseException:
            self.sock.close()
            raise

    def fileno(self) -> int:
        return self.sock.fileno()

    def logPrefix(self) -> str:
        return f"connecting to {format_address(self.address)}"

    def _connect(self) -> None:
        try:
            sockets.connect(self.sock, self.address)
        except BlockingIOError as error:
            if error.errno == errno.EAGAIN:
                self._retry = self._reactor.callLater(BACKLOG_DELAY, self._connect_again)
                return
        self._reactor.addWriter(self)

    def _connect_again(self) -> None:
        self._retry = None
        try:
            self._connect()
        except Exception as error:
            self._over(_os_error(error))

    def doWrite(self) -> None:
        """Find out the answer.  There is none if the reactor's event was for an earlier socket with the same number (see
        `sockets.hang_up`).
        """
        number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self._over(_error(number))
        elif sockets.is_connected(self.sock):
            self._over(_error(errno.ECONNREFUSED) if sockets.is_self_connected(self.sock) else None)

    def connectionLost(self, reason: Failure) -> None:
        """Handle a refusal, which some reactors report as a hang-up, or the end of the reactor."""
        if self.sock.fileno() == -1:
            return
        error = sockets.hang_up(self.sock)
        if error is not None or not self._reactor.running:
            self._over(error or _error(errno.ECONNABORTED))
        else:
            # The reactor has stopped watching this descriptor.
            self._reactor.addWriter(self)

    def _over(self, error: OSError | None) -> None:
        self._reactor.removeWriter(self)
        if error is not None:
            self.sock.close()
        self._answered(self, error)

    def abandon(self) -> None:
        """Close the socket: the answer is no longer needed."""
        if self._retry is not None:
            self._retry.cancel()
        self._reactor.removeWriter(self)
        self.sock.close()


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def _os_error(error: Exception) -> OSError:
    """Return ERROR as an OSError.  The socket module raises other exceptions for impossible addresses and options."""
    if isinstance(error, OSError):
        return error
    found = OSError(str(error) or type(error).__name__)
    found.__cause__ = error
    return found
