"""The tools for testing programs: connected pairs, clean tables, and the memory network with processes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from netproc import (
    NetworkProcess,
    ProcessArgumentError,
    ProcessError,
    ProcessTable,
    TLSParameters,
    make_network_process,
)
from netproc.test.support.base import NetprocTestCase
from netproc.test.support.certificates import Authority
from netproc.test.support.fixtures import BROKEN, Recorder, echo
from netproc.testing import MemoryNetwork, clean_table, connected_pair

BINARY = {"coding": "binary"}
ROOT = Authority("root")
SERVER = ROOT.issue("localhost", common="server")


class PairTests(NetprocTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.table: ProcessTable[NetworkProcess] = ProcessTable()

    def tls(self, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the keywords for a client and a server with TLS; FIELDS are the server's."""
        path = os.path.abspath(self.mktemp())
        with open(path, "wb") as file:
            file.write(ROOT.pem)
        client = TLSParameters(trustfiles=[path], system_trust=False, hostname="localhost")
        server = TLSParameters(keylist=[SERVER], trustfiles=[path], **fields)
        return {"tls_parameters": client}, {"tls_parameters": server}

    async def pair(self, **keywords: Any) -> tuple[NetworkProcess, NetworkProcess]:
        pair = await connected_pair(table=self.table, **keywords)
        for process in pair:
            self.addCleanup(process.delete)
        return pair

    def assert_empty(self) -> None:
        self.assertEqual([], self.table.processes())
        # If a name were still reserved, this would return "client<1>" or "server<1>".
        self.assertEqual(
            ["client", "server"], [self.table.reserve(n) for n in ("client", "server")]
        )
        for name in ("client", "server"):
            self.table.release(name)

    async def test_both_are_open(self) -> None:
        client, server = await self.pair()
        self.assertEqual(("open", "open"), (client.status, server.status))
        self.assertEqual("client", client.name)
        self.assertEqual("server <127.0.0.1:49152>", server.name)
        self.assertEqual({client, server}, {*self.table.processes()})
        self.assertEqual(
            ([], ["open from 127.0.0.1\n"]), (self.events(client), self.events(server))
        )

    async def test_the_default_table_is_used(self) -> None:
        client, server = await connected_pair()
        self.assertIs(client.table, server.table)
        client.delete()
        await server.closed

    async def test_keywords(self) -> None:
        heard: list[object] = []
        recorder = Recorder()
        client, server = await self.pair(
            client={"name": "a", "filter": recorder, "plist": {"x": 1}, **BINARY},
            server={
                "name": "b",
                "filter": echo,
                "log": lambda *arguments: heard.append(arguments[1]),
                "sentinel": lambda process, event: heard.append(event),
                **BINARY,
            },
        )
        self.assertEqual(("a", "b <127.0.0.1:49152>"), (client.name, server.name))
        self.assertEqual([server, "open from 127.0.0.1\n"], heard[:2])
        client.send(b"x" * 300_000)
        client.send_eof()
        await client.closed
        self.assertEqual(300_000, len(recorder.data))
        self.assertEqual([BROKEN], self.events(client))

    async def test_tls(self) -> None:
        recorder = Recorder()
        for_client, for_server = self.tls()
        client, server = await self.pair(
            client={"filter": recorder, **for_client, **BINARY},
            server={"filter": echo, **for_server, **BINARY},
        )
        self.assertEqual("TLS1.3", (client.peer_status() or {})["protocol"])
        client.send(b"x" * 300_000)
        await self.until(lambda: len(recorder.data) == 300_000)
        client.send_eof()
        await client.closed
        await server.closed
        self.assertEqual((None, None), (client.reason, server.reason))

    async def test_a_wrong_keyword(self) -> None:
        for wrong in (
            {"client": {"filter": 3}},
            {"server": {"filter": 3}},
            {"server": {"log": 3}},
            {"server": {"stop": True}},
        ):
            await self.failure_of(Deferred.fromCoroutine(self.pair(**wrong)), ProcessArgumentError)
            self.assert_empty()

    async def test_a_client_that_is_refused(self) -> None:
        """The client's handshake is done before the server notices that the certificate is missing."""
        client, server = self.tls(request_client_certificate="required")
        for nowait in (False, True):
            failing = self.pair(client={"nowait": nowait, **client}, server=server)
            error = await self.failure_of(Deferred.fromCoroutine(failing), ProcessError)
            self.assertIn("alert", str(error))
            self.assert_empty()

    async def test_cancelling(self) -> None:
        """Cancel in each turn, until the pair is connected."""
        for client, server in (({}, {}), self.tls()):
            turns, done = 0, False
            while not done:
                made = Deferred.fromCoroutine(
                    connected_pair(table=self.table, client=client, server=server)
                )
                for _ in range(turns):
                    await self.turn()
                done = bool(made.called)
                if done:
                    for process in await made:
                        process.delete()
                else:
                    made.cancel()
                    await self.failure_of(made, CancelledError)
                await self.until(lambda: not self.table.closing)
                self.assert_empty()
                turns += 1
            self.assertGreater(turns, 3)


class StandIn:
    """A test whose cleanups run when `end` is called."""

    fail = TestCase.fail
    failureException = TestCase.failureException

    def __init__(self) -> None:
        self.cleanups: list[Callable[[], Any]] = []

    def addCleanup(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.cleanups.append(lambda: function(*arguments))

    def table(self, **keywords: Any) -> ProcessTable[NetworkProcess]:
        return clean_table(cast(TestCase, self), **keywords)

    async def end(self) -> str | None:
        """Return why the test fails."""
        try:
            for cleanup in self.cleanups:
                await cleanup()
        except self.failureException as error:
            return str(error)
        return None


class TableTests(NetprocTestCase):
    async def test_nothing_is_left(self) -> None:
        """The cleanups of this test check that no process is left."""
        table = clean_table(self)
        for process in await connected_pair(table=table):
            process.delete()

    async def test_an_empty_table(self) -> None:
        test = StandIn()
        self.assertEqual([], test.table().processes())
        self.assertIsNone(await test.end())

    async def test_each_test_has_its_own(self) -> None:
        test = StandIn()
        self.assertIsNot(test.table(), test.table())

    async def test_what_was_left(self) -> None:
        test = StandIn()
        client, server = await connected_pair(table=test.table())
        self.assertEqual(
            "the test left processes: 'server <127.0.0.1:49152>', 'client'; delete them, or wait until they are closed",
            await test.end(),
        )
        await client.closed
        await server.closed

    async def test_a_server_was_left(self) -> None:
        test = StandIn()
        await make_network_process(
            name="s", server=True, endpoint=MemoryNetwork().server_endpoint(), table=test.table()
        )
        self.assertIn("processes: 's';", await test.end() or "")

    async def closing_client(self, table: ProcessTable[NetworkProcess]) -> NetworkProcess:
        """Delete a client of TABLE that cannot write everything before the server, which is returned, ends."""
        network = MemoryNetwork()
        server = await self.make(name="s", server=True, endpoint=network.server_endpoint())
        server.stop()
        client = await self.make(
            name="c", endpoint=network.client_endpoint(), table=table, **BINARY
        )
        client.send(b"x" * 1_000_000)
        client.delete()
        return server

    async def test_what_is_closing_is_waited_for(self) -> None:
        test = StandIn()
        server = await self.closing_client(test.table())
        ending = Deferred.fromCoroutine(test.end())
        await self.nothing_happens(False, lambda: bool(ending.called))
        server.delete()
        self.assertIsNone(await ending)

    async def test_what_closes_too_slowly(self) -> None:
        test = StandIn()
        server = await self.closing_client(test.table(seconds=0.1))
        self.assertEqual("not closed after 0.1 seconds: 'c'", await test.end())
        server.delete()
