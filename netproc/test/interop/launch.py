"""Starts real servers, each with its own directory and loopback ports, and removes all traces afterwards.

`servers.py` has their configurations; the test modules in this folder connect to them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.trial.unittest import SkipTest

from netproc import TLSParameters
from netproc.test.support.base import PATIENCE
from netproc.test.support.certificates import Authority, Pair
from netproc.test.support.peers import in_thread
from netproc.test.support.ports import listens
from netproc.test.support.programs import Program, ProgramTestCase, environment

#: The names of two authorities; a client trusts one of them.
OURS, ANOTHER = "netproc test authority", "another authority"


@cache
def authority(name: str) -> Authority:
    return Authority(name)


@cache
def pair_for(*names: str) -> Pair:
    """Return key and certificate of a server with these NAMES.  The key is of RSA, which every program supports."""
    return authority(OURS).issue(*names, common=names[0], key=rsa.generate_private_key(65537, 2048))


@dataclass
class Place:
    """The files and ports of one server: its directory, two ports, and its certificate."""

    directory: str
    port: int
    second_port: int

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def write(self, name: str, contents: str | bytes, mode: int = 0o644) -> str:
        """Write a file and return its path."""
        path = self.path(name)
        data = contents.encode() if isinstance(contents, str) else contents
        with open(path, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
        return path

    def make(self, *names: str) -> None:
        for name in names:
            os.makedirs(self.path(name), exist_ok=True)

    def write_certificates(self, names: Sequence[str] = ("localhost", "127.0.0.1")) -> None:
        key, certificate = pair_for(*names)
        self.write("trust.pem", authority(OURS).pem)
        self.write("cert.pem", certificate)
        self.write("key.pem", key, 0o600)

    @property
    def certificate(self) -> str:
        return self.path("cert.pem")

    @property
    def key(self) -> str:
        return self.path("key.pem")

    @property
    def trust(self) -> str:
        return self.path("trust.pem")

    def give_to(self, user: str) -> None:
        """Give the directory and its files to USER, if the tests run as root."""
        if os.geteuid() == 0:
            account = pwd.getpwnam(user)
            for directory, _, files in os.walk(self.directory):
                os.chown(directory, account.pw_uid, account.pw_gid)
                for name in files:
                    os.chown(os.path.join(directory, name), account.pw_uid, account.pw_gid)

    def as_user(self, user: str) -> Mapping[str, Any]:
        """Return keywords of Popen for running a program as USER, or none if the tests do not run as root."""
        if os.geteuid() != 0:
            return {}
        self.give_to(user)
        account = pwd.getpwnam(user)
        return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@dataclass(frozen=True)
class Start:
    """How to start a server that has been configured."""

    command: Sequence[str]
    #: Keywords of Popen: the user that the server runs as.
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    #: What it prints on its standard error when it is ready, if it is not ready as soon as it listens.
    ready: str = ""
    #: Whether it also listens on the second port.
    has_second_port: bool = False


Configure = Callable[[Place], Start]


def needs_root() -> None:
    """Skip the test unless root runs it, because the server changes its user itself."""
    if os.geteuid() != 0:
        raise SkipTest("the server has to be started by root")


class Server:
    """A running real server."""

    def __init__(self, place: Place, start: Start) -> None:
        self.place = place
        self.port = place.port
        # In its own process group, so that its children are ended with it.
        options = {"start_new_session": True, **start.options}
        self._ready = start.ready
        self._ports = [place.port, place.second_port] if start.has_second_port else [place.port]
        self.program = Program(start.command, place.directory, options, **start.environment)

    @property
    def is_ready(self) -> bool:
        if not self.program.find(self._ready, "stderr"):
            return False
        return all(listens(port) for port in self._ports)

    def stop(self) -> None:
        """End the server and its children."""
        child = self.program.process
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(child.pid, number)
                child.wait(5)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                # It has ended already, or it takes longer.
                pass
        self.program.stop()
        shutil.rmtree(self.place.directory, ignore_errors=True)


class InteropTestCase(ProgramTestCase):
    """A test case that runs real servers, and ends them all."""

    async def serve(
        self, configure: Configure, names: Sequence[str] = ("localhost", "127.0.0.1")
    ) -> Server:
        """Start the server that CONFIGURE describes, with a certificate for NAMES; return it when it listens."""
        server = await self._start(configure, names)
        await self.until(
            lambda: server.program.ended or server.is_ready, "it does not listen", 2 * PATIENCE
        )
        if server.program.ended:
            said = server.program.text() + server.program.errors
            raise AssertionError(f"the server does not start: {said}")
        return server

    async def _start(self, configure: Configure, names: Sequence[str]) -> Server:
        # Not in trial's directory, because other users need access, and names of sockets must be short.
        directory = tempfile.mkdtemp(prefix="netproc-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        os.chmod(directory, 0o755)
        place = Place(directory, self.reserve_port(), self.reserve_port())
        place.write_certificates(names)
        server = Server(place, await in_thread(configure, place))
        self.addCleanup(in_thread, server.stop)
        return server

    def trusting(self, **more: Any) -> TLSParameters:
        """Return the parameters of a client that trusts our authority, and no other."""
        return TLSParameters(trustfiles=(self.trust_file(),), system_trust=False, **more)

    def distrusting(self, **more: Any) -> TLSParameters:
        """Return the parameters of a client that trusts another authority."""
        return TLSParameters(trustfiles=(self.trust_file(ANOTHER),), system_trust=False, **more)

    def serving(self, **more: Any) -> TLSParameters:
        """Return the parameters of a server whose certificate our authority has signed."""
        return TLSParameters(keylist=(pair_for("localhost", "127.0.0.1"),), **more)

    def trust_file(self, name: str = OURS) -> str:
        """Return the file with the certificate of an authority, ours or another."""
        path = os.path.abspath(self.mktemp())
        with open(path, "wb") as file:
            file.write(authority(name).pem)
        return path


def converse(command: Sequence[str], data: bytes, size: int) -> tuple[bytes, int]:
    """Give DATA to COMMAND, read SIZE bytes of its output, and end its input.  Return all its output and
    its exit status."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        watchdog = threading.Timer(2 * PATIENCE, child.kill)
        watchdog.start()
        try:
            child.stdin.write(data)
            child.stdin.flush()
            said = child.stdout.read(size)
            child.stdin.close()
            said += child.stdout.read()
        except BrokenPipeError:
            said = child.stdout.read()
        finally:
            watchdog.cancel()
            watchdog.join()
    return said, child.returncode
