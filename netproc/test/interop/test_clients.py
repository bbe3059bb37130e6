"""Our servers, with and without STARTTLS, and other projects' clients."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from netproc import NetworkProcess
from netproc.test.interop.dialogues import DIALOGUES, Offer
from netproc.test.interop.launch import ANOTHER, OURS, InteropTestCase, authority, converse
from netproc.test.support.certificates import Pair
from netproc.test.support.fixtures import Recorder, echo
from netproc.test.support.peers import in_thread
from netproc.test.support.programs import require

TEXT = b"hello\n" * 1000
VERSIONS = {"TLS1.2": "-tls1_2", "TLS1.3": "-tls1_3"}
PRIORITIES = {version: f"NORMAL:-VERS-ALL:+VERS-{version}" for version in VERSIONS}


class Fixture(InteropTestCase):
    """A test case with the clients' commands, and servers for them."""

    def openssl(self, port: int, *more: str, **keywords: str) -> list[str]:
        trust = keywords.get("trust") or self.trust_file()
        name = keywords.get("name", "localhost")
        return [
            *(require("openssl"), "s_client", "-quiet", "-no_ign_eof"),
            *("-connect", f"127.0.0.1:{port}", "-servername", "localhost"),
            *("-verify_hostname", name, "-verify_return_error", "-CAfile", trust),
            *more,
        ]

    def gnutls(self, port: int, *more: str, **keywords: str) -> list[str]:
        trust = keywords.get("trust") or self.trust_file()
        name = keywords.get("name", "localhost")
        return [
            *(require("gnutls-cli"), "--logfile=/dev/null", f"--x509cafile={trust}"),
            *("--sni-hostname=localhost", f"--verify-hostname={name}"),
            *("-p", str(port), *more, "127.0.0.1"),
        ]

    async def offer(
        self, protocol: str, inside: Mapping[bytes, bytes] | None = None
    ) -> tuple[Offer, int]:
        """Make a server with STARTTLS; return its offer and its port.  INSIDE has its answers inside TLS."""
        offer = Offer(replace(DIALOGUES[protocol], inside=inside or {}), self.serving())
        server = await self.make(
            name=protocol,
            server=True,
            service=True,
            coding="binary",
            filter=offer.filter,
            sentinel=offer.sentinel,
        )
        return offer, int(server.contact("service"))

    async def server(self, filter: Any = echo, **more: Any) -> tuple[NetworkProcess, int]:
        server = await self.make(
            name="s",
            server=True,
            service=True,
            coding="binary",
            filter=filter,
            tls_parameters=self.serving(**more),
        )
        return server, int(server.contact("service"))


class StartTLSTests(Fixture):
    """The clients ask for TLS with each protocol's own command."""

    async def check(self, protocol: str, commands: dict[str, list[str]], offer: Offer) -> None:
        for version, command in commands.items():
            before = len(offer.inside)
            said, status = await in_thread(converse, command, TEXT, len(TEXT))
            self.assertEqual((TEXT, 0), (said, status), f"{protocol} {version}")
            self.assertEqual(TEXT, offer.inside[before:])
            self.assertEqual(version, offer.versions[-1])
            process = offer.connections[-1]
            await process.closed
            self.assertIs(None, process.reason)

    async def test_openssl(self) -> None:
        for protocol in DIALOGUES:
            offer, port = await self.offer(protocol)
            await self.check(
                protocol,
                {
                    version: self.openssl(port, flag, "-starttls", protocol)
                    for version, flag in VERSIONS.items()
                },
                offer,
            )

    async def test_gnutls(self) -> None:
        # gnutls-cli has no STARTTLS for IRC.
        for protocol in DIALOGUES.keys() - {"irc"}:
            offer, port = await self.offer(protocol)
            await self.check(
                protocol,
                {
                    version: self.gnutls(
                        port, f"--starttls-proto={protocol}", f"--priority={priority}"
                    )
                    for version, priority in PRIORITIES.items()
                },
                offer,
            )

    async def test_they_refuse_another(self) -> None:
        """They refuse another name and another authority, and send no data in clear text."""
        offer, port = await self.offer("smtp")
        for wrong in ({"name": "other.example"}, {"trust": self.trust_file(ANOTHER)}):
            for command in (
                self.openssl(port, "-starttls", "smtp", **wrong),
                self.gnutls(port, "--starttls-proto=smtp", **wrong),
            ):
                said, status = await in_thread(converse, command, TEXT, len(TEXT))
                self.assertNotEqual(0, status, command)
                self.assertEqual((b"", b"", []), (said, offer.inside, offer.versions))
                process = offer.connections[-1]
                await process.closed
                self.assertEqual("closed", process.status)


class TLSTests(Fixture):
    """Clients whose TLS begins with the first byte."""

    async def test_openssl(self) -> None:
        _, port = await self.server()
        for flag in VERSIONS.values():
            got = await in_thread(converse, self.openssl(port, flag), TEXT, len(TEXT))
            self.assertEqual((TEXT, 0), got)

    async def test_gnutls(self) -> None:
        _, port = await self.server()
        for priority in PRIORITIES.values():
            command = self.gnutls(port, f"--priority={priority}")
            self.assertEqual((TEXT, 0), await in_thread(converse, command, TEXT, len(TEXT)))

    async def test_client_certificates(self) -> None:
        """If one is required, only a client with a certificate from our authority is accepted, in both versions."""
        heard = Recorder()
        _, port = await self.server(
            filter=lambda process, data: (heard(process, data), echo(process, data)),
            trustfiles=(self.trust_file(),),
            request_client_certificate="required",
        )
        ours = self.files_of(authority(OURS).issue(common="someone"))
        theirs = self.files_of(authority(ANOTHER).issue(common="someone"))
        for version in VERSIONS:
            for shown, is_let_in in ((ours, True), (theirs, False), (None, False)):
                for command in self.commands(port, version, shown):
                    del heard.pieces[:]
                    said, _ = await in_thread(converse, command, TEXT, len(TEXT))
                    expected = TEXT if is_let_in else b""
                    self.assertEqual((expected, expected), (said, b"".join(heard.pieces)), command)

    def commands(self, port: int, version: str, pair: tuple[str, str] | None) -> list[list[str]]:
        """Return the commands of both programs; they send the certificate of PAIR."""
        openssl = self.openssl(port, VERSIONS[version])
        gnutls = self.gnutls(port, f"--priority={PRIORITIES[version]}")
        if pair is not None:
            key, certificate = pair
            openssl += ["-key", key, "-cert", certificate]
            gnutls += ["--x509keyfile", key, "--x509certfile", certificate]
        return [openssl, gnutls]

    def files_of(self, pair: Pair) -> tuple[str, str]:
        directory = os.path.abspath(self.mktemp())
        os.makedirs(directory)
        paths = os.path.join(directory, "key.pem"), os.path.join(directory, "cert.pem")
        for path, contents in zip(paths, pair, strict=True):
            with open(path, "wb") as file:
                file.write(contents)
        return paths

    async def test_curl(self) -> None:
        curl = require("curl")
        _, port = await self.server(filter=hello_of_http)
        for flags in (["--tls-max", "1.2"], ["--tlsv1.3"]):
            command = [
                *(curl, "--silent", "--show-error", *flags, "--cacert", self.trust_file()),
                *("--max-time", "20", f"https://localhost:{port}/"),
            ]
            self.assertEqual((b"hello", 0), await in_thread(converse, command, b"", 5))
        command[command.index("--cacert") + 1] = self.trust_file(ANOTHER)
        # curl's status 60: "peer certificate cannot be authenticated"
        self.assertEqual((b"", 60), await in_thread(converse, command, b"", 5))

    async def test_curl_with_starttls(self) -> None:
        curl = require("curl")
        inside = {
            rb"EHLO [^\n]*\n": b"250 localhost\r\n",
            rb"NOOP\r\n": b"250 done\r\n",
            rb"QUIT\r\n": b"221 bye\r\n",
        }
        offer, port = await self.offer("smtp", inside)
        command = [
            *(curl, "--silent", "--ssl-reqd", "--cacert", self.trust_file()),
            *("--max-time", "20", "--request", "NOOP", f"smtp://localhost:{port}"),
        ]
        said, status = await in_thread(converse, command, b"", 100)
        self.assertEqual((b"250 done\r\n", 0), (said, status))
        self.assertIn(b"NOOP\r\n", offer.inside)
        heard = len(offer.inside)
        command[command.index("--cacert") + 1] = self.trust_file(ANOTHER)
        self.assertEqual((b"", 60), await in_thread(converse, command, b"", 100))
        self.assertEqual(heard, len(offer.inside))


def hello_of_http(process: NetworkProcess, data: bytes) -> None:
    if data.endswith(b"\r\n\r\n"):
        process.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        process.delete()
