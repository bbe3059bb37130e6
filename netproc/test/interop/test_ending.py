"""How connections end: close_notify and half-close with OpenSSL's and GnuTLS's programs, and with socat."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

from netproc import NetworkProcess
from netproc.test.interop import servers
from netproc.test.interop.launch import Configure, InteropTestCase, Server
from netproc.test.interop.wiretap import Wiretap
from netproc.test.support.base import reactor
from netproc.test.support.fixtures import BROKEN, MB, Recorder, echo
from netproc.test.support.hostile import records
from netproc.test.support.peers import in_thread
from netproc.test.support.programs import require, run_with_input

LARGE = bytes(range(256)) * (MB // 256)
PRIORITIES = {version: f"NORMAL:-VERS-ALL:+VERS-{version}" for version in ("TLS1.2", "TLS1.3")}
_ALERT = 21


class ServerTests(InteropTestCase):
    """Their clients with our server."""

    async def server(self, filter: Any = echo) -> tuple[NetworkProcess, int]:
        server = await self.make(
            name="s",
            server=True,
            service=True,
            coding="binary",
            filter=filter,
            tls_parameters=self.serving(),
        )
        return server, int(server.contact("service"))

    async def connection(self, server: NetworkProcess) -> NetworkProcess:
        """Return the connection that SERVER has accepted."""
        found = lambda: [p for p in self.ledger.events if p.accepted_by is server]  # noqa: E731
        await self.until(found)
        return found()[0]

    async def test_socat_half_closes(self) -> None:
        """It shuts its writing side after the request, and receives the whole reply."""
        server, port = await self.server()
        for request in (b"hello\n", LARGE):
            command = [
                *(require("socat"), "-t10", "-"),
                f"OPENSSL:localhost:{port},pf=ip4,cafile={self.trust_file()}",
            ]
            reply = await in_thread(run_with_input, command, request)
            self.assertTrue(reply == request, f"{len(reply)} of {len(request)} bytes")
        for process in [p for p in self.ledger.events if p.accepted_by is server]:
            await process.closed
            self.assertEqual((None, False), (process.reason, process.truncated))

    async def end_of_openssl(self, number: int | None) -> NetworkProcess:
        """Return the connection after s_client has ended at the end of its input, or by the signal NUMBER."""
        server, port = await self.server()
        with subprocess.Popen(
            [
                *(require("openssl"), "s_client", "-quiet", "-no_ign_eof"),
                *("-connect", f"127.0.0.1:{port}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            process = await self.connection(server)
            # If it left data unread, its end would be a reset.
            child.stdin.write(b"hello\n")
            child.stdin.flush()
            self.assertEqual(b"hello\n", await in_thread(child.stdout.read, 6))
            if number is None:
                child.stdin.close()
            else:
                child.send_signal(number)
            await process.closed
            await in_thread(child.wait)
        self.assertEqual(BROKEN, self.events(process)[-1])
        return process

    async def test_openssl_says_goodbye(self) -> None:
        process = await self.end_of_openssl(None)
        self.assertEqual((None, False), (process.reason, process.truncated))

    async def test_a_renegotiation(self) -> None:
        """The client asks for another handshake; it receives an alert instead."""
        heard = Recorder()
        server, port = await self.server(heard)
        tap = Wiretap(reactor, port)
        self.addCleanup(tap.stop)
        program = self.start(
            *(require("openssl"), "s_client", "-tls1_2", "-connect", f"127.0.0.1:{tap.own_port}"),
            options={"stdin": subprocess.PIPE},
        )
        process = await self.connection(server)
        program.say(b"hello\n")
        await self.until(lambda: heard.data == b"hello\n")
        before = len(tap.from_server)
        program.say(b"R\n")
        await self.until(lambda: len(tap.from_server) > before)
        self.assertEqual(_ALERT, (records(tap.from_server[before:]) or [0])[0])
        await process.closed
        self.assertEqual(b"hello\n", heard.data)

    async def test_openssl_is_cut_off(self) -> None:
        process = await self.end_of_openssl(signal.SIGKILL)
        self.assertEqual((None, True), (process.reason, process.truncated))


class ClientTests(InteropTestCase):
    """Their servers with our client."""

    async def client(
        self, configure: Configure, version: str = "TLS1.3"
    ) -> tuple[NetworkProcess, Recorder, Wiretap, Server]:
        server = await self.serve(configure)
        tap = Wiretap(reactor, server.port)
        self.addCleanup(tap.stop)
        heard = Recorder()
        process = await self.make(
            name="c",
            host="localhost",
            family="ipv4",
            service=tap.own_port,
            coding="binary",
            filter=heard,
            tls_parameters=self.trusting(priority=PRIORITIES[version]),
        )
        self.assertEqual(version, (process.peer_status() or {})["protocol"])
        return process, heard, tap, server

    async def test_we_half_close(self) -> None:
        """send_eof ends the input of a program, which then sends its last output."""
        for version in PRIORITIES:
            process, heard, _, _ = await self.client(servers.socat("cat; echo end"), version)
            process.send(LARGE)
            process.send_eof()
            await process.closed
            self.assertEqual((None, False), (process.reason, process.truncated))
            self.assertTrue(heard.data == LARGE + b"end\n", len(heard.data))

    async def test_we_say_goodbye(self) -> None:
        """send_eof and delete send a close_notify, and both kinds of servers accept it."""
        for configure in (servers.s_server(), servers.gnutls_serv()):
            process, heard, tap, _ = await self.client(configure, "TLS1.2")
            process.send(b"abc\n")
            await self.until(lambda h=heard: len(h.data) == 4)
            process.send_eof()
            await process.closed
            self.assertEqual((None, False), (process.reason, process.truncated))
            self.assertEqual(_ALERT, (records(tap.from_client) or [0])[-1])
            process, _, tap, _ = await self.client(configure, "TLS1.2")
            process.delete()
            await process.closed
            self.assertEqual(_ALERT, (records(tap.from_client) or [0])[-1])
            self.assertEqual(
                (["open\n", "deleted\n"], None), (self.events(process), process.reason)
            )

    async def test_a_renegotiation(self) -> None:
        """The server asks for another handshake; it receives an alert instead."""
        process, heard, tap, server = await self.client(
            servers.s_server("-tls1_2", has_commands=True), "TLS1.2"
        )
        server.program.say(b"hello\n")
        await self.until(lambda: heard.data == b"hello\n")
        before = len(tap.from_client)
        server.program.say(b"R\n")
        # The server does not accept the alert, and closes.
        await process.closed
        self.assertEqual({_ALERT}, set(records(tap.from_client[before:]) or ()))
        self.assertIn("handshake failure", str(process.reason))

    async def test_a_server_that_is_cut_off(self) -> None:
        for configure in (servers.s_server(), servers.gnutls_serv()):
            process, heard, _, server = await self.client(configure)
            process.send(b"abc\n")
            await self.until(lambda h=heard: len(h.data) == 4)
            server.program.signal(signal.SIGKILL)
            await process.closed
            self.assertEqual((BROKEN, True), (self.events(process)[-1], process.truncated))


class PipedTests(InteropTestCase):
    """A conversation from a pipe that ends before the server has answered."""

    async def test_postfix_is_asked_to_quit(self) -> None:
        """Postfix closes without reading our close_notify, if there is one."""
        server = await self.serve(servers.postfix())
        command = [
            *(sys.executable, "-m", "netproc", "open", "localhost", str(server.port)),
            *("--protocol", "smtp", "--type", "starttls", "--trust", self.trust_file()),
            "--no-shutdown",
        ]
        for _ in range(5):
            said = await in_thread(run_with_input, command, b"EHLO me\r\nNOOP\r\nQUIT\r\n")
            self.assertEqual(b"250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n", said[-29:])
