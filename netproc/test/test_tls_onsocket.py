"""net/tls/onsocket.py: only `Wire`; tests over real sockets cover the rest."""

from __future__ import annotations

import socket

from OpenSSL import SSL
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from netproc.net.tls.onsocket import Wire


class FakeSocket:
    """Keeps the options that are set."""

    def __init__(self) -> None:
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, *option: int) -> None:
        self.options.append(option)  # type: ignore[arg-type]


class FakeConnection:
    """Has nothing to read."""

    def set_options(self, options: int) -> None:
        pass

    set_info_callback = set_options

    def recv(self, size: int) -> bytes:
        raise SSL.WantReadError

    def shutdown(self) -> None:
        pass


class WireTests(SynchronousTestCase):
    def test_behind_our_goodbye_everything_is_acknowledged_at_once(self) -> None:
        """Otherwise a peer that closes without reading our close_notify loses its unacknowledged output."""
        if not hasattr(socket, "TCP_QUICKACK"):
            raise SkipTest("only Linux can be told")
        sock = FakeSocket()
        wire = Wire(sock, FakeConnection(), None)
        wire.handshake_over()
        self.assertRaises(BlockingIOError, wire.recv, 1)
        self.assertEqual([], sock.options)
        wire.shutdown(socket.SHUT_WR)
        for _ in range(2):
            self.assertRaises(BlockingIOError, wire.recv, 1)
        self.assertEqual([(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)] * 3, sock.options)
