"""process/output.py: whose output is pending when the filter and other code send in turn."""

from __future__ import annotations

import errno
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessError
from netproc.core.limits import Limits
from netproc.process.input import CONGESTED, FILTERING
from netproc.process.output import Output
from netproc.test.support.fakes import FakeChannel


class FakeInput:
    """The part of an Input that its Output uses."""

    def __init__(self) -> None:
        self.gate = 0
        self.held: set[int] = set()
        self.hold = self.held.add
        self.release = self.held.discard


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.input: Any = FakeInput()
        self.held = self.input.held
        self.noticed: list[ProcessError] = []
        self.output = Output(self.input, Limits(high_water=10, low_water=5, send_cap=1000))
        self.channel = FakeChannel()
        self.connect()

    def connect(self) -> None:
        self.output.connected(self.channel, self.noticed.append)

    def filter_sends(self, data: bytes) -> None:
        self.input.gate = FILTERING
        self.output.send(data)
        self.input.gate = 0

    def test_only_what_the_filter_sent_stops_its_input(self) -> None:
        self.output.send(bytes(100))
        self.output.congested()
        self.assertEqual((set(), 0), (self.held, self.channel.asked))
        self.filter_sends(bytes(4))
        self.output.congested()
        self.assertEqual(set(), self.held)
        self.output.send(bytes(100))
        self.filter_sends(bytes(8))
        self.output.congested()
        self.assertEqual(({CONGESTED}, 1), (self.held, self.channel.asked))
        self.assertEqual(212, self.output.sent)

    def test_what_has_been_written_does_not_count(self) -> None:
        self.filter_sends(bytes(20))
        self.output.send(bytes(100))
        self.channel.pending = 100
        self.output.congested()
        self.assertEqual(set(), self.held)
        self.channel.pending = 0
        self.output.send(bytes(20))
        self.output.congested()
        self.assertEqual(set(), self.held)

    def test_a_packet_that_is_refused_was_never_sent(self) -> None:
        self.output.send(bytes(100))
        self.filter_sends(bytes(4))
        self.channel.refuses = True
        self.assertRaises(ProcessError, self.filter_sends, bytes(20))
        self.channel.refuses = False
        self.output.congested()
        self.assertEqual((104, set()), (self.output.sent, self.held))

    def test_the_cap(self) -> None:
        self.output.send(bytes(1000))
        error = self.assertRaises(ProcessError, self.output.send, b"x")
        self.assertEqual((errno.ENOBUFS, 1000), (error.errno, self.output.sent))

    def test_a_low_water_mark_of_zero(self) -> None:
        self.output.set_marks(Limits(low_water=0))
        self.assertEqual(1, self.channel.low, "the channel could never have less pending")
        self.output.send(b"x")
        self.assertNoResult(self.output.drain())
        self.channel.pending = 0
        self.successResultOf(self.output.drain())

    def test_a_low_water_mark_that_is_raised(self) -> None:
        self.output.send(bytes(100))
        drained = self.output.drain()
        for low, fires in ((100, False), (101, True)):
            self.output.set_marks(Limits(low_water=low))
            self.assertEqual(fires, drained.called)

    def test_early_output_counts_when_the_limits_are_not_the_usual_ones(self) -> None:
        self.output._channel = None
        self.output.send(bytes(100))
        drained = self.output.drain()
        self.connect()
        self.assertNoResult(drained)

    def test_early_packets_that_are_refused(self) -> None:
        self.output._channel = None
        for size in (2, 30, 4):
            self.output.send(bytes(size))
        drained = self.output.drain()
        self.channel.longest = 10
        self.connect()
        self.assertEqual((6, 6, 6), (self.channel.pending, self.output.pending, self.output.sent))
        self.assertEqual([errno.EMSGSIZE], [error.errno for error in self.noticed])
        self.failureResultOf(drained, ProcessError)

    def test_the_cap_before_there_is_a_channel(self) -> None:
        self.output._channel = None
        self.output.send(bytes(600))
        self.assertRaises(ProcessError, self.output.send, bytes(600))
        self.assertEqual((600, 600), (self.output.sent, self.output.pending))
        self.connect()
        self.assertEqual(600, self.channel.pending)
