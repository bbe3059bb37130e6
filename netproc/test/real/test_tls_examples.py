"""The TLS examples work as described, with netproc and other programs as peers.  From a checkout only."""

from __future__ import annotations

import datetime
import os
import re
import sys

from netproc import TLSParameters, open_network_stream
from netproc.commands.devcert import CERTIFICATE_FILE, KEY_FILE, make_certificate, write_new
from netproc.test.support.checkout import checkout, example
from netproc.test.support.peers import in_thread
from netproc.test.support.programs import Program, ProgramTestCase, require, run_with_input

KEY, CERTIFICATE = make_certificate(datetime.datetime.now(datetime.UTC))
MAIL = b"From: a@localhost\r\nSubject: hello\r\n\r\nAll well?\r\n"


class TLSExampleFixture(ProgramTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.port = str(self.reserve_port())
        self.certificate = os.path.abspath(os.path.join(self.directory(), CERTIFICATE_FILE))

    def directory(self) -> str:
        """Make a new directory with a certificate to try TLS with."""
        made = self.mktemp()
        os.makedirs(made)
        write_new(made, {KEY_FILE: (0o600, KEY), CERTIFICATE_FILE: (0o644, CERTIFICATE)})
        return made

    def run_example(self, name: str, port: str, tls: str | None = None) -> Program:
        """Run the example NAME with the port of the test instead of PORT, and with TLS as its `TLS = …`."""
        code = example(name)
        if tls is not None:
            code = re.sub("(?m)^TLS = .*", f"TLS = {tls}", code)
        self.assertIn(f"service={port},", code)
        code = code.replace(port, self.port)
        program = Program([sys.executable, "-c", code], self.directory())
        self.addCleanup(program.stop)
        return program

    async def serve(self, name: str, port: str) -> None:
        """Run the server NAME until it listens."""
        (await self.connected(self.run_example(name, port), int(self.port))).close()


class EchoTests(TLSExampleFixture):
    async def test_server_and_client(self) -> None:
        await self.serve("tls_echo_server.py", "7443")
        client = self.run_example("tls_client.py", "7443")
        self.assertEqual((0, "hello\n"), (await self.ends(client), client.text()), client.errors)

    async def test_the_wrong_server(self) -> None:
        """The tutorial shows these errors."""
        with open(os.path.join(checkout(), "docs", "tutorial", "tls.rst"), encoding="utf-8") as f:
            page = f.read()
        wrong = re.findall("``TLS = (.*?)``", page)
        lines = re.findall(r"   (netproc\.core\.errors\..*)\n", page)
        self.assertEqual((2, 2), (len(wrong), len(lines)))
        await self.serve("tls_echo_server.py", "7443")
        for tls, line in zip(wrong, lines, strict=True):
            client = self.run_example("tls_client.py", "7443", tls)
            self.assertEqual(1, await self.ends(client))
            self.assertEqual(line, client.errors.rstrip().splitlines()[-1])

    def test_they_are_short(self) -> None:
        """As the tutorial says, they have a dozen lines after the imports."""
        for name in ("tls_echo_server.py", "tls_client.py"):
            _, _, code = example(name).partition("make_network_process\n")
            self.assertLessEqual(len([line for line in code.splitlines() if line]), 12, name)


class SMTPServerTests(TLSExampleFixture):
    async def setUp(self) -> None:
        await super().setUp()
        await self.serve("smtp_server.py", "7025")

    async def test_openssl(self) -> None:
        client = [
            *(require("openssl"), "s_client", "-quiet", "-crlf", "-starttls", "smtp"),
            *("-connect", f"localhost:{self.port}", "-CAfile", self.certificate),
            *("-verify_return_error", "-verify_hostname", "localhost"),
        ]
        said = await in_thread(run_with_input, client, b"EHLO me\nSTARTTLS\nQUIT\n")
        # openssl also prints the last line that it received before TLS.
        self.assertIn(b"250 localhost\r\n502 What?\r\n221 Bye\r\n", said)

    async def test_curl(self) -> None:
        client = [
            *(require("curl"), "--silent", "--show-error", "--ssl-reqd", "--max-time", "20"),
            *("--cacert", self.certificate, "--upload-file", "-", "--verbose"),
            *("--mail-from", "a@localhost", "--mail-rcpt", "b@localhost", "--stderr", "-"),
            f"smtp://localhost:{self.port}",
        ]
        said = await in_thread(run_with_input, client, MAIL)
        self.assertIn(b"SSL certificate verify ok", said)
        self.assertIn(b"< 250 Thrown away", said)

    async def test_open_network_stream(self) -> None:
        client, properties = await open_network_stream(
            "mail",
            None,
            "localhost",
            self.port,
            type="starttls",
            protocol="smtp",
            return_list=True,
            tls_parameters=TLSParameters(trustfiles=[self.certificate], system_trust=False),
        )
        self.addCleanup(client.delete)
        self.assertEqual(
            ("tls", "220 localhost ESMTP\r\n", "250 localhost\r\n"),
            (properties.type, properties.greeting, properties.capabilities),
        )
        said: list[str] = []
        client.filter = lambda process, text: said.append(text)
        client.send("MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nQUIT\r\n.\r\nQUIT\r\n")
        await client.closed
        self.assertEqual(
            ["250", "250", "354", "250", "221"], [line[:3] for line in "".join(said).splitlines()]
        )
        self.assertIs(False, client.truncated)

    async def test_a_command_behind_starttls_is_not_obeyed(self) -> None:
        """An injected command after it breaks the handshake."""
        said: list[str] = []
        client = await self.make(
            name="c",
            service=self.port,
            coding="latin-1-unix",
            filter=lambda process, text: said.append(text),
        )
        client.send("EHLO me\r\nSTARTTLS\r\nMAIL FROM:<a>\r\n")
        await client.closed
        self.assertEqual(
            "220 localhost ESMTP\r\n250-localhost\r\n250 STARTTLS\r\n220 Go ahead\r\n",
            "".join(said).encode("latin-1").partition(b"\x15\x03")[0].decode(),
        )
