"""Programs whose reactor stops, or whose clock jumps; each test runs one as a child."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from netproc import NetworkProcess
from netproc.test.support.base import PATIENCE
from netproc.test.support.certificates import Authority
from netproc.test.support.fixtures import Recorder
from netproc.test.support.peers import in_thread, request_and_half_close
from netproc.test.support.programs import Program, ProgramTestCase, require

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
from netproc.commands.clock import use_monotonic_clock

use_monotonic_clock(reactor)

def failed(failure):
    print("failed", failure.value, flush=True)
    reactor.stop()

make_network_process(name="c", service=int(sys.argv[1]), connect_timeout=1.5).addErrback(failed)
print("started", flush=True)
reactor.run()
"""

#: A server with a low limit of descriptors, which prints its state.
SHORTAGE = """
import resource, sys
from twisted.internet import reactor
from netproc import filters, make_network_process

failures = 0

def log(server, connection, message):
    global failures
    if connection is None:
        failures += 1
        print(message.strip(), failures, turns, flush=True)

turns = 0

def look(timeout, look=reactor.doIteration):
    global turns
    turns += 1
    look(timeout)

reactor.doIteration = look

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


#: A program that sends, and stops the reactor at once.  CLIENT makes a client, THEN may add further code.
LAST_WORDS = """
import dataclasses, os, sys
from twisted.internet import ssl, task
from netproc import make_network_process, open_network_stream

async def main(reactor):
    client = await CLIENT
    if client.status != "connect":
        await task.deferLater(reactor, 0)
    client.send("x" * int(sys.argv[1]) + "bye")
    reactor.addSystemEventTrigger(
        "after", "shutdown", lambda: print(client.unsent, client.reason, flush=True)
    )
    THEN

task.react(main)
"""

TOO_LATE = """
from twisted.internet import reactor, task
from twisted.internet.defer import ensureDeferred
from netproc import make_network_process

async def farewell():
    await task.deferLater(reactor, 0.1)
    client = await CLIENT
    client.send("x" * 10_000_000)
    reactor.addSystemEventTrigger(
        "after", "shutdown", lambda: print(client.unsent, client.reason, flush=True)
    )

reactor.addSystemEventTrigger("before", "shutdown", lambda: ensureDeferred(farewell()))
reactor.callWhenRunning(reactor.stop)
reactor.run()
"""

#: More bytes than the kernel takes at once.
MUCH = 4_000_000
LINE = "make_network_process(name='c', {})"


class LastWordsTests(ProgramTestCase):
    """Data that was sent before the reactor stops is written."""

    async def serve(self, **keywords: Any) -> tuple[NetworkProcess, Recorder]:
        recorder = Recorder()
        server = await self.make(
            name="s", server=True, filter=recorder, coding="binary", **{"service": True, **keywords}
        )
        return server, recorder

    async def says(self, client: str, size: int = MUCH, then: str = "pass") -> str:
        """Return what the program prints that makes CLIENT, sends, and runs THEN before its reactor stops."""
        code = LAST_WORDS.replace("CLIENT", client).replace("THEN", then)
        program = self.python("-c", code, str(size))
        status = await self.ends(program, 20)
        self.assertEqual("", program.errors)
        self.assertEqual(0, status)
        return program.text()

    async def check(
        self, recorder: Recorder, client: str, size: int = MUCH, then: str = "pass"
    ) -> None:
        self.assertEqual("0 None\n", await self.says(client, size, then))
        await self.until(lambda: len(recorder.data) >= size + 3)
        self.assertEqual((size + 3, b"bye"), (len(recorder.data), recorder.data[-3:]))

    async def test_over_tcp(self) -> None:
        for then in (
            "pass",
            "client.delete()",
            "await task.deferLater(reactor, 0.01)",
            "reactor.callLater(0, reactor.stop); await task.deferLater(reactor, 9)",
        ):
            server, recorder = await self.serve()
            await self.check(
                recorder, LINE.format(f"service={server.contact('service')}"), then=then
            )

    async def test_a_process_that_nothing_waits_for(self) -> None:
        """netproc writes what the system takes at once, and no more."""
        server, recorder = await self.serve()
        place = f"service={server.contact('service')}, noquery=True"
        await self.check(recorder, LINE.format(place), 1000)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            place = f"service={listener.getsockname()[1]}, noquery=True"
            said = await self.says(LINE.format(place))
        self.assertRegex(said, r"[1-9]\d+ connection broken: the reactor has stopped")

    async def test_before_the_client_is_connected(self) -> None:
        server, recorder = await self.serve()
        place = f"service={server.contact('service')}, nowait=True"
        await self.check(recorder, LINE.format(place))

    async def test_over_unix_sockets(self) -> None:
        for kind, size in ((None, MUCH), ("seqpacket", 1000), ("datagram", 1000)):
            place = {"service": self.socket_path(), "family": "local", "type": kind}
            _, recorder = await self.serve(**place)
            await self.check(recorder, LINE.format(f"**{place}"), size)

    async def test_over_tls(self) -> None:
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        trust, key = os.path.join(directory, "ca.pem"), os.path.join(directory, "key")
        authority = Authority("last words")
        Path(trust).write_bytes(authority.pem)
        Path(key).write_bytes(b"".join(authority.issue("localhost")))
        server, recorder = await self.serve(tls_parameters={"keylist": [(key, key)]})
        port = server.contact("service")
        ours = {"trustfiles": [trust], "system_trust": False}
        read = f"ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(open({trust!r}).read())])"
        in_memory = f"ssl.optionsForClientTLS('localhost', trustRoot={read})"
        for place in (
            f"host='localhost', service={port}, tls_parameters={ours}",
            f"host='localhost', service={port}, tls_parameters={in_memory}",
            f"endpoint='tls:localhost:{port}:trustRoots={directory}'",
        ):
            recorder.pieces.clear()
            await self.check(recorder, LINE.format(place))

    async def test_over_a_foreign_endpoint(self) -> None:
        server, recorder = await self.serve()
        place = f"tcp:127.0.0.1:{server.contact('service')}"
        await self.check(recorder, LINE.format(f"endpoint={place!r}"))

    async def test_to_a_command(self) -> None:
        path = os.path.abspath(self.mktemp())
        command = f"cat > {path}"
        client = f"open_network_stream('c', None, 'h', 1, type='shell', shell_command={command!r})"
        await self.says(client)
        self.assertEqual(MUCH + 3, os.path.getsize(path))

    async def test_to_a_peer_that_does_not_read(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            place = f"service={listener.getsockname()[1]}"
            limits = "client.limits = dataclasses.replace(client.limits, flush_timeout=0.1)"
            said = await self.says(LINE.format(place), then=limits)
        unsent, _, reason = said.strip().partition(" ")
        self.assertGreater(int(unsent), 0)
        self.assertEqual("connection broken: the peer does not read", reason)

    async def test_what_is_sent_when_the_time_is_over(self) -> None:
        """A client that is made while netproc closes the others."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            place = f"service={listener.getsockname()[1]}"
            program = self.python("-c", TOO_LATE.replace("CLIENT", LINE.format(place)))
            self.assertEqual(0, await self.ends(program))
        unsent, _, reason = program.text().strip().partition(" ")
        self.assertGreater(int(unsent), 0)
        self.assertEqual("connection broken: the reactor has stopped", reason)


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
            await self.printed(program, "failed .*timed out: 127.0.0.1:")
            for filler in fillers:
                filler.close()
        await self.ends(program)


class ShortageTests(ProgramTestCase):
    async def test_no_descriptors_left(self) -> None:
        """The server neither spins nor floods the log, and serves the waiting clients afterwards (H10)."""
        program = self.python("-c", SHORTAGE)
        port = int((await self.printed(program, r"port (\d+)"))[1])
        peers = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(40)]
        await self.printed(program, "accept failed with code 24")
        first, last = await self.shortage(program, 1), await self.shortage(program, 5)
        # After a failure the server pauses: the reactor tries once or twice, and then sleeps.
        self.assertLess(last - first, 20)
        self.assertLess(program.errors.count("cannot accept"), 5)
        served, waiting = peers[:-20], peers[-20:]
        for peer in served:
            peer.close()
        replies = [await in_thread(request_and_half_close, peer, b"late") for peer in waiting]
        self.assertEqual([b"late"] * 20, replies)
        program.stop()

    async def shortage(self, program: Program, number: int) -> int:
        """Return how many turns the reactor has done at the given number of failures."""
        return int((await self.printed(program, rf"code 24 {number} (\d+)"))[1])
