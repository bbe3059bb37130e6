"""open_network_stream: dialogues with scripted servers, in clear text and over TLS."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import attrs

from netproc import (
    NegotiationError,
    ProcessArgumentError,
    ProcessError,
    TLSParameters,
    get_buffer_create,
    open_network_stream,
)
from netproc.test.support.openstream import (
    AUTHORITY,
    CAPABILITIES,
    CERTIFICATE,
    SECURE,
    OpenStreamCase,
    secure,
)
from netproc.test.support.peers import line


class OpenStreamTests(OpenStreamCase):
    async def test_starttls(self) -> None:
        for kind in ("starttls", "network", None):
            await self.check_starttls(kind)

    async def check_starttls(self, kind: str | None) -> None:
        seen: list[str] = []
        (process, properties), served = await self.opened(
            self.imap, type=kind, return_list=True, filter=lambda p, text: seen.append(text)
        )
        self.assertEqual(("tls", None), (properties.type, properties.error))
        self.assertEqual("* OK ready\r\n", properties.greeting)
        self.assertEqual(SECURE.decode(), properties.capabilities)
        self.assertIn("TLS1.", str(process.peer_status()["protocol"]))
        process.send("np3 LOGOUT\r\n")
        await process.closed
        self.assertEqual(["bye\r\n"], seen)
        self.assertEqual(
            [b"np1 CAPABILITY\r\n", b"np2 STARTTLS\r\n", b"np1 CAPABILITY\r\n", b"np3 LOGOUT\r\n"],
            await served,
        )

    async def test_tls_first(self) -> None:
        def script(sock: socket.socket, heard: list[bytes]) -> None:
            tls = secure(sock)
            tls.sendall(b"* OK ready\r\n")
            heard.append(line(tls))
            tls.sendall(SECURE)
            tls.unwrap()

        for kind in ("tls", "ssl"):
            (process, properties), served = await self.opened(script, type=kind, return_list=True)
            self.assertEqual(("tls", SECURE.decode()), (properties.type, properties.capabilities))
            await process.closed
            self.assertEqual([b"np1 CAPABILITY\r\n"], await served)

    async def test_whom_a_certificate_must_be_for(self) -> None:
        """For the host "local" the name is localhost, whenever TLS begins; tls_parameters may give another name."""

        def tls_first(sock: socket.socket, heard: list[bytes]) -> None:
            tls = secure(sock)
            tls.sendall(b"* OK ready\r\n")
            line(tls)
            tls.sendall(SECURE)
            tls.recv(1)

        for script, kind in ((tls_first, "tls"), (self.imap, "starttls")):
            for host, hostname in (
                ("local", None),
                ("localhost", None),
                ("127.0.0.1", "localhost"),
            ):
                process, served = await self.opened(
                    script,
                    host=host,
                    type=kind,
                    tls_parameters=attrs.evolve(self.parameters(), hostname=hostname),
                )
                process.delete()
                await served
            opening, served = self.open(script, host="127.0.0.1", type=kind)
            error = await self.failure_of(opening, ProcessError)
            self.assertIn("127.0.0.1", str(error))
            await served

    async def test_parameters_without_a_dialogue(self) -> None:
        """Then TLS begins at once, as in Emacs; the parameters are never ignored."""

        def script(sock: socket.socket, heard: list[bytes]) -> None:
            tls = secure(sock)
            heard.append(line(tls))
            tls.unwrap()

        for kind in (None, "network", "plain"):
            process, served = await self.opened(script, type=kind, protocol=None)
            self.assertIsNotNone(process.peer_status())
            process.send("secret\n")
            await process.closed
            self.assertEqual([b"secret\n"], await served)

    async def test_a_certificate_beside_parameters(self) -> None:
        client = AUTHORITY.issue_cert("client.example")
        pair = os.path.abspath(self.mktemp()), os.path.abspath(self.mktemp())
        client.private_key_pem.write_to_path(pair[0])
        client.cert_chain_pems[0].write_to_path(pair[1])

        def script(sock: socket.socket, heard: list[bytes]) -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            CERTIFICATE.configure_cert(context)
            AUTHORITY.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
            tls = context.wrap_socket(sock, server_side=True)
            heard.append(tls.getpeercert(binary_form=True) or b"")
            tls.unwrap()

        process, served = await self.opened(
            script, type="tls", protocol=None, client_certificate=pair
        )
        await process.closed
        shown = ssl.PEM_cert_to_DER_cert(client.cert_chain_pems[0].bytes().decode())
        self.assertEqual([shown], await served)

    async def test_plain(self) -> None:
        def script(sock: socket.socket, heard: list[bytes]) -> None:
            sock.sendall(b"* OK ready\r\nmore")

        seen: list[str] = []
        (process, properties), served = await self.opened(
            script,
            type="plain",
            tls_parameters=None,
            return_list=True,
            filter=lambda p, text: seen.append(text),
        )
        self.assertEqual(("plain", "* OK ready\r\n"), (properties.type, properties.greeting))
        await process.closed
        self.assertEqual(["more"], seen)
        await served

    async def test_the_dialogue_stays_in_the_buffer(self) -> None:
        def script(sock: socket.socket, heard: list[bytes]) -> None:
            sock.sendall(b"* OK ready\r\n")
            sock.recv(1)

        buffer = get_buffer_create("b")
        opening, served = self.open(
            script, type="plain", tls_parameters=None, return_list=True, buffer="b"
        )
        process, _ = await opening
        self.assertEqual("* OK ready\r\n", buffer.text)
        process.delete()
        await served

    async def test_where_tls_begins_in_the_buffer(self) -> None:
        buffer = get_buffer_create("b")
        process, served = await self.opened(self.imap, type="starttls", buffer="b")
        process.send("np3 LOGOUT\r\n")
        await process.closed
        await served
        start = process.contact("tls_start")
        self.assertTrue(buffer.text[: start - 1].endswith("np2 OK begin\r\n"))
        self.assertTrue(buffer.text[start - 1 :].startswith(SECURE.decode() + "bye\r\n"))

    async def test_a_server_without_starttls(self) -> None:
        def script(sock: socket.socket, heard: list[bytes]) -> None:
            sock.sendall(b"* OK ready\r\n")
            line(sock)
            sock.sendall(SECURE)
            heard.append(sock.recv(100))

        (process, properties), served = await self.opened(script, return_list=True)
        self.assertEqual(("plain", None), (properties.type, properties.error))
        process.delete()
        await served
        (process, properties), served = await self.opened(script, type="starttls", return_list=True)
        self.assertEqual((None, "plain"), (process, properties.type))
        self.assertEqual("Server does not support TLS", properties.error)
        self.assertEqual([b""], await served)

    async def test_a_handshake_that_fails_never_goes_on_in_clear_text(self) -> None:
        def garbage(sock: socket.socket, heard: list[bytes]) -> None:
            sock.sendall(b"* OK ready\r\n")
            line(sock)
            sock.sendall(CAPABILITIES)
            line(sock)
            sock.sendall(b"np2 OK begin\r\n")
            heard.append(sock.recv(3))
            sock.sendall(b"* OK no TLS after all\r\n")
            while data := sock.recv(10000):
                heard.append(data)

        for kind in (None, "starttls"):
            opening, served = self.open(garbage, type=kind)
            await self.failure_of(opening, ProcessError)
            heard = await served
            self.assertEqual(b"\x16\x03", heard[0][:2])
            self.assertNotIn(b"CAPABILITY", b"".join(heard))

    async def test_another_certificate(self) -> None:
        other = AUTHORITY.issue_cert("other.example")

        def script(sock: socket.socket, heard: list[bytes]) -> None:
            secure(sock, other)

        opening, served = self.open(script, type="tls")
        error = await self.failure_of(opening, ProcessError)
        self.assertIn("certificate", str(error).lower())
        await served

    async def test_injected_clear_text_ends_it(self) -> None:
        def script(sock: socket.socket, heard: list[bytes]) -> None:
            sock.sendall(b"* OK ready\r\n")
            line(sock)
            sock.sendall(CAPABILITIES)
            line(sock)
            sock.sendall(b"np2 OK begin\r\n* CAPABILITY INJECTED\r\n")
            secure(sock)

        opening, served = self.open(script, type="starttls")
        await self.failure_of(opening, ProcessError)
        await served

    async def test_a_silent_server(self) -> None:
        def script(sock: socket.socket, heard: list[bytes]) -> None:
            sock.recv(1)

        opening, served = self.open(script, timeout=20)
        await self.nothing_happens(False, lambda: opening.called)
        self.advance(20)
        error = await self.failure_of(opening, ProcessError)
        self.assertEqual((errno.ETIMEDOUT, "no greeting within 20 s"), (error.errno, str(error)))
        await served

    async def test_a_server_that_closes(self) -> None:
        opening, served = self.open(lambda sock, heard: None)
        error = await self.failure_of(opening, NegotiationError)
        self.assertIn("before the greeting", str(error))
        await served

    async def test_nowait(self) -> None:
        events: list[str] = []
        opening, served = self.open(
            self.imap, type="starttls", nowait=True, sentinel=lambda p, event: events.append(event)
        )
        process = await opening
        self.assertEqual("connect", process.status)
        await self.until(lambda: process.status == "open")
        self.assertEqual(["open\n"], events)
        process.send("np3 LOGOUT\r\n")
        await process.closed
        await served

    async def test_nowait_that_fails(self) -> None:
        events: list[str] = []
        opening, served = self.open(
            lambda sock, heard: None, nowait=True, sentinel=lambda p, event: events.append(event)
        )
        process = await opening
        await process.closed
        self.assertEqual("failed", process.status)
        self.assertEqual(["failed: connection closed before the greeting\n"], events)
        await served

    async def test_what_cannot_be(self) -> None:
        for keywords, problem in (
            ({"type": "shell"}, "shell_command: None is not a command"),
            ({"timeout": 0}, "timeout: 0 is not a positive number of seconds"),
            ({"type": "bogus"}, "type: Invalid connection type 'bogus'"),
            (
                {"nowait": True, "return_list": True},
                "return_list: cannot be combined with nowait, which returns before the stream is open",
            ),
            (
                {"client_certificate": 5},
                "client_certificate: 5 is neither True nor a pair of file names; "
                'give ("key.pem", "cert.pem")',
            ),
            (
                {
                    "client_certificate": ("k", "c"),
                    "tls_parameters": TLSParameters(keylist=[("k", "c")]),
                },
                "client_certificate: tls_parameters already has a certificate (keylist)",
            ),
            (
                {"type": "shell", "shell_command": "cat", "tls_parameters": {}},
                "tls_parameters: the type 'shell' has no TLS",
            ),
            (
                {"type": "plain", "return_list": True, "tls_parameters": {}},
                "tls_parameters: the type 'plain' has no TLS",
            ),
            (
                {"protocol": None, "return_list": True, "tls_parameters": {}},
                "tls_parameters: nothing begins TLS here: give a type or a protocol that does",
            ),
        ):
            keywords = {"protocol": "imap", **keywords}
            error = await self.failure_of(
                open_network_stream("s", None, "localhost", 1, **keywords), ProcessArgumentError
            )
            self.assertEqual(problem, str(error))
