"""The peer of hostile tests: a plain socket that keeps every byte it is sent, and does TLS by hand.

`test_hostile_peers.py` scripts it.  It is driven from the reactor's thread: nothing of it blocks.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial

from netproc.test.support.base import NetprocTestCase
from netproc.test.support.peers import reset

#: The content types of TLS records: change of cipher, alert, handshake, application data.
_CONTENT_TYPES = frozenset({20, 21, 22, 23})
_HEADER = 5


def records(data: bytes) -> list[int] | None:
    """The content types of the TLS records that DATA is made of; None if something else is in it.

    The last record may be cut off.
    """
    found = []
    at = 0
    while at < len(data):
        header = data[at : at + _HEADER]
        if header[0] not in _CONTENT_TYPES or (len(header) > 1 and header[1] != 3):
            return None
        found.append(header[0])
        at += _HEADER + int.from_bytes(header[3:5], "big")
    return found


class Peer:
    """One connection, from the other side."""

    def __init__(self, test: NetprocTestCase, connected: socket.socket) -> None:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._test = test
        self._socket = connected
        #: All that ever came.
        self.heard = b""
        self.ended = False
        self._read = 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._engine: ssl.SSLObject | None = None

    def listen(self) -> None:
        """Take what has come."""
        if self._socket.fileno() < 0:
            return
        try:
            while data := self._socket.recv(1 << 16):
                self.heard += data
            self.ended = True
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.ended = True

    async def until_heard(self, pattern: bytes) -> bytes:
        """What came since the last time, up to and with PATTERN."""

        def found() -> bool:
            self.listen()
            return pattern in self.heard[self._read :] or self.ended

        await self._test.until(found, f"no {pattern!r}")
        end = self.heard.find(pattern, self._read) + len(pattern)
        assert end >= len(pattern), f"no {pattern!r} in {self.heard!r}"
        said, self._read = self.heard[self._read : end], end
        return said

    async def line(self) -> bytes:
        return await self.until_heard(b"\n")

    async def until_end(self) -> None:
        """Wait until the other side has closed."""

        def ended() -> bool:
            self.listen()
            return self.ended

        await self._test.until(ended, "it does not close")

    async def say(self, data: bytes) -> None:
        """Send DATA, all of it, and let the reactor see it."""
        view = memoryview(data)
        while view and not self.ended:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                self.listen()
            except (BrokenPipeError, ConnectionResetError):
                # The other side has had enough.
                self.ended = True
            await self._test.turn()

    async def hello(self) -> bytes:
        """The client's first record."""

        def whole() -> bool:
            self.listen()
            record = self.heard[self._read :]
            return len(record) >= _HEADER and len(record) >= _HEADER + int.from_bytes(
                record[3:5], "big"
            )

        await self._test.until(whole, "no ClientHello")
        said, self._read = self.heard[self._read :], len(self.heard)
        return said

    def rewind_to(self, said: bytes) -> None:
        """Take what came behind SAID for not read."""
        self._read = self.heard.index(said) + len(said)

    # -- TLS ----------------------------------------------------------------------------------

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Be the server of a handshake."""
        self._engine = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        await self._do(self._engine.do_handshake)

    async def secure_line(self) -> bytes:
        """A line inside TLS."""
        said = b""
        while not said.endswith(b"\n"):
            said += await self.secure_read(1)
        return said

    async def secure_read(self, size: int) -> bytes:
        """SIZE bytes inside TLS."""
        assert self._engine is not None
        said = b""
        while len(said) < size:
            said += await self._do(partial(self._engine.read, size - len(said)))
        return said

    async def secure_say(self, data: bytes) -> None:
        assert self._engine is not None
        self._engine.write(data)
        await self.flush()

    async def flush(self) -> None:
        """Send what the engine has made."""
        await self.say(self._outgoing.read())

    async def _do(self, operation: Callable[[], bytes | None]) -> bytes:
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                result = None
                wanted = True
            else:
                wanted = False
            await self.flush()
            if not wanted:
                return result or b""
            await self._more()

    async def _more(self) -> None:
        """Give the engine what comes."""

        def came() -> bool:
            self.listen()
            return len(self.heard) > self._read or self.ended

        await self._test.until(came, "no records")
        if len(self.heard) == self._read:
            raise ConnectionError("the other side has closed")
        self._incoming.write(self.heard[self._read :])
        self._read = len(self.heard)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        self._socket.close()

    def shut(self) -> None:
        """No more is sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.listen()
        self.ended = True
        reset(self._socket)


def cuts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """DATA in two pieces, in every way, the first of them whole."""
    for at in range(len(data), 0, -1):
        yield data[:at], data[at:]
