"""adapters/service.py: processes as services of a Twisted application."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred

from netproc import NetworkProcess, ProcessArgumentError, ProcessError, process_list
from netproc.adapters import service as service_module
from netproc.service import ProcessService
from netproc.test.support.base import NetprocTestCase, install_resolver
from netproc.test.support.fixtures import MB, echo
from netproc.test.support.peers import connect, in_thread, read_exactly, request_and_half_close


class ServiceTests(NetprocTestCase):
    def service(self, **keywords: Any) -> ProcessService:
        keywords = {"name": "s", "server": True, "service": True, "filter": echo, **keywords}
        return ProcessService(**keywords)

    def port(self, service: ProcessService) -> int:
        assert service.process is not None
        return service.process.contact("service")

    async def test_a_server_listens_when_it_starts_with_privileges(self) -> None:
        service = self.service()
        service.privilegedStartService()
        assert service.process is not None
        self.assertEqual("listen", service.process.status)
        service.startService()
        self.assertEqual([service.process], process_list())
        await service.stopService()

    async def test_a_server_with_a_backlog_of_0_is_a_server(self) -> None:
        service = self.service(server=0)
        service.privilegedStartService()
        assert service.process is not None
        self.assertEqual("listen", service.process.status)
        await service.stopService()

    async def test_a_server_listens_when_there_are_no_privileges(self) -> None:
        service = self.service()
        service.startService()
        peer = connect(socket.AF_INET, ("127.0.0.1", self.port(service)))
        self.assertEqual(b"x", await in_thread(request_and_half_close, peer, b"x"))
        await service.stopService()

    async def test_a_host_is_looked_up_by_a_blocking_call(self) -> None:
        service = self.service(host="localhost")
        service.privilegedStartService()
        self.assertIsNotNone(service.process)
        await service.stopService()

    async def test_hosts_that_are_not_known(self) -> None:
        for host in ("nosuchhost.invalid", "a" * 64):
            error = self.assertRaises(ProcessError, self.service(host=host).privilegedStartService)
            self.assertEqual(f"{host}/0 Name or service not known", str(error))
        error = self.assertRaises(
            ProcessError, self.service(host="localhost", service="nosuch").privilegedStartService
        )
        self.assertIn("Servname not supported", str(error))

    async def test_a_port_that_is_taken_is_raised_at_once(self) -> None:
        first = self.service()
        first.privilegedStartService()
        second = self.service(service=self.port(first))
        error = self.assertRaises(ProcessError, second.privilegedStartService)
        self.assertEqual(errno.EADDRINUSE, error.errno)
        await first.stopService()
        await second.stopService()

    async def test_bad_arguments(self) -> None:
        self.assertRaises(TypeError, ProcessService, name="s", nosuch=1)
        self.assertRaises(ProcessArgumentError, self.service(host=5).privilegedStartService)

    async def test_a_client_connects_when_it_starts(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        service = self.service(server=False, service=listener.getsockname()[1])
        service.privilegedStartService()
        self.assertIsNone(service.process)
        service.startService()
        await self.until(lambda: service.process)
        stopping = service.stopService()
        listener.accept()[0].close()
        await stopping

    def test_a_name_is_needed(self) -> None:
        error = self.assertRaises(TypeError, ProcessService, server=True, service=7)
        self.assertEqual("ProcessService needs the keyword 'name'", str(error))

    async def test_a_client_that_is_refused_is_logged(self) -> None:
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        service = self.service(server=False, service=sock.getsockname()[1])
        failures: list[str] = []
        self.patch(service, "failed", lambda f: failures.append(f.getErrorMessage()))
        service.startService()
        await self.until(lambda: failures)
        self.assertIn("Connection refused", failures[0])
        await service.stopService()

    async def test_stopping_gives_a_connect_up(self) -> None:
        service = self.service(server=False, host="some.example", service=7)
        install_resolver(self, lambda *arguments: None)
        service.startService()
        await service.stopService()
        self.assertIsNone(service.process)

    async def test_stopping_writes_what_was_sent(self) -> None:
        service = self.service(coding="binary")
        service.startService()
        peer = connect(socket.AF_INET, ("127.0.0.1", self.port(service)))
        connection = await self.connection(service)
        connection.send(b"x" * 5 * MB)
        stopping = service.stopService()
        self.assertEqual([], process_list())
        self.assertEqual(5 * MB, len(await in_thread(read_exactly, peer, 5 * MB)))
        peer.close()
        await stopping

    async def connection(self, service: ProcessService) -> NetworkProcess:
        await self.until(lambda: len(process_list()) == 2)
        return process_list()[0]

    async def test_stopping_does_not_wait_for_what_says_so(self) -> None:
        service = self.service()
        service.startService()
        peer = connect(socket.AF_INET, ("127.0.0.1", self.port(service)))
        connection = await self.connection(service)
        connection.query_on_exit = False
        self.successResultOf(Deferred.fromCoroutine(self.stop(service)))
        peer.close()
        await connection.closed

    async def stop(self, service: ProcessService) -> None:
        await service.stopService()

    async def test_stopping_ends_within_its_time(self) -> None:

        self.patch(service_module, "STOP_FLUSH", 0.1)
        service = self.service(coding="binary")
        service.startService()
        peer = connect(socket.AF_INET, ("127.0.0.1", self.port(service)))
        connection = await self.connection(service)
        connection.send(b"x" * 15 * MB)
        await service.stopService()
        self.assertGreater(connection.unsent, 0)
        peer.close()

    async def test_connections_are_stopped_though_the_server_was_deleted(self) -> None:
        service = self.service()
        service.startService()
        peer = connect(socket.AF_INET, ("127.0.0.1", self.port(service)))
        connection = await self.connection(service)
        assert service.process is not None
        service.process.delete()
        stopping = service.stopService()
        self.assertFalse(connection.live)
        peer.close()
        await stopping

    async def test_under_a_multi_service(self) -> None:
        parent = MultiService()
        for name in ("one", "two"):
            self.service(name=name).setServiceParent(parent)
        parent.privilegedStartService()
        parent.startService()
        self.assertEqual(["two", "one"], [p.name for p in process_list()])
        await parent.stopService()
        self.assertEqual([], process_list())

    async def test_the_owner_of_a_socket_file(self) -> None:
        path = f"owner{os.getpid()}"
        owners: list[tuple[Any, ...]] = []
        self.patch(os, "lchown", lambda *arguments: owners.append(arguments))
        service = self.service(service=path, family="local", owner=(65534, -1))
        service.privilegedStartService()
        self.assertEqual([(path, 65534, -1)], owners)
        await service.stopService()
        for keywords in ({}, {"local": "\0" + path, "service": None}):
            service = self.service(owner=(65534, -1), **keywords)
            service.privilegedStartService()
            await service.stopService()
        self.assertEqual(1, len(owners))
