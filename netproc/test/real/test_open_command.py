"""`python -m netproc open` as a user runs it."""

from __future__ import annotations

import contextlib
import datetime
import os
import pty
import select
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import crypto
from twisted.internet.defer import Deferred

import netproc
from netproc import NetworkProcess, ProcessError
from netproc.commands.devcert import make_certificate
from netproc.test.support.base import PATIENCE
from netproc.test.support.certificates import Authority, pem_of_key
from netproc.test.support.fixtures import MB, echo
from netproc.test.support.peers import accept, in_thread, read_all, reset
from netproc.test.support.programs import ProgramTestCase, environment, require

AUTHORITY = Authority("authority")
LOCALHOST = AUTHORITY.issue("localhost")

#: Every byte many times; more than any buffer on the way holds.
DATA = bytes(range(256)) * 12_000

CLEAR = "netproc: TLS: none, the connection is not encrypted\n"


class OpenFixture(ProgramTestCase):
    def file(self, data: bytes) -> str:
        path = os.path.abspath(self.mktemp())
        with open(path, "wb") as file:
            file.write(data)
        return path

    def popen(self, *arguments: object, **more: Any) -> subprocess.Popen[bytes]:
        """Start a child, which is ended and reaped after the test."""
        pipe = subprocess.PIPE
        child = subprocess.Popen(
            [sys.executable, "-m", "netproc", *map(str, arguments)],
            env=environment(),
            **{"stdin": pipe, "stdout": pipe, "stderr": pipe, **more},
        )

        def end() -> None:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout, child.stderr):
                if stream is not None:
                    stream.close()

        self.addCleanup(end)
        return child

    def run_open(self, *arguments: object, data: bytes = b"") -> Deferred[tuple[int, bytes, str]]:
        """Run the command; the Deferred fires with its exit status, output and errors."""
        child = self.popen("open", *arguments)

        def talk() -> tuple[int, bytes, str]:
            output, errors = child.communicate(data, 3 * PATIENCE)
            return child.returncode, output, errors.decode()

        return in_thread(talk)

    async def server(self, **keywords: Any) -> int:
        """Return the port of a server, which echoes by default."""
        keywords = {"filter": echo, "coding": "binary", **keywords}
        server = await self.make(name="s", server=True, service=True, **keywords)
        return server.contact("service")

    def tls(self, pair: tuple[bytes, bytes] = LOCALHOST) -> dict[str, object]:
        return {"keylist": ((self.file(pair[0]), self.file(pair[1])),)}

    async def fails(self, arguments: list[object], complaint: str, status: int = 1) -> None:
        """Check that the command fails with COMPLAINT in its last line, and prints no traceback."""
        found, output, errors = await self.run_open(*arguments)
        self.assertEqual((status, b""), (found, output), errors)
        self.assertRegex(errors.splitlines()[-1], complaint)
        self.assertTrue(all(line.startswith("netproc: ") for line in errors.splitlines()), errors)


class StreamTests(OpenFixture):
    async def test_pipes(self) -> None:
        port = await self.server()
        found = await self.run_open("localhost", port, data=DATA)
        self.assertEqual((0, DATA, CLEAR), found)

    async def test_the_end_of_the_input_need_not_shut_the_sending_side(self) -> None:
        def answer() -> list[object]:
            with accept(listener) as peer:
                request = peer.recv(100)
                # No more input comes, and no end of input either: both would make the socket readable.
                ended, _, _ = select.select([peer], [], [], 0.3)
                peer.sendall(b"answer")
                return [request, ended]

        with socket.create_server(("127.0.0.1", 0)) as listener:
            heard = in_thread(answer)
            port = listener.getsockname()[1]
            found = await self.run_open("127.0.0.1", port, "--no-shutdown", data=b"question")
        self.assertEqual((0, b"answer", CLEAR), found)
        self.assertEqual([b"question", []], await heard)

    async def test_files(self) -> None:
        port = await self.server()
        with open(self.file(DATA), "rb") as source, tempfile.TemporaryFile() as target:
            child = self.popen("open", "localhost", port, stdin=source, stdout=target)
            self.assertEqual(0, await in_thread(child.wait, 3 * PATIENCE))
            target.seek(0)
            self.assertEqual(DATA, target.read())

    async def test_dev_null(self) -> None:
        port = await self.server()
        null = subprocess.DEVNULL
        child = self.popen("open", "localhost", port, stdin=null, stdout=null)
        self.assertEqual(0, await in_thread(child.wait, PATIENCE))

    async def test_a_terminal(self) -> None:
        port = await self.server()
        outer, inner = pty.openpty()
        child = self.popen("open", "localhost", port, stdin=inner)
        os.write(outer, b"hello\n")
        self.assertEqual(b"hello\n", await in_thread(child.stdout.readline))
        # The shell uses the same terminal.
        self.assertTrue(os.get_blocking(inner))
        os.write(outer, b"\x04")
        self.assertEqual(0, await in_thread(child.wait, PATIENCE))
        os.close(outer)
        os.close(inner)

    async def test_reading_goes_on_behind_the_end_of_input(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            running = self.run_open("127.0.0.1", listener.getsockname()[1], data=b"question")
            with await in_thread(accept, listener) as peer:
                self.assertEqual(b"question", await in_thread(read_all, peer))
                peer.sendall(b"answer")
        self.assertEqual((0, b"answer", CLEAR), await running)

    async def test_ctrl_c(self) -> None:
        port = await self.server()
        child = self.popen("open", "localhost", port)
        self.assertEqual(CLEAR.encode(), await in_thread(child.stderr.readline))
        child.send_signal(signal.SIGINT)
        self.assertEqual(-signal.SIGINT, await in_thread(child.wait, PATIENCE))
        self.assertEqual(b"", child.stderr.read())

    async def test_an_output_that_is_not_read_stops_the_server(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            child = self.popen("open", "127.0.0.1", listener.getsockname()[1])
            with await in_thread(accept, listener) as peer:
                peer.setblocking(False)
                sent = 0

                def send() -> int:
                    nonlocal sent
                    with contextlib.suppress(BlockingIOError):
                        while sent < 100 * MB:
                            sent += peer.send(b"x" * MB)
                    return sent

                await self.until_quiet(send)
                self.assertLess(sent, 20 * MB)
                peer.settimeout(PATIENCE)
                peer.shutdown(socket.SHUT_WR)
                self.assertEqual(sent, len(await in_thread(child.stdout.read)))
                self.assertEqual(0, await in_thread(child.wait, PATIENCE))

    async def test_a_server_that_does_not_read_stops_the_input(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            child = self.popen("open", "127.0.0.1", listener.getsockname()[1])
            with await in_thread(accept, listener) as peer:
                os.set_blocking(child.stdin.fileno(), False)
                written = 0

                def write() -> int:
                    nonlocal written
                    with contextlib.suppress(BlockingIOError):
                        while written < 100 * MB:
                            written += os.write(child.stdin.fileno(), b"x" * 65536)
                    return written

                await self.until_quiet(write)
                self.assertLess(written, 20 * MB)
                child.stdin.close()
                self.assertEqual(written, len(await in_thread(read_all, peer)))
            self.assertEqual(0, await in_thread(child.wait, PATIENCE))


class TLSTests(OpenFixture):
    async def imap(self) -> int:
        """Return the port of a server with STARTTLS whose greeting contains a control sequence for terminals."""
        parameters = self.tls()

        def greet(process: NetworkProcess, event: str) -> None:
            if event.startswith("open"):
                process.send(b"* OK \x1b[2Jready\r\n")

        def answer(process: NetworkProcess, data: bytes) -> None:
            if process.peer_status() is not None and not data.startswith(b"np"):
                process.send(b"you said " + data)
                return
            tag, command = data.split()[:2]
            if command == b"CAPABILITY":
                process.send(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n")
            process.send(tag + b" OK done\r\n")
            if command == b"STARTTLS":
                tls = process.start_tls(parameters)
                tls.addErrback(lambda failure: failure.trap(ProcessError))

        return await self.server(filter=answer, sentinel=greet)

    async def test_starttls_that_is_refused(self) -> None:
        """The error shows the server's answer.  The server receives our name with EHLO."""

        def answer(process: NetworkProcess, data: bytes) -> None:
            process.send(b"454 not now\r\n" if data == b"STARTTLS\r\n" else b"250-" + data[5:])
            process.send(b"250 STARTTLS\r\n" if data.startswith(b"EHLO") else b"")

        port = await self.server(
            filter=answer,
            sentinel=lambda process, event: process.live and process.send(b"220 h\r\n"),
        )
        found, output, errors = await self.run_open(
            *("localhost", port, "--protocol", "smtp", "--client-name", "me.example")
        )
        self.assertEqual((0, b""), (found, output))
        expected = (
            "netproc: greeting: 220 h\n"
            "netproc: capabilities: 250-me.example\n"
            "netproc: capabilities: 250 STARTTLS\n"
            "netproc: the server refuses TLS: 454 not now\n"
        )
        self.assertEqual(expected + CLEAR, errors)

    async def test_starttls(self) -> None:
        port = await self.imap()
        trust = self.file(AUTHORITY.pem)
        for kind in ("starttls", "network"):
            status, output, errors = await self.run_open(
                "localhost",
                port,
                "--protocol",
                "imap",
                "--type",
                kind,
                "--trust",
                trust,
                data=b"hi",
            )
            self.assertEqual((0, b"you said hi"), (status, output), errors)
            self.check_facts(errors)

    def check_facts(self, errors: str) -> None:
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, LOCALHOST[1])
        pin = certificate.digest("sha256").decode().lower()
        for line in (
            r"greeting: \* OK \\x1b\[2Jready",
            r"capabilities: \* CAPABILITY IMAP4rev1 STARTTLS",
            r"capabilities: np1 OK done",
            r"TLS: TLS1\.3, AES-256-GCM, ECDHE-RSA",
            r"subject: O=netproc tests,CN=leaf",
            r"issuer: O=netproc tests,CN=authority",
            r"valid: \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d",
            rf"certificate pin: sha256:{pin}",
            r"public key pin: sha256:[0-9a-f:]{95}",
            r"verified: yes",
        ):
            self.assertRegex(errors, rf"(?m)^netproc: {line}$")
        self.assertEqual(10, len(errors.splitlines()))

    async def test_tls(self) -> None:
        port = await self.server(tls_parameters={**self.tls(), "alpn": ("echo",)})
        trust = self.file(AUTHORITY.pem)
        status, output, errors = await self.run_open(
            "--type=tls", "localhost", port, f"--trust={trust}", "--alpn=none,echo", data=DATA
        )
        self.assertEqual((0, True), (status, output == DATA), errors)
        self.assertIn("netproc: ALPN: echo\n", errors)

    async def test_openssl(self) -> None:
        openssl = require("openssl")
        key, certificate = (self.file(pem) for pem in LOCALHOST)
        port = self.reserve_port()
        server = self.start(
            openssl, "s_server", "-accept", f"127.0.0.1:{port}", "-rev", "-naccept", "1",
            "-key", key, "-cert", certificate,
        )  # fmt: skip
        await self.printed(server, "ACCEPT")
        arguments = ("localhost", port, "--type", "tls", "--trust", self.file(AUTHORITY.pem))
        child = self.popen("open", *arguments)
        child.stdin.write(b"hello\n")
        child.stdin.flush()
        self.assertEqual(b"olleh\n", await in_thread(child.stdout.readline))
        child.stdin.write(b"CLOSE\n")
        child.stdin.flush()
        self.assertEqual(0, await in_thread(child.wait, PATIENCE), child.stderr.read())

    async def test_a_client_certificate(self) -> None:
        trust = self.file(AUTHORITY.pem)
        parameters = {
            **self.tls(),
            "request_client_certificate": "required",
            "trustfiles": (trust,),
        }
        port = await self.server(tls_parameters=parameters)
        arguments = ["localhost", port, "--type", "tls", "--trust", trust]
        key, certificate = (self.file(pem) for pem in LOCALHOST)
        locked = self.file(pem_of_key(load_pem_private_key(LOCALHOST[0], None), b"secret"))
        password = self.file(b"secret\n")
        for ours in (["--key", key], ["--key", locked, "--password", f"file:{password}"]):
            found = await self.run_open(*arguments, *ours, "--cert", certificate, data=b"x")
            self.assertEqual((0, b"x"), found[:2], found[2])
        problem = "--key, --password: .*: the key is encrypted, give its password"
        await self.fails([*arguments, "--key", locked, "--cert", certificate], problem, 64)

    async def test_names(self) -> None:
        port = await self.server(tls_parameters=self.tls(AUTHORITY.issue("other.example")))
        arguments = ["localhost", port, "--type", "tls", "--trust", self.file(AUTHORITY.pem)]
        await self.fails(arguments, "netproc: TLS: .*localhost")
        found = await self.run_open(*arguments, "--hostname", "other.example", data=b"x")
        self.assertEqual((0, b"x"), found[:2], found[2])

    async def test_one_that_signed_itself_and_is_trusted(self) -> None:
        pair = make_certificate(datetime.datetime.now(datetime.UTC))
        port = await self.server(tls_parameters=self.tls(pair))
        trust = self.file(pair[1])
        found = await self.run_open("localhost", port, "--type=tls", "--trust", trust, data=b"x")
        self.assertEqual((0, b"x"), found[:2], found[2])
        self.assertIn("netproc: verified: yes\n", found[2])

    async def test_nobody_trusts_it(self) -> None:
        port = await self.server(tls_parameters=self.tls())
        await self.fails(["localhost", port, "--type", "tls"], "netproc: TLS")

    async def test_an_end_without_close_notify(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file(LOCALHOST[1] + LOCALHOST[0]))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            trust = self.file(AUTHORITY.pem)
            running = self.run_open(
                "localhost", listener.getsockname()[1], "--type", "tls", "--trust", trust
            )

            def cut() -> None:
                with context.wrap_socket(accept(listener), server_side=True) as tls:
                    # If this were left unread, the close would reset the connection.
                    tls.recv(1)
                    tls.sendall(b"the first ha")

            await in_thread(cut)
        status, output, errors = await running
        self.assertEqual((1, b"the first ha"), (status, output))
        self.assertIn("without close_notify", errors.splitlines()[-1])


class FailureTests(OpenFixture):
    async def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        await self.fails(["127.0.0.1", port], "netproc: .*Connection refused")

    async def test_no_starttls(self) -> None:
        port = await self.server(
            filter=lambda process, data: process.send(b"np1 OK done\r\n"),
            sentinel=lambda process, event: (
                process.send(b"* OK ready\r\n") if event.startswith("open") else None
            ),
        )
        arguments = ["localhost", port, "--type", "starttls", "--protocol", "imap"]
        await self.fails(arguments, "netproc: .*does not support TLS")

    async def test_a_reset(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            child = self.popen("open", "127.0.0.1", listener.getsockname()[1])
            peer = await in_thread(accept, listener)
            self.assertEqual(CLEAR.encode(), await in_thread(child.stderr.readline))
            reset(peer)
            self.assertEqual(1, await in_thread(child.wait, PATIENCE))
            self.assertRegex(child.stderr.read(), rb"\Anetproc: .*reset by peer\n\Z")

    async def test_output_that_nobody_reads_any_more(self) -> None:
        port = await self.server()
        child = self.popen("open", "localhost", port)
        child.stdout.close()
        child.stdin.write(b"x")
        child.stdin.flush()
        self.assertEqual(1, await in_thread(child.wait, PATIENCE))
        self.assertEqual(
            f"{CLEAR}netproc: standard output: Broken pipe\n", child.stderr.read().decode()
        )

    async def test_an_input_that_cannot_be_read(self) -> None:
        port = await self.server()
        with open(os.devnull, "wb") as output:
            child = self.popen("open", "localhost", port, stdin=output)
        self.assertEqual(1, await in_thread(child.wait, PATIENCE))
        complaint = f"{CLEAR}netproc: standard input: Bad file descriptor\n"
        self.assertEqual(complaint, child.stderr.read().decode())

    async def test_streams_that_are_not_open(self) -> None:
        said: list[bytes] = []

        def answer(process: NetworkProcess, event: str) -> None:
            said.append(event.encode())
            if event.startswith("open"):
                process.send(b"x")

        port = await self.server(sentinel=answer, filter=lambda process, data: said.append(data))
        for number, status in ((0, 0), (1, 1)):
            close = f'exec "$@" {number}>&-'
            command = [sys.executable, "-m", "netproc", "open", "localhost", str(port)]
            done = await in_thread(
                subprocess.run, ["sh", "-c", close, "sh", *command], env=environment(),
                capture_output=True, timeout=PATIENCE, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            self.assertEqual(status, done.returncode, done.stderr)
        self.assertEqual(4, len(said), said)
        self.assertIn(b"standard output: Bad file descriptor", done.stderr)

    async def test_errors_that_cannot_be_written(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]

        def statuses() -> list[int]:
            reading, broken = os.pipe()
            os.close(reading)
            with open("/dev/full", "wb") as full, open(broken, "wb") as pipe:
                return [
                    self.popen("open", *arguments, stderr=errors).wait(3 * PATIENCE)
                    for errors in (full, pipe)
                    for arguments in (["127.0.0.1", port], ["127.0.0.1"])
                ]

        self.assertEqual([1, os.EX_USAGE] * 2, await in_thread(statuses))

    async def test_wrong_options(self) -> None:
        for arguments, complaint in (
            (["h"], "open takes two arguments: HOST and SERVICE"),
            (["h", "70000"], "SERVICE: port 70000 is not in 0…65535"),
            (["h", "7", "--trust", "c"], "--trust: nothing begins TLS here: give a type or"),
            (["h", "7", "--type", "plain", "--trust", "c"], "--trust: the type 'plain' has no TLS"),
        ):
            await self.fails(arguments, f"netproc: {complaint}", os.EX_USAGE)

    async def test_help_and_version(self) -> None:
        for arguments, pattern in (
            (["--version"], rf"\Anetproc {netproc.__version__}\n\Z"),
            (["--help"], r"Usage: netproc COMMAND"),
            (["open", "--help"], r"Usage: netproc open HOST SERVICE"),
        ):
            child = self.popen(*arguments)
            output, errors = await in_thread(child.communicate)
            self.assertEqual((0, b""), (child.returncode, errors))
            self.assertRegex(output.decode(), pattern)
        child = self.popen()
        _, errors = await in_thread(child.communicate)
        self.assertEqual(
            (os.EX_USAGE, b"netproc: a command is required: make, open, dev-cert; try --help\n"),
            (child.returncode, errors),
        )
