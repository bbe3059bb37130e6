"""NetworkProcess: one connection or server, as the program sees it.

`making/make.py` makes it.  This module has what programs ask and call; `settings.py` has what they set.  The work is done by
the parts: `lifecycle.py` has the state and the channel, `input.py` and `output.py` move the data, `insertion.py` has the
buffer.  The sentinel and the log function are called from here.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import TypeAlias

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from ..core.address import SocketAddress, format_address
from ..core.coding import Coding, Text
from ..core.contact import Contact
from ..core.delivery import Delivery, PacketDelivery
from ..core.errors import ProcessArgumentError, ProcessError, not_running
from ..core.escape import escape, shown
from ..core.limits import Limits, check_patience
from ..core.status import SENDING
from ..core.table import ProcessTable
from ..core.throttle import MOST_COMPLAINTS, Throttle, not_logged
from ..net.interfaces import INetprocReactor
from . import callbacks
from .defaults import default_filter, default_sentinel
from .input import STOPPED, Input, PacketInput, UnusedInput
from .insertion import Insertion
from .lifecycle import Lifecycle
from .output import Output
from .settings import Filter, ProcessSettings, Sentinel
from .starttls import start_tls
from .waiting import Waiters, look

#: Called with the server, the new process or None, and the message.
LogFunction: TypeAlias = Callable[["NetworkProcess", "NetworkProcess | None", str], object]

Table: TypeAlias = ProcessTable["NetworkProcess"]

#: The types whose filter receives single packets.
_OF_PACKETS = frozenset({"datagram", "seqpacket"})

#: How often `accept_output` looks for more.  Reads grow to 256 KiB, so this is about 2 MB.
_MOST_LOOKS = 16

#: The table of processes that are made without one.
DEFAULT_TABLE: Table = ProcessTable()

log = Logger()


class NetworkProcess(ProcessSettings):
    """A client, a server, a connection of a server, or a command that runs instead of a connection.

    `make_network_process` and `open_network_stream` make processes.  A server makes one for each client that connects.

    You may call all methods from any callback, including the filter, the sentinel and the log function of the same
    process.  Like the rest of Twisted, a process is **not thread-safe**: use it in the thread of the reactor only, and
    call `reactor.callFromThread` from other threads.

    Attributes:
        name: The unique name of the process.  A connection of a server is called ``SERVER <HOST:PORT>``, or
            ``SERVER <N>`` if the peer has no IP address.  Do not change it.
            Emacs: ``process-name``.
        accepted_by: The server that accepted this connection.  It is None for other processes.  Do not change it.
        table: The `ProcessTable` that lists the process and its buffer.  Do not change it.
        reactor: The reactor that runs it.  Do not change it.
        query_on_exit: Whether a service or a reactor that stops waits for this process.  You can set it.
            Emacs: ``process-query-on-exit-flag``.
    """

    __slots__ = (
        "__weakref__",
        "_log_function",
        "_own_complaints",
        "_tls_host",
        "_waiters",
        "accepted_by",
        "query_on_exit",
        "reactor",
    )

    def __init__(
        self,
        name: str,
        table: Table,
        reactor: INetprocReactor,
        *,
        contact: Contact,
        coding: Coding,
        filter: Filter | bool | None,
        sentinel: Sentinel | None,
        log: LogFunction | None = None,
        plist: Mapping[str, object],
        filter_multibyte: bool,
        query_on_exit: bool = True,
        linger: object = None,
        limits: Limits,
        accepted_by: NetworkProcess | None = None,
        tls_host: str | None = None,
    ) -> None:
        self.name = name
        self.table = table
        self.reactor = reactor
        self._contact = contact
        self._coding = coding
        self._filter_multibyte = filter_multibyte
        self._decodes = filter_multibyte
        self._sentinel: Sentinel = sentinel or default_sentinel
        self._log_function = log
        self._plist = dict(plist) if plist else None
        self._linger = linger
        self._limits = limits
        self.accepted_by = accepted_by
        # The host whose certificate `start_tls` expects.
        self._tls_host = tls_host
        # D17
        self.query_on_exit = query_on_exit

        self._own_complaints: Throttle | None = None
        self._stopped = False
        self._insertion = Insertion()
        self._lifecycle = Lifecycle(self)
        if contact.get("type") in _OF_PACKETS:
            self._input = PacketInput(self, PacketDelivery(coding, filter_multibyte))
        else:
            self._input = Input(self, Delivery(coding, filter_multibyte))
        self._output = Output(self._input, limits)
        # The Deferreds of `accept_output`; None before its first call.
        self._waiters: Waiters[bool] | None = None
        self._call_filter: Filter = default_filter
        self._set_filter(filter)

    def __repr__(self) -> str:
        ends = f"{format_address(self._contact.local)} {format_address(self._contact.remote)}"
        return f"<NetworkProcess {self.name!r} {self.status} {ends}>"

    @property
    def closed(self) -> Deferred[NetworkProcess]:
        """A new Deferred that fires with the process after it has ended and its descriptor is closed.

        It never fails.  `reason` and `unsent` are final when it fires.
        """
        return self._lifecycle.closed(self)

    # -- sending ----------------------------------------------------------------------------

    def send(self, data: Text | bytearray | memoryview) -> None:  # N198, D13
        """Queue data to be sent.  The call never blocks.

        netproc gives everything that is sent during one call from the reactor to the system at once, when that call ends.  Data
        that is sent while the process connects waits until the connection is open.

        Emacs: ``process-send-string`` and ``process-send-region``.

        Args:
            data: The coding system encodes str.  bytes, bytearray and memoryview are sent as they are, except that line ends
                are converted if the coding system says so.  In a datagram or seqpacket process, each call sends one packet.

        Raises:
            ProcessError: The errno is ENOTCONN if the process is not connected, has ended, or is a server.  It is EPIPE after
                `send_eof`, and EMSGSIZE if the packet is too long.  It is ENOBUFS if more than `limits.send_cap` bytes would be
                pending; none of the data is queued then.  After netproc has noticed an error of the connection, it is this error.
            ProcessArgumentError: The data has another type, or characters that cannot be encoded.
        """
        encoding = self._coding[1]
        if isinstance(data, str):
            payload = encoding.encode(data)
        elif isinstance(data, bytes):
            payload = data if encoding.keeps_bytes else encoding.encode_bytes(data)
        elif isinstance(data, (bytearray, memoryview)):
            payload = encoding.encode_bytes(bytes(data))
        else:
            raise ProcessArgumentError("data", f"{type(data).__name__} is neither str nor bytes")
        if self._lifecycle.state not in SENDING:
            raise not_running(self.name)
        if payload:
            self._output.send(payload)
        # Only if the text was not refused: otherwise the byte order mark still has to be sent.
        if encoding.unsettled and data and isinstance(data, str):
            self._coding = (self._coding[0], encoding.settled)

    def send_eof(self) -> None:  # N152, N106
        """Close the sending side after the pending data.  The process still receives data.

        A second call does nothing, and so does a call in a datagram process.
        Emacs: ``process-send-eof``.

        Raises:
            ProcessError: The errno is ENOTCONN if the process is not connected.  It is EOPNOTSUPP if the process uses an
                `endpoint` whose transport cannot close one side.
        """
        if self._lifecycle.state not in SENDING:
            raise not_running(self.name)
        if not self.is_datagram:
            self._output.send_eof()

    def start_tls(self, parameters: object, unread: bytes = b"") -> Deferred[NetworkProcess]:
        """Switch the connection to TLS.

        On a connection that a server accepted, this side takes the server role.  On a client process it takes the client role.
        Data that you send before the handshake is complete waits for it.
        Emacs: ``gnutls-negotiate``.

        Args:
            parameters: The same as `tls_parameters` of `make_network_process`.
            unread: The bytes of the handshake that the filter has already received after the message that starts TLS.
                Filters made by `lines` or `length_prefixed` pass them on their own.

        Returns:
            A Deferred that fires with the process after the handshake, when the peer has been verified.

            In four cases it fails with `ProcessError` and the process goes on as before: the process is not open (ENOTCONN),
            `send_eof` was called (EPIPE), the process uses TLS already (EALREADY), or it is not a stream (EOPNOTSUPP).

            In all other cases in which it fails with `ProcessError` or `ProcessArgumentError`, netproc sends and delivers
            nothing more, and the connection ends with this error as its `reason`.  If you cancel the Deferred, the process
            is deleted.
        """
        return start_tls(self, parameters, unread, self._tls_host)

    def drain(self) -> Deferred[None]:
        """Wait until most of the output has been written.

        Returns:
            A Deferred that fires with None when less than `limits.low_water` bytes are pending.  If that is so already, it
            has fired when the call returns.  It fails with `ProcessError` if the pending data can never be written.
        """
        return self._output.drain()

    # -- stopping and waiting -----------------------------------------------------------------

    def stop(self) -> None:  # N140
        """Deliver no more data or, for a server, accept no more connections, until `resume` is called.

        The process still sends data.  It does not notice the end of the connection while it is stopped.  The sentinel is not
        called.
        Emacs: ``stop-process``.

        Raises:
            ProcessError: The errno is EOPNOTSUPP if the transport of its `endpoint` cannot pause.
        """
        if self._lifecycle.port is not None:
            self._lifecycle.port.pause()
        else:
            if self._lifecycle.channel is not None:
                self._lifecycle.channel.check_pausable()
            self._input.hold(STOPPED)
        self._stopped = True

    def resume(self) -> None:
        """Continue after `stop`.  Data that has waited is delivered, and so is the end of the connection.
        Emacs: ``continue-process``.
        """
        self._stopped = False
        if self._lifecycle.port is not None:
            self._lifecycle.port.resume()
        else:
            self._input.release(STOPPED)

    def accept_output(self, timeout: float | None = None) -> Deferred[bool]:  # N168
        """Wait until data has been delivered to the filter or the buffer.

        Before the Deferred fires, netproc delivers everything else that has arrived already.  If the connection has ended by
        then, the sentinel is called first.
        Emacs: ``accept-process-output``.

        Args:
            timeout: The longest wait, in seconds.  None waits without a limit.  With 0 or less, netproc looks once at what
                has arrived.

        Returns:
            A Deferred that fires with True after data was delivered, and with False after the process has ended or the
            timeout has passed.  If the process is a server or has ended already, it has fired with False when the call
            returns.  It fails with `ProcessArgumentError` if the timeout is not a number.  It fails with `ProcessError` and
            the errno EDEADLK if the filter of this process calls the method, because the filter would wait for itself.
        """
        try:
            check_patience("timeout", timeout)
        except ProcessArgumentError as error:
            return fail(error)
        if self._input.in_filter:
            problem = f"the filter of process {self.name} waits for its own input"
            return fail(ProcessError(errno.EDEADLK, problem))
        if not self.live or self._lifecycle.port is not None:
            return succeed(False)
        self._waiters = self._waiters or Waiters()
        waiter = self._waiters.add_with_timeout(timeout, False, self.reactor)
        self._input.update()
        return waiter.addCallback(self._accept_the_rest)

    def _accept_the_rest(self, delivered: bool) -> bool | Deferred[bool]:
        return Deferred.fromCoroutine(self._look_on()) if delivered else False

    async def _look_on(self) -> bool:
        """Deliver what has already arrived: let the reactor look at its descriptors while that brings more."""
        for _ in range(_MOST_LOOKS):
            received = self.received
            await look(self.reactor)
            if received == self.received:
                break
        return True

    def _delivered(self, what: Text) -> None:
        """Report WHAT, which the filter was called with, to the observers and to `accept_output`."""
        self.table.notify(self, "delivered", what)
        if self._waiters:
            self._waiters.fire(True)
            if self.live:
                self._input.update()

    def delete(self) -> None:
        r"""End the process.

        The sentinel is called with ``"deleted\n"``, or with ``"killed\n"`` for a command, before the call returns.  The filter is
        not called any more.  netproc then writes the pending output and closes the connection; `drain` and `closed` still fire.
        If the process has ended already, the call does nothing.  The connections of a server stay open.
        Emacs: ``delete-process``.
        """
        self._lifecycle.delete()

    def fail(self, error: ProcessError) -> None:
        """End the process as `delete` does, because of an error.

        netproc logs the error, and the error becomes the `reason`.  If the process has ended already, the call does nothing.

        Args:
            error: The reason.

        Raises:
            ProcessArgumentError: `error` is not a `ProcessError`.
        """
        if not isinstance(error, ProcessError):
            raise ProcessArgumentError("error", f"{shown(error)} is not a ProcessError")
        if not self.live:
            return
        suppressed = self._complaints.passes(self.reactor.seconds())
        if suppressed is not None:
            log.info(
                "{name}: {error}{more}",
                name=escape(self.name),
                error=escape(str(error)),
                more=not_logged(suppressed),
            )
        self._lifecycle.delete(error)

    def unread(self, text: Text) -> None:
        """Give back input that the filter has not used.

        netproc calls the filter again with this text, before any newer input.  If another filter has been set, that filter
        receives the text.

        * If the filter used a part of its input and gives back the rest, it is called again at once.
        * If the filter gives back everything, it needs more input.  netproc calls it again when more has arrived, with
          the text and the new input in one piece.  If the connection ends first, the text is dropped.
        * After another filter, buffer or coding system was set, and after `resume`, the text is delivered again at once.
        * In datagram and seqpacket processes netproc does not join packets.  A packet that was given back is delivered
          again when the next packet arrives, and before it.

        A filter that uses nothing and gives back too much ends the process with EMSGSIZE; see "Limits" in the reference.
        If you set another coding system, call `unread` before that, so that the new coding system decodes this text too.

        Args:
            text: The input, or the last part of it, of the type that the filter receives.

        Raises:
            ProcessArgumentError: `text` is str and the filter receives bytes, or the other way round.
        """
        wanted = str if self.filter_multibyte else bytes
        if not isinstance(text, wanted):
            problem = f"{type(text).__name__} given, but the filter receives {wanted.__name__}"
            raise ProcessArgumentError("text", problem)
        if self.live:
            self._input.prepend(text)

    # -- calling the program ------------------------------------------------------------------

    def _call_sentinel(self, event: str | None) -> None:
        """Call the sentinel, which is looked up now (N81), with EVENT, unless that is None."""
        if event is None:
            return
        if self.table.observers:
            self.table.notify(self, "sentinel", event)
        if self._insertion.buffer is not None or self._sentinel is not default_sentinel:
            # Without a buffer the default sentinel does nothing.
            self._call("sentinel", self._sentinel, self, event)

    def _call(self, what: str, function: Callable[..., object], *arguments: object) -> None:
        """Call a sentinel or log function.  Errors are logged; a coroutine is run, but not waited for."""
        try:
            result = function(*arguments)
        except BaseException as error:
            callbacks.raised(error, self, what)
        else:
            callbacks.pending(result, self, what)

    def _observer_raised(self, error: BaseException) -> None:
        """Log the ERROR that an observer of the table raised when it was called with this process."""
        callbacks.raised(error, self, "observer")

    @property
    def _complaints(self) -> Throttle:
        """The limit for log lines that peers can cause; a server and its connections share one."""
        owner = self.accepted_by or self
        owner._own_complaints = owner._own_complaints or Throttle(MOST_COMPLAINTS)
        return owner._own_complaints

    @property
    def _has_log(self) -> bool:
        """Whether `_call_log` has any effect: there is a log function or an observer."""
        return self._log_function is not None or bool(self.table.observers)

    def _call_log(self, connection: NetworkProcess | None, message: str) -> None:
        """Call the log function of a server with CONNECTION and MESSAGE."""
        self.table.notify(self, "log", message)
        if self._log_function is not None:
            self._call("log", self._log_function, self, connection, message)

    # -- for filters that keep input, such as filters/framing.py ----------------------------------

    @property
    def _unused(self) -> UnusedInput | None:
        """The input that the filter has not used; None if the filter keeps none."""
        return self._input.unused

    @_unused.setter
    def _unused(self, value: UnusedInput) -> None:
        self._input.unused = value

    def _may_use(self, unused: UnusedInput) -> bool:
        """See `Input.may_use`."""
        return self._input.may_use(unused)

    def _may_go_on(self, unused: UnusedInput) -> bool:
        """Whether the filter that keeps UNUSED may use more of it, after it has used some and may have sent something."""
        self._output.hold_if_much()
        return self._input.may_use(unused)

    # -- for making/server.py ----------------------------------------------------------------------

    def _new_connection(
        self, name: str, local: SocketAddress | None, remote: SocketAddress | None
    ) -> NetworkProcess:
        """Return a process NAME with the settings that connections of this server inherit (N93)."""
        return NetworkProcess(
            name,
            self.table,
            self.reactor,
            contact=self._contact.for_connection(local, remote),
            coding=self._coding,
            filter=self.filter,
            sentinel=self._sentinel,
            plist=self._plist or {},
            filter_multibyte=self._filter_multibyte,
            limits=self._limits,
            accepted_by=self,
        )
