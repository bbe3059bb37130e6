"""net/sendqueue.py, with a socket that takes only part of the data."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.net import sendqueue
from netproc.net.sendqueue import SendQueue


class FakeSocket:
    """Takes the given number of bytes in each call."""

    def __init__(self, *takes: int) -> None:
        self.takes = list(takes)
        self.got = b""
        self.calls: list[str] = []

    def send(self, data: Any) -> int:
        self.calls.append("send")
        return self._take(bytes(data))

    def sendmsg(self, buffers: list[Any]) -> int:
        self.calls.append(f"sendmsg {len(buffers)}")
        return self._take(b"".join(map(bytes, buffers)))

    def _take(self, data: bytes) -> int:
        size = self.takes.pop(0) if self.takes else len(data)
        if size < 0:
            raise BlockingIOError
        self.got += data[:size]
        return min(size, len(data))


class SendQueueTests(SynchronousTestCase):
    def test_small_pieces_are_one_send(self) -> None:
        queue, sock = SendQueue(), FakeSocket()
        for piece in (b"a", b"b", b"c"):
            queue.append(piece)
        self.assertEqual(3, queue.pending)
        queue.send(sock)
        self.assertEqual((b"abc", ["send"], 0), (sock.got, sock.calls, queue.pending))

    def test_what_is_left_goes_on_where_it_stopped(self) -> None:
        queue, sock = SendQueue(), FakeSocket(2, 1)
        queue.append(b"abcdef")
        for pending in (4, 3, 0):
            queue.send(sock)
            self.assertEqual(pending, queue.pending)
        self.assertEqual(b"abcdef", sock.got)

    def test_a_socket_that_takes_nothing(self) -> None:
        queue, sock = SendQueue(), FakeSocket(-1)
        queue.append(b"abc")
        self.assertRaises(BlockingIOError, queue.send, sock)
        queue.send(sock)
        self.assertEqual((b"abc", 0), (sock.got, queue.pending))

    def test_large_pieces_are_not_joined(self) -> None:
        queue, sock = SendQueue(), FakeSocket()
        for piece in (b"a", b"b" * 70_000, b"c" * 70_000, b"d"):
            queue.append(piece)
        queue.send(sock)
        self.assertEqual(["sendmsg 4"], sock.calls)
        self.assertEqual(b"a" + b"b" * 70_000 + b"c" * 70_000 + b"d", sock.got)

    def test_many_pieces_are_joined(self) -> None:
        queue = SendQueue()
        for _ in range(100_000):
            queue.append(b"xy")
        assert queue._chunks is not None
        assert queue._small is not None
        self.assertLess(len(queue._chunks) + len(queue._small), 1200)
        sock = FakeSocket()
        while queue.pending:
            queue.send(sock)
        self.assertEqual(b"xy" * 100_000, sock.got)

    def test_no_more_buffers_than_the_system_takes(self) -> None:
        self.patch(sendqueue, "_MOST_BUFFERS", 2)
        queue, sock = SendQueue(), FakeSocket()
        for _ in range(5):
            queue.append(b"x" * 70_000)
        while queue.pending:
            queue.send(sock)
        self.assertEqual(["sendmsg 2", "sendmsg 2", "send"], sock.calls)

    def test_clear(self) -> None:
        queue = SendQueue()
        queue.append(b"x" * 70_000)
        queue.append(b"y")
        self.assertEqual((70_001, 0), (queue.drop(), queue.pending))

    @given(
        st.lists(st.one_of(st.binary(min_size=1), st.just(b"z" * 70_000))),
        st.lists(st.integers(-1, 100_000)),
    )
    def test_everything_arrives_in_order(self, pieces: list[bytes], takes: list[int]) -> None:
        queue, sock = SendQueue(), FakeSocket(*takes)
        for piece in pieces:
            queue.append(piece)
            try:
                queue.send(sock)
            except BlockingIOError:
                pass
        while queue.pending:
            try:
                queue.send(sock)
            except BlockingIOError:
                pass
        self.assertEqual(b"".join(pieces), sock.got)
