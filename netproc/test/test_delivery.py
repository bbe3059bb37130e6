"""core/delivery.py."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.coding import DEFAULT, Text, coding_pair
from netproc.core.delivery import Delivery, PacketDelivery
from netproc.core.errors import ProcessError
from netproc.core.limits import PIECE

BINARY = coding_pair("binary")


class GivingBack(SynchronousTestCase):
    def drain_unused(self, delivery: Delivery) -> Text:
        """Let the filter give back all of its input."""
        given = delivery.take()
        delivery.prepend(given)
        delivery.settle(given)
        return given


class DeliveryTests(GivingBack):
    def test_in_order(self) -> None:
        delivery = Delivery(DEFAULT, True)
        self.assertFalse(delivery.waiting)
        delivery.put(b"one")
        delivery.put(b"two")
        self.assertTrue(delivery.waiting)
        self.assertEqual(["one", "two"], [delivery.take(), delivery.take()])
        self.assertFalse(delivery.waiting)

    def test_a_large_chunk_comes_in_pieces(self) -> None:
        delivery = Delivery(BINARY, True)
        delivery.put(b"a" * (2 * PIECE) + b"b")
        sizes = []
        while delivery.waiting:
            sizes.append(len(delivery.take()))
        self.assertEqual([PIECE, PIECE, 1], sizes)

    def test_no_more_than_there_is_room_for(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.put(b"abcdef")
        self.assertEqual(["ab", "cdef"], [delivery.take(2), delivery.take(10)])

    def test_what_is_put_back_is_next(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.put(b"new")
        delivery.prepend("old")
        self.assertEqual(["ol", "d", "new"], [delivery.take(2), delivery.take(), delivery.take()])

    def test_a_piece_may_complete_no_character(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.put("é".encode())
        self.assertEqual(["", "é"], [delivery.take(1), delivery.take(1)])

    def test_another_coding_gets_the_unfinished_character_too(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.put(b"a\xc3")
        self.assertEqual("a", delivery.take())
        delivery.set_coding(BINARY, True)
        self.assertTrue(delivery.waiting)
        delivery.put(b"\xa9")
        self.assertEqual([b"\xc3", b"\xa9"], [delivery.take(), delivery.take()])

    def test_another_coding_when_nothing_ever_waited(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.decoder.decode(b"\xc3")
        delivery.set_coding(BINARY, True)
        self.assertEqual(b"\xc3", delivery.take())

    def test_another_coding_with_nothing_unfinished(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.set_coding(DEFAULT, False)
        self.assertFalse(delivery.waiting)
        delivery.put(b"a")
        self.assertEqual(b"a", delivery.take())

    def test_another_coding_gets_the_bytes_of_what_was_given_back(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.put("aé!".encode() + b"\xc3")
        delivery.put(b"later")
        text = delivery.take()
        delivery.prepend(text[2:])
        delivery.prepend(text[1:2])
        delivery.set_coding(BINARY, True)
        self.assertEqual(["é!".encode() + b"\xc3", b"later"], [delivery.take(), delivery.take()])

    def test_what_the_filter_gives_back_whole_comes_with_the_next(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.put(b"half")
        self.drain_unused(delivery)
        self.assertEqual((False, True), (delivery.ready, delivery.waiting))
        delivery.put(b"\xc3")
        self.assertEqual((True, "", False), (delivery.ready, delivery.take(), delivery.ready))
        delivery.put(b"\xa9")
        self.assertEqual(("halfé", False), (self.drain_unused(delivery), delivery.ready))
        delivery.put(b"!")
        self.assertEqual(("halfé!", False), (delivery.take(), delivery.waiting))

    def test_giving_back_a_part_is_progress(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.put(b"a\nb")
        given = delivery.take()
        delivery.prepend(given[2:])
        delivery.settle(given)
        self.assertEqual((True, "b"), (delivery.ready, delivery.take()))

    def test_what_was_given_back_can_be_tried_again(self) -> None:
        for in_call in (False, True):
            delivery = Delivery(DEFAULT, True)
            delivery.put(b"a")
            delivery.take()
            if in_call:
                delivery.retry(in_call=True)
            delivery.prepend("a")
            delivery.settle("a")
            self.assertEqual(in_call, delivery.ready)
            delivery.retry(in_call=False)
            self.assertEqual((True, "a"), (delivery.ready, delivery.take()))

    def test_the_unfinished_character_at_the_end(self) -> None:
        delivery = Delivery(coding_pair("utf-8-unix"), True)
        delivery.put(b"a\xc3")
        self.drain_unused(delivery)
        self.assertEqual(
            (True, "a\udcc3", False), (delivery.finish(), delivery.take(), delivery.finish())
        )

    def test_the_first_reason_of_the_end_stays(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.end(None)
        self.assertTrue(delivery.ended)
        reset = ProcessError(104, "reset")
        delivery.end(reset)
        delivery.end(ProcessError(32, "pipe"))
        self.assertIs(reset, delivery.reason)

    def test_discard(self) -> None:
        delivery = Delivery(DEFAULT, True)
        delivery.put(b"x")
        delivery.discard()
        self.assertFalse(delivery.waiting)

    def test_all_bytes_that_wait(self) -> None:
        delivery = Delivery(DEFAULT, True)
        self.assertEqual(b"", delivery.take_bytes())
        delivery.decoder.decode(b"\xc3")
        delivery.put(b"b")
        delivery.set_coding(DEFAULT, True)
        delivery.prepend("é")
        self.assertEqual("é".encode() + b"\xc3b", delivery.take_bytes())
        self.assertFalse(delivery.waiting)


class PacketDeliveryTests(GivingBack):
    def test_packets_stay_apart_and_in_order(self) -> None:
        delivery = PacketDelivery(DEFAULT, True)
        delivery.put("é".encode())
        self.assertEqual("é", self.drain_unused(delivery))
        self.assertFalse(delivery.ready)
        delivery.put(b"two")
        delivery.retry(in_call=False)
        self.assertEqual(["é", "two"], [self.drain_unused(delivery), self.drain_unused(delivery)])
        self.assertEqual((False, True), (delivery.ready, delivery.waiting))
        delivery.set_coding(BINARY, True)
        self.assertEqual(["é".encode(), b"two"], [delivery.take(), delivery.take()])
        self.assertFalse(delivery.waiting)

    def test_a_packet_that_is_longer_than_a_piece_stays_whole(self) -> None:
        delivery = PacketDelivery(BINARY, True)
        delivery.prepend(b"x" * 2 * PIECE)
        self.assertEqual(2 * PIECE, len(delivery.take()))
