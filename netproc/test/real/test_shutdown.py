"""What happens when the reactor stops, or the clock does strange things: in programs of their own."""

from __future__ import annotations

import os
import re
import socket
import time

from netproc.test.real.peers import in_thread, request_and_half_close
from netproc.test.real.programs import ProgramTestCase, require

ENDING = """
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import implementer
from netproc import make_network_process

@implementer(IStreamClientEndpoint)
class Never:
    def connect(self, factory):
        return Deferred()

def sentinel(process, event):
    print(process.name.split()[0], repr(event), process.status, flush=True)

def made(server):
    made_client = make_network_process(
        name="client", service=server.contact("service"), sentinel=sentinel
    )
    made_client.addCallback(lambda _: reactor.callLater(0.1, reactor.stop))
    make_network_process(
        name="nowait", endpoint=Never(), nowait=True, sentinel=sentinel, server=False
    )

make_network_process(
    name="server", server=True, service=True, filter=lambda p, t: None, sentinel=sentinel
).addCallback(made)
reactor.run()
"""

DEADLINES = """
import sys, time
from twisted.internet import reactor
from netproc import make_network_process
from netproc.tap import use_monotonic_clock

use_monotonic_clock(reactor)

def failed(failure):
    print("failed", failure.value, flush=True)
    reactor.stop()

make_network_process(name="c", service=int(sys.argv[1]), connect_timeout=1.5).addErrback(failed)
print("started", flush=True)
reactor.run()
"""

#: A server that may have few descriptors, and says how it fares.
SHORTAGE = """
import resource, sys
from twisted.internet import reactor
from netproc import filters, make_network_process

failures = 0

def log(server, connection, message):
    global failures
    if connection is None:
        failures += 1
        print(message.strip(), failures, flush=True)

make_network_process(
    name="server", server=100, service=True, filter=filters.echo, log=log
).addCallback(lambda server: print("port", server.contact("service"), flush=True))
resource.setrlimit(resource.RLIMIT_NOFILE, (30, 30))
from twisted.logger import globalLogBeginner, textFileLogObserver
globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
reactor.run()
"""


class ReactorStopTests(ProgramTestCase):
    async def test_every_process_gets_its_terminal_event(self) -> None:
        program = self.python("-c", ENDING)
        self.assertEqual((0, ""), (await self.ends(program), program.errors))
        told = sorted(program.text().splitlines())
        self.assertEqual(
            [
                r"client 'deleted\n' closed",
                r"nowait 'deleted\n' closed",
                r"server 'deleted\n' closed",
                r"server 'deleted\n' closed",
                r"server 'open from 127.0.0.1\n' open",
            ],
            told,
        )


class ClockTests(ProgramTestCase):
    async def test_a_clock_that_is_set_back_delays_no_deadline(self) -> None:
        require("faketime")
        library = next(
            (
                path
                for folder in ("x86_64-linux-gnu", "aarch64-linux-gnu", ".")
                if os.path.exists(path := f"/usr/lib/{folder}/faketime/libfaketime.so.1")
            ),
            "",
        )
        self.assertTrue(library, "libfaketime is not where Debian has it")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            fillers = [socket.socket() for _ in range(2)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            control = os.path.abspath(self.mktemp())
            with open(control, "w") as file:
                file.write("+0\n")
            program = self.python(
                "-c",
                DEADLINES,
                str(listener.getsockname()[1]),
                LD_PRELOAD=library,
                FAKETIME_TIMESTAMP_FILE=control,
                FAKETIME_CACHE_DURATION="1",
                FAKETIME_DONT_FAKE_MONOTONIC="1",
            )
            await self.printed(program, "started")
            with open(control, "w") as file:
                file.write("-3600s\n")
            began = time.monotonic()
            await self.printed(program, "failed .*timed out: 127.0.0.1:")
            self.assertLess(time.monotonic() - began, 5)
            for filler in fillers:
                filler.close()
        await self.ends(program)


class ShortageTests(ProgramTestCase):
    async def test_no_descriptors_left(self) -> None:
        """CPU under 5 %, a log line a second, and served again within 1.5 s of the end (H10)."""
        program = self.python("-c", SHORTAGE)
        port = int((await self.printed(program, r"port (\d+)"))[1])
        peers = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(40)]
        await self.printed(program, "accept failed with code 24")
        before, began = self.cpu_seconds(program.process.pid), time.monotonic()
        await self.turn(2.0)
        used = self.cpu_seconds(program.process.pid) - before
        self.assertLess(used / (time.monotonic() - began), 0.05)
        lines = program.errors.count("cannot accept")
        self.assertLessEqual(lines, 4)
        failures = int(re.findall(r"code 24 (\d+)", program.text())[-1])
        self.assertLess(failures, 12)
        served, waiting = peers[:-20], peers[-20:]
        for peer in served:
            peer.close()
        began = time.monotonic()
        replies = [await in_thread(request_and_half_close, peer, b"late") for peer in waiting]
        self.assertEqual([b"late"] * 20, replies)
        self.assertLess(time.monotonic() - began, 1.5)
        program.stop()

    def cpu_seconds(self, pid: int) -> float:
        """User and system time of a process."""
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
