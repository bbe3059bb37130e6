"""Child programs for tests: tests wait for their output, and end them by their process ids."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from twisted.trial.unittest import SkipTest

import netproc
from netproc.test.support.base import PATIENCE, NetprocTestCase
from netproc.test.support.peers import connect

#: The directory of the netproc that is tested; children must import the same, whatever their directory is.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(netproc.__file__)))


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a child."""
    path = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", **more}


def script(name: str) -> str | None:
    """Return the path of a Twisted script beside the running Python, or None."""
    path = os.path.join(os.path.dirname(sys.executable), name)
    return path if os.path.exists(path) else shutil.which(name)


#: The Debian packages of programs, where the names differ.
PACKAGES = {
    "dovecot": "dovecot-imapd",
    "emacs": "emacs-nox",
    "gnutls-cli": "gnutls-bin",
    "gnutls-serv": "gnutls-bin",
    "initdb": "postgresql",
    "ip": "iproute2",
    "makehistory": "inn2",
    "master": "postfix",
    "nc": "netcat-openbsd",
    "nnrpd": "inn2",
    "postgres": "postgresql",
    "systemd-socket-activate": "systemd",
    "testssl": "testssl.sh",
}


def require(program: str, *directories: str) -> str:
    """Return the path of PROGRAM, which is also looked for in DIRECTORIES.  If it is not installed, the test
    is skipped; in CI it fails."""
    # Some users have no directories of daemons in their PATH.
    places = [os.environ.get("PATH", os.defpath), "/usr/sbin", *directories]
    path = shutil.which(program, path=os.pathsep.join(places))
    if path is None:
        package = PACKAGES.get(program, program)
        complaint = f"{program} is not installed (Debian: apt-get install {package})"
        if os.environ.get("NETPROC_CI"):
            raise AssertionError(complaint)
        raise SkipTest(complaint)
    return path


def run_with_input(command: Sequence[str], data: bytes) -> bytes:
    """Return what COMMAND prints for the input DATA; it must end with status 0."""
    done = subprocess.run(
        command, input=data, capture_output=True, timeout=PATIENCE, env=environment(), check=True
    )
    return done.stdout


@contextlib.contextmanager
def _signals_end_children() -> Iterator[None]:
    """Start children inside this, so that they do not ignore SIGHUP under nohup, nor SIGINT as a background job."""
    numbers = (signal.SIGHUP, signal.SIGINT)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


class Program:
    """A running child with its output in files; OPTIONS are keywords of Popen, MORE is added to its environment."""

    def __init__(
        self,
        command: Sequence[str],
        directory: str,
        options: Mapping[str, Any] | None = None,
        **more: str,
    ) -> None:
        os.makedirs(directory, exist_ok=True)
        self.directory = directory
        with (
            _signals_end_children(),
            open(os.path.join(directory, "stdout"), "wb") as stdout,
            open(os.path.join(directory, "stderr"), "wb") as stderr,
        ):
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment(**more),
                stdout=stdout,
                stderr=stderr,
                **{"stdin": subprocess.DEVNULL, **(options or {})},
            )

    def text(self, name: str = "stdout") -> str:
        """Its output so far; nothing if there is no such file, as while a log file is rotated."""
        try:
            with open(os.path.join(self.directory, name), encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    @property
    def errors(self) -> str:
        return self.text("stderr")

    def find(self, pattern: str, name: str = "stdout") -> re.Match[str] | None:
        return re.search(pattern, self.text(name))

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def say(self, data: bytes) -> None:
        """Write to its standard input, which has to be a pipe."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def stop(self) -> None:
        """End it if it still runs."""
        if not self.ended:
            self.process.kill()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait()


class ProgramTestCase(NetprocTestCase):
    """A test case that starts programs, and ends them all."""

    def start(
        self, *command: str, options: Mapping[str, Any] | None = None, **more: str
    ) -> Program:
        program = Program(command, self.mktemp(), options, **more)
        self.addCleanup(program.stop)
        return program

    async def printed(self, program: Program, pattern: str, name: str = "stdout") -> re.Match[str]:
        """Wait until the output of PROGRAM matches PATTERN; return the match."""
        await self.until(
            lambda: program.find(pattern, name) or program.ended,
            f"no {pattern!r} in {program.text()!r} {program.errors!r}",
        )
        match = program.find(pattern, name)
        self.assertIsNotNone(match, f"{pattern!r}: {program.text()!r} {program.errors!r}")
        assert match is not None
        return match

    async def connected(self, program: Program, port: int) -> socket.socket:
        """Return a connection to PORT as soon as PROGRAM listens there."""
        made: list[socket.socket] = []

        def listens() -> bool:
            self.assertFalse(program.ended, program.errors)
            with contextlib.suppress(ConnectionRefusedError):
                made.append(connect(socket.AF_INET, ("127.0.0.1", port)))
            return bool(made)

        await self.until(listens, "the program does not listen")
        self.addCleanup(made[0].close)
        return made[0]

    async def ends(self, program: Program, seconds: float = PATIENCE) -> int:
        """Wait for the end of PROGRAM; return its exit status."""
        await self.until(lambda: program.ended, "the program does not end", seconds)
        return program.process.wait()

    def python(self, *arguments: str, **more: str) -> Program:
        return self.start(sys.executable, *arguments, **more)


def twistd_runners() -> dict[str, list[str]]:
    """The three ways to run a service; the scripts are left out if they are not installed."""
    runners: dict[str, list[Any]] = {
        "twistd": [script("twistd"), "-n", "--pidfile=twistd.pid"],
        "twist": [script("twist"), "--log-format=text"],
        "python -m twisted": [sys.executable, "-m", "twisted", "--log-format=text"],
    }
    return {name: command for name, command in runners.items() if command[0] is not None}


SIGTERM = signal.SIGTERM
