"""NetworkProcess: one connection or server, as the program sees it.

`make.py` makes it; `life.py` says where it is in its life, `reading.py` and `sending.py` are its two halves.
Here is what programs set, ask and call, and how the program's own functions are called.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred, fail, succeed

from . import callbacks
from .core import options, status
from .core.address import Address, SocketAddress, form, parse, text
from .core.buffer import Buffer, Mark
from .core.coding import Coding, Decoder, Text, coding_pair
from .core.contact import Contact
from .core.delivery import Delivery
from .core.errors import ProcessArgumentError, ProcessError, not_running
from .core.limits import Limits
from .core.names import ProcessTable
from .core.status import State
from .defaults import default_filter, default_sentinel
from .life import Life
from .net.datagram import DatagramChannel
from .net.reactor import INetprocReactor
from .net.tls.channel import TLSChannel
from .packets import PacketReading
from .reading import FILTERING, NO_FILTER, STOPPED, Reading
from .sending import Sending
from .starttls import start_tls
from .waiting import Waiters

#: Called with the process and what has come: str, or bytes if its coding system does not decode.
Filter: TypeAlias = Callable[["NetworkProcess", Any], object]
#: Called with the process and the event.
Sentinel: TypeAlias = Callable[["NetworkProcess", str], object]
#: Called with the server, the new process or None, and the message.
LogFunction: TypeAlias = Callable[["NetworkProcess", "NetworkProcess | None", str], object]

Table: TypeAlias = ProcessTable["NetworkProcess"]

#: The table of whoever names none.
DEFAULT_TABLE: Table = ProcessTable()


class NetworkProcess:
    """A network process.  `make_network_process` makes it, a server makes one for each connection.

    Everything can be called from everywhere, also from its own filter, sentinel and log function.
    """

    __slots__ = (
        "__weakref__",
        "_buffer",
        "_coding",
        "_decodes",
        "_filter_multibyte",
        "_limits",
        "_log",
        "_mark",
        "_owns_buffer",
        "_plist",
        "_sentinel",
        "_stopped",
        "_tls_host",
        "accepted_by",
        "call_filter",
        "life",
        "linger",
        "name",
        "query_on_exit",
        "reactor",
        "reading",
        "sending",
        "shown",
        "table",
        "waiters",
    )

    #: What kind of process it is; Emacs has others.
    type = "network"

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
        self.shown = contact
        self._coding = coding
        self._filter_multibyte = filter_multibyte
        # Does the decoder that is in use decode?
        self._decodes = filter_multibyte
        self._sentinel: Sentinel = sentinel or default_sentinel
        self._log = log
        self._plist = dict(plist) if plist else None
        self.linger = linger
        self._limits = limits
        #: The server that made this connection, None for what was made otherwise.
        self.accepted_by = accepted_by
        # Whose certificate `start_tls` expects.
        self._tls_host = tls_host
        #: Does a service's drain wait for it (D17)?
        self.query_on_exit = query_on_exit

        self._stopped = False
        self._buffer: Buffer | None = None
        self._mark: Mark | None = None
        self._owns_buffer = False
        self.life = Life(self)
        reads = PacketReading if self.shows_packets else Reading
        self.reading = reads(self, Delivery(coding, filter_multibyte))
        self.sending = Sending(self)
        #: Who waits in `accept_output`.
        self.waiters: Waiters[bool] = Waiters()
        self.call_filter: Filter = default_filter
        self._set_filter(filter)

    def __repr__(self) -> str:
        ends = f"{text(self.shown.local)} {text(self.shown.remote)}"
        return f"<NetworkProcess {self.name!r} {self.status} {ends}>"

    # -- what it is -------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """One of "connect", "open", "listen", "stop", "closed" and "failed" (N60)."""
        state = self.life.state
        return status.STOP if self._stopped and state is not State.CLOSED else state.value

    @property
    def live(self) -> bool:
        """Has it not ended?"""
        return self.life.live

    @property
    def stopped(self) -> bool:
        """Does `stop` hold?"""
        return self._stopped

    @property
    def is_server(self) -> bool:
        """Does it accept connections?"""
        return self.life.port is not None or self.shown.get("server") is not None

    @property
    def is_datagram(self) -> bool:
        """Does it send and receive datagrams?"""
        return self.shown.get("type") == "datagram"

    @property
    def shows_packets(self) -> bool:
        """Does the filter get packet by packet?"""
        return self.shown.get("type") in ("datagram", "seqpacket")

    @property
    def received(self) -> int:
        """Bytes that have come."""
        return self.reading.received

    @property
    def sent(self) -> int:
        """Bytes that `send` took."""
        return self.sending.sent

    @property
    def pending(self) -> int:
        """Bytes that `send` took and the system has not got yet."""
        return self.sending.pending

    @property
    def exit_status(self) -> int | str:
        """0; 256 when the peer has ended; after a failure the errno or a text (N61)."""
        return self.life.exit_status

    @property
    def reason(self) -> ProcessError | None:
        """Once ended: the error that ended it, or None."""
        return self.life.reason

    @property
    def last_error(self) -> ProcessError | None:
        """What last went wrong with a datagram (an ICMP error, a refused packet) without ending the
        process, or None.
        """
        return self.life.last_error

    @property
    def unsent(self) -> int:
        """Once closed: how many of the bytes that were sent the system never got."""
        return self.life.unsent

    @property
    def truncated(self) -> bool:
        """Once ended: was the input maybe cut off, since over TLS it ended without close_notify?"""
        return self.life.truncated

    def peer_status(self) -> dict[str, object] | None:
        """About TLS and its peer (Emacs: gnutls-peer-status); None without, and after the end."""
        channel = self.sending.channel
        return channel.peer_status() if isinstance(channel, TLSChannel) else None

    @property
    def closed(self) -> Deferred[NetworkProcess]:
        """A new Deferred that fires with the process when it has ended and its descriptor is gone;
        `reason` and `unsent` are final then.
        """
        return self.life.closed(self)

    def contact(self, key: str | bool | None = None) -> Any:
        """What process-contact shows (N120): (host, service); with True all keywords and addresses
        as a new dictionary; with the name of one its value, or None.

        "peer_credentials" is (process id, user id, group id) of the peer of an open UNIX connection.
        """
        self._note_sender()
        if key is None:
            return self.shown.host_and_service()
        if key is True:
            return self.shown.everything()
        if key == "peer_credentials":
            channel = self.sending.channel
            return channel.peer_credentials() if channel is not None and self.live else None
        if key == "tls_truncated":
            return self.truncated
        if isinstance(key, str):
            return self.shown.get(key)
        raise ProcessArgumentError("key", f"{key!r} is not the name of a keyword")

    # -- what can be set ----------------------------------------------------------------------

    @property
    def filter(self) -> Filter | bool:
        """The filter function; True while nothing is read.  None sets the default one."""
        return True if self.reading.gate & NO_FILTER else self.call_filter

    @filter.setter
    def filter(self, value: Filter | bool | None) -> None:
        if value is not None and value is not True and not callable(value):
            raise ProcessArgumentError("filter", f"{value!r} is not a function")
        self._set_filter(value)
        self.shown.set("filter", self.filter)
        self._goes_elsewhere()

    def _set_filter(self, value: Filter | bool | None) -> None:
        if value is True:
            self.reading.hold(NO_FILTER)
            return
        self.call_filter = value or default_filter
        self.reading.release(NO_FILTER)

    @property
    def sentinel(self) -> Sentinel:
        """The sentinel function.  None sets the default one."""
        return self._sentinel

    @sentinel.setter
    def sentinel(self, value: Sentinel | None) -> None:
        if value is not None and not callable(value):
            raise ProcessArgumentError("sentinel", f"{value!r} is not a function")
        self._sentinel = value or default_sentinel
        self.shown.set("sentinel", self._sentinel)

    @property
    def plist(self) -> dict[str, object]:
        """The property list: yours to use."""
        if self._plist is None:
            self._plist = {}
        return self._plist

    @plist.setter
    def plist(self, value: Mapping[str, object] | None) -> None:
        if value is not None and not isinstance(value, Mapping):
            raise ProcessArgumentError("plist", f"{value!r} is not a dictionary")
        self._plist = dict(value or {})

    @property
    def coding(self) -> tuple[str, str]:
        """The names of the decoding and the encoding system, as far as they have been found out; a
        name sets both.
        """
        return self.reading.delivery.decoder.name, self._coding[1].name

    @coding.setter
    def coding(self, value: str | tuple[str | None, str | None] | None) -> None:
        decoding, encoding = coding_pair(value)
        self._coding = decoding, encoding.for_writing()
        self.decode_anew()

    def set_coding(self, decoding: str | None = None, encoding: str | None = None) -> None:
        """Set both (Emacs: set-process-coding-system); None is the default.  Bytes of an unfinished
        character are decoded anew.
        """
        self.coding = (decoding, encoding)

    def decode_anew(self) -> None:
        """Begin with a new decoder; it begins with the bytes of an unfinished character."""
        self._decodes = self._wants_text()
        self.reading.set_coding(self._coding, self._decodes)

    def _wants_text(self) -> bool:
        """May what comes be decoded?  Not for a unibyte buffer (N183)."""
        buffer = self._buffer if self.uses_default_filter else None
        return self._filter_multibyte and (buffer is None or buffer.multibyte)

    def _goes_elsewhere(self) -> None:
        """The filter or the buffer has changed."""
        if self._wants_text() is not self._decodes:
            self.decode_anew()
        if self.live:
            self.reading.refill()

    def new_decoder(self) -> Decoder:
        """A decoder that knows of nothing before."""
        return self._coding[0].decoder(self._decodes)

    @property
    def filter_multibyte(self) -> bool:
        """Does the filter get str (D11)?"""
        return self._filter_multibyte and self._coding[0].multibyte

    @filter_multibyte.setter
    def filter_multibyte(self, value: bool) -> None:
        self._filter_multibyte = bool(value)
        self.decode_anew()

    @property
    def limits(self) -> Limits:
        """Its bounds and deadlines; connections accepted from now on begin with a server's."""
        return self._limits

    @limits.setter
    def limits(self, value: Limits) -> None:
        self._limits = value
        self.sending.set_marks()

    def set_option(self, name: str, value: object, no_error: bool = False) -> bool | None:
        """Set network option NAME now; True when that is done (N212).

        With NO_ERROR an unknown option is None.  Raises ProcessArgumentError for an unknown option
        or a value of the wrong kind, ProcessError when the system refuses or nothing is connected.
        """
        if name not in options.KEYWORDS:
            if no_error:
                return None
            raise ProcessArgumentError(name, "Unknown or unsupported option")
        if name == options.LINGER:
            self.linger = value
        else:
            place = self.life.port or self.sending.channel
            if place is None or not self.live:
                raise not_running(self.name)
            place.set_option(name, value)
        self.shown.set(name, value)
        return True

    @property
    def datagram_address(self) -> Address | None:
        """Where a datagram process sends to: who sent last, or what was chosen; None if there is
        none, and for other processes (N103, N104).  Set it to an address form of the same family.
        """
        channel = self._datagrams()
        return form(channel.remote) if channel is not None and channel.remote is not None else None

    @datagram_address.setter
    def datagram_address(self, value: object) -> None:
        channel = self._datagrams()
        if channel is None:
            raise ProcessArgumentError("datagram_address", f"{self.name} is no datagram process")
        channel.set_remote(parse(value, "datagram_address"))

    def _note_sender(self) -> None:
        """The contact shows who has sent last (N102); noting it for each packet would cost much."""
        channel = self._datagrams()
        if channel is not None:
            self.shown.remote = channel.remote

    def _datagrams(self) -> DatagramChannel | None:
        channel = self.sending.channel if self.live else None
        return channel if isinstance(channel, DatagramChannel) else None

    # -- the buffer -------------------------------------------------------------------------

    @property
    def buffer(self) -> Buffer | None:
        """The process buffer, or None.  Setting it moves the mark to its end (N182)."""
        return self._buffer

    @buffer.setter
    def buffer(self, value: Buffer | None) -> None:
        if value is not None and not isinstance(value, Buffer):
            raise ProcessArgumentError("buffer", f"{value!r} is not a buffer")
        if value is not self._buffer:
            self._buffer = value
            if value is not None:
                self._mark = value.new_mark(value.end())
        self.shown.set("buffer", value)
        self._goes_elsewhere()

    def forget_own_buffer(self) -> None:
        """The buffer that a connection had of its own leaves the table with it."""
        if self._owns_buffer and self._buffer is not None:
            self.table.forget_buffer(self._buffer)

    def use_buffer(self, buffer: Buffer, own: bool) -> None:
        """Begin with BUFFER; the mark of a connection's OWN one points nowhere yet (N95)."""
        self._buffer = buffer
        self._owns_buffer = own
        self._mark = buffer.new_mark(None if own else buffer.end())
        self._goes_elsewhere()

    @property
    def uses_default_filter(self) -> bool:
        """Does what comes go to the buffer?"""
        return self.call_filter is default_filter

    @property
    def mark(self) -> int | None:
        """Where in the buffer output is inserted, None for nowhere yet."""
        return self._mark.position if self._mark is not None else None

    @mark.setter
    def mark(self, position: int | None) -> None:
        if self._buffer is None or self._mark is None:
            raise ProcessArgumentError("mark", f"process {self.name} has no buffer")
        if position is not None and not 1 <= position <= self._buffer.end():
            raise ProcessArgumentError("mark", f"{position} is not in 1…{self._buffer.end()}")
        self._mark.position = position

    def insert_in_buffer(self, inserted: Text) -> None:
        """Insert process output at the mark; no buffer, or a killed one, takes nothing."""
        if self._buffer is not None and self._buffer.live and self._mark is not None:
            self._buffer.insert_output(self._mark, inserted)

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
        elif isinstance(data, (bytes, bytearray, memoryview)):
            payload = encoding.encode_bytes(bytes(data))
        else:
            raise ProcessArgumentError("data", f"{type(data).__name__} is neither str nor bytes")
        self._check_running()
        if encoding.unsettled and isinstance(data, str):
            self._coding = (self._coding[0], encoding.settled)
        if payload:
            self.sending.send(payload)

    def send_eof(self) -> None:
        """Shut the sending side, behind what is pending; receiving goes on (N152).  Datagrams have
        no end: nothing happens (N106).
        """
        self._check_running()
        if not self.is_datagram:
            self.sending.send_eof()

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
        return self.sending.drain()

    def _check_running(self) -> None:
        if self.life.state is not State.OPEN and self.life.state is not State.CONNECT:
            raise not_running(self.name)

    # -- stopping and waiting -----------------------------------------------------------------

    def stop(self) -> None:
        """Read nothing, or accept nothing, until resumed; sending goes on (N140)."""
        if self.life.port is not None:
            self.life.port.pause()
        else:
            self.reading.hold(STOPPED)
        self._stopped = True

    def resume(self) -> None:
        """End `stop`: what waits is delivered, the end of the connection included.  Emacs:
        continue-process.
        """
        self._stopped = False
        if self.life.port is not None:
            self.life.port.resume()
        else:
            self.reading.release(STOPPED)

    def accept_output(self, timeout: float | None = None) -> Deferred[bool]:
        """Fires with True when something has been delivered, with False when the process ends or
        after TIMEOUT seconds; 0 looks at what is there (N168).

        Fails with ProcessError(EDEADLK) inside the process's own filter.
        """
        if self.reading.gate & FILTERING:
            problem = f"the filter of process {self.name} waits for its own input"
            return fail(ProcessError(errno.EDEADLK, problem))
        if not self.live or self.life.port is not None:
            return succeed(False)
        waiter = self.waiters.add_with_timeout(timeout, False, self.reactor)
        self.reading.update()
        return waiter

    def delivered(self, what: Text) -> None:
        """The filter has been given WHAT: tell those who watch."""
        self.table.tell(self, "delivered", what)
        if self.waiters:
            self.waiters.fire(True)
            if self.live:
                self.reading.update()

    def delete(self) -> None:
        r"""End it: its sentinel hears "deleted\n" before this returns, then what was sent is written
        and the connection closed.  Deleting what has ended is silent.
        """
        self.life.delete()

    # -- calling the program ------------------------------------------------------------------

    def tell(self, event: str | None) -> None:
        """Call the sentinel, which is looked up now (N81), if there is something to tell."""
        if event is None:
            return
        self.table.tell(self, "sentinel", event)
        self.call("sentinel", self._sentinel, self, event)

    def call(self, what: str, function: Callable[..., object], *arguments: object) -> None:
        """Call a sentinel or log function; errors are logged, what takes time is not waited for."""
        try:
            result = function(*arguments)
        except BaseException as error:
            callbacks.raised(error, self.reactor, what, self.name)
        else:
            if result is not None:
                callbacks.pending(result, what, self.name)

    def log(self, connection: NetworkProcess | None, message: str) -> None:
        """Call the log function of a server."""
        self.table.tell(self, "log", message)
        if self._log is not None:
            self.call("log", self._log, self, connection, message)

    # -- for server.py --------------------------------------------------------------------------

    def new_connection(
        self, name: str, local: SocketAddress | None, remote: SocketAddress | None
    ) -> NetworkProcess:
        """A process NAME that begins as the connections of this server do (N93)."""
        return NetworkProcess(
            name,
            self.table,
            self.reactor,
            contact=self.shown.for_connection(local, remote),
            coding=self._coding,
            filter=self.filter,
            sentinel=self._sentinel,
            plist=self._plist or {},
            filter_multibyte=self._filter_multibyte,
            limits=self._limits,
            accepted_by=self,
        )
