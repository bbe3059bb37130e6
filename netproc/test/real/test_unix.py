"""Stream processes over UNIX sockets."""

from __future__ import annotations

import errno
import socket

from netproc import Limits, ProcessError
from netproc.test.support.contract import StreamContract
from netproc.test.support.fixtures import UnixFixture, echo
from netproc.test.support.peers import in_thread, read_all


class UnixContractTests(UnixFixture, StreamContract):
    """The contract over UNIX sockets."""


class LostOutputTests(UnixFixture):
    """A peer that stops reading, but goes on sending."""

    async def test_what_the_filter_cannot_send_is_logged_once(self) -> None:
        server = await self.server(filter=echo)
        peer = self.raw_client(server)
        peer.shutdown(socket.SHUT_RD)
        connection = await self.connection(server)
        for count in range(1, 6):
            peer.sendall(b"x")
            await self.until(lambda count=count: connection.received == count)
        self.assertEqual("open", connection.status)
        (failure,) = self.flushLoggedErrors(ProcessError)
        self.assertEqual(errno.EPIPE, failure.value.errno)


class TwistedTransportTests(UnixFixture):
    """Twisted's protocols treat all our transports as TCP transports."""

    async def test_nagle_is_no_business_of_unix_sockets(self) -> None:
        process, _ = await self.client_of_raw()
        transport = process._lifecycle.channel.transport  # type: ignore[union-attr]
        transport.setTcpNoDelay(True)
        transport.setTcpNoDelay(False)
        self.assertTrue(transport.getTcpNoDelay())


class FullKernelTests(UnixFixture):
    """The kernel has taken all data, and the peer has read none of it."""

    async def test_delete_closes_and_the_peer_still_gets_all(self) -> None:
        process, peer = await self.client_of_raw()
        process.limits = Limits(linger_timeout=0.1, flush_timeout=3600)
        # More than a quarter of the buffer; above this a UNIX socket does not count as writable.
        process.send(b"x" * 100_000)
        await self.until(lambda: not process.pending)
        process.delete()
        await process.closed
        self.assertEqual((0, None), (process.unsent, process.reason))
        self.assertEqual(100_000, len(await in_thread(read_all, peer)))
