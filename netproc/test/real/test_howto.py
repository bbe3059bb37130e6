"""The how-to pages do what they say: their commands run, and answer what the page shows.  From a checkout only.

A section of a page may have: files (a code block whose caption is the name), commands to prepare things ("first"), one
that serves (caption "in one terminal"), one that asks it, with what it prints ("in another"), and what the first then
says.  Ports and paths are put in the place of those that the page shows.  There is a certificate to try TLS with.
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
from collections.abc import Iterator
from typing import NamedTuple

from netproc.commands import devcert
from netproc.test.certificates import NOW
from netproc.test.real.peers import in_thread
from netproc.test.real.programs import (
    Program,
    ProgramTestCase,
    environment,
    require,
    run_with_input,
    script,
)
from netproc.test.real.test_examples import free_port
from netproc.test.test_packaging import checkout

BLOCK = re.compile(r"\.\. code-block:: \w+\n   :caption: (.+)\n\n((?:   .*\n|\n)+)")
CONSOLE = re.compile(r"\.\. code-block:: console\n\n((?:   .*\n|\n)+)")
FIRST, SERVES, ASKS, SAYS = "first", "in one terminal", "in another", "and the first says"


class Example(NamedTuple):
    """One thing that a page shows."""

    files: dict[str, str]
    first: str
    command: str
    request: str
    reply: str
    says: str


def page_text(page: str) -> str:
    with open(os.path.join(checkout(), "docs", "howto", f"{page}.rst"), encoding="utf-8") as file:
        return file.read()


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the code blocks of PAGE that have captions, as pairs of caption and content."""
    return [
        (caption, textwrap.dedent(body).strip("\n"))
        for caption, body in BLOCK.findall(page_text(page))
    ]


def examples(page: str) -> Iterator[Example]:
    found = blocks(page)
    files: dict[str, str] = {}
    first = ""
    starts = [number for number, (caption, _) in enumerate(found) if caption == SERVES]
    for number, (caption, body) in enumerate(found):
        if caption.endswith(".py"):
            files[caption] = body + "\n"
        if caption == FIRST:
            first = body
        if caption == SERVES:
            end = next((start for start in starts if start > number), len(found))
            parts = dict(found[number:end])
            request, _, reply = parts[ASKS].partition("\n")
            yield Example(
                dict(files),
                first,
                body,
                request,
                reply + "\n" if reply else "",
                parts.get(SAYS, ""),
            )


class HowToTests(ProgramTestCase):
    async def check(self, page: str, count: int) -> None:
        """The COUNT examples of PAGE work."""
        # Sockets need a short path.
        self.sockets = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.sockets)
        found = list(examples(page))
        self.assertEqual(count, len(found))
        for example in found:
            await self.run_example(example)

    async def run_example(self, example: Example) -> None:
        port = str(free_port())

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
        """Run COMMAND; its twistd is the one of the environment that is tested."""
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
        """Wait until SERVER can be asked: systemd's launcher says nothing."""
        if command.startswith("systemd"):
            await self.until(lambda: server.ended or self.listens(int(port)), server.errors)
        else:
            await self.printed(server, "listens on")

    def listens(self, port: int) -> bool:
        with socket.socket() as probe:
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
        """Each command works, and prints what the page shows, if it shows something."""
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
