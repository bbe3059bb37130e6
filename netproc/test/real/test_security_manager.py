"""security_manager= of open_network_stream: no data before it agrees, no connection after it refuses."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from netproc import (
    ProcessError,
    SecurityError,
    SecurityManager,
    TLSParameters,
    open_network_stream,
)
from netproc.core.trust import Problem
from netproc.streams.security import Answer
from netproc.test.support.openstream import CAPABILITIES, OpenStreamCase, Script, secure
from netproc.test.support.peers import line

#: The server need not prove anything, so only the manager decides.
UNVERIFIED = TLSParameters(verify_error=None)


def imap_without_tls(sock: socket.socket, heard: list[bytes]) -> None:
    sock.sendall(b"* OK ready\r\n")
    heard.append(line(sock))
    sock.sendall(CAPABILITIES.replace(b"STARTTLS", b"IDLE"))
    heard.append(line(sock))


def imap_over_tls(sock: socket.socket, heard: list[bytes]) -> None:
    tls = secure(sock)
    tls.sendall(b"* OK ready\r\n")
    heard.append(line(tls))
    tls.sendall(CAPABILITIES)
    heard.append(line(tls))
    tls.unwrap()


class SecurityManagerTests(OpenStreamCase):
    async def refusal(self, opening: Deferred[Any]) -> SecurityError:
        with self.assertRaises(SecurityError) as caught:
            await opening
        return caught.exception

    def store(self) -> str:
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        return os.path.join(directory, "pins")

    async def test_a_certificate_it_objects_to(self) -> None:
        for script, kind in ((imap_over_tls, "tls"), (self.imap, "starttls"), (self.imap, None)):
            opening, served = self.open(
                script, type=kind, tls_parameters=UNVERIFIED, security_manager=SecurityManager()
            )
            error = await self.refusal(opening)
            self.assertIn("unknown-ca", error.conditions)
            # netproc has sent the two commands in clear text, and no data inside TLS.
            heard = [said for said in await served if said]
            self.assertEqual(0 if kind == "tls" else 2, len(heard))

    async def test_one_it_agrees_to(self) -> None:
        manager = SecurityManager(level="high", pins=self.store())
        for script, kind in ((imap_over_tls, "tls"), (self.imap, "starttls")):
            (process, properties), served = await self.opened(
                script, type=kind, return_list=True, security_manager=manager
            )
            self.assertEqual("tls", properties.type)
            process.send("np9 LOGOUT\r\n")
            await process.closed
            self.assertEqual(b"np9 LOGOUT\r\n", (await served)[-1])

    async def check_bare(self, serve: Script, **keywords: Any) -> None:
        """Without a dialogue the server's first bytes arrive before the manager has decided."""
        thinking: Deferred[Answer] = Deferred()
        asked: Deferred[None] = Deferred()

        def ask(host: str, port: int, problems: tuple[Problem, ...]) -> Deferred[Answer]:
            asked.callback(None)
            return thinking

        seen: list[str] = []
        opening, served = self.open(
            serve,
            protocol=None,
            security_manager=SecurityManager(ask=ask),
            filter=lambda process, text: seen.append(text),
            **keywords,
        )
        await asked
        self.assertNoResult(opening)
        thinking.callback("session")
        process = await opening
        process.send("go on\n")
        await process.closed
        self.assertEqual(([b"go on\n"], "hello\nbye\n"), (await served, "".join(seen)))

    async def test_without_a_dialogue(self) -> None:
        def serve(sock: socket.socket, heard: list[bytes]) -> None:
            tls = secure(sock)
            tls.sendall(b"hello\n")
            heard.append(line(tls))
            tls.sendall(b"bye\n")
            tls.unwrap()

        await self.check_bare(serve, type="tls", tls_parameters=UNVERIFIED)

    async def test_clear_text_without_a_dialogue(self) -> None:
        """Without a dialogue netproc cannot ask the server for TLS."""

        def serve(sock: socket.socket, heard: list[bytes]) -> None:
            sock.sendall(b"hello\n")
            heard.append(line(sock))
            sock.sendall(b"bye\n")

        await self.check_bare(serve, tls_parameters=None, warn_unless_encrypted=True)

    async def test_clear_text_that_it_has_nothing_against(self) -> None:
        """The manager agrees at once, before the connection has a receiver."""

        def serve(sock: socket.socket, heard: list[bytes]) -> None:
            sock.sendall(b"* OK ready\r\n")
            heard.append(line(sock))

        for keywords in (
            {"type": "plain"},
            {"type": "plain", "return_list": True},
            {"protocol": None},
        ):
            found, served = await self.opened(
                serve, tls_parameters=None, security_manager=SecurityManager(), **keywords
            )
            process = found[0] if isinstance(found, tuple) else found
            process.send("go on\n")
            await process.closed
            self.assertEqual([b"go on\n"], await served, keywords)

    async def test_a_server_that_leaves_while_it_thinks(self) -> None:
        thinking: Deferred[Answer] = Deferred()

        def serve(sock: socket.socket, heard: list[bytes]) -> None:
            tls = secure(sock)
            tls.sendall(b"hello and good bye\n")

        def ask(host: str, port: int, problems: tuple[Problem, ...]) -> Deferred[Answer]:
            served.addCallback(lambda _: thinking.callback("session"))
            return thinking

        seen: list[str] = []
        opening, served = self.open(
            serve,
            type="tls",
            protocol=None,
            tls_parameters=UNVERIFIED,
            security_manager=SecurityManager(ask=ask),
            filter=lambda process, text: seen.append(text),
        )
        process = await opening
        await process.closed
        self.assertEqual("hello and good bye\n", "".join(seen))

    async def test_it_thinks_too_long(self) -> None:
        for script, kind in ((imap_over_tls, "tls"), (self.imap, "starttls")):
            asked: list[Deferred[Answer]] = []

            def ask(*_: object, asked: list[Deferred[Answer]] = asked) -> Deferred[Answer]:
                asked.append(Deferred())
                return asked[0]

            opening, served = self.open(
                script,
                type=kind,
                tls_parameters=UNVERIFIED,
                timeout=20,
                security_manager=SecurityManager(ask=ask),
            )
            await self.until(lambda asked=asked: asked)
            self.advance(20)
            with self.assertRaises(ProcessError) as caught:
                await opening
            self.assertEqual(errno.ETIMEDOUT, caught.exception.errno)
            self.assertIn("no answer of the security manager", str(caught.exception))
            await served

    async def test_the_wait_can_be_cancelled(self) -> None:
        for return_list in (False, True):
            for script, kind in ((imap_over_tls, "tls"), (self.imap, "starttls")):
                await self.check_cancel(
                    script, type=kind, return_list=return_list, tls_parameters=UNVERIFIED
                )
            await self.check_cancel(
                imap_without_tls, return_list=return_list, warn_unless_encrypted=True
            )

    async def check_cancel(self, script: Script, **keywords: Any) -> None:
        asked: Deferred[None] = Deferred()
        cancelled: list[Deferred[Answer]] = []

        def ask(*_: object) -> Deferred[Answer]:
            asked.callback(None)
            return Deferred(cancelled.append)

        opening, served = self.open(script, security_manager=SecurityManager(ask=ask), **keywords)
        await asked
        # Not inside `ask`, because there the Deferred of the connect is firing, and a Deferred that fires cannot
        # be cancelled.
        await self.turn()
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        await served
        await self.until(lambda: len(cancelled) == 1)

    async def test_a_function_that_fails(self) -> None:
        def ask(*_: object) -> Answer:
            raise LookupError("nobody\nthere")

        opening, served = self.open(
            imap_over_tls,
            type="tls",
            tls_parameters=UNVERIFIED,
            security_manager=SecurityManager(ask=ask),
        )
        self.assertIn("failed: LookupError('nobody", str(await self.refusal(opening)))
        await served

    async def test_a_host_that_once_had_tls(self) -> None:
        """The host has no TLS now; an attacker may have removed the offer."""
        manager = SecurityManager(pins=self.store())
        listener = socket.create_server(("127.0.0.1", 0))
        process, served = await self.opened(
            self.imap, listener=listener.dup(), type=None, security_manager=manager
        )
        process.send_eof()
        await process.closed
        await served
        opening, served = self.open(
            imap_without_tls,
            listener=listener,
            type=None,
            return_list=True,
            security_manager=manager,
        )
        process, properties = await opening
        self.assertIsNone(process)
        self.assertIn("used to be encrypted", properties.error)
        self.assertEqual([b"np1 CAPABILITY\r\n", b""], await served)

    async def test_warn_unless_encrypted(self) -> None:
        """Without `ask`, the warning is a refusal."""
        opening, served = self.open(imap_without_tls, type=None, warn_unless_encrypted=True)
        error = await self.refusal(opening)
        self.assertEqual(1, len(error.conditions))
        self.assertEqual([b"np1 CAPABILITY\r\n", b""], await served)
        _, served = await self.opened(self.imap, type=None, warn_unless_encrypted=True)

    async def test_warn_unless_encrypted_where_nothing_begins_tls(self) -> None:
        """The stream is refused before netproc sends any data."""

        def serve(sock: socket.socket, heard: list[bytes]) -> None:
            sock.sendall(b"* OK ready\r\n")
            heard.append(line(sock))

        for keywords in (
            {"type": "plain"},
            {"type": "plain", "always_query_capabilities": True},
            {"type": None, "protocol": None},
        ):
            for return_list in (False, True):
                opening, served = self.open(
                    serve,
                    tls_parameters=None,
                    return_list=return_list,
                    warn_unless_encrypted=True,
                    **keywords,
                )
                if return_list:
                    process, properties = await opening
                    problem = properties.error
                    self.assertEqual((None, "plain"), (process, properties.type))
                else:
                    problem = str(await self.refusal(opening))
                self.assertRegex(problem, r"^localhost:\d+: the connection is not encrypted$")
                self.assertEqual([b""], await served, keywords)

    async def test_warn_unless_encrypted_and_nowait(self) -> None:
        events: list[str] = []
        process, served = await self.opened(
            lambda sock, heard: heard.append(line(sock)),
            type="plain",
            tls_parameters=None,
            nowait=True,
            warn_unless_encrypted=True,
            sentinel=lambda process, event: events.append(event),
        )
        await process.closed
        self.assertEqual("failed", process.status)
        self.assertEqual(1, len(events))
        self.assertRegex(events[0], "^failed: .*the connection is not encrypted\n$")
        self.assertEqual([b""], await served)

    async def test_a_shell_has_no_connection_to_ask_about(self) -> None:
        (process, properties) = await open_network_stream(
            "s",
            None,
            "localhost",
            1,
            type="shell",
            shell_command="cat",
            return_list=True,
            warn_unless_encrypted=True,
        )
        self.addCleanup(process.delete)
        self.assertEqual(("plain", None), (properties.type, properties.error))
        process.send_eof()
        await process.closed
