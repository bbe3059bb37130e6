"""`netproc make` in the foreground, and commands that exist only as rows in the table of commands."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
from collections.abc import Sequence

from netproc.commands.table import COMMANDS
from netproc.test.support.base import PATIENCE
from netproc.test.support.peers import in_thread, request_and_half_close
from netproc.test.support.programs import Program, ProgramTestCase, script

ECHO = ["make", "--name", "echo", "--server", "t", "--filter", "netproc.filters.echo"]

#: A program that adds two commands, and then calls the function named by its first argument.
MORE_COMMANDS = """
import runpy, sys
from netproc.commands import table
from netproc.commands.options import CommandOptions, ServiceOptions
from twisted.application.service import Service
from twisted.internet import reactor
from twisted.internet.task import deferLater

class Fake(Service):
    def startService(self):
        print("the service runs")
        reactor.callWhenRunning(reactor.stop)

    def stopService(self):
        return deferLater(reactor, 0.01, print, "the service has stopped")

class FakeOptions(ServiceOptions):
    def make_service(self, reactor, owner=None):
        return Fake()

class PersonalOptions(CommandOptions):
    def run(self):
        print("the command runs")
        return 7

table.COMMANDS += (
    table.Command("fake", FakeOptions, "A service."),
    table.Command("personal", PersonalOptions, "Not a service."),
)
if sys.argv[1] == "twistd":
    from twisted.scripts.twistd import run
    sys.argv = ["twistd", "-n", "--pidfile=", *sys.argv[2:]]
    run()
else:
    sys.argv = ["netproc", *sys.argv[2:]]
    runpy.run_module("netproc", run_name="__main__")
"""


def ways_in() -> list[list[str]]:
    """The commands that run netproc in the foreground; the script is left out if it is not installed."""
    found = script("netproc")
    return [[sys.executable, "-m", "netproc"], *([[found]] if found else [])]


class ForegroundTests(ProgramTestCase):
    async def serve(self, command: Sequence[str]) -> tuple[Program, int]:
        server = self.start(*command, *ECHO, "--service", "t")
        match = await self.printed(server, r"echo listens on 127\.0\.0\.1:(\d+)", "stderr")
        return server, int(match[1])

    async def test_a_server_logs_to_standard_error_and_ends_in_order(self) -> None:
        for command in ways_in():
            for number in (signal.SIGTERM, signal.SIGINT):
                server, port = await self.serve(command)
                peer = await in_thread(socket.create_connection, ("127.0.0.1", port), PATIENCE)
                reply = await in_thread(request_and_half_close, peer, b"x")
                server.signal(number)
                self.assertEqual(0, await self.ends(server))
                self.assertEqual((b"x", ""), (reply, server.text()))
                self.assertIn("[netproc.report#info] echo <", server.errors)

    async def test_output_that_cannot_be_written(self) -> None:
        full = "netproc: standard output: No space left on device\n"
        for arguments in ("make --help", "open --help", "--version", "dev-cert ."):
            command = f"{shlex.join(ways_in()[0])} {arguments}"
            for redirection, status, said in (
                ("> /dev/full", os.EX_IOERR, full),
                (">&-", os.EX_OK, ""),
                ("| true", os.EX_OK, ""),
            ):
                program = self.start("sh", "-c", f"{command} {redirection}")
                self.assertEqual((status, said), (await self.ends(program), program.errors))

    async def test_help_in_ascii(self) -> None:
        for command in COMMANDS:
            program = self.start(
                *ways_in()[0], command.name, "--help", PYTHONIOENCODING="ascii:strict"
            )
            self.assertEqual((0, ""), (await self.ends(program), program.errors))

    async def test_a_busy_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = self.start(*ways_in()[0], *ECHO, "--service", str(port))
            self.assertEqual(1, await self.ends(server))
        expected = f"netproc: Cannot bind server socket: Address already in use: 127.0.0.1:{port}\n"
        self.assertEqual((expected, ""), (server.errors, server.text()))

    async def test_a_client_that_is_refused_says_so_once(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = str(sock.getsockname()[1])
            client = self.start(*ways_in()[0], "make", "--name", "c", "--service", port)
            self.assertEqual(1, await self.ends(client))
        problem = f"netproc: make client process failed: Connection refused: 127.0.0.1:{port}\n"
        self.assertIn(problem, client.errors)
        self.assertEqual(1, client.errors.count("Connection refused"))

    async def test_a_client_ends_when_the_peer_does(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = str(listener.getsockname()[1])
            client = self.start(*ways_in()[0], "make", "--name", "c", "--service", port)
            listener.settimeout(10)
            connection, _ = await in_thread(listener.accept)
            connection.sendall(b"hi")
            connection.close()
            self.assertEqual(0, await self.ends(client))
        self.assertIsNotNone(client.find(r"c: closed after .* 2 bytes in, 0 bytes out", "stderr"))

    async def test_a_wrong_command_line(self) -> None:
        for arguments, complaint in (
            ([], "a command is required: make, open, dev-cert; try --help"),
            (["serve"], "Unknown command: serve"),
            (["make", "--service", "7", "--name", "p", "--mode", "9"], "--mode: '9' is not an octal number such as 600"),
        ):  # fmt: skip
            wrong = self.start(*ways_in()[0], *arguments)
            self.assertEqual(os.EX_USAGE, await self.ends(wrong))
            self.assertEqual((f"netproc: {complaint}\n", ""), (wrong.errors, wrong.text()))


class TableTests(ProgramTestCase):
    """Commands that are only in the table."""

    def run_with(self, way_in: str, *arguments: str) -> Program:
        return self.python("-c", MORE_COMMANDS, way_in, *arguments)

    async def test_a_service_runs_under_twistd_and_in_the_foreground(self) -> None:
        for way_in, arguments in (("twistd", ["netproc", "fake"]), ("netproc", ["fake"])):
            program = self.run_with(way_in, *arguments)
            self.assertEqual(0, await self.ends(program), program.errors)
            for line in ("the service runs", "the service has stopped"):
                self.assertIn(line, program.text())

    async def test_a_command_for_a_person_runs_in_the_foreground_only(self) -> None:
        program = self.run_with("netproc", "personal")
        self.assertEqual(7, await self.ends(program), program.errors)
        self.assertEqual("the command runs\n", program.text())
        program = self.run_with("twistd", "netproc", "personal")
        self.assertEqual(1, await self.ends(program))
        self.assertEqual("netproc: Unknown command: personal\n", program.errors)

    async def test_the_help_lists_it(self) -> None:
        for way_in, arguments, commands in (
            ("twistd", ["netproc", "--help"], ["make", "fake"]),
            ("netproc", ["--help"], ["make", "open", "dev-cert", "fake", "personal"]),
        ):
            program = self.run_with(way_in, *arguments)
            self.assertEqual(0, await self.ends(program), program.errors)
            _, _, listed = program.text().partition("Commands:\n")
            found = [line.split()[0] for line in listed.splitlines() if line.strip()]
            self.assertEqual(sorted(commands), sorted(found))
