"""insertion.py: where output goes in the buffer of a process."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.buffer import Buffer
from netproc.process.insertion import Insertion


class InsertionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.insertion = Insertion()

    def buffer(self, text: str) -> Buffer:
        buffer = Buffer("buffer", lambda _: None)
        buffer.insert(1, text)
        return buffer

    def test_without_a_buffer_output_is_dropped(self) -> None:
        self.insertion.insert("lost")
        self.insertion.mark_tls_start()
        insertion = self.insertion
        self.assertEqual(
            (None, None, None), (insertion.buffer, insertion.position, insertion.tls_start)
        )

    def test_another_buffer_moves_the_mark_to_its_end(self) -> None:
        buffer = self.buffer("old ")
        self.insertion.buffer = buffer
        self.insertion.insert("new")
        self.insertion.position = 1
        self.insertion.buffer = buffer
        self.assertEqual(("old new", 1), (buffer.text, self.insertion.position))

    def test_the_mark_of_a_connections_own_buffer_has_no_position_yet(self) -> None:
        for own, position in ((True, None), (False, 5)):
            buffer = self.buffer("text")
            self.insertion.begin(buffer, own)
            owned = self.insertion.own_buffer
            self.assertEqual((buffer if own else None, position), (owned, self.insertion.position))

    def test_output_over_tls_begins_after_the_clear_text(self) -> None:
        self.insertion.buffer = self.buffer("")
        self.insertion.insert("clear")
        self.insertion.mark_tls_start()
        self.insertion.insert("secure")
        self.assertEqual(6, self.insertion.tls_start)

    def test_a_killed_buffer_takes_nothing(self) -> None:
        self.insertion.buffer = buffer = self.buffer("x")
        buffer.kill()
        self.insertion.insert("lost")
        self.assertFalse(buffer.live)
