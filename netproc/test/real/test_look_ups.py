"""Look-ups that hang hold up neither other look-ups nor the end of the program (H12)."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from typing import Any

from netproc import ProcessError, make_network_process
from netproc.test.support.base import PATIENCE, NetprocTestCase
from netproc.test.support.programs import environment

PROGRAM = """
import socket, threading
numeric = socket.getaddrinfo
def hang(*arguments, flags=0):
    if flags & socket.AI_NUMERICHOST:
        return numeric(*arguments, flags=flags)
    threading.Event().wait()
socket.getaddrinfo = hang
from twisted.internet import reactor
from netproc import make_network_process
for number in range(20):
    made = make_network_process(name="c", host="slow.example", service=7, connect_timeout=0.1)
    made.addErrback(lambda failure: print(failure.getErrorMessage()))
made.addCallback(lambda _: reactor.stop())
reactor.run()
"""


class LookUpTests(NetprocTestCase):
    async def test_others_are_not_held_up(self) -> None:
        look_up, go_on = socket.getaddrinfo, threading.Event()
        self.addCleanup(go_on.set)

        def slow(host: Any, *arguments: Any, **keywords: Any) -> Any:
            if host == "slow.example":
                go_on.wait(PATIENCE)
            return look_up(host, *arguments, **keywords)

        self.patch(socket, "getaddrinfo", slow)
        given_up = [
            make_network_process(name="c", host="slow.example", service=7, connect_timeout=0.05)
            for _ in range(20)
        ]
        for made in given_up:
            await self.assertFailure(made, ProcessError)
        server = await self.make(name="s", server=True, host="localhost", service=True, filter=True)
        self.assertFalse(go_on.is_set())
        self.assertEqual("listen", server.status)

    def test_nor_is_the_end_of_the_program(self) -> None:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            env=environment(),
            timeout=2 * PATIENCE,
            check=True,
        )
        self.assertEqual(20, done.stdout.count("timed out"), done.stderr)
