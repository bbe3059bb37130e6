"""net/tls/connection.py: how much one call reads, and how much stays in the socket."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
import termios
from collections.abc import Callable

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from netproc.net.tls.connection import SocketConnection
from netproc.net.tls.records import MOST_RECORDS
from netproc.test.support.floods import HELLO_REQUEST, KeyUpdates
from netproc.test.support.tlsstandin import AUTHORITY

PIECE = 1 << 16


def client_context() -> SSL.Context:
    return SSL.Context(SSL.TLS_METHOD)


class ConnectionTests(SynchronousTestCase):
    """Our connection is on a socket.  The peer's is in memory, and the test sends its records."""

    def connect(self, ours: SSL.Context, theirs: SSL.Context, is_server: bool) -> None:
        mine, self.peer_socket = socket.socketpair()
        for sock in (mine, self.peer_socket):
            self.addCleanup(sock.close)
            sock.setblocking(False)
        self.socket = mine
        self.connection = SocketConnection(ours, mine)
        self.peer = SSL.Connection(theirs)
        server, client = self.connection, self.peer
        if not is_server:
            server, client = client, server
        server.set_accept_state()
        client.set_connect_state()

    def serve(self, theirs: SSL.Context | None = None) -> None:
        self.connect(AUTHORITY.server.context, theirs or client_context(), is_server=True)

    def waiting(self) -> int:
        """How many received bytes are in the socket."""
        answer = fcntl.ioctl(self.socket, termios.FIONREAD, bytes(4))
        return int(struct.unpack("i", answer)[0])

    def done(self, step: Callable[[], None]) -> bool:
        try:
            step()
        except SSL.WantReadError:
            return False
        return True

    def records_of_peer(self) -> bytes:
        try:
            self.peer.bio_write(self.peer_socket.recv(PIECE))
        except BlockingIOError:
            pass
        self.done(self.peer.do_handshake)
        try:
            return self.peer.bio_read(PIECE)
        except SSL.WantReadError:
            return b""

    def shake_hands(self, behind: Callable[[], bytes] = bytes, piece: int = PIECE) -> None:
        """Do the handshake; the peer sends its last part, and the bytes that follow it, together in pieces."""
        done = False
        while not done:
            said = self.records_of_peer()
            if self.peer.get_finished():
                said += behind()
                behind = bytes
            for at in range(0, len(said), piece):
                self.peer_socket.send(said[at : at + piece])
                done = done or self.done(self.connection.do_handshake)
            done = done or self.done(self.connection.do_handshake)

    def test_hello_requests_during_the_handshake(self) -> None:
        self.connect(client_context(), AUTHORITY.server.context, is_server=False)
        self.assertFalse(self.done(self.connection.do_handshake))
        self.peer_socket.send(HELLO_REQUEST * 1000)
        self.assertFalse(self.done(self.connection.do_handshake))
        self.assertEqual((1000 - MOST_RECORDS) * len(HELLO_REQUEST), self.waiting())

    def test_key_updates_after_it(self) -> None:
        updates = KeyUpdates()
        self.serve(updates.context)
        self.shake_hands()
        records = updates.records(100)
        self.peer_socket.send(records)
        self.assertRaises(SSL.WantReadError, self.connection.recv, PIECE)
        self.assertEqual(len(records) * 99 // 100, self.waiting())

    def test_what_is_behind_the_handshake_stays_with_the_socket(self) -> None:
        def data() -> bytes:
            self.peer.send(b"data")
            return self.peer.bio_read(PIECE)

        for piece in (PIECE, 100, 1):
            self.serve()
            self.shake_hands(data, piece)
            self.assertEqual(b"data", self.connection.recv(PIECE))

    def test_a_header_alone_is_judged(self) -> None:
        self.serve()
        self.peer_socket.send(b"EHLO ")
        error = self.assertRaises(SSL.Error, self.connection.do_handshake)
        self.assertNotIsInstance(error, SSL.WantReadError)

    def test_an_alert_is_sent(self) -> None:
        self.serve()
        self.peer_socket.send(b"\x16\x03\x03\x00\x04\x02\xff\xff\xff")
        self.assertRaises(SSL.Error, self.connection.do_handshake)
        self.assertEqual(21, self.peer_socket.recv(PIECE)[0])

    def test_no_room_for_the_flight(self) -> None:
        self.serve()
        self.peer_socket.send(self.records_of_peer())
        filler = 0
        try:
            while True:
                filler += self.socket.send(bytes(1000))
        except BlockingIOError:
            pass
        for _ in range(2):
            self.assertRaises(SSL.WantWriteError, self.connection.do_handshake)
        while filler:
            filler -= len(self.peer_socket.recv(filler))
        self.shake_hands()

    def test_the_end(self) -> None:
        self.serve()
        self.peer_socket.shutdown(socket.SHUT_WR)
        error = self.assertRaises(SSL.SysCallError, self.connection.do_handshake)
        self.assertEqual(-1, error.args[0])

    def test_an_error_of_the_socket(self) -> None:
        with socket.socket() as unconnected:
            connection = SocketConnection(AUTHORITY.server.context, unconnected)
            connection.set_accept_state()
            error = self.assertRaises(SSL.SysCallError, connection.do_handshake)
        self.assertEqual(errno.ENOTCONN, error.args[0])
