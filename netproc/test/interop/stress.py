"""2,000 connections that send half a ClientHello, and 100 honest clients: `make stress`.

This is a program.  It prints its measurements, and ends with status 1 if stalled connections are still open
after their deadline, or if an honest client was not served.
"""

from __future__ import annotations

import argparse
import os
import resource
import selectors
import socket
import ssl
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from netproc.test.interop.twistd import Twistd, echo_server

STALLED = 2000
HONEST = 100
#: The deadline of a handshake is 10 s; one more second is for closing the connections.
GONE_BY = 11.0
#: How many seconds an honest client waits for its answer, at most.
PATIENCE = 10.0

#: The beginning of a ClientHello: record and message headers, the version, a little of the random.
HALF_A_HELLO = bytes.fromhex("1603010200010001fc0303") + b"netproc"


class Stalled(threading.Thread):
    """Connections that send half a ClientHello and wait; measures how long each lasts."""

    def __init__(self, port: int, count: int) -> None:
        super().__init__(name="stalled")
        self._port = port
        self._count = count
        #: Set when all are connected.
        self.ready = threading.Event()
        self.ages: list[float] = []
        self.seconds_to_connect = 0.0

    def run(self) -> None:
        began = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for _ in range(self._count):
                sock = socket.create_connection(("127.0.0.1", self._port), PATIENCE)
                sock.sendall(HALF_A_HELLO)
                selector.register(sock, selectors.EVENT_READ, time.monotonic())
                self._take_ended(selector, 0)
            self.seconds_to_connect = time.monotonic() - began
            self.ready.set()
            deadline = time.monotonic() + 2 * GONE_BY
            while selector.get_map() and time.monotonic() < deadline:
                self._take_ended(selector, 0.5)
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]

    def _take_ended(self, selector: selectors.BaseSelector, seconds: float) -> None:
        for key, _ in selector.select(seconds):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                ended = not sock.recv(1000)
            except ConnectionResetError:
                ended = True
            if ended:
                self.ages.append(time.monotonic() - key.data)
                selector.unregister(sock)
                sock.close()


def honest(server: Twistd, context: ssl.SSLContext) -> float:
    """Run one honest client; return the seconds for connecting, the handshake and an answer."""
    began = time.monotonic()
    with (
        socket.create_connection(("127.0.0.1", server.port), PATIENCE) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as secure,
    ):
        secure.sendall(b"hello")
        answer = b""
        while len(answer) < 5 and (data := secure.recv(5)):
            answer += data
    if answer != b"hello":
        raise ConnectionError(f"the answer is {answer!r}")
    return time.monotonic() - began


def serve_honest(server: Twistd, count: int, at_once: int) -> tuple[list[float], list[str]]:
    """Return the times of the clients that were served, and the problems of the others."""
    context = ssl.create_default_context(cafile=server.trust)
    times: list[float] = []
    problems: list[str] = []

    def one(_: int) -> None:
        try:
            times.append(honest(server, context))
        except OSError as error:
            problems.append(f"{type(error).__name__}: {error}")

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(one, range(count)))
    return times, problems


def resident(pid: int) -> int:
    """Return the memory of a process, in MiB."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def main() -> int:
    """Run both kinds of clients; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stalled", type=int, default=STALLED)
    parser.add_argument("--honest", type=int, default=HONEST)
    wanted = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with echo_server() as server:
        memory = resident(server.pid)
        stalled = Stalled(server.port, wanted.stalled)
        stalled.start()
        stalled.ready.wait(3 * PATIENCE)
        most_memory = resident(server.pid)
        times, problems = serve_honest(server, wanted.honest, 10)
        held = wanted.stalled - len(stalled.ages)
        stalled.join()
        later, more_problems = serve_honest(server, 1, 1)
    oldest = max(stalled.ages, default=0.0)
    print(f"stalled: {wanted.stalled} connected in {stalled.seconds_to_connect:.1f} s")
    print(f"stalled: {len(stalled.ages)} gone, the last after {oldest:.1f} s of {GONE_BY:g} s")
    print(f"honest: {len(times)} of {wanted.honest} served while {held} were stalled")
    if times:
        print(f"honest: median {statistics.median(times):.3f} s, most {max(times):.3f} s")
    print(f"memory: {memory} MiB before, {most_memory} MiB with all of them")
    for problem in sorted({*problems, *more_problems}):
        print(f"honest: {problem}")
    is_well = (
        len(stalled.ages) == wanted.stalled
        and oldest <= GONE_BY
        and len(times) == wanted.honest
        and held > 0
        and len(later) == 1
    )
    print("stress: passed" if is_well else "stress: FAILED")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
