"""process/output.py: whose output is pending, when others and the filter send by turns."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessError
from netproc.core.limits import Limits
from netproc.process.input import CONGESTED, FILTERING
from netproc.process.output import Output
from netproc.test.support.fakes import FakeChannel


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.held: set[int] = set()
        self.reading = SimpleNamespace(gate=0, hold=self.held.add, release=self.held.discard)
        limits = Limits(high_water=10, low_water=5, send_cap=1000)
        self.noticed: list[ProcessError] = []
        life = SimpleNamespace(noticed=self.noticed.append)
        self.process: Any = SimpleNamespace(limits=limits, _input=self.reading, _lifecycle=life)
        self.sending = Output(self.process)
        self.channel = FakeChannel()
        self.sending.connected(self.channel)

    def filter_sends(self, data: bytes) -> None:
        self.reading.gate = FILTERING
        self.sending.send(data)
        self.reading.gate = 0

    def test_only_what_the_filter_sent_stops_its_input(self) -> None:
        self.sending.send(bytes(100))
        self.sending.congested()
        self.assertEqual((set(), 0), (self.held, self.channel.asked))
        self.filter_sends(bytes(4))
        self.sending.congested()
        self.assertEqual(set(), self.held)
        self.sending.send(bytes(100))
        self.filter_sends(bytes(8))
        self.sending.congested()
        self.assertEqual(({CONGESTED}, 1), (self.held, self.channel.asked))
        self.assertEqual(212, self.sending.sent)

    def test_what_has_been_written_does_not_count(self) -> None:
        self.filter_sends(bytes(20))
        self.sending.send(bytes(100))
        self.channel.pending = 100
        self.sending.congested()
        self.assertEqual(set(), self.held)
        self.channel.pending = 0
        self.sending.send(bytes(20))
        self.sending.congested()
        self.assertEqual(set(), self.held)

    def test_a_packet_that_is_refused_was_never_sent(self) -> None:
        self.sending.send(bytes(100))
        self.filter_sends(bytes(4))
        self.channel.refuses = True
        self.assertRaises(ProcessError, self.filter_sends, bytes(20))
        self.channel.refuses = False
        self.sending.congested()
        self.assertEqual((104, set()), (self.sending.sent, self.held))

    def test_the_cap(self) -> None:
        self.sending.send(bytes(1000))
        error = self.assertRaises(ProcessError, self.sending.send, b"x")
        self.assertEqual((errno.ENOBUFS, 1000), (error.errno, self.sending.sent))

    def test_a_low_water_mark_of_zero(self) -> None:
        self.process.limits = Limits(low_water=0)
        self.sending.set_marks(self.process.limits)
        self.assertEqual(1, self.channel.low, "the channel could never have less pending")
        self.sending.send(b"x")
        self.assertNoResult(self.sending.drain())
        self.channel.pending = 0
        self.successResultOf(self.sending.drain())

    def test_a_low_water_mark_that_is_raised(self) -> None:
        self.sending.send(bytes(100))
        drained = self.sending.drain()
        for low, fires in ((100, False), (101, True)):
            self.process.limits = Limits(low_water=low)
            self.sending.set_marks(self.process.limits)
            self.assertEqual(fires, drained.called)

    def test_early_output_counts_when_the_limits_are_not_the_usual_ones(self) -> None:
        self.sending.channel = None
        self.sending.send(bytes(100))
        drained = self.sending.drain()
        self.sending.connected(self.channel)
        self.assertNoResult(drained)

    def test_early_packets_that_are_refused(self) -> None:
        self.sending.channel = None
        for size in (2, 30, 4):
            self.sending.send(bytes(size))
        drained = self.sending.drain()
        self.channel.longest = 10
        self.sending.connected(self.channel)
        self.assertEqual((6, 6, 6), (self.channel.pending, self.sending.pending, self.sending.sent))
        self.assertEqual([errno.EMSGSIZE], [error.errno for error in self.noticed])
        self.failureResultOf(drained, ProcessError)

    def test_the_cap_before_there_is_a_channel(self) -> None:
        self.sending.channel = None
        self.sending.send(bytes(600))
        self.assertRaises(ProcessError, self.sending.send, bytes(600))
        self.assertEqual((600, 600), (self.sending.sent, self.sending.pending))
        self.sending.connected(self.channel)
        self.assertEqual(600, self.channel.pending)
