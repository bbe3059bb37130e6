"""The programs on how-to pages that run without twistd work as described.  From a checkout only."""

from __future__ import annotations

import os
import re
import sys
import textwrap

from netproc import filters
from netproc.test.support.checkout import blocks, page_text
from netproc.test.support.peers import in_thread, line
from netproc.test.support.programs import Program, ProgramTestCase


class PageTestCase(ProgramTestCase):
    """A test case that runs the programs of one page, in a directory with all files of the page."""

    page: str

    async def setUp(self) -> None:
        await super().setUp()
        self.directory = self.mktemp()
        os.makedirs(self.directory)
        for name, content in blocks(self.page):
            if name.endswith(".py"):
                self.write(name, content)

    def write(self, name: str, content: str) -> None:
        with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
            file.write(content)

    def read(self, name: str) -> str:
        with open(os.path.join(self.directory, name), encoding="utf-8") as file:
            return file.read()

    def run_python(self, *arguments: str) -> Program:
        program = Program([sys.executable, *arguments], self.directory)
        self.addCleanup(program.stop)
        return program

    async def prints(self, expected: str, name: str) -> None:
        """Check that the program NAME prints EXPECTED and ends with status 0."""
        program = self.run_python(name)
        self.assertEqual(0, await self.ends(program), program.errors)
        self.assertEqual(expected, program.text())

    async def prints_what_is_shown(self, name: str) -> None:
        """Check that the program NAME prints the output that the page shows."""
        shown = re.search(rf"   \$ python {name}\n((?:   .+\n)+)", page_text(self.page))
        assert shown is not None
        await self.prints(textwrap.dedent(shown[1]), name)


class ComingFromTwistedTests(PageTestCase):
    page = "coming-from-twisted"

    def on_port(self, name: str, port: int) -> None:
        """Let the program NAME use PORT."""
        self.write(name, self.read(name).replace("7007", str(port)))

    async def test_both_servers_count(self) -> None:
        for name in ("twisted_server.py", "netproc_server.py"):
            port = self.reserve_port()
            self.on_port(name, port)
            server = self.run_python(name)
            with await self.connected(server, port) as peer:
                peer.sendall(b"hello\n")
                self.assertEqual(b"6 so far\n", await in_thread(line, peer), name)
            await self.printed(server, r"\A6 bytes in all\n\Z")
            server.stop()

    async def test_both_clients_print_the_answer(self) -> None:
        server = await self.make(
            name="s", server=True, host="local", service=True, filter=filters.echo
        )
        for name in ("twisted_client.py", "netproc_client.py"):
            self.on_port(name, server.contact("service"))
            await self.prints("hello\n", name)

    async def test_asyncio(self) -> None:
        await self.prints_what_is_shown("with_asyncio.py")


class EndpointsTests(PageTestCase):
    page = "endpoints"

    async def test_a_protocol_on_the_endpoints(self) -> None:
        await self.prints_what_is_shown("lines.py")


class TestingTests(PageTestCase):
    page = "testing"

    async def test_the_tests_of_the_page_pass(self) -> None:
        self.write("shout.py", "def shout(process, text):\n    process.send(text.upper())\n")
        for runner, name in (("unittest", "test_shout_alone"), ("twisted.trial", "test_shout")):
            tests = self.run_python("-m", runner, name)
            self.assertEqual(0, await self.ends(tests), tests.errors + tests.text())

    async def test_the_ledger(self) -> None:
        await self.prints_what_is_shown("ledger.py")
