"""Data that was received before a reset is not lost."""

from __future__ import annotations

import errno

from netproc import ProcessError
from netproc.test.support.fixtures import (
    BROKEN,
    MB,
    Recorder,
    TcpFixture,
    UnixFixture,
)
from netproc.test.support.peers import reset


class ResetContract:
    """Tests over netproc's own transport, because Twisted's transports lose the data in the kernel."""

    async def test_stopped_with_output_pending(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder, stop=True)
        process.send(b"x" * 15 * MB)
        drained = process.drain()
        data = bytes(range(256)) * 200
        peer.sendall(data)
        await self.until_quiet(lambda: process.pending)
        reset(peer)
        await self.assertFailure(drained, ProcessError)
        self.assertEqual(("stop", []), (process.status, self.events(process)))
        error = self.assertRaises(ProcessError, process.send, b"more")
        self.assertIn(error.errno, (errno.ECONNRESET, errno.EPIPE))
        process.resume()
        await process.closed
        self.assertEqual((data, [BROKEN]), (recorder.data, self.events(process)))
        assert process.reason is not None
        self.assertIn(process.reason.errno, (errno.ECONNRESET, errno.EPIPE))
        self.assertGreater(process.unsent, 5 * MB)

    async def test_reading_with_output_pending(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder)
        process.send(b"x" * 15 * MB)
        await self.until_quiet(lambda: process.pending)
        peer.sendall(b"last words")
        reset(peer)
        await process.closed
        self.assertEqual((b"last words", [BROKEN]), (recorder.data, self.events(process)))

    async def test_deleted_while_stopped_after_a_reset(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder, stop=True)
        process.send(b"x" * 15 * MB)
        peer.sendall(b"unread")
        await self.until_quiet(lambda: process.pending)
        reset(peer)
        await self.nothing_happens("stop", lambda: process.status)
        process.delete()
        await process.closed
        self.assertEqual((b"", ["deleted\n"]), (b"".join(recorder.pieces), self.events(process)))

    async def test_who_waits_for_the_output_deletes_the_process(self) -> None:
        recorder = Recorder()
        process, peer = await self.client_of_raw(filter=recorder)
        process.send(b"x" * 15 * MB)
        process.drain().addErrback(lambda failure: process.delete())
        await self.until_quiet(lambda: process.pending)
        reset(peer)
        await process.closed
        self.assertEqual(["deleted\n"], self.events(process))
        assert process.reason is not None
        self.assertIn(process.reason.errno, (errno.ECONNRESET, errno.EPIPE))
        self.assertGreater(process.unsent, 5 * MB)

    async def test_linger_zero_resets(self) -> None:
        process, _ = await self.client_of_raw()
        process.set_option("linger", 0)
        process.send(b"x" * 15 * MB)
        process.delete()
        await process.closed
        self.assertGreater(process.unsent, 5 * MB)

    async def test_linger_bounds_the_flush(self) -> None:
        process, _ = await self.client_of_raw()
        process.set_option("linger", 20)
        process.send(b"x" * 15 * MB)
        process.delete()
        self.advance(19)
        await self.nothing_happens(False, lambda: process.closed.called)
        self.advance(1)
        await process.closed
        assert process.reason is not None
        self.assertEqual(errno.ETIMEDOUT, process.reason.errno)


class TcpResetTests(TcpFixture, ResetContract):
    """Over TCP."""


class UnixResetTests(UnixFixture, ResetContract):
    """Over UNIX sockets, which have no resets, but report errors too."""
