"""commands/report.py."""

from __future__ import annotations

from socket import AF_INET6, if_indextoname
from typing import Any

from twisted.internet.testing import EventLoggingObserver
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from netproc import filters
from netproc.commands.report import Reporter, how_to_try
from netproc.core.address import SocketAddress, parse_address
from netproc.test.support.fixtures import TcpFixture, UnixFixture
from netproc.test.support.peers import in_thread, request_and_half_close, reset


class Lines:
    """The log lines of a test."""

    def __init__(self, test: SynchronousTestCase) -> None:
        self._events = EventLoggingObserver()
        globalLogPublisher.addObserver(self._events)
        test.addCleanup(globalLogPublisher.removeObserver, self._events)

    def __call__(self) -> list[str]:
        lines = [formatEvent(e) for e in self._events if e["log_namespace"] == "netproc.report"]
        self._events._events.clear()
        return lines


class TcpReportTests(TcpFixture):
    async def test_one_line_at_the_open_and_one_at_the_close(self) -> None:
        lines = Lines(self)
        server = await self.server(filter=filters.echo, sentinel=Reporter().sentinel)
        peer = self.raw_client(server)
        port = peer.getsockname()[1]
        await in_thread(request_and_half_close, peer, b"hello\n")
        (connection,) = self.connections(server)
        await connection.closed
        self.assertEqual(
            [
                f"server <127.0.0.1:{port}>: open",
                f"server <127.0.0.1:{port}>: closed after 0.0 s, 6 bytes in, 6 bytes out: "
                "connection broken by remote peer",
            ],
            lines(),
        )
        server.delete()
        self.assertEqual([], lines())

    async def test_why(self) -> None:
        lines = Lines(self)
        server = await self.server(filter=filters.echo, sentinel=Reporter().sentinel)
        reset(self.raw_client(server))
        connection = await self.connection(server)
        await connection.closed
        why = "connection broken by remote peer (connection broken: Connection reset by peer)"
        self.assertTrue(lines()[-1].endswith(why))

    async def test_the_buffer_hears_of_it_as_by_default(self) -> None:
        server = await self.server(sentinel=Reporter().sentinel, buffer="b")
        server.delete()
        assert server.buffer is not None
        self.assertEqual("\nProcess server deleted\n", server.buffer.text)


class UnixReportTests(UnixFixture):
    async def test_names_are_escaped(self) -> None:
        lines = Lines(self)
        reporter = Reporter()
        server = await self.server(
            name="evil\n\x1b[2J", filter=filters.echo, sentinel=reporter.sentinel
        )
        await in_thread(request_and_half_close, self.raw_client(server), b"x")
        await self.until(lambda: len(self.ledger.gone) == 1)
        for line in lines():
            self.assertTrue(line.isprintable(), line)


class HowToTryTests(SynchronousTestCase):
    def check(self, expected: str | None, local: Any, kind: str | None, tls: bool = False) -> None:
        is_parsed = local is None or isinstance(local, SocketAddress)
        place = local if is_parsed else parse_address(local, "local")
        self.assertEqual(expected, how_to_try(place, kind, tls))

    def test_commands(self) -> None:
        for local, kind, expected in (
            ((127, 0, 0, 1, 7007), None, "nc -N 127.0.0.1 7007"),
            ((0, 0, 0, 0, 7007), None, "nc -N 127.0.0.1 7007"),
            ((0, 0, 0, 0, 0, 0, 0, 1, 7007), None, "nc -N ::1 7007"),
            ((0, 0, 0, 0, 0, 0, 0, 0, 7007), None, "nc -N ::1 7007"),
            ((127, 0, 0, 1, 7007), "datagram", "nc -u 127.0.0.1 7007"),
            ("/run/x", None, "nc -NU /run/x"),
            ("/run/x", "datagram", "nc -uU /run/x"),
            ("/run/x", "seqpacket", "socat - UNIX-CONNECT:/run/x,type=5"),
            ("\0x", None, "socat - ABSTRACT-CONNECT:x"),
            ("\0x", "datagram", "socat - ABSTRACT-SENDTO:x"),
            ("\0x", "seqpacket", "socat - ABSTRACT-CONNECT:x,type=5"),
            ((16, (1, 2)), "datagram", None),
            (None, None, None),
        ):
            self.check(expected, local, kind)

    def test_over_tls(self) -> None:
        for local, expected in (
            ((127, 0, 0, 1, 7007), "openssl s_client -quiet -connect 127.0.0.1:7007"),
            ((0, 0, 0, 0, 0, 0, 0, 1, 7007), "openssl s_client -quiet -connect [::1]:7007"),
            (("fe80::1%lo", 7007), "openssl s_client -quiet -connect [fe80::1%lo]:7007"),
            ("/run/x", "openssl s_client -quiet -unix /run/x"),
            ("\0x", None),
            ("/run/a b;c", "openssl s_client -quiet -unix '/run/a b;c'"),
            (
                SocketAddress(AF_INET6, ("fe80::1", 7, 0, 1)),
                "openssl s_client -quiet -connect [fe80::1%lo]:7",
            ),
        ):
            self.check(expected, local, None, tls=True)

    def test_a_shell_takes_it_as_it_is_meant(self) -> None:
        for local, kind, expected in (
            ("/tmp/a b;reboot", None, "nc -NU '/tmp/a b;reboot'"),
            ("/tmp/$(x)", "datagram", "nc -uU '/tmp/$(x)'"),
            ("/tmp/a b", "seqpacket", "socat - 'UNIX-CONNECT:/tmp/a b,type=5'"),
            ("\0a b", None, "socat - 'ABSTRACT-CONNECT:a b'"),
            # Paths that socat would read, or the log would show, differently.
            ("/tmp/a,b", "seqpacket", None),
            ("/tmp/a\nb", None, None),
            ("/tmp/a\\b", None, None),
            (
                SocketAddress(AF_INET6, ("fe80::1", 7, 0, 1)),
                None,
                f"nc -N fe80::1%{if_indextoname(1)} 7",
            ),
            (SocketAddress(AF_INET6, ("fe80::1", 7, 0, 99999)), None, "nc -N fe80::1%99999 7"),
        ):
            self.check(expected, local, kind)
