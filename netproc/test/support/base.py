"""The test case of netproc: a test must close all that it opens, and every process must keep netproc's promises."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Collection
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from netproc import NetworkProcess, make_network_process
from netproc.core.limits import DEFAULT_LIMITS
from netproc.core.table import ProcessTable
from netproc.net.interfaces import default_reactor
from netproc.process.process import DEFAULT_TABLE
from netproc.test.support.ledger import Ledger
from netproc.test.support.ports import reserve_port

#: How many seconds a whole test may take, and how many it may wait for one condition.  Both are long enough
#: for a slow machine.
TIME_LIMIT = 120
PATIENCE = 50.0
#: How many seconds a test watches that nothing happens, and how many turns of the reactor at least.
QUIET = 0.05
TURNS = 10

reactor = default_reactor()
E = TypeVar("E", bound=Exception)


def descriptors() -> dict[str, str]:
    """Return the open file descriptors, each with what it refers to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            # This one was open for the listing only.
            continue
        if target != "/dev/null":
            # Twisted keeps one of these in reserve, to close it when descriptors run out.
            found[name] = target
    return found


def _selectables() -> set[Any]:
    return {*reactor.getReaders(), *reactor.getWriters()}


def _threads() -> set[str]:
    """Return the threads except those in the reactor's pool, which stay."""
    return {t.name for t in threading.enumerate() if not t.name.startswith("PoolThread")}


def install_resolver(test: SynchronousTestCase, resolve: Callable[..., object]) -> None:
    """Replace the reactor's `resolveHostName` by RESOLVE until TEST is over."""
    installed = reactor.installNameResolver(SimpleNamespace(resolveHostName=resolve))
    test.addCleanup(reactor.installNameResolver, installed)


class NetprocTestCase(TestCase):
    """Checks after each test: descriptors, readers and writers, delayed calls (trial does that),
    threads, the process tables, and the ledger.  A deprecated call in netproc is an error."""

    timeout = TIME_LIMIT

    async def setUp(self) -> None:
        self._allow_no_deprecated_calls()
        # The reactor opens its own descriptors when it starts, as it does for each test.
        await self.turn()
        self.ledger = Ledger()
        self._tables: list[ProcessTable[Any]] = []
        self._watch_tables()
        self._descriptors = descriptors()
        self._selectables = _selectables()
        self._threads = _threads()
        # Cleanups run in reverse order, so these run last.
        self.addCleanup(self._restore_clock)
        self.addCleanup(self._check_clean)

    def _allow_no_deprecated_calls(self) -> None:
        """Make a deprecated call in netproc an error; tests and other packages may make such calls."""
        self.enterContext(warnings.catch_warnings())
        warnings.filterwarnings(
            "error", category=DeprecationWarning, module=r"netproc(\.(?!test\b)|$)"
        )

    def _watch_tables(self) -> None:
        """Let the ledger observe the default table, and every table that the test makes."""
        self._tables.append(DEFAULT_TABLE)
        self.addCleanup(DEFAULT_TABLE.observe(self.ledger.observe))
        make_table = ProcessTable.__init__

        def init(table: ProcessTable[Any]) -> None:
            make_table(table)
            self._tables.append(table)
            table.observe(self.ledger.observe)

        self.patch(ProcessTable, "__init__", init)

    async def _restore_clock(self) -> None:
        if "seconds" in vars(reactor):
            # A call that is due at once may schedule another one.
            for _ in range(3):
                await self.turn()
            del reactor.seconds

    async def _settle(self) -> None:
        """Let deleted processes close."""
        await self.lingers(*(process for process in self.ledger.events if not process.live))

    async def _check_clean(self) -> None:
        listed = [process for table in self._tables for process in table.processes()]
        for process in listed:
            process.delete()
        await self._settle()
        self.assertEqual([], [p.name for p in listed], "these processes were left")
        self.assertEqual([], self.ledger.check())
        for table in self._tables:
            self.assertEqual([], list(table._processes), "these names are still reserved")
            self.assertEqual(set(), table.closing, "these have not been closed")
        DEFAULT_TABLE._buffers.clear()
        await self._is_gone("selectables", lambda: _selectables() - self._selectables)
        await self._is_gone("descriptors", self._new_descriptors)
        await self._is_gone("threads", lambda: _threads() - self._threads)

    async def _is_gone(self, what: str, left: Callable[[], Collection[object]]) -> None:
        """Wait until LEFT returns nothing; closing may need another turn of the reactor."""
        try:
            await self.until(lambda: not left())
        except self.failureException:
            self.fail(f"{what} are left: {left()}")

    def _new_descriptors(self) -> list[str]:
        return [f"{k}: {v}" for k, v in descriptors().items() if k not in self._descriptors]

    # -- what tests use -----------------------------------------------------------------------

    async def until(
        self, condition: Callable[[], object], what: str = "", patience: float = PATIENCE
    ) -> None:
        """Wait until CONDITION holds, for PATIENCE seconds at most."""
        deadline = reactor.seconds() + patience
        while not condition():
            if reactor.seconds() > deadline:
                self.fail(what or f"it did not come: {condition}")
            await deferLater(reactor, 0.002)

    async def nothing_happens(self, expected: object, seen: Callable[[], object]) -> None:
        """Check that SEEN returns EXPECTED, and still does after the data already sent has arrived."""
        for _ in range(TURNS):
            self.assertEqual(expected, seen())
            await deferLater(reactor, QUIET / TURNS)
        self.assertEqual(expected, seen())

    async def until_quiet(self, seen: Callable[[], object]) -> None:
        """Wait until the result of SEEN no longer changes, for example because the kernel takes no more data."""
        deadline = reactor.seconds() + PATIENCE
        last, quiet = seen(), 0
        while quiet < TURNS:
            if reactor.seconds() > deadline:
                self.fail(f"it does not come to rest: {last}")
            await deferLater(reactor, QUIET / TURNS)
            now = seen()
            last, quiet = now, quiet + 1 if now == last else 0

    def advance(self, seconds: float) -> None:
        """Advance the reactor's clock by SECONDS, which must be less than the time limit of the test."""
        now = reactor.seconds
        reactor.seconds = lambda: now() + seconds

    async def lingers(self, *processes: NetworkProcess) -> None:
        """Wait until PROCESSES have closed.  If peers stay open, the clock advances past the wait for them."""
        closing = [process.closed for process in processes]
        for _ in range(TURNS):
            await self.turn()
        if not all(closed.called for closed in closing):
            self.advance(DEFAULT_LIMITS.linger_timeout)
        for closed in closing:
            await closed.addTimeout(PATIENCE, reactor)

    def turn(self) -> Deferred[None]:
        """Let the reactor run one turn."""
        return deferLater(reactor, 0)

    def socket_path(self) -> str:
        """Return a path for a UNIX socket.  It is short, because the kernel takes 107 bytes at most."""
        return os.path.join(self.enterContext(TemporaryDirectory(prefix="np")), "s")

    def reserve_port(self) -> int:
        """Return a port of 127.0.0.1 that refuses connections, and that the system reserves until the test is over.

        A server that asks for this number gets it.
        """
        sock = reserve_port()
        self.addCleanup(sock.close)
        return int(sock.getsockname()[1])

    def make(self, **keywords: Any) -> Deferred[NetworkProcess]:
        """Call `make_network_process`; the process is deleted when the test is over."""
        made = make_network_process(**keywords)

        def later(process: NetworkProcess) -> NetworkProcess:
            self.addCleanup(process.delete)
            return process

        return made.addCallback(later)

    async def failure_of(self, deferred: Deferred[Any], kind: type[E]) -> E:
        """Return the error of the given KIND with which DEFERRED fails."""
        error = await self.assertFailure(deferred, kind)
        assert isinstance(error, kind)
        return error

    def events(self, process: NetworkProcess) -> list[str]:
        """Return the events with which the sentinel of PROCESS has been called."""
        return self.ledger.events.get(process, [])
