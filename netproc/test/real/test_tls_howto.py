"""Statements of the how-to pages on TLS that their commands do not show.  From a checkout only."""

from __future__ import annotations

import os
import re
import sys

from twisted.logger import LogEvent, globalLogPublisher

from netproc import NetworkProcess, filters
from netproc.commands import devcert
from netproc.test.support.base import NetprocTestCase
from netproc.test.support.certificates import NOW
from netproc.test.support.checkout import checkout, examples
from netproc.test.support.programs import Program, ProgramTestCase


class Files:
    """The files of a key and its certificate, which can be replaced."""

    def __init__(self, directory: str) -> None:
        os.makedirs(directory)
        self.key = os.path.abspath(os.path.join(directory, "key.pem"))
        self.certificate = os.path.abspath(os.path.join(directory, "cert.pem"))
        self.replace()

    def replace(self, key_too: bool = True) -> None:
        """Write a new pair; without KEY_TOO only the certificate is new, and they do not belong together."""
        key, certificate = devcert.make_certificate(NOW)
        for name, content in ((self.key, key), (self.certificate, certificate)):
            if key_too or name != self.key:
                with open(f"{name}.new", "wb") as file:
                    file.write(content)
                os.rename(f"{name}.new", name)

    @property
    def parameters(self) -> dict[str, object]:
        return {"keylist": [(self.key, self.certificate)]}


class TLSHowToTests(ProgramTestCase):
    async def test_pins(self) -> None:
        """A server with another key is refused with the error that the page shows."""
        [example] = examples("pins")
        with open(os.path.join(checkout(), "docs/howto/pins.rst"), encoding="utf-8") as file:
            found = re.search(r"python known.py\n   (localhost:7007: .*)\n", file.read())
        assert found is not None
        port = str(self.reserve_port())
        files, directory = Files(self.mktemp()), self.mktemp()
        code = example.files["known.py"].replace("7007", port)
        for status, errors in ((0, ""), (0, ""), (1, found[1].replace("7007", port) + "\n")):
            if status:
                files.replace()
            server = await self.make(
                name="s",
                server=True,
                host="local",
                service=port,
                filter=filters.echo,
                tls_parameters=files.parameters,
            )
            client = Program([sys.executable, "-c", code], directory)
            self.addCleanup(client.stop)
            self.assertEqual((status, errors), (await self.ends(client), client.errors))
            self.assertEqual("" if status else "hello\n", client.text())
            server.delete()


class RenewalTests(NetprocTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.files = Files(self.mktemp())
        self.server = await self.make(
            name="s",
            server=True,
            host="local",
            service=True,
            filter=filters.echo,
            log=lambda server, process, message: self.addCleanup(process.delete),
            tls_parameters=self.files.parameters,
        )

    async def client(self) -> NetworkProcess:
        return await self.make(
            name="c",
            host="local",
            service=self.server.contact("service"),
            tls_parameters={"verify_error": ["hostname"]},
        )

    def key(self, process: NetworkProcess) -> object:
        status = process.peer_status()
        assert status is not None
        certificate = status["certificate"]
        assert isinstance(certificate, dict)
        return certificate["public_key_pin"]

    async def answers(self, process: NetworkProcess) -> None:
        heard: list[str] = []
        process.filter = lambda process, text: heard.append(text)
        process.send("hello")
        await self.until(lambda: heard == ["hello"])

    async def test_new_connections_have_it_and_old_ones_go_on(self) -> None:
        old = await self.client()
        self.files.replace()
        new = await self.client()
        self.assertNotEqual(self.key(old), self.key(new))
        await self.answers(old)
        await self.answers(new)

    async def test_half_of_a_renewal(self) -> None:
        """netproc uses the old pair, and logs this once."""
        lines: list[LogEvent] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)
        old = await self.client()
        self.files.replace(key_too=False)
        for _ in range(2):
            self.assertEqual(self.key(old), self.key(await self.client()))
        formats = [str(line.get("log_format")) for line in lines]
        self.assertEqual(1, sum(text.startswith("TLS continues with the old") for text in formats))
        self.files.replace()
        self.assertNotEqual(self.key(old), self.key(await self.client()))
