"""The peer of hostile tests: a plain socket that keeps all received bytes, and does TLS by hand.

`test_hostile_peers.py` scripts it.  It runs in the reactor's thread and never blocks.
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
    """Return the content types of the TLS records in DATA; None if DATA contains anything else.

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
    """The other side of one connection."""

    def __init__(self, test: NetprocTestCase, connected: socket.socket) -> None:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self._test = test
        self._socket = connected
        #: All data received so far.
        self.heard = b""
        self.ended = False
        self._read = 0
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._engine: ssl.SSLObject | None = None

    def listen(self) -> None:
        """Receive the data that has arrived."""
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
        """Return the data received since the last call, up to and including PATTERN."""

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
        """Send all of DATA, and let the reactor receive it."""
        view = memoryview(data)
        while view and not self.ended:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                self.listen()
            except (BrokenPipeError, ConnectionResetError):
                # The other side has closed.
                self.ended = True
            await self._test.turn()

    async def hello(self) -> bytes:
        """Wait for the client's first record."""

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
        """Treat the data after SAID as not read."""
        self._read = self.heard.index(said) + len(said)

    # -- TLS ----------------------------------------------------------------------------------

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Do a handshake as the server."""
        self._engine = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        await self._do(self._engine.do_handshake)

    async def secure_line(self) -> bytes:
        """Return a line received inside TLS."""
        said = b""
        while not said.endswith(b"\n"):
            said += await self.secure_read(1)
        return said

    async def secure_read(self, size: int) -> bytes:
        """Return SIZE bytes received inside TLS."""
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
        """Send the records that the engine has made."""
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
        """Wait for records, and give them to the engine."""

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
        """End the output."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.listen()
        self.ended = True
        reset(self._socket)


def cuts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """DATA in two pieces, cut everywhere; in the first pair the first piece is all of DATA."""
    for at in range(len(data), 0, -1):
        yield data[:at], data[at:]
