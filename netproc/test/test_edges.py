"""Branches of core/ that no other test takes: each is small, and none may be left out."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netproc import ProcessArgumentError, ProcessTable, open_network_stream
from netproc.core import xmpp


class EdgeTests(SynchronousTestCase):
    def test_a_table_that_nobody_observes(self) -> None:
        table: ProcessTable[Any] = ProcessTable()
        process = object()
        table.closing.add(process)
        table.closed(process)
        self.assertEqual(set(), table.closing)

    def test_a_shell_command_that_cannot_be(self) -> None:
        for command in (5, "run %x"):
            opening = open_network_stream("s", None, "h", 1, type="shell", shell_command=command)
            error = self.failureResultOf(opening, ProcessArgumentError).value
            self.assertEqual("shell_command", error.keyword)

    def test_no_xml_has_no_elements(self) -> None:
        self.assertEqual([], xmpp._elements(b""))
