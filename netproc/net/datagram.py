"""Datagram sockets, UDP and UNIX, as channels: one packet in is one piece of data, one write one packet.

`datagrams.py` opens them for a process, which writes and is told; the reactor calls `doRead` and `doWrite`.

The sockets are not connected: a connected one is taken from the reactor by the first ICMP error that
arrives, and could not change its peer.  So a client's channel drops what strangers send, and Linux is asked
to queue ICMP errors for us to read.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Self

from twisted.internet.interfaces import IDelayedCall, IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from ..core import options
from ..core.address import SocketAddress, format_address
from ..core.errors import ProcessArgumentError, ProcessError, from_os_error
from ..core.limits import DEFAULT_LIMITS
from . import sockets
from .channel import Receiver
from .event import EVENT
from .icmp import pending_errors
from .interfaces import INetprocReactor
from .packetbuffer import receiver_of
from .packetinfo import answers_of
from .socketfile import spellings

#: Packets read before the reactor gets to do something else.
MOST_PACKETS = 64

#: Seconds until something is tried again when nothing tells that it can be done: sending when a UNIX receiver's
#: queue or that of an interface is full, reading when the reactor reports an error that cannot be found.
RETRY_DELAY = 0.005

_SENDING = "Sending datagram"


@implementer(IReadWriteDescriptor)
class DatagramChannel:
    """A datagram socket; the Channel of a datagram process."""

    def __init__(
        self,
        sock: socket.socket,
        reactor: INetprocReactor,
        remote: SocketAddress | None,
        only_remote: bool,
        close_socket: Callable[[], None],
    ) -> None:
        self._socket = sock
        self._release_socket = close_socket
        answers = answers_of(sock)
        self._receive = answers.receive if answers is not None else receiver_of(sock)
        self._send_raw = answers.send if answers is not None else sockets.sender_of(sock)
        self._reactor = reactor
        self.receiver: Receiver
        self.fileno = sock.fileno
        self.local: SocketAddress | None = sockets.local_address(sock)
        # Whose packets are wanted: a client's server only.
        self._only_remote = only_remote
        # The names of that server, if it has a UNIX socket.
        self._remote_names: frozenset[bytes] = frozenset()
        # Where writes go: who sent last, or was chosen.
        self._to: Any = None
        if remote is not None:
            self._choose(remote)
        #: Bytes that are not with the kernel yet.
        self.pending = 0
        self.unsent = 0
        self.failure: ProcessError | None = None
        self.truncated = False
        # Packets that the kernel did not take yet, and where they go.
        self._queue: deque[tuple[bytes, Any]] = deque()
        self._high = DEFAULT_LIMITS.high_water
        self._low = DEFAULT_LIMITS.low_water
        self._tell_writable = False
        self._paused = False
        self._closed = False
        self._closing = False
        # Whether the reactor tells when the kernel takes more; otherwise it has to be tried.
        self._room_is_told = True
        # Until a flush after `close` must be over, until the next try, and until the next look at the socket.
        self._deadline: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        self._rest: IDelayedCall | None = None

    @property
    def output(self) -> Self:
        """See Channel."""
        return self

    @property
    def remote(self) -> SocketAddress | None:
        """Where writes go: who sent last, or was chosen."""
        return SocketAddress(self._socket.family, self._to) if self._to is not None else None

    def hand_to(self, receiver: Receiver) -> None:
        """See Channel."""
        self.receiver = receiver

    def start(self) -> None:
        """Begin to read."""
        self._watch_input()

    def logPrefix(self) -> str:
        """What the reactor writes before log lines of this socket's events."""
        return format_address(self.local)

    # -- receiving ------------------------------------------------------------------------------

    def doRead(self) -> None:
        """Packets wait."""
        EVENT.run(self._receive_waiting)

    def _receive_waiting(self) -> None:
        for _ in range(MOST_PACKETS):
            if self._paused or self._closing:
                return
            try:
                data, sender, problem = self._receive(self._socket)
            except BlockingIOError:
                return
            except OSError as error:
                self._notice_errors(error)
                continue
            if self._only_remote:
                if not self._is_remote(sender):
                    continue
            else:
                # First, so that a reply goes there (N102).
                self._to = sender
            self.receiver.data(data)
            if problem is not None:
                self.receiver.noticed(problem)

    def _is_remote(self, sender: Any) -> bool:
        """Whether SENDER is the remote, however we have spelled that."""
        if not sender or not self._to:
            return False
        if self._socket.family == socket.AF_UNIX:
            return os.fsencode(sender) in self._remote_names
        if isinstance(sender, tuple):
            # The flow label of IPv6 does not count, and no interface is any.
            zones = (sender[3:], (0,))
            return bool(sender[:2] == self._to[:2] and self._to[3:] in zones)
        return bool(sender == self._to)

    def check_pausable(self) -> None:
        """See Channel."""

    def pause(self) -> None:
        """See Channel: packets queue in the kernel."""
        self._paused = True
        self._reactor.removeReader(self)

    def resume(self) -> None:
        """See Channel."""
        self._paused = False
        self._watch_input()

    def _watch_input(self) -> None:
        if not (self._paused or self._closing):
            self._reactor.addReader(self)

    # -- errors that end nothing ----------------------------------------------------------------

    def _notice_errors(self, error: OSError | None = None) -> bool:
        """Tell what the kernel has heard of earlier packets, or ERROR if that is all there is; whether
        there was anything to tell.
        """
        found = pending_errors(self._socket)
        if not found and error is not None:
            found = [from_os_error(error, "Receiving datagram")]
        for notice in found:
            self.receiver.noticed(notice)
        return bool(found)

    def _take_error(self) -> OSError | None:
        """The pending error of the socket, which the kernel forgets by that."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(number, os.strerror(number)) if number else None

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has seen an error, which ends nothing here, or ends itself."""
        if self._closed:
            return
        if not self._reactor.running:
            self._close_socket()
            self.receiver.lost(None)
            return
        # It watches this descriptor no more.
        if self._notice_errors(self._take_error()):
            self._watch_input()
        elif self._rest is None:
            # There is nothing that could be taken away, so the reactor would say the same at once.
            self._rest = self._reactor.callLater(RETRY_DELAY, self._rested)
        if self._queue:
            self._try_later()

    def _rested(self) -> None:
        self._rest = None
        self._watch_input()

    def set_remote(self, remote: SocketAddress) -> None:
        """Write to REMOTE from now on; raises ProcessArgumentError if it is of another family."""
        if remote.family != self._socket.family:
            problem = f"{format_address(remote)} is not of the socket's family"
            raise ProcessArgumentError("datagram_address", problem)
        self._choose(remote.destination)

    def _choose(self, remote: SocketAddress) -> None:
        self._to = remote.raw
        if self._only_remote and remote.family == socket.AF_UNIX:
            self._remote_names = spellings(remote.raw)

    # -- sending --------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send DATA as one packet to the remote now, or when the kernel has room.

        Raises ProcessError when the system refuses it, as too long a one (EMSGSIZE); the channel
        stays as it is.
        """
        if self._to is None:
            raise ProcessError(errno.EINVAL, f"{_SENDING}: there is no address to send to")
        if self._queue or not self._send(data, self._to):
            self._queue.append((data, self._to))
            self.pending += len(data)
            self._try_later()
            if self.pending > self._high:
                self.receiver.congested()

    def _send(self, data: bytes, to: Any, again: bool = True) -> bool:
        """Give the kernel a packet; False when it has no room.  Raises ProcessError."""
        try:
            self._send_raw(data, to)
        except BlockingIOError:
            # The queue of a UNIX receiver is full, and our socket stays writable.
            self._room_is_told = self._socket.family != socket.AF_UNIX
            return False
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                # The queue of an interface is full, and our socket stays writable.
                self._room_is_told = False
                return False
            if again and self._notice_errors():
                # That was about an earlier packet, and is cleared now.
                return self._send(data, to, again=False)
            where = format_address(SocketAddress(self._socket.family, to))
            raise from_os_error(error, _SENDING, where) from error
        return True

    def doWrite(self) -> None:
        """There may be room."""
        while self._queue:
            data, to = self._queue[0]
            try:
                if not self._send(data, to):
                    break
            except ProcessError as error:
                self.unsent += len(data)
                self.receiver.noticed(error)
            self._queue.popleft()
            self.pending -= len(data)
        self._output_moved()

    def _output_moved(self) -> None:
        """Some of the queue has gone, maybe all."""
        if self._tell_writable and self.pending < self._low:
            self._tell_writable = False
            EVENT.run(self.receiver.writable)
        if self._closed:
            return
        if self._queue:
            self._try_later()
            return
        self._reactor.removeWriter(self)
        if self._closing:
            self._gone()

    def _try_later(self) -> None:
        if self._room_is_told:
            self._reactor.addWriter(self)
            return
        self._reactor.removeWriter(self)
        if self._retry is None:
            self._retry = self._reactor.callLater(RETRY_DELAY, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.doWrite()

    def when_writable(self) -> None:
        """See Channel."""
        self._tell_writable = True
        if self._retry is None:
            self._retry = self._reactor.callLater(0, self._try_again)

    def set_marks(self, high: int, low: int) -> None:
        """See Channel."""
        self._high, self._low = high, low

    def write_eof(self) -> None:
        """See Channel: datagrams have no end (N106)."""

    # -- the socket -----------------------------------------------------------------------------

    def set_option(self, name: str, value: object) -> None:
        """See Channel."""
        sockets.set_option(self._socket, name, value)
        if options.answers_come_from_all(name, value):
            self._only_remote = False

    def peer_credentials(self) -> None:
        """See Channel: a datagram socket has no peer."""

    def close(self, flush: float, linger: float) -> None:
        """See Channel: there is nothing to wait for but what is pending."""
        if self._closed:
            # It was discarded, and its process has failed.
            self.receiver.gone()
        if self._closing:
            return
        self._closing = True
        self._reactor.removeReader(self)
        if not self._queue:
            self._gone()
            return
        self._deadline = self._reactor.callLater(flush, self._flush_too_late)

    def _flush_too_late(self) -> None:
        self._deadline = None
        self.failure = ProcessError(errno.ETIMEDOUT, "the receiver does not read")
        self._gone()

    def discard(self) -> None:
        """Close the socket and tell nobody: the channel could not be given to its process."""
        self._close_socket()

    def abort(self) -> None:
        """See Channel."""
        if not self._closed:
            self._closing = True
            self._gone()

    def _gone(self) -> None:
        self._close_socket()
        self.receiver.gone()

    def _close_socket(self) -> None:
        self._closing = self._closed = True
        self.unsent += self.pending
        self.pending = 0
        self._queue.clear()
        self._reactor.removeReader(self)
        self._reactor.removeWriter(self)
        for timer in (self._deadline, self._retry, self._rest):
            if timer is not None and timer.active():
                timer.cancel()
        self._deadline = self._retry = self._rest = None
        self._release_socket()
