"""The stream transport: one connected socket of TCP or of a UNIX socket.

`net/listener.py` and `net/endpoints.py` make it for a connected socket.  The reactor calls `doRead` and `doWrite`; the
transport calls its protocol.  The protocol of a process is a channel of `net/stream.py`, but any Twisted protocol works.

It differs from Twisted's own transports:

* Output that is written during a dispatch is sent when the dispatch ends (`net/dispatch.py`).
* The size of reads adapts to the traffic, from 4 KiB to 256 KiB.  Large reads of a fixed size would cost a memory
  mapping each.
* After a failed write it first delivers the input that the kernel has received, and then calls `connectionLost` with
  the first error.  The channel of a process may pause the transport in the meantime.  For any other protocol that has
  paused the transport, the connection is lost at once.
* When the peer half-closes, and the protocol does not implement IHalfCloseableProtocol, pending output is still sent.
* It notifies a watcher when much output is pending and when little is.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    IReadWriteDescriptor,
    ISystemHandle,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.python.log import callWithContext
from zope.interface import implementer

from ..core.address import LOOPBACK, SocketAddress
from ..core.limits import DEFAULT_LIMITS
from .dispatch import DISPATCH
from .interfaces import INetprocReactor
from .producer import Producing
from .reads import READ_MAX, READ_MIN, RECORD, next_read_size
from .sendqueue import Queue, SendQueue, Wire
from .sockets import hang_up, twisted_address

#: A send that fails with one of these is tried again when the socket is writable.
_TRY_AGAIN = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS})

_LINGER_RESET = struct.pack("ii", 1, 0)


class OutputWatcher(Protocol):
    """The object that a transport notifies about its output."""

    def congested(self) -> None:
        """More than the high-water mark was still pending when a dispatch ended."""

    def writable(self) -> None:
        """Less than the low-water mark is pending.  Called once after each `when_writable`."""

    def output_failed(self, error: OSError) -> None:
        """No more output can be sent, because of ERROR; pending output was dropped."""


@implementer(ITCPTransport, IPushProducer, IConsumer, ISystemHandle, IReadWriteDescriptor)
class StreamTransport:
    """The transport of one connected socket.

    ON_CLOSED is called when the socket has been closed.
    """

    __slots__ = (
        "_flush_due",
        "_on_closed",
        "_protocol",
        "_reactor",
        "_read_size",
        "_reading",
        "_shut_due",
        "_socket",
        "_tell_writable",
        "_wire",
        "_writing",
        "connected",
        "disconnecting",
        "eof",
        "error",
        "high_water",
        "is_client",
        "local",
        "log_prefix",
        "low_water",
        "paused",
        "queue",
        "remote",
        "unsent",
        "watcher",
        "write_shut",
    )

    #: Makes the queue for output that the kernel has not taken yet.
    make_queue: Callable[[], Queue] = SendQueue

    def __init__(
        self,
        sock: socket.socket,
        reactor: INetprocReactor,
        protocol: IProtocol,
        local: SocketAddress,
        remote: SocketAddress,
        on_closed: Callable[[], None] | None = None,
    ) -> None:
        self._socket = sock
        self._wire: Wire = sock
        self._reactor = reactor
        self._protocol = protocol
        self._on_closed = on_closed
        #: The beginning of log lines about this transport.
        self.log_prefix = log_prefix(protocol)
        #: The output that the kernel has not taken yet.
        self.queue = self.make_queue()
        self._read_size = READ_MIN
        self._flush_due = False  # a flush has been arranged
        self._reading = False  # the reactor watches for input
        self._writing = False  # the reactor watches for room for output
        self._shut_due = False
        self._tell_writable = False
        self.watcher: OutputWatcher | None = None
        self.high_water = DEFAULT_LIMITS.high_water
        self.low_water = DEFAULT_LIMITS.low_water
        self.local = local
        self.remote = remote
        self.connected = True
        self.disconnecting = False
        self.is_client = False
        self.paused = True
        #: Whether the peer has ended its output.
        self.eof = False
        #: Whether the writing side is shut, by us or by an error.
        self.write_shut = False
        #: The first error of writing, or of the socket.
        self.error: OSError | None = None
        #: The number of bytes that were written to the transport but never sent.
        self.unsent = 0

    @property
    def protocol(self) -> IProtocol:
        """The protocol that the transport calls.  Assign another one to switch to it, as with Twisted's transports."""
        return self._protocol

    @protocol.setter
    def protocol(self, protocol: IProtocol) -> None:
        self._protocol = protocol

    def secure(self, wire: Wire) -> None:
        """Read and write through WIRE, which is TLS on the socket, from now on."""
        self._wire = wire

    @property
    def is_secure(self) -> bool:
        """Whether it reads and writes TLS."""
        return self._wire is not self._socket

    def give_up_security(self) -> int:
        """Drop pending output after TLS has failed, so that it is not sent in clear text.  Return its size in bytes."""
        self._wire = self._socket
        return self.queue.drop()

    def start(self) -> None:
        """Connect the protocol and begin to read."""
        self.hand_over()
        self.watch()

    def hand_over(self) -> None:
        """Connect the protocol, as one dispatch.  `doRead` works from now on."""
        self.paused = False
        DISPATCH.run(self._protocol.makeConnection, self)

    def watch(self) -> None:
        """Let the reactor watch for input."""
        self._update_reading()

    def logPrefix(self) -> str:
        return self.log_prefix

    # -- reading ----------------------------------------------------------------------------

    def doRead(self) -> None:
        """Read and deliver input: the socket is readable."""
        if self.paused or self.disconnecting or self.eof or not self.connected:
            return
        size = self._read_size
        data = self._receive(size)
        if not data:
            return
        if len(data) == size or (size > READ_MIN and len(data) * 4 <= size):
            self._read_size = next_read_size(size, len(data))
        # As DISPATCH.run does, without its call: 0.3 µs of the 1.7 that an echo takes here.
        DISPATCH.running = True
        try:
            self._protocol.dataReceived(data)
            if len(data) == RECORD and self.is_secure:
                self._read_on()
        finally:
            DISPATCH.running = False
            if DISPATCH.written:
                DISPATCH.flush()

    def read_now(self) -> None:
        """Call `doRead` outside a call of the reactor for this transport.  Log lines name this transport all the same."""
        callWithContext({"system": self.log_prefix}, self.doRead)

    def _read_on(self) -> None:
        """Read further TLS records, after one that was full.

        TLS returns one record at a time, and after a full one there are usually more.  Delivering them in the same
        dispatch saves a quarter of the time of bulk traffic.
        """
        for _ in range(READ_MAX // RECORD - 1):
            if not self.is_secure or self.paused or self.disconnecting:
                return
            data = self._receive(RECORD)
            if not data:
                return
            self._protocol.dataReceived(data)
            if len(data) < RECORD:
                return

    def _receive(self, size: int) -> bytes:
        """Return received data.  If there is none, return nothing, after reporting the end of the input or an error."""
        try:
            data = self._wire.recv(size)
        except BlockingIOError:
            return b""
        except OSError as error:
            self._end(lost_by(self.error or error))
            return b""
        if not data:
            self._peer_ended()
        return data

    def _peer_ended(self) -> None:
        self.eof = True
        self._update_reading()
        if self.error is not None:
            self._end(lost_by(self.error))
        elif IHalfCloseableProtocol.providedBy(self._protocol):
            DISPATCH.run(self._protocol.readConnectionLost)
        else:
            StreamTransport.loseConnection(self)

    def pauseProducing(self) -> None:
        """Read nothing until `resumeProducing` is called."""
        self.paused = True
        self._update_reading()
        if self.error is not None:
            # Not now: the protocol is in the middle of something.
            self._reactor.callLater(0, self._end_if_paused)

    def resumeProducing(self) -> None:
        """Read again."""
        self.paused = False
        self._update_reading()

    def stopProducing(self) -> None:
        """Close the connection: the consumer of the input wants no more."""
        self.loseConnection()

    def _update_reading(self) -> None:
        """Let the reactor watch for input, or stop watching, as the state of the transport requires."""
        wanted = self.connected and not (self.paused or self.eof or self.disconnecting)
        if wanted is not self._reading:
            self._reading = wanted
            watch = self._reactor.addReader if wanted else self._reactor.removeReader
            watch(self)

    # -- writing ----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send DATA when the running dispatch ends, or as soon as the peer reads."""
        if type(data) is not bytes:
            raise TypeError(f"a transport takes bytes, not {type(data).__name__}")
        if self.write_shut or self._shut_due or not data:
            return
        self.queue.append(data)
        if not self._flush_due:
            self._flush_due = True
            if DISPATCH.running and not self._writing:
                DISPATCH.written.append(self)
            else:
                self._start_writing()
        elif self.queue.pending > self.high_water and (
            # No flush at the end of this dispatch will call it, and a producer may write until it is paused.
            self._writing or isinstance(self.watcher, Producing)
        ):
            if self.watcher is not None:
                self.watcher.congested()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        for piece in data:
            self.write(piece)

    def _start_writing(self) -> None:
        if not self._writing:
            self._writing = True
            self._reactor.addWriter(self)

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._reactor.removeWriter(self)

    def doWrite(self) -> None:
        self.flush()

    def flush(self) -> None:
        """Send queued output, as much as the kernel takes, and then do what waits for that."""
        self._flush_due = False
        if not self.connected:
            return
        queue = self.queue
        if queue.pending:
            try:
                queue.send(self._wire)
            except OSError as error:
                if error.errno not in _TRY_AGAIN:
                    self._output_failed(error)
                    return
            if not (
                queue.pending
                or self._writing
                or self._tell_writable
                or self.disconnecting
                or self._shut_due
            ):
                return  # the usual case: no notification, shutdown or close waits for the flush
        resumed = False
        if self._tell_writable and self.queue.pending < self._writable_below:
            self._tell_writable = False
            if self.watcher is not None:
                self.watcher.writable()
                # A resumed producer may write its remaining output before the close, but not if the peer has ended.
                resumed = isinstance(self.watcher, Producing) and not self.eof
        if self.queue.pending:
            self._flush_due = True
            self._start_writing()
            if self.watcher is not None and self.queue.pending > self.high_water:
                self.watcher.congested()
        elif self.connected:
            self._written(resumed)

    @property
    def _writable_below(self) -> int:
        """The mark below which the watcher is notified, in bytes.

        If the close waits for a paused producer, that producer is resumed when all is sent, and then writes its last
        output.
        """
        waits = (self.disconnecting or self._shut_due) and isinstance(self.watcher, Producing)
        return 1 if waits else self.low_water

    def _written(self, resumed: bool) -> None:
        """Shut or close as was asked for, now that the queue is empty.

        Do not if a producer has more to write, or has just been RESUMED.
        """
        if not self._flush_due:
            self._stop_writing()
        if resumed:
            return
        if isinstance(self.watcher, Producing) and self.watcher.has_more:
            return
        if self.disconnecting:
            if self.write_shut or not self.is_secure or self._shut_wire():
                self._end(connectionDone)
        elif self._shut_due and not self.write_shut:
            self._shut_write()

    def when_writable(self) -> None:
        """Call `writable` of the watcher when less than the low-water mark is pending, but never before returning."""
        self._tell_writable = True
        if not self._flush_due:
            self._flush_due = True
            self._start_writing()

    def _output_failed(self, error: OSError) -> None:
        """Give up writing.  Reading goes on until all input that the kernel holds has been delivered."""
        self.error = self.error or error
        self.unsent += self.queue.drop()
        self.write_shut = True
        self._stop_writing()
        if self.watcher is not None:
            self.watcher.output_failed(error)
        if (self.eof or self.disconnecting) and self.connected:
            self._end(lost_by(self.error))
        self._end_if_paused()

    def _end_if_paused(self) -> None:
        """End the connection if writing has failed and the protocol has paused reading, since it may never resume."""
        if self.connected and self.paused and self.error and not self._is_for_channel:
            self._end(lost_by(self.error))

    @property
    def _is_for_channel(self) -> bool:
        """Whether the protocol is the channel of a process, which does resume a transport that it has paused."""
        return not (self.watcher is None or isinstance(self.watcher, Producing))

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Let PRODUCER write as fast as the peer reads (IConsumer)."""
        if self.watcher is not None:
            raise RuntimeError("a producer is registered already")
        if not self.connected or self.write_shut:
            producer.stopProducing()  # type: ignore[attr-defined]
            return
        self.watcher = Producing(producer, streaming, self.when_writable)

    def unregisterProducer(self) -> None:
        """Forget the producer: it has no more output (IConsumer)."""
        if isinstance(self.watcher, Producing):
            self.watcher.end()
            self.watcher = None
            self._finish_soon()

    # -- ending -----------------------------------------------------------------------------

    def loseWriteConnection(self) -> None:
        """Shut the writing side after the queued output."""
        if not self._shut_due and not self.write_shut:
            self._shut_due = True
            self._finish_soon()

    def _finish_soon(self) -> None:
        """Shut or close when all queued output has been sent.  With an empty queue this happens soon."""
        if self.queue.pending:
            return
        if DISPATCH.running:
            DISPATCH.written.append(self)
        else:
            # Do not wait for a writable socket: the peer may never read the output that the kernel holds.
            self._reactor.callLater(0, self.flush)

    def _shut_write(self) -> None:
        if not self._shut_wire():
            return
        self.write_shut = True
        if IHalfCloseableProtocol.providedBy(self._protocol):
            DISPATCH.run(self._protocol.writeConnectionLost)

    def _shut_wire(self) -> bool:
        """Shut the writing side of the wire.

        Return whether it is shut now.  If the socket has no room for the close_notify of TLS, try again when it has.
        """
        try:
            self._wire.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            self._flush_due = True
            self._start_writing()
            return False
        except OSError:
            # The connection has ended already; the next read reports that.
            pass
        return True

    def loseConnection(self) -> None:
        """Close the connection after the queued output."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            if self._reading:
                self._update_reading()
            self._finish_soon()

    def abortConnection(self) -> None:
        """Close the connection with a reset.  The protocol's `connectionLost` is called in the reactor's next turn."""
        if self.connected:
            protocol = self._protocol
            self.close(reset=True)
            self._reactor.callLater(0, protocol.connectionLost, Failure(ConnectionAborted()))

    def connectionLost(self, reason: Failure) -> None:
        """Handle an error or a hang-up that the reactor has found, or the end of the reactor.

        An error concerns the output only: input that was received before is still read.
        """
        if not self.connected:
            return
        is_hangup = reason.check(ConnectionLost, ConnectionDone) is not None
        if not is_hangup or not self._reactor.running:
            self._end(reason)
            return
        # The reactor has stopped watching this descriptor.
        was_writing = self._writing
        self._reading = self._writing = False
        error = hang_up(self._socket)
        if error is not None:
            self._output_failed(error)
        elif was_writing:
            self._start_writing()
        self._update_reading()

    def close(self, reset: bool = False) -> None:
        """Close the socket now.  Call ON_CLOSED and stop the producer, but do not call the protocol."""
        if not self.connected:
            return
        self.connected = False
        self.write_shut = True
        if self.queue.pending:
            self.unsent += self.queue.drop()
        if self._reading:
            self._update_reading()
        self._stop_writing()
        if reset:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            except OSError:
                # Not every kind of socket can be reset.
                pass
            self._wire = self._socket
        self._wire.close()
        self._wire = self._socket  # TLS refers to its channel
        del self._protocol  # the protocol refers to the transport: do not leave a reference cycle
        watcher, self.watcher = self.watcher, None
        if isinstance(watcher, Producing):
            watcher.stop()
        if self._on_closed is not None:
            on_closed, self._on_closed = self._on_closed, None
            on_closed()

    def _end(self, reason: Failure) -> None:
        """Close the socket and call `connectionLost` of the protocol."""
        protocol = self._protocol
        self.close()
        DISPATCH.run(protocol.connectionLost, reason)

    # -- the socket -------------------------------------------------------------------------

    def fileno(self) -> int:
        return self._socket.fileno()

    def getHandle(self) -> socket.socket:
        return self._socket

    # ITCPTransport is about IP addresses, but UNIX sockets have the same transport.
    def getHost(self) -> IAddress:  # type: ignore[override]
        return twisted_address(self.local)

    def getPeer(self) -> IAddress:  # type: ignore[override]
        return twisted_address(self.remote)

    def getTcpNoDelay(self) -> bool:
        """Whether Nagle's algorithm is off."""
        # Other families have no such algorithm.
        return self.local.family not in LOOPBACK or bool(
            self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        )

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Switch Nagle's algorithm off if ENABLED, on if not.  Does nothing for families without it."""
        if self.local.family in LOOPBACK:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """Whether the kernel probes an idle connection."""
        return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Let the kernel probe an idle connection if ENABLED."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)


def log_prefix(protocol: IProtocol) -> str:
    """Return the beginning of log lines about PROTOCOL."""
    prefix = getattr(protocol, "logPrefix", None)
    return str(prefix()) if prefix is not None else type(protocol).__name__


def lost_by(error: OSError) -> Failure:
    """Return the reason that a protocol is given when ERROR has ended the connection."""
    lost = ConnectionLost(os.strerror(error.errno or errno.ECONNRESET))
    lost.__cause__ = error
    return Failure(lost)
