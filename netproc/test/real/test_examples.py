"""The examples, and the programs in the README, work as described.  From a checkout only."""

from __future__ import annotations

import os
import re
import textwrap

from netproc.test.support.checkout import checkout, example
from netproc.test.support.peers import in_thread, request_and_half_close
from netproc.test.support.programs import (
    Program,
    ProgramTestCase,
    require,
    twistd_runners,
)


def readme_block(language: str) -> str:
    """Return the code block in LANGUAGE from the README."""
    with open(os.path.join(checkout(), "README.rst"), encoding="utf-8") as file:
        text = file.read()
    found = re.search(rf"\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", text)
    assert found is not None
    return textwrap.dedent(found[1])


class ExampleTests(ProgramTestCase):
    async def echoes(self, program: Program, port: int) -> None:
        """Check that PROGRAM echoes on PORT as soon as it listens."""
        with await self.connected(program, port) as peer:
            self.assertEqual(b"hello\n", await in_thread(request_and_half_close, peer, b"hello\n"))

    async def test_the_echo_server(self) -> None:
        port = self.reserve_port()
        await self.echoes(
            self.python("-c", example("echo_server.py").replace("7007", str(port))), port
        )

    async def test_the_echo_server_of_the_readme(self) -> None:
        port = self.reserve_port()
        code = readme_block("python").replace("7007", str(port))
        self.assertLessEqual(len([line for line in code.splitlines() if line]), 10)
        await self.echoes(self.python("-c", code), port)

    async def test_the_emacs_lisp_of_the_readme(self) -> None:
        port = self.reserve_port()
        code = readme_block("elisp").replace("7007", str(port))
        waiting = "(while t (accept-process-output nil 1))"
        emacs = self.start(require("emacs"), "-Q", "--batch", "--eval", f"(progn {code} {waiting})")
        await self.echoes(emacs, port)

    async def test_the_client(self) -> None:
        server = await self.make(
            name="s", server=True, service=True, filter=lambda p, text: p.send(text.upper())
        )
        port = str(server.contact("service"))
        client = self.python("-c", example("client.py"), "127.0.0.1", port, "hello", "there")
        self.assertEqual(0, await self.ends(client), client.errors)
        self.assertEqual("HELLO THERE\n", client.text())

    async def test_the_client_says_what_went_wrong(self) -> None:
        client = self.python(
            "-c", example("client.py"), "127.0.0.1", str(self.reserve_port()), "hello"
        )
        self.assertEqual(1, await self.ends(client))
        self.assertRegex(client.errors, r"\Aclient: .*refused.*\n\Z")

    async def test_the_application_file(self) -> None:
        port = self.reserve_port()
        path = os.path.abspath(self.mktemp())
        with open(path, "w", encoding="utf-8") as file:
            file.write(example("echo_service.tac").replace("7007", str(port)))
        command = twistd_runners()["twistd"]
        await self.echoes(self.start(*command, "--logfile=-", "-y", path), port)

    async def test_every_example_is_here(self) -> None:
        """Fails for a new example without a test."""
        files = set(os.listdir(os.path.join(checkout(), "examples"))) - {"__pycache__"}
        plain = {"client.py", "echo_server.py", "echo_service.tac"}
        self.assertEqual(plain | {"smtp_server.py", "tls_client.py", "tls_echo_server.py"}, files)
