"""What can be read of a process: what it is, how much it has received and sent, why it has ended.

`settings.py` builds on this.  The answers come from the parts of the process: `lifecycle.py`,
`input.py`, `output.py` and `insertion.py`.
"""

from __future__ import annotations

from typing import Any

from ..core import status
from ..core.contact import Contact
from ..core.errors import ProcessArgumentError, ProcessError
from ..core.escape import shown
from ..net.datagram import DatagramChannel
from ..net.tls.channel import TLSChannel
from .input import Input, PacketInput
from .insertion import Insertion
from .lifecycle import Lifecycle
from .output import Output


class ProcessAttributes:
    """The properties of NetworkProcess that cannot be set; its constructor assigns the attributes."""

    __slots__ = (
        "_contact",
        "_input",
        "_insertion",
        "_lifecycle",
        "_output",
        "_stopped",
    )

    _contact: Contact
    _lifecycle: Lifecycle
    _input: Input
    _output: Output
    _insertion: Insertion
    _stopped: bool

    @property
    def live(self) -> bool:
        """Whether the process has not ended.

        Emacs: ``process-live-p``.
        """
        return self._lifecycle.live

    @property
    def type(self) -> str:
        """The kind of process, "network", or "real" for a command that `open_network_stream` runs.

        Emacs: ``process-type``, which has more types.
        """
        return "network" if self.command is None else "real"

    @property
    def command(self) -> tuple[str, ...] | None:
        """The program and its arguments if the process is a command, else None.

        Emacs: ``process-command``.
        """
        return self._contact.get("command")  # type: ignore[return-value]

    @property
    def status(self) -> str:  # N60
        """One of "connect", "open", "listen", "stop", "closed" and "failed".

        For a command, it is "run", "stop", "exit" or "signal".
        Emacs: ``process-status``.
        """
        state = self._lifecycle.state
        return status.shown(state, self._stopped)

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called, and `resume` was not called since."""
        return self._stopped

    @property
    def is_server(self) -> bool:
        """Whether the process was made as a server."""
        return self._lifecycle.port is not None or self._contact.get("server") is not None

    @property
    def is_datagram(self) -> bool:
        """Whether the process sends and receives datagrams."""
        return self._contact.get("type") == "datagram"

    @property
    def shows_packets(self) -> bool:
        """Whether each call of the filter receives one packet, as in datagram and seqpacket processes."""
        return isinstance(self._input, PacketInput)

    @property
    def received(self) -> int:
        """The number of bytes that the process has received."""
        return self._input.received

    @property
    def sent(self) -> int:
        """The number of bytes that `send` has accepted."""
        return self._output.sent

    @property
    def pending(self) -> int:
        """The number of bytes that `send` has accepted and the system has not taken yet."""
        return self._output.pending

    @property
    def exit_status(self) -> int | str:  # N61
        """0 while the process is live or after it was deleted, and 256 after the peer has ended the connection.

        After a failure it is the errno, or a text if there is no errno.  For a command it is the exit status, or the
        number of the signal that ended it.
        Emacs: ``process-exit-status``.
        """
        return self._lifecycle.exit_status

    @property
    def reason(self) -> ProcessError | None:
        """The error that ended the process.  None while the process is live, and after an orderly end."""
        return self._lifecycle.reason

    @property
    def last_error(self) -> ProcessError | None:
        """The last error that did not end the process, or None.

        For a datagram process it is an ICMP error or a packet that was refused.  For a stream that is not encrypted although
        it could have had TLS, it is the server's refusal.
        """
        return self._lifecycle.last_error

    @property
    def unsent(self) -> int:
        """The number of bytes that `send` has accepted and the system never got; final when `closed` has fired."""
        return self._lifecycle.unsent

    @property
    def truncated(self) -> bool:
        """Whether the input may have been cut off.

        It is True after an end over TLS if the peer did not send close_notify, which says that the input is complete.
        """
        return self._lifecycle.truncated

    def peer_status(self) -> dict[str, object] | None:
        """Return what is known about the TLS connection and about the certificates of the peer.

        Emacs: ``gnutls-peer-status``.

        Returns:
            A dictionary, or None if the process does not use TLS or has ended.  The keys include "protocol", "cipher",
            "warnings" (what is wrong with the certificate, absent if nothing is), "certificates" (those that the peer sent),
            "verified_chain", "alpn" and "sni".  The page "TLS" of the reference lists all keys.
        """
        channel = self._lifecycle.channel if self.live else None
        return channel.peer_status() if isinstance(channel, TLSChannel) else None

    def contact(self, key: str | bool | None = None) -> Any:  # N120
        """Return how the process was made and where it is connected.

        You can call it at any time, even while the process connects and after it has ended.  A connection of a server shows
        the keywords of its server, except that "server" is None and the host, the service and the addresses are those of the
        connection.  If the connection uses a UNIX socket, the host is True.

        Emacs: ``process-contact``.

        Args:
            key: What to return.

                * None: the pair ``(host, service)``: as given for a client, with the actual port for a server, and that of
                  the peer for a connection.  For a command, `contact` returns True.
                * True: a new dictionary of the keywords that were given, and of the actual addresses "local" and "remote".
                  `tls_parameters`, `endpoint`, `mode`, `filter_multibyte` and the timeouts are not included.
                * The name of a keyword: its value, or None.  "local" and "remote" are the actual addresses.
                * "peer_credentials": (process id, user id, group id) of the peer of an open UNIX connection, or None.
                * "tls_start": the position in the buffer at which TLS began, if the connection switched to TLS.  The text
                  before this position was not encrypted, so anyone may have written it.

        Raises:
            ProcessArgumentError: `key` is not None, True or a str.
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
            channel = self._lifecycle.channel
            return channel.peer_credentials() if channel is not None and self.live else None
        if key == "tls_truncated":
            return self.truncated
        if key == "tls_start":
            return self._insertion.tls_start
        return self._contact.get(key)

    def _note_sender(self) -> None:
        """Let `contact` show the last sender of a datagram (N102).  Doing so for each packet would cost much."""
        channel = self._datagrams()
        if channel is not None:
            self._contact.remote = channel.remote

    def _datagrams(self) -> DatagramChannel | None:
        channel = self._lifecycle.channel if self.live else None
        return channel if isinstance(channel, DatagramChannel) else None
