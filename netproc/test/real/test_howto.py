"""The commands on the how-to pages run, and print what the page shows.  From a checkout only.

A section of a page may have these code blocks: files (the caption is the name), commands that prepare something
(caption "first"), a server ("in one terminal"), a client and its output ("in another"), and what the server then prints.
The ports and paths of the page are replaced by those of the test.  The directory has a certificate to try TLS with.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import sys
import tempfile
import textwrap

from netproc.commands import devcert
from netproc.test.support.certificates import NOW
from netproc.test.support.checkout import CONSOLE, Example, blocks, examples, page_text
from netproc.test.support.peers import in_thread
from netproc.test.support.programs import (
    Program,
    ProgramTestCase,
    environment,
    require,
    run_with_input,
    script,
)


class HowToTests(ProgramTestCase):
    async def check(self, page: str, count: int) -> None:
        """Check that the COUNT examples of PAGE work."""
        # The paths of sockets must be short.
        self.sockets = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.sockets)
        found = list(examples(page))
        self.assertEqual(count, len(found))
        for example in found:
            await self.run_example(example)

    async def run_example(self, example: Example) -> None:
        port = str(self.reserve_port())

        def here(text: str) -> str:
            return (
                text.removeprefix("$ ").replace("7007", port).replace("/tmp/", f"{self.sockets}/")
            )

        directory = self.mktemp()
        os.makedirs(directory)
        key, certificate = devcert.make_certificate(NOW)
        self.write(directory, devcert.KEY_FILE, key.decode())
        self.write(directory, devcert.CERTIFICATE_FILE, certificate.decode())
        for name, content in example.files.items():
            self.write(directory, name, content.replace("7007", port))
        for command in example.first.splitlines():
            await self.asked(here(command), directory)
        server = self.start_in(directory, shlex.split(here(example.command)))
        await self.serves(server, here(example.command), port)
        for program in ("nc", "socat", "gnutls-cli"):
            if program in example.request.split():
                require(program)
        reply = await self.asked(here(example.request), directory)
        self.assertEqual(example.reply, reply)
        await self.until(lambda: example.says in server.text(), server.text())
        server.stop()

    def write(self, directory: str, name: str, content: str) -> None:
        with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
            file.write(content)

    def start_in(self, directory: str, command: list[str]) -> Program:
        """Run COMMAND, with the twistd of the environment that is tested."""
        twistd = command.index("twistd")
        if twistd:
            require(command[0])
            command[twistd:twistd] = [sys.executable]
            command[1:1] = [f"--setenv=PYTHONPATH={environment()['PYTHONPATH']}"]
            twistd += 2
        command[twistd : twistd + 2] = [str(script("twistd")), "--pidfile=", "-n"]
        program = Program(command, directory)
        self.addCleanup(program.stop)
        return program

    async def serves(self, server: Program, command: str, port: str) -> None:
        """Wait until SERVER listens; systemd's launcher prints nothing then."""
        if command.startswith("systemd"):
            await self.until(lambda: server.ended or self.listens(int(port)), server.errors)
        else:
            await self.printed(server, "listens on")

    def listens(self, port: int) -> bool:
        """Whether a program listens at PORT, which is reserved; found out without connecting."""
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return True
        return False

    async def asked(self, request: str, directory: str) -> str:
        request = re.sub(r"\bpython ", f"{shlex.quote(sys.executable)} ", request)
        request = f"cd {shlex.quote(directory)}; {request}"
        return (await in_thread(run_with_input, ["sh", "-c", request], b"")).decode()

    async def test_datagrams(self) -> None:
        await self.check("datagrams", 3)

    async def test_framing(self) -> None:
        await self.check("framing", 1)

    async def test_starttls(self) -> None:
        await self.check("starttls", 2)

    async def test_client_certificates(self) -> None:
        await self.check("client-certificates", 2)

    async def test_pins(self) -> None:
        await self.check("pins", 1)

    async def test_transactions(self) -> None:
        await self.check("transactions", 1)

    async def test_socket_activation(self) -> None:
        await self.check("socket-activation", 1)

    async def test_testing(self) -> None:
        """Each command works; if the page shows its output, it prints this."""
        directory = self.mktemp()
        os.makedirs(directory)
        for name, content in (*blocks("../tutorial/twistd"), *blocks("testing")):
            if name.endswith(".py"):
                self.write(directory, name, content + "\n")
        shown = [textwrap.dedent(text).strip() for text in CONSOLE.findall(page_text("testing"))]
        self.assertEqual(5, len(shown))
        for text in shown:
            command, _, output = text.removeprefix("$ ").partition("\n")
            printed = await self.asked(command, directory)
            self.assertIn(output, printed)
