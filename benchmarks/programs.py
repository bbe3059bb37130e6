"""The programs of a benchmark: builds the load generator, starts and ends servers, runs loads.

`measure.py` asks for them.  Every wait has a limit, and programs are ended by their process id.
"""

from __future__ import annotations

import json
import os
import select
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

HERE = Path(__file__).resolve().parent

BUILD_LIMIT = 60.0
START_LIMIT = 20.0
#: What a load may take beside the time it is told to measure; it opens connections for 30 s at most.
LOAD_LIMIT = 40.0


class BenchmarkError(Exception):
    """The benchmark cannot be made; the message is one line."""


@dataclass(frozen=True)
class Cpus:
    """Where the programs run: servers on one CPU, the load and this program on another."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        """Is there but one?"""
        return self.server == self.load


def choose_cpus() -> Cpus:
    """The first CPU that this program may use for servers, the last for all else from now on."""
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {allowed[-1]})
    return Cpus(allowed[0], allowed[-1])


def build_load(directory: str) -> str:
    """Compile `load.c` into DIRECTORY; the path of the program."""
    program = os.path.join(directory, "load")
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, "-O2", "-Wall", "-Wextra", "-o", program, str(HERE / "load.c")]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=BUILD_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchmarkError(f"cannot build load.c: {error}") from None
    if done.returncode:
        reason = _first_line(done.stderr) or f"{compiler[0]} ended with {done.returncode}"
        raise BenchmarkError(f"cannot build load.c: {reason}")
    return program


# -- servers ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A server that listens."""

    name: str
    pid: int
    address: str
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


@contextmanager
def running_server(name: str, cpus: Cpus) -> Iterator[Server]:
    """A fresh server NAME, killed at the end; it is an error if it ever wrote on standard error."""
    command = [sys.executable, str(HERE / "servers.py"), name]
    with (
        tempfile.TemporaryFile("w+") as errors,
        _child(command, stdin=subprocess.DEVNULL, stderr=errors) as process,
    ):
        os.sched_setaffinity(process.pid, {cpus.server})
        address = _line(process, START_LIMIT)
        server = Server(name, process.pid, address, errors)
        if not address:
            raise BenchmarkError(f"server {name} did not start: {server.complaint()}")
        yield server
        if complaint := server.complaint():
            raise BenchmarkError(f"server {name} complained: {complaint}")


# -- loads --------------------------------------------------------------------------------------


class Load:
    """The load generator, built, for servers on other CPUs or on the same."""

    def __init__(self, program: str, cpus: Cpus) -> None:
        self._program = [program, *(["-s"] if cpus.shared else [])]

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
        raise BenchmarkError(_first_line(errors) or f"the load ended with {process.returncode}")


# -- both ---------------------------------------------------------------------------------------


@contextmanager
def _child(
    command: Sequence[str], stdin: int = subprocess.PIPE, stderr: int | IO[str] = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A program that is killed at the end, should it still run."""
    with subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True
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


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
