"""Sockets that a launcher passes to the program."""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import endpoints
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessArgumentError
from netproc.net.inherited import Inherited, first_environment

STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET


class InheritedTests(SynchronousTestCase):
    """The descriptors have consecutive numbers, as a launcher leaves them."""

    def inherited(self, *sockets: socket.socket | None, **environment: str) -> Inherited:
        """Pass copies of SOCKETS, as a launcher does; None stands for a descriptor of another kind."""
        first = 700
        for position, sock in enumerate(sockets):
            number = first + position
            if sock is None:
                null = os.open("/dev/null", os.O_RDONLY)
                os.dup2(null, number)
                os.close(null)
            else:
                os.dup2(sock.fileno(), number)
                sock.close()
            self.addCleanup(self.close, number)
        count = {"LISTEN_FDS": str(len(sockets)), "LISTEN_PID": str(os.getpid())}
        return Inherited({**count, **environment}, first)

    def close(self, number: int) -> None:
        try:
            os.close(number)
        except OSError:
            # A process took it, and closed it with its socket.
            return

    def listening(self, kind: int = STREAM) -> socket.socket:
        if kind == SEQPACKET:
            sock = socket.socket(socket.AF_UNIX, kind)
            sock.bind(b"")
        else:
            sock = socket.socket(socket.AF_INET, kind)
            sock.bind(("127.0.0.1", 0))
        if kind != DGRAM:
            sock.listen()
        self.addCleanup(sock.close)
        return sock

    def take(self, inherited: Inherited, which: Any, kind: int = STREAM) -> Any:
        sock = inherited.take(which, kind)
        if sock is not None:
            self.addCleanup(sock.close)
            return sock.getsockname()
        return None

    def problem(self, inherited: Inherited, which: Any, kind: int = STREAM) -> str:
        error = self.assertRaises(ProcessArgumentError, inherited.take, which, kind)
        self.assertEqual("use_external_socket", error.keyword)
        return error.problem

    def test_in_order_and_once(self) -> None:
        sockets = [self.listening(), self.listening()]
        names = [sock.getsockname() for sock in sockets]
        inherited = self.inherited(*sockets)
        self.assertEqual(
            [*names, None],
            [self.take(inherited, True), self.take(inherited, True), self.take(inherited, True)],
        )

    def test_by_position(self) -> None:
        sockets = [self.listening(), self.listening(DGRAM)]
        name = sockets[1].getsockname()
        inherited = self.inherited(*sockets)
        self.assertEqual(name, self.take(inherited, 1, DGRAM))
        self.assertEqual("no socket was inherited at position 1", self.problem(inherited, 1, DGRAM))
        self.assertEqual("no socket was inherited at position 2", self.problem(inherited, 2))
        self.assertEqual("no socket was inherited at position -1", self.problem(inherited, -1))
        problem = "no socket was inherited at position a value of type int"
        self.assertEqual(problem, self.problem(inherited, 10**5000))

    def test_by_name(self) -> None:
        sockets = [self.listening(), self.listening(SEQPACKET)]
        name = sockets[1].getsockname()
        inherited = self.inherited(*sockets, LISTEN_FDNAMES="web:control")
        self.assertEqual("no socket named 'mail' was inherited", self.problem(inherited, "mail"))
        self.assertEqual(name, self.take(inherited, "control", SEQPACKET))
        self.assertEqual(
            "no socket named 'control' was inherited", self.problem(inherited, "control")
        )

    def test_names_are_optional(self) -> None:
        inherited = self.inherited(self.listening())
        self.assertEqual("no socket named 'web' was inherited", self.problem(inherited, "web"))
        self.assertIsNotNone(self.take(inherited, True))

    def test_the_wrong_kind_stays_unused(self) -> None:
        idle = socket.socket(socket.AF_INET, STREAM)
        inherited = self.inherited(self.listening(DGRAM), None, idle)
        at = "the descriptor that was inherited at position"
        self.assertEqual(
            f"{at} 0 is a datagram socket, not a stream one", self.problem(inherited, True)
        )
        self.assertEqual(f"{at} 1: Socket operation on non-socket", self.problem(inherited, 1))
        self.assertEqual(f"{at} 2 does not listen", self.problem(inherited, 2))
        self.assertIsNotNone(self.take(inherited, True, DGRAM))

    def test_none_for_others(self) -> None:
        for environment in (
            {},
            {"LISTEN_PID": "1"},
            {"LISTEN_FDS": "x"},
            {"LISTEN_FDS": "0"},
            {"LISTEN_FDS": "9" * 5000},
            {"LISTEN_FDS": "9" * 10},
        ):
            inherited = Inherited(environment)
            self.assertIsNone(inherited.take(True, STREAM))

    def test_a_program_that_has_set_its_title(self) -> None:
        """The process title overwrites the first environment; `os.environ` is as before."""
        self.patch(os, "environ", {"LISTEN_FDS": "2", "LISTEN_FDNAMES": "of Twisted's"})
        path = self.mktemp()
        for first, expected in (
            ("worker: idle\0\0\0\0TEN_FDS=2\0", ("2", "of Twisted's")),
            ("title\0LISTEN_FDNAMES=a:b\0", ("2", "a:b")),
            ("LISTEN_FDS=1\0LISTEN_FDNAMES=a:b\0", ("1", "a:b")),
        ):
            with open(path, "w") as file:
                file.write(first)
            found = first_environment(path)
            self.assertEqual(expected, (found["LISTEN_FDS"], found["LISTEN_FDNAMES"]))
        self.assertEqual("2", first_environment(path + ".nothing")["LISTEN_FDS"])

    def test_what_twisted_has_taken_before(self) -> None:
        listening = ListenFDs([3, 4], ["a", "b"])
        self.patch(endpoints._SystemdParser, "_sddaemon", listening)
        self.patch(os, "environ", {"LISTEN_FDNAMES": "a:b"})
        found = first_environment(self.mktemp())
        self.assertEqual({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}, found)

    def test_not_asked_for(self) -> None:
        inherited = self.inherited(self.listening())
        self.assertIsNone(inherited.take(False, STREAM))
        self.assertIsNotNone(self.take(inherited, True))

    def test_children_do_not_inherit_it(self) -> None:
        inherited = self.inherited(self.listening())
        sock = inherited.take(True, STREAM)
        assert sock is not None
        self.addCleanup(sock.close)
        self.assertEqual((False, False), (sock.get_inheritable(), sock.getblocking()))
