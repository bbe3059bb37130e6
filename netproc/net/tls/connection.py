"""A TLS connection on a socket, of which no call keeps the reactor for long, whatever the peer sends.

`contexts.py` makes it if OpenSSL may use the socket; `attach.py` chooses the channel by it.

OpenSSL on a socket reads until the socket is empty in two cases.  During the handshake it skips HelloRequests.  After the
handshake it continues from a record without data, such as a KeyUpdate or a ticket, to the next record.  A peer that sends
such records as fast as OpenSSL reads them would keep the reactor in one call.  So the handshake passes through memory,
record by record.  OpenSSL gets the socket after the handshake, and then returns after each record.

There is one exception.  Before TLS 1.3 a client may ask a server for another handshake.  netproc never agrees, but OpenSSL
refuses only after it has read the whole request, of up to 128 KiB in records of one byte.  So a server of these versions
stays in memory.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

from OpenSSL import SSL

from ..reads import RECORD
from .records import MOST_RECORDS, RecordReader, weight

# This file alone uses private names of pyOpenSSL.  There are no public ones for giving a socket to a connection that
# began in memory, nor for the mode of a connection: pyOpenSSL sets SSL_MODE_AUTO_RETRY on each.
_LIB: Any = getattr(SSL, "_lib", None)
_NEEDED = "SSL_set_fd", "SSL_clear_mode", "SSL_MODE_AUTO_RETRY"

#: Whether this version of pyOpenSSL has these names.  Without them TLS stays in memory.
SUPPORTED = all(hasattr(_LIB, name) for name in _NEEDED)


class SocketConnection(SSL.Connection):
    """TLS on SOCK, a non-blocking socket that nothing else reads or writes."""

    def __init__(self, context: SSL.Context, sock: socket.socket) -> None:
        super().__init__(context, None)
        self._sock = sock
        # Whether the handshake waits for the peer.
        self._wants_input = False
        self._records = RecordReader()
        # Encrypted output that the kernel has not taken.
        self._flight = b""
        # How many bytes of data are in it, which `send` has not reported yet.
        self._owed = 0
        self._is_server = False
        # Whether OpenSSL reads and writes memory.
        self._in_memory = True

    def set_accept_state(self) -> None:
        """Take the role of the server."""
        super().set_accept_state()
        self._is_server = True

    def do_handshake(self) -> None:
        """Continue the handshake by `MOST_RECORDS` records at most, or fewer large ones.

        Until the handshake is done, this raises WantReadError or WantWriteError, as OpenSSL on a socket does.
        """
        done = 0
        while done < MOST_RECORDS:
            if self._wants_input:
                # Read nothing after the record: if the handshake ends with it, OpenSSL reads the rest from the socket.
                part = self._records.read(self._receive)
                if not part:
                    break
                self.bio_write(part)
                done += weight(part)
            try:
                super().do_handshake()
            except SSL.WantReadError:
                self._wants_input = True
            except Exception:
                with suppress(SSL.Error):
                    self._send_flight()  # the alert
                raise
            else:
                self._wants_input = False
                self._send_flight()
                if not self._is_server or self.get_protocol_version() >= SSL.TLS1_3_VERSION:
                    self._take_socket()
                return
        self._send_flight()
        raise SSL.WantReadError

    def _receive(self, size: int) -> bytes:
        """Return received bytes, SIZE at most, or nothing if none have come."""
        try:
            data = self._sock.recv(size)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise _syscall_error(error) from None
        if not data:
            raise SSL.SysCallError(-1, "Unexpected EOF")
        return data

    def _send_flight(self) -> None:
        """Send the output of OpenSSL; raise WantWriteError while the kernel has no room for it."""
        more = True
        while self._flight or more:
            if not self._flight:
                try:
                    self._flight = self.bio_read(RECORD)
                except SSL.WantReadError:
                    return
                more = len(self._flight) == RECORD
            self._flight = self._flight[self._send(self._flight) :]

    def _send(self, data: bytes) -> int:
        try:
            return self._sock.send(data)
        except BlockingIOError:
            raise SSL.WantWriteError from None
        except OSError as error:
            raise _syscall_error(error) from None

    def recv(self, size: int, flags: int | None = None) -> bytes:
        """Return the data of a record, after `MOST_RECORDS` records without data at most."""
        if not self._in_memory:
            return super().recv(size, flags)
        done = 0
        while True:
            try:
                return super().recv(size, flags)
            except SSL.WantReadError:
                self._send_flight()
                if done >= MOST_RECORDS:
                    raise
            except SSL.Error:
                with suppress(SSL.Error):
                    self._send_flight()  # the alert
                raise
            part = self._records.read(self._receive)
            if not part:
                raise SSL.WantReadError
            self.bio_write(part)
            done += weight(part)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send DATA, a record at most.

        If there is no room, this raises WantWriteError, and must be called with the same data again.
        """
        if not self._in_memory:
            return super().send(data, flags)
        if not self._owed:
            self._send_flight()
            self._owed = super().send(data[:RECORD], flags)
        self._send_flight()
        owed, self._owed = self._owed, 0
        return owed

    def shutdown(self) -> bool:
        """Send our close_notify; raise WantWriteError while there is no room for it."""
        if not self._in_memory:
            return super().shutdown()
        if not self.get_shutdown() & SSL.SENT_SHUTDOWN:
            super().shutdown()
        self._send_flight()
        return bool(self.get_shutdown() & SSL.RECEIVED_SHUTDOWN)

    def _take_socket(self) -> None:
        """Let OpenSSL read and write the socket, after the handshake."""
        self._in_memory = False
        _LIB.SSL_set_fd(self._ssl, self._sock.fileno())
        # The call has freed these.
        self._into_ssl = self._from_ssl = None
        _LIB.SSL_clear_mode(self._ssl, _LIB.SSL_MODE_AUTO_RETRY)


def _syscall_error(error: OSError) -> SSL.SysCallError:
    """Return ERROR of the socket as the exception that OpenSSL on a socket raises."""
    number = error.errno or 0
    return SSL.SysCallError(number, os.strerror(number))
