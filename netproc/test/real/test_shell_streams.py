"""The type "shell" of open_network_stream: a command instead of a connection."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from typing import Any

from netproc import (
    CommandError,
    NetworkProcess,
    ProcessArgumentError,
    ProcessError,
    get_buffer_create,
    open_network_stream,
)
from netproc.core.limits import Limits
from netproc.test.support.base import PATIENCE, NetprocTestCase
from netproc.test.support.fixtures import Recorder
from netproc.test.support.peers import in_thread


class ShellStreamTests(NetprocTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.patch(os, "environ", {**os.environ, "SHELL": "/bin/sh"})

    async def shell(self, command: str, **keywords: Any) -> NetworkProcess:
        opened: NetworkProcess = await open_network_stream(
            "x", None, "h", 1, type="shell", shell_command=command, **keywords
        )
        self.addCleanup(opened.delete)
        return opened

    async def test_to_and_fro(self) -> None:
        recorder = Recorder()
        process = await self.shell("cat", coding="binary", filter=recorder)
        self.assertEqual(("real", "run"), (process.type, process.status))
        self.assertEqual(("/bin/sh", "-c", "cat"), process.command)
        self.assertIs(True, process.contact())
        process.send(b"there and back")
        await self.until(lambda: recorder.data == b"there and back")
        process.send_eof()
        await process.closed
        self.assertEqual(["finished\n"], self.events(process))
        self.assertEqual(("exit", 0, None), (process.status, process.exit_status, process.reason))
        error = self.assertRaises(ProcessError, process.send, b"more")
        self.assertEqual("Process x not running", str(error))

    async def test_how_a_command_ends(self) -> None:
        for command, event, status, number in (
            ("exit 3", "exited abnormally with code 3\n", "exit", 3),
            ("kill -TERM $$", "terminated\n", "signal", signal.SIGTERM),
            ("/nowhere/x", "exited abnormally with code 127\n", "exit", 127),
        ):
            process = await self.shell(command)
            await process.closed
            self.assertEqual([event], self.events(process))
            self.assertEqual((status, number), (process.status, process.exit_status))
            assert isinstance(process.reason, CommandError)
            self.assertEqual(event, f"{process.reason}\n")
            process.delete()
            self.assertEqual(1, len(self.events(process)))
            self.assertEqual((status, number), (process.status, process.exit_status))

    async def test_output_of_both_kinds_is_read_to_the_end(self) -> None:
        recorder = Recorder()
        command = "head -c 3000000 /dev/zero; echo oops >&2"
        process = await self.shell(command, coding="binary", filter=recorder)
        await process.closed
        self.assertEqual(3_000_005, len(recorder.data))
        self.assertIn(b"oops\n", recorder.data)

    async def test_much_input(self) -> None:
        recorder = Recorder()
        process = await self.shell("wc -c", coding="binary", filter=recorder)
        for _ in range(100):
            process.send(bytes(100_000))
            await process.drain()
        process.send_eof()
        await process.closed
        self.assertEqual(b"10000000", recorder.data.strip())

    async def test_host_and_service_in_the_command(self) -> None:
        recorder = Recorder()
        opened = await open_network_stream(
            "x", None, "a b;c", "smtp", type="shell", shell_command="echo %s %p %%",
            coding="binary", filter=recorder,
        )  # fmt: skip
        await opened.closed
        self.assertEqual(b"a b;c smtp %\n", recorder.data)

    async def test_greeting_and_capabilities(self) -> None:
        process, properties = await open_network_stream(
            "x", get_buffer_create("b"), "h", 1, type="shell", return_list=True,
            shell_command="echo hello; read x; echo you said $x; cat",
            end_of_command="\n", capability_command="CAP\n",
        )  # fmt: skip
        self.addCleanup(process.delete)
        self.assertEqual(
            ("hello\n", "you said CAP\n"), (properties.greeting, properties.capabilities)
        )
        self.assertEqual("plain", properties.type)

    async def test_a_command_that_ends_in_the_dialogue(self) -> None:
        process, properties = await open_network_stream(
            "x", None, "h", 1, type="shell", shell_command="exit 1", return_list=True,
            end_of_command="\n",
        )  # fmt: skip
        self.assertIs(None, process)
        self.assertIn("exited abnormally with code 1", properties.error)

    async def test_a_shell_that_is_none(self) -> None:
        os.environ["SHELL"] = "/nowhere/sh"
        opening = open_network_stream("x", None, "h", 1, type="shell", shell_command="cat")
        try:
            process = await opening
        except ProcessError:
            return
        await process.closed
        self.assertEqual("exit", process.status)

    async def leaves_a_child(self, command: str) -> tuple[NetworkProcess, Recorder]:
        """Return the process of COMMAND, which leaves a child running, and its output, which begins with the child's id."""
        recorder = Recorder()
        process = await self.shell(command, coding="binary", filter=recorder)
        self.addCleanup(lambda: os.kill(int(recorder.data.split()[0]), signal.SIGKILL))
        return process, recorder

    async def test_a_child_that_is_left_behind_does_not_keep_it_running(self) -> None:
        for command, event in (
            ("sleep 60 & echo $! done; exit 3", "exited abnormally with code 3\n"),
            ("sleep 60 & echo $! done; kill -TERM $$", "terminated\n"),
            ("exec 2>&-; sleep 60 & echo $! done", "finished\n"),
        ):
            process, recorder = await self.leaves_a_child(command)
            await process.closed
            self.assertEqual(b"done", recorder.data.split()[1])
            self.assertEqual([event], self.events(process))

    async def test_a_child_that_goes_on_writing(self) -> None:
        process = await self.shell("yes & exit 0")
        await process.closed
        self.assertEqual(["finished\n"], self.events(process))

    async def test_a_child_that_keeps_the_standard_input(self) -> None:
        """Input that the command has not read is dropped, and the pipe is closed."""
        process, _ = await self.leaves_a_child("exec 3<&0; sleep 60 <&3 & echo $!; read x; exit 0")
        process.send(b"x\n" + bytes(1_000_000))
        await process.closed
        self.assertEqual(["finished\n"], self.events(process))

    async def test_all_output_comes_before_the_end_of_a_command_that_was_stopped(self) -> None:
        process, recorder = await self.leaves_a_child(
            "read x; sleep 60 & echo $!; head -c 60000 /dev/zero"
        )
        process.stop()
        process.send(b"go\n")
        await self.until(lambda: process.received > 60_000)
        self.assertEqual(([], []), (recorder.pieces, self.events(process)))
        process.resume()
        await process.closed
        self.assertEqual(60_000, recorder.data.count(b"\0"))
        self.assertEqual(["finished\n"], self.events(process))

    async def test_delete(self) -> None:
        process = await self.shell("cat")
        process.delete()
        self.assertEqual(["killed\n"], self.events(process))
        self.assertEqual(("signal", signal.SIGKILL), (process.status, process.exit_status))
        await process.closed

    async def test_delete_of_one_that_does_not_end(self) -> None:
        process = await self.shell("trap '' HUP TERM; sleep 1000 & wait")
        process.limits = Limits(linger_timeout=0.1)
        process.delete()
        await process.closed
        self.assertEqual(["killed\n"], self.events(process))

    async def test_delete_of_one_that_has_closed_its_standard_input(self) -> None:
        process = await self.shell("exec <&-; echo closed; exec sleep 60")
        await self.until(lambda: process.received)
        process.limits = Limits(linger_timeout=0.05)
        process.delete()
        await process.closed
        self.assertEqual(["killed\n"], self.events(process))

    async def test_it_does_not_outlive_the_program(self) -> None:
        program = (
            "import sys\n"
            "from twisted.internet import reactor\n"
            "from netproc import open_network_stream\n"
            "def opened(process):\n"
            "    process.filter = lambda process, text: (print(text, end=''), reactor.stop())\n"
            "open_network_stream('x', None, 'h', 1, type='shell',\n"
            "    shell_command='echo $$; exec sleep 60').addCallback(opened)\n"
            "reactor.run()\n"
        )
        command = [sys.executable, "-c", program]
        done = await in_thread(
            lambda: subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
        )
        number = int(done.stdout)
        await self.until(lambda: not os.path.exists(f"/proc/{number}/exe"))

    async def test_delete_writes_what_was_sent(self) -> None:
        path = os.path.abspath(self.mktemp())
        process = await self.shell(f"cat > {path}")
        process.send(b"x" * 1_000_000)
        process.delete()
        await process.closed
        self.assertEqual(1_000_000, os.path.getsize(path))

    async def test_stop(self) -> None:
        recorder = Recorder()
        process = await self.shell("cat", coding="binary", filter=recorder)
        process.stop()
        self.assertEqual("stop", process.status)
        process.send(b"held")
        process.send_eof()
        await self.nothing_happens(([], []), lambda: (recorder.pieces, self.events(process)))
        process.resume()
        await process.closed
        self.assertEqual((b"held", ["finished\n"]), (recorder.data, self.events(process)))

    async def test_one_that_closes_its_standard_input(self) -> None:
        process = await self.shell("exec <&-; echo closed; sleep 0.2")
        await self.until(lambda: process.received)
        error = self.assertRaises(ProcessError, process.send, b"x")
        self.assertEqual(errno.EPIPE, error.errno)
        await process.closed
        self.assertEqual(["finished\n"], self.events(process))

    async def test_no_tls(self) -> None:
        process = await self.shell("cat")
        error = await self.failure_of(process.start_tls({}), ProcessError)
        self.assertEqual(errno.EOPNOTSUPP, error.errno)
        self.assertEqual("run", process.status)

    async def test_nowait(self) -> None:
        process = await self.shell("cat", nowait=True)
        self.assertEqual("connect", process.status)
        await self.until(lambda: process.status == "run")
        self.assertEqual(["run\n"], self.events(process))

    async def test_bad_commands(self) -> None:
        for keywords, problem in (
            ({"type": "shell"}, "shell_command: None is not a command"),
            ({"type": "shell", "shell_command": "a\0b"}, "shell_command: 'a\\x00b' has a NUL"),
            ({"type": "shell", "shell_command": "%x"}, "Invalid format character: %x"),
            ({"type": "shell", "shell_command": "100%"}, "Invalid format character: %"),
            ({"shell_command": "cat"}, "shell_command: only the type 'shell' runs a command"),
        ):
            opening = open_network_stream("x", None, "h", 1, **keywords)
            error = await self.failure_of(opening, ProcessArgumentError)
            self.assertIn(problem, str(error))
