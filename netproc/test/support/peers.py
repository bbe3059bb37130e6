"""Peers made of plain sockets, for tests.  They block, so they run in the reactor's thread pool."""

from __future__ import annotations

import contextlib
import fcntl
import select
import socket
import struct
import termios
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from netproc.test.support.base import PATIENCE

T = TypeVar("T")


def in_thread(function: Callable[..., T], *arguments: Any, **keywords: Any) -> Deferred[T]:
    """Run FUNCTION in a thread."""
    return deferToThread(function, *arguments, **keywords)


def connect(family: int, address: Any) -> socket.socket:
    """A connected socket."""
    sock = socket.socket(family)
    sock.settimeout(PATIENCE)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def silent_listener() -> tuple[int, list[socket.socket]]:
    """Return a port that never answers, because its backlog is full, and the sockets that fill it, to be closed."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    fillers = [socket.socket() for _ in range(2)]
    for filler in fillers:
        filler.setblocking(False)
        filler.connect_ex(address)
    return int(address[1]), [listener, *fillers]


def listen_backlog(sock: socket.socket) -> int:
    """Return the backlog of a listening TCP socket, from tcpi_sacked in struct tcp_info."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("I", info, 28)[0])


def unread(sock: socket.socket) -> int:
    """Return how many received bytes the kernel holds for SOCK."""
    (count,) = struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, bytes(4)))
    return int(count)


def fill(sock: socket.socket) -> None:
    """Send as much as SOCK, which does not block, takes."""
    try:
        while sock.send(b"x" * 65536):
            pass
    except BlockingIOError:
        pass


def read_all(sock: socket.socket) -> bytes:
    """Return all input up to the end."""
    chunks = []
    while chunk := sock.recv(1 << 18):
        chunks.append(chunk)
    return b"".join(chunks)


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """Return SIZE bytes, or fewer if the input ends before."""
    data = bytearray()
    while len(data) < size and (chunk := sock.recv(min(1 << 18, size - len(data)))):
        data += chunk
    return bytes(data)


def line(sock: socket.socket, end: bytes = b"\n") -> bytes:
    """Return the input up to the end of a line or another END."""
    said = b""
    while not said.endswith(end):
        byte = sock.recv(1)
        if not byte:
            break
        said += byte
    return said


def reset(sock: socket.socket) -> None:
    """Close by a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def request_and_half_close(sock: socket.socket, request: bytes) -> bytes:
    """Send REQUEST, shut the writing side, and return the whole reply."""
    with sock:
        # Send and receive at once, as "nc -N" does, because a large request blocks until its reply is read.
        sock.setblocking(False)
        return _exchange(sock, request)


def _exchange(sock: socket.socket, request: bytes) -> bytes:
    view, reply, shut = memoryview(request), bytearray(), False
    while True:
        wants_write = [sock] if not shut else []
        readable, writable, _ = select.select([sock], wants_write, [], PATIENCE)
        if not readable and not writable:
            raise TimeoutError(f"{len(reply)} bytes of the reply came")
        if writable:
            if view:
                view = view[sock.send(view[: 1 << 18]) :]
            if not view:
                sock.shutdown(socket.SHUT_WR)
                shut = True
        if readable:
            chunk = sock.recv(1 << 18)
            if not chunk:
                return bytes(reply)
            reply += chunk


@contextlib.contextmanager
def listening(family: int, address: Any, backlog: int = 128) -> Any:
    """Return a listening socket."""
    with socket.socket(family) as sock:
        sock.settimeout(PATIENCE)
        sock.bind(address)
        sock.listen(backlog)
        yield sock


def accept(listener: socket.socket) -> socket.socket:
    """Accept and return the next connection."""
    sock, _ = listener.accept()
    sock.settimeout(PATIENCE)
    return sock
