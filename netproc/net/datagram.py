"""The channel over a datagram socket, UDP or UNIX.  Each received packet is one piece of data; each write is one packet.

`making/datagrams.py` makes one for each datagram process.  The reactor calls `doRead` and `doWrite`.

The sockets are not connected.  The reactor would stop watching a connected socket at its first ICMP error, and such a
socket could not change its peer.  So the channel of a client itself drops packets from other senders.  `net/icmp.py` reads
the ICMP errors that Linux queues.
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
from .dispatch import DISPATCH
from .icmp import pending_errors
from .interfaces import INetprocReactor
from .packetbuffer import receiver_of
from .packetinfo import answers_of
from .socketfile import spellings

#: The most packets that are read before the reactor can do other work.
MOST_PACKETS = 64

#: Seconds until the channel tries again when the reactor does not report that it can.  That is so for sending when the queue
#: of a UNIX receiver or of an interface is full, and for reading when the reactor reports an error that the socket lacks.
RETRY_DELAY = 0.005

_SENDING = "Sending datagram"


@implementer(IReadWriteDescriptor)
class DatagramChannel:
    """The Channel of a datagram process, over SOCK.

    REMOTE is the address that writes go to at first, if there is one.  With ONLY_REMOTE, packets from other senders are
    dropped.  CLOSE_SOCKET closes the socket and removes its file, if it has one.
    """

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
        # Whether packets from senders other than the remote are dropped: true for clients.
        self._only_remote = only_remote
        # The names of the remote, if it has a UNIX socket.
        self._remote_names: frozenset[bytes] = frozenset()
        # The address that writes go to: the last sender, or an address that the program has chosen.
        self._to: Any = None
        if remote is not None:
            self._choose(remote)
        #: The number of bytes that the kernel has not taken yet.
        self.pending = 0
        self.unsent = 0
        self.failure: ProcessError | None = None
        self.truncated = False
        # Packets that the kernel has not taken yet, and their receivers.
        self._queue: deque[tuple[bytes, Any]] = deque()
        self._high = DEFAULT_LIMITS.high_water
        self._low = DEFAULT_LIMITS.low_water
        self._tell_writable = False
        self._paused = False
        self._closed = False
        self._closing = False
        # Whether the socket becomes writable when the kernel takes more.  If not, the channel has to try again.
        self._room_is_reported = True
        # The deadline for the flush after `close`, the next attempt to send, and the next attempt to read.
        self._deadline: IDelayedCall | None = None
        self._retry: IDelayedCall | None = None
        self._rest: IDelayedCall | None = None

    @property
    def output(self) -> Self:
        return self

    @property
    def remote(self) -> SocketAddress | None:
        """The address that writes go to: the last sender, or an address that the program has chosen."""
        return SocketAddress(self._socket.family, self._to) if self._to is not None else None

    def hand_to(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def start(self) -> None:
        """Begin to read."""
        self._watch_input()

    def logPrefix(self) -> str:
        return format_address(self.local)

    # -- receiving ------------------------------------------------------------------------------

    def doRead(self) -> None:
        """Receive and deliver the waiting packets, as one dispatch."""
        DISPATCH.run(self._receive_waiting)

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
                # Set this before the filter is called, so that its reply goes there (N102).
                self._to = sender
            self.receiver.data(data)
            if problem is not None:
                self.receiver.noticed(problem)

    def _is_remote(self, sender: Any) -> bool:
        """Whether SENDER is the remote, also if their addresses are spelled in different ways."""
        if not sender or not self._to:
            return False
        if self._socket.family == socket.AF_UNIX:
            return os.fsencode(sender) in self._remote_names
        if isinstance(sender, tuple):
            # Ignore the flow label of IPv6.  A remote without an interface stands for any interface.
            zones = (sender[3:], (0,))
            return bool(sender[:2] == self._to[:2] and self._to[3:] in zones)
        return bool(sender == self._to)

    def check_pausable(self) -> None:
        """Do nothing: datagram sockets can always be paused."""

    def pause(self) -> None:
        """Stop reading; packets wait in the kernel's queue."""
        self._paused = True
        self._reactor.removeReader(self)

    def resume(self) -> None:
        self._paused = False
        self._watch_input()

    def _watch_input(self) -> None:
        if not (self._paused or self._closing):
            self._reactor.addReader(self)

    # -- errors that end nothing ----------------------------------------------------------------

    def _notice_errors(self, error: OSError | None = None) -> bool:
        """Report the errors of earlier packets that the kernel has queued.  If there are none, report ERROR, if given.

        Return whether there was an error to report.
        """
        found = pending_errors(self._socket)
        if not found and error is not None:
            found = [from_os_error(error, "Receiving datagram")]
        for notice in found:
            self.receiver.noticed(notice)
        return bool(found)

    def _take_error(self) -> OSError | None:
        """Return the pending error of the socket, which this call also clears, or None."""
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(number, os.strerror(number)) if number else None

    def connectionLost(self, reason: Failure) -> None:
        """Report an error that the reactor has found, or close at the end of the reactor.  An error does not end the
        channel.
        """
        if self._closed:
            return
        if not self._reactor.running:
            self._close_socket()
            self.receiver.lost(None)
            return
        # The reactor has stopped watching this descriptor.
        if self._notice_errors(self._take_error()):
            self._watch_input()
        elif self._rest is None:
            # No error could be cleared, so the reactor would report the same again at once.
            self._rest = self._reactor.callLater(RETRY_DELAY, self._rested)
        if self._queue:
            self._try_later()

    def _rested(self) -> None:
        self._rest = None
        self._watch_input()

    def set_remote(self, remote: SocketAddress) -> None:
        """Send to REMOTE from now on.  Raises ProcessArgumentError if it is of another family than the socket."""
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
        """Send DATA to the remote as one packet, now or when the kernel has room.

        Raises ProcessError if there is no remote, or if the system refuses the packet, for example because it is too long
        (EMSGSIZE).  The channel can be used afterwards.
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
        """Send DATA to the address TO.  Return False if the kernel has no room.  Raises ProcessError if it refuses DATA."""
        try:
            self._send_raw(data, to)
        except BlockingIOError:
            # The queue of a UNIX receiver is full, and our socket stays writable.
            self._room_is_reported = self._socket.family != socket.AF_UNIX
            return False
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                # The queue of an interface is full, and our socket stays writable.
                self._room_is_reported = False
                return False
            if again and self._notice_errors():
                # The error was about an earlier packet, and is cleared now.
                return self._send(data, to, again=False)
            where = format_address(SocketAddress(self._socket.family, to))
            raise from_os_error(error, _SENDING, where) from error
        return True

    def doWrite(self) -> None:
        """Send queued packets as long as the kernel has room."""
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
        """Do what waits for output, after some or all of the queue was sent."""
        if self._tell_writable and self.pending < self._low:
            self._tell_writable = False
            DISPATCH.run(self.receiver.writable)
        if self._closed:
            return
        if self._queue:
            self._try_later()
            return
        self._reactor.removeWriter(self)
        if self._closing:
            self._gone()

    def _try_later(self) -> None:
        if self._room_is_reported:
            self._reactor.addWriter(self)
            return
        self._reactor.removeWriter(self)
        if self._retry is None:
            self._retry = self._reactor.callLater(RETRY_DELAY, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.doWrite()

    def when_writable(self) -> None:
        self._tell_writable = True
        if self._retry is None:
            self._retry = self._reactor.callLater(0, self._try_again)

    def set_marks(self, high: int, low: int) -> None:
        self._high, self._low = high, low

    def write_eof(self) -> None:
        """Do nothing: datagrams have no end of output (N106)."""

    # -- the socket -----------------------------------------------------------------------------

    def set_option(self, name: str, value: object) -> None:
        sockets.set_option(self._socket, name, value)
        if options.answers_come_from_all(name, value):
            self._only_remote = False

    def peer_credentials(self) -> None:
        """Return None: a datagram socket has no single peer."""

    def close(self, flush: float, linger: float) -> None:
        """Send the pending output, for FLUSH seconds at most, and close the socket.  There is no peer to wait for."""
        if self._closed:
            # The channel was discarded, and its process has failed.
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
        """Close the socket without calling a receiver: the channel could not be given to its process."""
        self._close_socket()

    def abort(self) -> None:
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
