"""`twistd netproc make` as a user runs it: under twistd, twist and python -m twisted.

"make reactors" sets NETPROC_REACTORS, so that each of them runs with each reactor.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

from twisted.trial.unittest import SkipTest

from netproc.test.support.base import PATIENCE
from netproc.test.support.peers import in_thread, read_exactly, request_and_half_close, unread
from netproc.test.support.programs import (
    Program,
    ProgramTestCase,
    environment,
    require,
    run_with_input,
    twistd_runners,
)

ECHO = ["netproc", "make", "--name", "echo", "--server", "t", "--filter", "netproc.filters.echo"]
REACTORS = os.environ.get("NETPROC_REACTORS", "default").split()

#: The exit status of each runner for a wrong command line.
WRONG = {"twistd": 1, "twist": 64, "python -m twisted": 64}


def combinations() -> list[tuple[str, str, list[str]]]:
    """Return each runner with each reactor: their names, and the command."""
    found = []
    for runner, command in twistd_runners().items():
        for name in REACTORS:
            choice = [] if name == "default" else [f"--reactor={name}"]
            found.append((runner, name, [*command, *choice]))
    return found


class CommandTests(ProgramTestCase):
    """The methods are made below: one for each runner and reactor."""

    async def serve(self, command: list[str]) -> tuple[Program, int]:
        server = self.start(*command, *ECHO, "--host", "local", "--service", "t")
        match = await self.printed(server, r"echo listens on 127\.0\.0\.1:(\d+)")
        return server, int(match[1])

    async def check_nc_echo(self, runner: str, command: list[str]) -> None:
        nc = require("nc")
        server, port = await self.serve(command)
        await self.printed(server, rf"try it: nc -N 127\.0\.0\.1 {port}\b")
        client = [nc, "-N", "127.0.0.1", str(port)]
        reply = await in_thread(run_with_input, client, b"hello\n")
        self.assertEqual(b"hello\n", reply)
        await self.printed(server, r"echo <127\.0\.0\.1:\d+>: open")
        await self.printed(server, r"closed after \d+\.\d s, 6 bytes in, 6 bytes out: connection")
        server.signal(signal.SIGTERM)
        await self.ends(server)

    async def check_busy_port(self, runner: str, command: list[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            server = self.start(*command, *ECHO, "--service", str(port))
            self.assertEqual(1, await self.ends(server))
        expected = f"netproc: Cannot bind server socket: Address already in use: 127.0.0.1:{port}\n"
        self.assertEqual(expected, server.errors)
        self.assertFalse(os.path.exists(os.path.join(server.directory, "twistd.pid")))

    async def check_wrong_option(self, runner: str, command: list[str]) -> None:
        for arguments, complaint in (
            (["--hosst", "x"], "netproc: option --hosst not recognized\n"),
            (["--service", "70000"], "netproc: --service: port 70000 is not in 0…65535\n"),
        ):
            server = self.start(*command, *ECHO, *arguments)
            self.assertEqual(WRONG[runner], await self.ends(server))
            self.assertEqual((complaint, ""), (server.errors, server.text()))

    async def check_other_signals(self, runner: str, command: list[str]) -> None:
        """Other signals are logged, and the server goes on."""
        server, port = await self.serve(command)
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
            server.signal(number)
            await self.printed(server, f"{number.name} received and ignored")
        peer = await in_thread(socket.create_connection, ("127.0.0.1", port), PATIENCE)
        self.assertEqual(b"x", await in_thread(request_and_half_close, peer, b"x"))

    async def check_sigterm(self, runner: str, command: list[str]) -> None:
        """The server writes its pending output, and does not wait forever for a peer that does not read."""
        server, port = await self.serve(command)
        size = 4_000_000
        with (
            socket.create_connection(("127.0.0.1", port), PATIENCE) as reading,
            socket.create_connection(("127.0.0.1", port), PATIENCE) as stalled,
        ):
            for peer in (reading, stalled):
                peer.setblocking(False)
                sent = 0
                while sent < size:
                    try:
                        sent += peer.send(b"x" * (size - sent))
                    except BlockingIOError:
                        break
            self.assertGreater(sent, 100_000)
            # Wait until the server reads no more.
            await self.until_quiet(lambda: (unread(reading), unread(stalled)))
            server.signal(signal.SIGTERM)
            reading.setblocking(True)
            reading.settimeout(PATIENCE)
            await in_thread(read_exactly, reading, 100_000)
            status = await self.ends(server)
        self.assertEqual(-signal.SIGTERM, status)


def _add(name: str, runner: str, reactor: str, command: list[str]) -> None:
    async def test(self: CommandTests) -> None:
        await getattr(self, f"check_{name}")(runner, command)

    words = [name, "under", *runner.replace("-", "").split(), "on", reactor]
    setattr(CommandTests, "_".join(["test", *words]), test)


for _runner, _reactor, _command in combinations():
    for _name in ("nc_echo", "busy_port", "wrong_option", "other_signals", "sigterm"):
        _add(_name, _runner, _reactor, _command)


class TwistdTests(ProgramTestCase):
    """Tests that run with only one of the runners."""

    def twistd(self, *arguments: str, wrapper: Sequence[str] = ()) -> Program:
        command = twistd_runners().get("twistd")
        if command is None:
            command = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        else:
            command = command[:1]
        return self.start(*wrapper, *command, *arguments)

    async def test_help(self) -> None:
        for arguments in (["netproc", "--help"], ["netproc", "make", "--help"]):
            program = self.twistd(*arguments)
            self.assertEqual(0, await self.ends(program))
        self.assertIn("--use-external-socket=", program.text())

    async def test_daemonising_on_a_busy_port(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            program = self.twistd("--pidfile=d.pid", "--logfile=d.log", *ECHO, "--service", port)
            self.assertEqual(1, await self.ends(program))
        self.assertTrue(program.errors.startswith("An error has occurred: "), program.errors)
        self.assertIn("Address already in use", program.errors)
        # The child that failed removes its file a little later than its parent ends.
        await self.until(lambda: not os.path.exists(os.path.join(program.directory, "d.pid")))

    async def test_a_daemon(self) -> None:
        program = self.twistd("--pidfile=d.pid", "--logfile=d.log", *ECHO, "--service", "t")
        self.assertEqual((0, ""), (await self.ends(program), program.errors))
        with open(os.path.join(program.directory, "d.pid")) as file:
            pid = int(file.read())
        self.addCleanup(self.kill, pid)
        match = await self.printed_to(program, "d.log", r"listens on 127.0.0.1:(\d+)")
        with socket.create_connection(("127.0.0.1", int(match)), PATIENCE) as peer:
            self.assertEqual(b"x", await in_thread(request_and_half_close, peer, b"x"))
        os.kill(pid, signal.SIGTERM)
        await self.until(lambda: not os.path.exists(os.path.join(program.directory, "d.pid")))

    def kill(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    async def printed_to(self, program: Program, name: str, pattern: str) -> str:
        await self.until(lambda: program.find(pattern, name))
        match = program.find(pattern, name)
        assert match is not None
        return match[1]

    async def test_a_client_ends_when_the_peer_does(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = str(listener.getsockname()[1])
            program = self.twistd("-n", "netproc", "make", "--name", "c", "--service", port)
            listener.settimeout(PATIENCE)
            connection, _ = await in_thread(listener.accept)
            connection.sendall(b"hi")
            connection.close()
            self.assertEqual((0, ""), (await self.ends(program), program.errors))
        self.assertIsNotNone(program.find(r"c: closed after .* 2 bytes in, 0 bytes out"))

    async def test_a_client_that_is_refused(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = str(sock.getsockname()[1])
            program = self.twistd("-n", "netproc", "make", "--name", "c", "--service", port)
            self.assertEqual(1, await self.ends(program))
        problem = f"make client process failed: Connection refused: 127.0.0.1:{port}"
        self.assertEqual(f"netproc: {problem}\n", program.errors)

    async def test_an_error_that_cannot_be_written(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = str(sock.getsockname()[1])
            program = self.twistd(
                "-n", "--logfile=log", "netproc", "make", "--name", "c", "--service", port,
                wrapper=["sh", "-c", 'exec "$@" 2>/dev/full', "sh"],
            )  # fmt: skip
            self.assertEqual(1, await self.ends(program))

    async def test_a_stopped_client_that_is_refused(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = str(sock.getsockname()[1])
            program = self.twistd(
                "-n", "netproc", "make", "--name", "c", "--service", port, "--nowait", "t", "--stop", "t"
            )  # fmt: skip
            self.assertEqual(1, await self.ends(program))
        self.assertIn("Connection refused", program.errors)

    async def test_sigusr1_rotates_a_log_file(self) -> None:
        program = self.twistd("-n", "--pidfile=", "--logfile=d.log", *ECHO, "--service", "t")
        await self.until(lambda: os.path.exists(os.path.join(program.directory, "d.log")))
        await self.printed_to(program, "d.log", r"listens on (.*)")
        program.signal(signal.SIGUSR1)
        await self.until(lambda: os.path.exists(os.path.join(program.directory, "d.log.1")))
        program.signal(signal.SIGHUP)
        await self.printed_to(program, "d.log", "(SIGHUP) received")

    async def test_functions_of_the_working_directory(self) -> None:
        directory = self.mktemp()
        os.makedirs(directory)
        with open(os.path.join(directory, "myfilters.py"), "w") as file:
            file.write("def upper(process, text):\n    process.send(text.upper())\n")
        program = self.twistd(
            "-n", f"--rundir={os.path.abspath(directory)}", "netproc", "make", "--name", "u",
            "--server", "t", "--service", "t", "--filter", "myfilters.upper",
        )  # fmt: skip
        self.assertEqual(1, await self.ends(program))
        self.assertIn("--filter: cannot import 'myfilters.upper'", program.errors)
        command = twistd_runners().get("twist") or twistd_runners()["python -m twisted"]
        options = ["--name", "u", "--server", "t", "--mode", "9", "--filter", "myfilters.upper"]
        done = await in_thread(self.run_in, directory, [*command, "netproc", "make", *options])
        # The function is found, because only the mode is reported as wrong.
        self.assertIn(b"--mode: '9' is not an octal number", done.stderr)

    def run_in(self, directory: str, command: list[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            cwd=directory,
            env=environment(),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )

    async def test_the_socket_file_belongs_to_the_user_that_twistd_becomes(self) -> None:
        if os.geteuid() != 0:
            raise SkipTest("only root becomes another user")
        path = f"/tmp/netproc-test-{os.getpid()}.sock"
        self.addCleanup(lambda: os.path.lexists(path) and os.unlink(path))
        program = self.twistd(
            "-n", "--uid=65534", "--gid=65534", "--pidfile=", "--logfile=-", *ECHO, "--local", path
        )
        await self.printed(program, "echo listens on " + path)
        found = os.stat(path)
        self.assertEqual((65534, 65534, 0o600), (found.st_uid, found.st_gid, found.st_mode & 0o777))
        program.signal(signal.SIGTERM)
        await self.ends(program)
