"""A TLS server of netproc under twistd, with a certificate of an authority, for commands beside the tests.

`scan.py` and `stress.py` run it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509

from netproc.test.support.certificates import SERVER_PURPOSE, Authority
from netproc.test.support.ports import listens, reserve_port
from netproc.test.support.programs import environment

_START = 20


@dataclass
class Twistd:
    """A running server."""

    directory: str
    port: int
    pid: int
    authority: Authority

    @property
    def trust(self) -> str:
        return os.path.join(self.directory, "trust.pem")

    @property
    def log(self) -> str:
        with open(os.path.join(self.directory, "log"), encoding="utf-8") as file:
            return file.read()


@contextlib.contextmanager
def echo_server(*options: str, more: tuple[x509.ExtensionType, ...] = ()) -> Iterator[Twistd]:
    """Run `twistd netproc make` with OPTIONS as an echo server; MORE are extensions of its
    certificate."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="netproc-"))
        authority = Authority("netproc test authority")
        key, certificate = authority.issue(
            *("localhost", "127.0.0.1"),
            common="localhost",
            days=(-1, 90),
            purpose=SERVER_PURPOSE,
            more=more,
        )
        for name, contents in (
            ("trust.pem", authority.pem),
            ("key.pem", key),
            ("cert.pem", certificate),
        ):
            with open(os.path.join(directory, name), "wb") as file:
                file.write(contents)
        reserved = stack.enter_context(reserve_port())
        port = reserved.getsockname()[1]
        command = [
            *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()"),
            *("--nodaemon", "--pidfile="),
            *("netproc", "make", "--name", "echo", "--server", "4096", "--service", str(port)),
            *("--filter", "netproc.filters.echo", "--coding", "binary"),
            *("--tls-cert", "cert.pem", "--tls-key", "key.pem", *options),
        ]
        with open(os.path.join(directory, "log"), "wb") as log:
            child = subprocess.Popen(
                command,
                cwd=directory,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        server = Twistd(directory, port, child.pid, authority)
        try:
            _wait(server, child)
            yield server
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _wait(server: Twistd, child: subprocess.Popen[bytes]) -> None:
    """Wait until it listens."""
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and child.poll() is None:
        if listens(server.port):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not start: {server.log}")
