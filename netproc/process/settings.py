"""What can be set on a process: its functions, buffer, coding systems, options and limits.

`process.py` builds on this, and this builds on `attributes.py`.  Programs can set these at any time; the parts of the process
are called with what changes for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from ..core import options, status
from ..core.address import Address, address_form, parse_address
from ..core.buffer import Buffer
from ..core.checks import check_flag
from ..core.coding import Coding, coding_pair
from ..core.errors import ProcessArgumentError, not_running
from ..core.escape import escape, shown
from ..core.limits import Limits
from ..core.table import ProcessTable
from .attributes import ProcessAttributes
from .defaults import default_filter, default_sentinel

if TYPE_CHECKING:
    from .process import NetworkProcess

#: Called with the process and the received data: str, or bytes if the coding system does not decode.
Filter: TypeAlias = Callable[["NetworkProcess", Any], object]
#: Called with the process and the event.
Sentinel: TypeAlias = Callable[["NetworkProcess", str], object]


class ProcessSettings(ProcessAttributes):
    """The properties of NetworkProcess that can be set; its constructor assigns the attributes."""

    __slots__ = (
        "_call_filter",
        "_coding",
        "_decodes",
        "_filter_multibyte",
        "_limits",
        "_linger",
        "_plist",
        "_sentinel",
        "name",
        "table",
    )

    name: str
    table: ProcessTable[NetworkProcess]
    _call_filter: Filter
    _linger: object
    _coding: Coding
    _filter_multibyte: bool
    # Whether the present decoder decodes.
    _decodes: bool
    _sentinel: Sentinel
    _plist: dict[str, object] | None
    _limits: Limits

    # -- functions, coding, options -----------------------------------------------------------------

    @property
    def filter(self) -> Filter | bool:
        """The function that receives the input, called with the process and the text.

        If you set it to None, it is `default_filter`.  If you set it to True, the process reads nothing, and the value is
        True.  A connection starts with the filter that its server has at this time.

        Emacs: ``process-filter``.
        """
        return self._call_filter if self._input.has_filter else True

    @filter.setter
    def filter(self, value: Filter | bool | None) -> None:
        if value is not None and value is not True and not callable(value):
            raise ProcessArgumentError("filter", f"{shown(value)} is not a function")
        with self._handing_unused_input_over():
            self._set_filter(value)
            self._contact.set("filter", self.filter)
            self._destination_changed()

    def _set_filter(self, value: Filter | bool | None) -> None:
        if value is True:
            self._input.set_filter(None)
        else:
            self._call_filter = value or default_filter
            self._input.set_filter(self._call_filter)

    @property
    def sentinel(self) -> Sentinel:
        """The function that is called with the process and an event.

        It is called when the process ends, and when it opens if it was made with `nowait`, uses TLS, or is a connection of a
        server.  netproc looks the function up for each event.  If you set it to None, it is `default_sentinel`.

        Emacs: ``process-sentinel``.
        """
        return self._sentinel

    @sentinel.setter
    def sentinel(self, value: Sentinel | None) -> None:
        if value is not None and not callable(value):
            raise ProcessArgumentError("sentinel", f"{shown(value)} is not a function")
        self._sentinel = value or default_sentinel
        self._contact.set("sentinel", self._sentinel)

    @property
    def plist(self) -> dict[str, object]:
        """The property list, a dictionary for data of your program.

        If you set it, netproc copies the dictionary.

        Emacs: ``process-plist``.
        """
        if self._plist is None:
            self._plist = {}
        return self._plist

    @plist.setter
    def plist(self, value: Mapping[str, object] | None) -> None:
        if value is not None and not isinstance(value, Mapping):
            raise ProcessArgumentError("plist", f"{shown(value)} is not a dictionary")
        self._plist = dict(value or {})

    @property
    def coding(self) -> tuple[str, str]:
        """The names of the decoding and of the encoding system, as far as netproc has detected them.

        You can set it to a pair, to one name for both, or to None for the defaults.

        Emacs: ``process-coding-system``.
        """
        return self._input.delivery.decoder.name, self._coding[1].name

    @coding.setter
    def coding(self, value: str | tuple[str | None, str | None] | None) -> None:
        decoding, encoding = coding_pair(value)
        with self._handing_unused_input_over():
            self._coding = decoding, encoding.for_writing()
            self._decode_anew()

    def set_coding(self, decoding: str | None = None, encoding: str | None = None) -> None:
        """Set both coding systems.

        netproc decodes the bytes of an unfinished character again with the new system.

        Emacs: ``set-process-coding-system``.

        Args:
            decoding: The name of the decoding system.  None is the default, "undecided-unix".
            encoding: The name of the encoding system.  None is the default, "utf-8-unix".

        Raises:
            ProcessArgumentError: There is no coding system of that name.
        """
        self.coding = (decoding, encoding)

    def _decode_anew(self) -> None:
        """Begin with a new decoder, and with the bytes of an unfinished character."""
        self._decodes = self._wants_text()
        self._input.set_coding(self._coding, self._decodes)

    def _wants_text(self) -> bool:
        """Whether received data may be decoded; for a unibyte buffer it is not (N183)."""
        buffer = self._insertion.buffer if self._uses_default_filter else None
        return self._filter_multibyte and (buffer is None or buffer.multibyte)

    @contextmanager
    def _handing_unused_input_over(self) -> Iterator[None]:
        """Give the input that the filter has not used to the filter or decoder that is set in the `with` body."""
        kept = self._input.reclaim_unused()
        yield
        if kept:
            self._input.pump()

    def _destination_changed(self) -> None:
        """Decode for the new filter or buffer, and deliver to it what waits."""
        if self._lifecycle.state in status.ENDED:
            return
        if self._wants_text() is not self._decodes:
            self._decode_anew()
        self._input.refill()

    @property
    def filter_multibyte(self) -> bool:  # D11, N183
        """Whether the filter receives str.  It is False whenever the decoding system produces bytes.

        Emacs: ``process-filter-multibyte-p``.
        """
        return self._wants_text() and self._coding[0].multibyte

    @filter_multibyte.setter
    def filter_multibyte(self, value: bool) -> None:
        wanted = check_flag(value, "filter_multibyte")
        if wanted is self._filter_multibyte:
            return
        with self._handing_unused_input_over():
            self._filter_multibyte = wanted
            self._decode_anew()

    @property
    def limits(self) -> Limits:
        """The sizes and time limits of the process.

        A connection starts with the limits that its server has at this time.
        """
        return self._limits

    @limits.setter
    def limits(self, value: Limits) -> None:
        if not isinstance(value, Limits):
            problem = f"{shown(value)} is not a Limits; use dataclasses.replace(process.limits, …)"
            raise ProcessArgumentError("limits", problem)
        self._limits = value
        self._output.set_marks(value)

    def set_option(self, name: str, value: object, no_error: bool = False) -> bool | None:  # N212
        """Set a network option now, and show the value in `contact`.

        Emacs: ``set-network-process-option``.

        Args:
            name: The name of the option, such as "keepalive".
            value: The value of the option.
            no_error: Whether to return None for an unknown option instead of raising an exception.

        Returns:
            True after the option has been set, or None for an unknown option with `no_error`.

        Raises:
            ProcessArgumentError: The option is unknown, or the value is of the wrong kind.
            ProcessError: The system refuses the option, or the process is not connected.  You can set "linger" without a
                connection.  For every other name, also an unknown one, the errno is ENOTCONN then, even with `no_error`.
        """
        if not isinstance(name, str):
            raise ProcessArgumentError("name", f"{shown(name)} is not the name of an option")
        place = self._lifecycle.port or self._lifecycle.channel
        if name == options.LINGER:
            options.check(name, value)
            self._linger = value
        elif place is None or not self.live:
            raise not_running(self.name)
        elif name in options.NAMES:
            place.set_option(name, value)
        elif no_error:
            return None
        else:
            raise ProcessArgumentError(escape(name), "Unknown or unsupported option")
        self._contact.set(name, value)
        return True

    @property
    def datagram_address(self) -> Address | None:  # N103, N104
        """The address to which a datagram process sends, which is that of the last sender or the one that you set.

        None if there is no address yet, and for processes of other types.  You can set it to an address of the same family.
        Emacs: ``process-datagram-address``.
        """
        channel = self._datagrams()
        return (
            address_form(channel.remote)
            if channel is not None and channel.remote is not None
            else None
        )

    @datagram_address.setter
    def datagram_address(self, value: object) -> None:
        channel = self._datagrams()
        if channel is None:
            raise ProcessArgumentError("datagram_address", f"{self.name} is not a datagram process")
        channel.set_remote(parse_address(value, "datagram_address"))

    # -- the buffer -------------------------------------------------------------------------

    @property
    def buffer(self) -> Buffer | None:  # N182
        """The process buffer, or None.

        If you set another buffer, the mark moves to the end of that buffer.

        Emacs: ``process-buffer``.
        """
        return self._insertion.buffer

    @buffer.setter
    def buffer(self, value: Buffer | None) -> None:
        if value is not None and not isinstance(value, Buffer):
            raise ProcessArgumentError("buffer", f"{shown(value)} is not a buffer")
        self._insertion.buffer = value
        self._contact.set("buffer", value)
        self._destination_changed()

    def _use_buffer(self, buffer: Buffer, own: bool) -> None:
        """Begin with BUFFER, which may be a connection's OWN."""
        self._insertion.begin(buffer, own)
        self._destination_changed()

    @property
    def _uses_default_filter(self) -> bool:
        """Whether input goes to the buffer."""
        return self._call_filter is default_filter

    @property
    def mark(self) -> int | None:
        """The position in the buffer at which netproc inserts received text.

        None means that there is no position yet.  The first text is then inserted at the end of the buffer.

        Emacs: ``process-mark``.
        """
        return self._insertion.position

    @mark.setter
    def mark(self, position: int | None) -> None:
        buffer = self._insertion.buffer
        if buffer is None:
            raise ProcessArgumentError("mark", f"process {self.name} has no buffer")
        if position is not None:
            buffer.check_position("mark", position)
        self._insertion.position = position

    def _insert_dialogue(self, clear: bytes, secure: bytes | None) -> None:
        """Insert the input of the dialogue: CLEAR text, and SECURE, which was received after STARTTLS, or None."""
        self._insert_received(clear)
        if secure is not None:
            self._insertion.mark_tls_start()
            self._insert_received(secure)

    def _insert_received(self, data: bytes) -> None:
        if data:
            self._insertion.insert(self._coding[0].decoder(self._decodes).decode(data))
