"""NetworkProcess: one connection or server, as the program sees it.

`make.py` makes it; `life.py` says where it is in its life, `reading.py` and `sending.py` are its two halves.
Here is what programs set, ask and call, and how the program's own functions are called.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger

from ..core import status
from ..core.address import SocketAddress, format_address
from ..core.buffer import Buffer, Mark
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
from ..net.tls.channel import TLSChannel
from . import callbacks
from .defaults import default_filter, default_sentinel
from .input import STOPPED, Input
from .lifecycle import Lifecycle
from .output import Output
from .packets import PacketInput
from .settings import Filter, ProcessSettings, Sentinel
from .starttls import start_tls
from .waiting import Waiters, look

#: Called with the server, the new process or None, and the message.
LogFunction: TypeAlias = Callable[["NetworkProcess", "NetworkProcess | None", str], object]

Table: TypeAlias = ProcessTable["NetworkProcess"]

#: The types whose filter gets packet by packet.
_OF_PACKETS = frozenset({"datagram", "seqpacket"})

#: How often `accept_output` looks for more.  Reads grow to 256 KiB, so that this is about 2 MB.
_MOST_LOOKS = 16

#: The table of whoever names none.
DEFAULT_TABLE: Table = ProcessTable()

log = Logger()


class NetworkProcess(ProcessSettings):
    """A network process.  `make_network_process` makes it, a server makes one for each connection.

    Everything can be called from everywhere, also from its own filter, sentinel and log function.
    """

    __slots__ = (
        "__weakref__",
        "_log_function",
        "_own_complaints",
        "_stopped",
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
        #: The server that made this connection, None for what was made otherwise.
        self.accepted_by = accepted_by
        # Whose certificate `start_tls` expects.
        self._tls_host = tls_host
        #: Does a service's drain wait for it (D17)?
        self.query_on_exit = query_on_exit

        self._own_complaints: Throttle | None = None
        self._stopped = False
        self._buffer: Buffer | None = None
        self._mark: Mark | None = None
        self._own_buffer: Buffer | None = None
        self._tls_mark: Mark | None = None
        self._lifecycle = Lifecycle(self)
        if contact.get("type") in _OF_PACKETS:
            self._input = PacketInput(self, PacketDelivery(coding, filter_multibyte))
        else:
            self._input = Input(self, Delivery(coding, filter_multibyte))
        self._output = Output(self)
        #: Who waits in `accept_output`.
        self._waiters: Waiters[bool] | None = None
        self._call_filter: Filter = default_filter
        self._set_filter(filter)

    def __repr__(self) -> str:
        ends = f"{format_address(self._contact.local)} {format_address(self._contact.remote)}"
        return f"<NetworkProcess {self.name!r} {self.status} {ends}>"

    # -- what it is -------------------------------------------------------------------------

    @property
    def type(self) -> str:
        """What kind of process it is: "network", or "real" for a command; Emacs has others."""
        return "network" if self.command is None else "real"

    @property
    def command(self) -> tuple[str, ...] | None:
        """The program that runs, and its arguments; None for network processes."""
        return self._contact.get("command")  # type: ignore[return-value]

    @property
    def status(self) -> str:
        """One of "connect", "open", "listen", "stop", "closed" and "failed" (N60); of a command "run", "stop",
        "exit" and "signal".
        """
        state = self._lifecycle.state
        return status.shown(state, self._stopped)

    @property
    def stopped(self) -> bool:
        """Does `stop` hold?"""
        return self._stopped

    @property
    def is_server(self) -> bool:
        """Does it accept connections?"""
        return self._lifecycle.port is not None or self._contact.get("server") is not None

    @property
    def is_datagram(self) -> bool:
        """Does it send and receive datagrams?"""
        return self._contact.get("type") == "datagram"

    @property
    def shows_packets(self) -> bool:
        """Does the filter get packet by packet?"""
        return isinstance(self._input, PacketInput)

    @property
    def received(self) -> int:
        """Bytes that have come."""
        return self._input.received

    @property
    def sent(self) -> int:
        """Bytes that `send` took."""
        return self._output.sent

    @property
    def pending(self) -> int:
        """Bytes that `send` took and the system has not got yet."""
        return self._output.pending

    @property
    def exit_status(self) -> int | str:
        """0; 256 when the peer has ended; after a failure the errno or a text (N61); of a command its exit
        status or the number of the signal.
        """
        return self._lifecycle.exit_status

    @property
    def reason(self) -> ProcessError | None:
        """Once ended: the error that ended it, or None."""
        return self._lifecycle.reason

    @property
    def last_error(self) -> ProcessError | None:
        """What last went wrong without ending the process, or None: an ICMP error or a refused packet of a
        datagram process, TLS that the server of a stream in clear text has refused.
        """
        return self._lifecycle.last_error

    @property
    def unsent(self) -> int:
        """Once closed: how many of the bytes that were sent the system never got."""
        return self._lifecycle.unsent

    @property
    def truncated(self) -> bool:
        """Once ended: was the input maybe cut off, since over TLS it ended without close_notify?"""
        return self._lifecycle.truncated

    def peer_status(self) -> dict[str, object] | None:
        """About TLS and its peer (Emacs: gnutls-peer-status); None without, and after the end."""
        channel = self._output.channel if self.live else None
        return channel.peer_status() if isinstance(channel, TLSChannel) else None

    @property
    def closed(self) -> Deferred[NetworkProcess]:
        """A new Deferred that fires with the process when it has ended and its descriptor is gone;
        `reason` and `unsent` are final then.
        """
        return self._lifecycle.closed(self)

    def contact(self, key: str | bool | None = None) -> Any:
        """What process-contact shows (N120): (host, service); with True all keywords and addresses
        as a new dictionary; with the name of one its value, or None.

        "peer_credentials" is (process id, user id, group id) of the peer of an open UNIX connection;
        "tls_start" is the position in the buffer at which STARTTLS began.
        """
        self._note_sender()
        if key is None and self.type == "real":
            return True
        if key is None:
            return self._contact.host_and_service()
        if key is True:
            return self._contact.everything()
        if not isinstance(key, str):
            raise ProcessArgumentError("key", f"{shown(key)} is not the name of a keyword")
        if key == "peer_credentials":
            channel = self._output.channel
            return channel.peer_credentials() if channel is not None and self.live else None
        if key == "tls_truncated":
            return self.truncated
        if key == "tls_start":
            return self._tls_mark.position if self._tls_mark is not None else None
        return self._contact.get(key)

    # -- sending ----------------------------------------------------------------------------

    def send(self, data: Text | bytearray | memoryview) -> None:
        """Queue DATA to be sent; str is encoded by the coding system, bytes go as they are but for
        line ends where the system has others (N198).

        Never blocks.  Raises ProcessError: ENOTCONN if the process is not connected, EPIPE after
        `send_eof` (D13), ENOBUFS when too much is pending (nothing of the call is taken then).
        Before a connect is done, what is sent waits.
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
        # Not when it is refused: what stands before the first text has to be sent then.
        if encoding.unsettled and data and isinstance(data, str):
            self._coding = (self._coding[0], encoding.settled)

    def send_eof(self) -> None:
        """Shut the sending side, behind what is pending; receiving goes on (N152).  Datagrams have
        no end: nothing happens (N106).
        """
        if self._lifecycle.state not in SENDING:
            raise not_running(self.name)
        if not self.is_datagram:
            self._output.send_eof()

    def start_tls(self, parameters: object, unread: bytes = b"") -> Deferred[NetworkProcess]:
        """Go on with TLS, by PARAMETERS as `tls_parameters` are (Emacs: gnutls-negotiate); where a
        server accepted the connection, as the server.  UNREAD is the end of what the filter was
        given, as the bytes that came, if it belongs to TLS.

        Fires with the process when the peer is who it should be; what is sent before waits.  Fails
        with ProcessError or ProcessArgumentError, which end the connection as its `reason`; but if it
        is not open, has TLS already (EALREADY) or is no stream (EOPNOTSUPP) nothing happens.
        """
        return start_tls(self, parameters, unread, self._tls_host)

    def drain(self) -> Deferred[None]:
        """Fires when less than the low-water mark is pending.

        Fails with ProcessError when what is pending cannot be written any more.
        """
        return self._output.drain()

    # -- stopping and waiting -----------------------------------------------------------------

    def stop(self) -> None:
        """Read nothing, or accept nothing, until resumed; sending goes on (N140)."""
        if self._lifecycle.port is not None:
            self._lifecycle.port.pause()
        else:
            if self._output.channel is not None:
                self._output.channel.check_pausable()
            self._input.hold(STOPPED)
        self._stopped = True

    def resume(self) -> None:
        """End `stop`: what waits is delivered, the end of the connection included.  Emacs:
        continue-process.
        """
        self._stopped = False
        if self._lifecycle.port is not None:
            self._lifecycle.port.resume()
        else:
            self._input.release(STOPPED)

    def accept_output(self, timeout: float | None = None) -> Deferred[bool]:
        """Fires with True when something has been delivered, with False when the process ends or
        after TIMEOUT seconds; 0 looks at what is there (N168).

        What has arrived by then is delivered too, and the end told, before it fires.  Fails with
        ProcessError(EDEADLK) inside the process's own filter.
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
        """Let what has arrived be delivered, as far as a few looks of the reactor bring it."""
        for _ in range(_MOST_LOOKS):
            received = self.received
            await look(self.reactor)
            if received == self.received:
                break
        return True

    def _delivered(self, what: Text) -> None:
        """The filter has been given WHAT: tell those who watch."""
        self.table.tell(self, "delivered", what)
        if self._waiters:
            self._waiters.fire(True)
            if self.live:
                self._input.update()

    def delete(self) -> None:
        r"""End it: its sentinel hears "deleted\n" before this returns, then what was sent is written
        and the connection closed.  Deleting what has ended is silent.
        """
        self._lifecycle.delete()

    def fail(self, error: ProcessError) -> None:
        """End it as `delete` does, because of ERROR, which is its `reason` then, and logged."""
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
        """Deliver TEXT again, before anything that has come since: for a filter that has not used
        all that it was given.  It goes to the filter that there is then.

        Raises ProcessArgumentError for str where bytes come, and the other way round.
        """
        if not isinstance(text, str if self.filter_multibyte else bytes):
            raise ProcessArgumentError("text", f"{type(text).__name__} is not what comes")
        if self.live:
            self._input.prepend(text)

    # -- calling the program ------------------------------------------------------------------

    def _tell(self, event: str | None) -> None:
        """Call the sentinel, which is looked up now (N81), if there is something to tell."""
        if event is None:
            return
        if self.table.observers:
            self.table.tell(self, "sentinel", event)
        if self._buffer is not None or self._sentinel is not default_sentinel:
            # Without a buffer the default sentinel does nothing.
            self._call("sentinel", self._sentinel, self, event)

    def _call(self, what: str, function: Callable[..., object], *arguments: object) -> None:
        """Call a sentinel or log function; errors are logged, what takes time is not waited for."""
        try:
            result = function(*arguments)
        except BaseException as error:
            callbacks.raised(error, self, what)
        else:
            callbacks.pending(result, self, what)

    def _observer_raised(self, error: BaseException) -> None:
        """Log the ERROR that an observer of the table raised when it was told of this process."""
        callbacks.raised(error, self, "observer")

    @property
    def _complaints(self) -> Throttle:
        """Limits the log lines that peers can cause; a server has one with all its connections."""
        owner = self.accepted_by or self
        owner._own_complaints = owner._own_complaints or Throttle(MOST_COMPLAINTS)
        return owner._own_complaints

    @property
    def _has_log(self) -> bool:
        """Does anybody hear what `log` is told?"""
        return self._log_function is not None or bool(self.table.observers)

    def _call_log(self, connection: NetworkProcess | None, message: str) -> None:
        """Call the log function of a server."""
        self.table.tell(self, "log", message)
        if self._log_function is not None:
            self._call("log", self._log_function, self, connection, message)

    # -- for server.py --------------------------------------------------------------------------

    def _new_connection(
        self, name: str, local: SocketAddress | None, remote: SocketAddress | None
    ) -> NetworkProcess:
        """A process NAME that begins as the connections of this server do (N93)."""
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
