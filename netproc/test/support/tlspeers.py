"""Peers that do TLS and look like plain sockets: data written to the socket is sent encrypted.

A thread passes data between the socket of the test and the connection to netproc.  If the test shuts the socket's
writing side, the thread sends a close_notify.  If the test resets the socket, the thread resets the connection.  If
the test does not read, the thread stops reading.
"""

from __future__ import annotations

import select
import socket
import threading

from OpenSSL import SSL

from netproc.test.support.base import PATIENCE
from netproc.test.support.peers import reset

_PIECE = 1 << 18


def tls_peer(connected: socket.socket, context: SSL.Context, is_server: bool) -> socket.socket:
    """The plain socket of a peer that does TLS over CONNECTED."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plain = socket.create_connection(listener.getsockname(), PATIENCE)
        inner, _ = listener.accept()
    # Data that the test does not read must wait in netproc, as it would without the thread.
    inner.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
    # By default the kernel enlarges this buffer, because the thread reads even when the test does not.
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _PIECE)
    Between(inner, connected, SSL.Connection(context, None), is_server).start()
    return plain


class Between(threading.Thread):
    """Encrypts one way and decrypts the other."""

    def __init__(
        self, plain: socket.socket, outer: socket.socket, engine: SSL.Connection, is_server: bool
    ) -> None:
        super().__init__(daemon=True, name="tls peer")
        if is_server:
            engine.set_accept_state()
        else:
            engine.set_connect_state()
        self._engine = engine
        self._plain = plain
        self._outer = outer
        self._shaken = False
        # The data to be passed on in each direction, and whether the input of that direction has ended.
        self._up, self._records = bytearray(), bytearray()
        self._up_over = self._down_over = False
        self._said_goodbye = self._outer_over = self._plain_shut = False

    def run(self) -> None:
        self._plain.setblocking(False)
        self._outer.setblocking(False)
        try:
            while not (self._up_over and self._outer_over and not self._up):
                self._turn_engine()
                self._turn_sockets()
        except (OSError, SSL.Error):
            # The test has reset its socket, or netproc has reset the connection.
            reset(self._outer)
        finally:
            self._outer.close()
            self._plain.close()

    def _turn_engine(self) -> None:
        try:
            if not self._shaken:
                self._engine.do_handshake()
                self._shaken = True
            while len(self._up) < _PIECE and not self._down_over:
                self._up += self._engine.recv(_PIECE)
        except SSL.WantReadError:
            self._down_over = self._outer_over
        except SSL.ZeroReturnError:
            self._down_over = True
        if self._shaken and self._up_over and not self._said_goodbye:
            self._said_goodbye = True
            self._engine.shutdown()
        try:
            while True:
                self._records += self._engine.bio_read(_PIECE)
        except SSL.WantReadError:
            pass
        if self._down_over and not self._up and not self._plain_shut:
            self._plain_shut = True
            self._plain.shutdown(socket.SHUT_WR)

    def _turn_sockets(self) -> None:
        reads, writes = [], []
        if not self._up_over and self._shaken and not self._records:
            reads.append(self._plain)
        if not self._outer_over and not self._up:
            reads.append(self._outer)
        if self._up:
            writes.append(self._plain)
        if self._records:
            writes.append(self._outer)
        readable, writable, _ = select.select(reads, writes, [], 3 * PATIENCE)
        if not readable and not writable:
            raise TimeoutError
        if self._plain in writable:
            del self._up[: self._plain.send(self._up)]
        if self._outer in writable:
            del self._records[: self._outer.send(self._records)]
        if self._outer in readable:
            self._read_records()
        if self._plain in readable:
            self._read_plain()

    def _read_records(self) -> None:
        data = self._outer.recv(_PIECE)
        if data:
            self._engine.bio_write(data)
        else:
            self._outer_over = True

    def _read_plain(self) -> None:
        data = self._plain.recv(_PIECE)
        self._up_over = not data
        rest = memoryview(data)
        while rest:
            rest = rest[self._engine.send(rest) :]
