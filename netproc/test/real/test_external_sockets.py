"""use_external_socket with real launchers: systemd's, and our own (N39)."""

from __future__ import annotations

import socket
import sys

from netproc.test.support.base import PATIENCE
from netproc.test.support.peers import in_thread, request_and_half_close
from netproc.test.support.programs import Program, ProgramTestCase, environment, require, script

LAUNCHER = """
import os, socket, sys
kinds = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM}
sock = socket.socket(socket.AF_INET, kinds[sys.argv[1]])
sock.bind(("127.0.0.1", 0))
if sys.argv[1] == "stream":
    sock.listen()
print("port", sock.getsockname()[1], flush=True)
os.dup2(sock.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"""


class LauncherTests(ProgramTestCase):
    def netproc(self, *arguments: str) -> list[str]:
        return [
            str(script("twistd")),
            "-n",
            "--pidfile=",
            "netproc",
            "make",
            "--name",
            "e",
            "--server",
            "t",
            "--service",
            "t",
            "--use-external-socket",
            "t",
            "--filter",
            "netproc.filters.echo",
            *arguments,
        ]

    async def test_a_stream(self) -> None:
        program = self.python("-c", LAUNCHER, "stream", sys.executable, *self.netproc())
        port = int((await self.printed(program, r"port (\d+)"))[1])
        await self.printed(program, f"e listens on 127.0.0.1:{port}")
        peer = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.assertEqual(b"hello", await in_thread(request_and_half_close, peer, b"hello"))

    async def test_datagrams(self) -> None:
        command = [sys.executable, *self.netproc("--type", "datagram")]
        program = self.python("-c", LAUNCHER, "datagram", *command)
        port = int((await self.printed(program, r"port (\d+)"))[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(PATIENCE)
            peer.sendto(b"hello", ("127.0.0.1", port))
            self.assertEqual(b"hello", await in_thread(peer.recv, 10))

    async def test_the_wrong_kind_is_one_line(self) -> None:
        command = [sys.executable, *self.netproc("--type", "datagram")]
        program = self.python("-c", LAUNCHER, "stream", *command)
        self.assertEqual(1, await self.ends(program))
        self.assertEqual(
            "netproc: --use-external-socket: the descriptor that was inherited at position 0 is a stream "
            "socket, not a datagram one\n",
            program.errors,
        )

    async def activated(
        self, *arguments: str, options: tuple[str, ...] = ()
    ) -> tuple[Program, int]:
        port = self.reserve_port()
        activate = require("systemd-socket-activate")
        setenv = [f"--setenv={k}={v}" for k, v in environment().items() if k == "PYTHONPATH"]
        program = self.start(
            activate,
            *setenv,
            f"--listen=127.0.0.1:{port}",
            *options,
            sys.executable,
            *self.netproc(*arguments),
        )
        return program, port

    async def reply(self, program: Program, port: int) -> bytes:
        peer = await self.connected(program, port)
        return await in_thread(request_and_half_close, peer, b"hello")

    async def test_systemd(self) -> None:
        self.assertEqual(b"hello", await self.reply(*await self.activated()))

    async def test_systemd_by_name(self) -> None:
        named = await self.activated("--use-external-socket", "web", options=("--fdname=web",))
        self.assertEqual(b"hello", await self.reply(*named))
