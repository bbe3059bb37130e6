"""The programs of a benchmark while they run: servers, and loads.

`measure.py` asks for them; `build.py` has built them.  Every wait has a limit, and programs are ended by their process id.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from peers import Peer

HERE = Path(__file__).resolve().parent

START_LIMIT = 20.0
#: What a load may take beside the time it is told to measure; it opens connections for 60 s at most.
LOAD_LIMIT = 70.0


class BenchmarkError(Exception):
    """The benchmark cannot be made; the message is one line."""


class NoServerError(BenchmarkError):
    """A server does not start."""


@dataclass(frozen=True)
class Place:
    """Where the programs are and run: servers on one CPU, the load and this program on another."""

    #: Has the programs that were built, the certificate, and the servers' sockets.
    directory: Path
    server_cpu: int
    load_cpu: int

    @property
    def shared(self) -> bool:
        """Is there but one CPU?"""
        return self.server_cpu == self.load_cpu


def choose_place(directory: Path) -> Place:
    """The first CPU that this program may use for servers, the last for all else from now on."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[-1]})
    return Place(directory, allowed[0], allowed[-1])


# -- servers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A server that listens."""

    peer: Peer
    pid: int
    #: By service.
    addresses: Mapping[str, str]
    errors: IO[str]

    def complaint(self) -> str:
        """The last line that it wrote on standard error, empty if there is none."""
        self.errors.seek(0)
        lines = self.errors.read().splitlines()
        return lines[-1] if lines else ""

    def resident_bytes(self) -> int:
        """Its memory that is not swapped out."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


class Servers:
    """Servers by their peers, started when they are first needed and killed at the end."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._running: dict[str, tuple[Server, ExitStack]] = {}

    def get(self, peer: Peer) -> Server:
        """The server of PEER.  All others are stopped: they should be idle, but one that is not would be measured too."""
        if peer.name not in self._running:
            with ExitStack() as stack:
                server = stack.enter_context(_running_server(peer, self._place))
                self._running[peer.name] = server, stack.pop_all()
        for name, (server, _) in self._running.items():
            os.kill(server.pid, signal.SIGCONT if name == peer.name else signal.SIGSTOP)
        return self._running[peer.name][0]

    def end(self, peer: Peer) -> None:
        """Kill the server of PEER, if there is one."""
        if peer.name in self._running:
            self._running.pop(peer.name)[1].close()

    def __enter__(self) -> Servers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for _, stack in self._running.values():
            stack.close()


@contextmanager
def _running_server(peer: Peer, place: Place) -> Iterator[Server]:
    command = peer.command(place.directory, place.directory)
    with (
        tempfile.TemporaryFile("w+") as errors,
        _child(command, stdin=subprocess.DEVNULL, stderr=errors) as process,
    ):
        os.sched_setaffinity(process.pid, {place.server_cpu})
        line = _line(process, START_LIMIT)
        addresses = json.loads(line) if line else {}
        server = Server(peer, process.pid, addresses, errors)
        if not line:
            raise NoServerError(f"{peer.name} did not start: {server.complaint()}")
        yield server


# -- loads --------------------------------------------------------------------------------------


class Load:
    """The load generator, for servers on other CPUs or on the same."""

    def __init__(self, place: Place) -> None:
        self._program = [str(place.directory / "load"), *(["-s"] if place.shared else [])]

    def run(self, arguments: Sequence[str], seconds: float) -> dict[str, float]:
        """What a load with ARGUMENTS that takes SECONDS prints."""
        with _child([*self._program, *arguments]) as process:
            result = _result(process, seconds + LOAD_LIMIT)
            _finish(process)
        return result

    @contextmanager
    def holding(self, arguments: Sequence[str]) -> Iterator[None]:
        """A load that has opened its connections, and holds them until the end."""
        with _child([*self._program, *arguments]) as process:
            _result(process, LOAD_LIMIT)
            yield
            _finish(process)


def _result(process: subprocess.Popen[str], limit: float) -> dict[str, float]:
    line = _line(process, limit)
    if not line:
        _finish(process)
        raise BenchmarkError(f"the load printed nothing in {limit:g} s")
    result: dict[str, float] = json.loads(line)
    return result


def _finish(process: subprocess.Popen[str]) -> None:
    """End the standard input of a load and let it end; its complaint is an error."""
    try:
        _, errors = process.communicate(timeout=5)
    except subprocess.TimeoutExpired:
        raise BenchmarkError("the load did not end") from None
    if process.returncode:
        raise BenchmarkError(first_line(errors) or f"the load ended with {process.returncode}")


# -- both ---------------------------------------------------------------------------------------


@contextmanager
def _child(
    command: Sequence[str], stdin: int = subprocess.PIPE, stderr: int | IO[str] = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A program that is killed at the end, should it still run."""
    with subprocess.Popen(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        # SIGPIPE stays ignored, as it is here: it would end an Emacs whose client has gone.
        restore_signals=False,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str], limit: float) -> str:
    """The first line that PROCESS prints; empty when it ends, or is silent for LIMIT seconds."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], limit)
    return process.stdout.readline().strip() if ready else ""


def first_line(text: str) -> str:
    """The first line of TEXT."""
    return text.strip().partition("\n")[0]
