"""core/status.py: the table is a machine that ends once."""

from __future__ import annotations

import itertools

from twisted.trial.unittest import SynchronousTestCase

from netproc.core import status
from netproc.core.errors import CommandError, ProcessError
from netproc.core.status import ENDED, LIVE, TABLE, Cause, State


class TableTests(SynchronousTestCase):
    def test_every_state_can_be_reached(self) -> None:
        reached = {State.NEW} | {step.state for step in TABLE.values()}
        self.assertEqual(set(State), reached)

    def test_every_live_state_can_be_deleted_with_one_event(self) -> None:
        for state in LIVE - {State.RUN}:
            step = status.step(state, Cause.DELETED)
            self.assertEqual((State.CLOSED, "deleted\n", 0), step)
        step = status.step(State.RUN, Cause.DELETED)
        self.assertEqual((State.SIGNAL, "killed\n", 9), step)

    def test_a_terminal_state_is_entered_with_an_event_and_left_with_none(self) -> None:
        for (state, _), step in TABLE.items():
            if state in ENDED:
                self.assertIsNone(step.event)
                self.assertIs(State.CLOSED, step.state)
            elif step.state in ENDED:
                self.assertIsNotNone(step.event)

    def test_every_way_through_the_table_tells_one_terminal_event(self) -> None:
        for causes in itertools.product(Cause, repeat=4):
            state, events = State.NEW, []
            for cause in causes:
                step = status.step(state, cause)
                if step is not None:
                    state = step.state
                    events.append(step.event)
            told = [event for event in events if event is not None]
            terminal = [event for event in told if not event.startswith(("open", "run"))]
            self.assertEqual(int(state in ENDED), len(terminal), causes)
            self.assertLessEqual(len(told) - len(terminal), 1, causes)

    def test_the_strings_are_those_of_emacs(self) -> None:
        told = {step.event for step in TABLE.values() if step.event is not None}
        self.assertEqual(
            {
                "open\n",
                "open from {}\n",
                "connection broken by remote peer\n",
                "deleted\n",
                "failed{}\n",
                "run\n",
                "finished\n",
                "killed\n",
                # The system's text for an error, or "exited abnormally …".
                "{}\n",
            },
            told,
        )

    def test_how_commands_end(self) -> None:
        failed = CommandError(status.exited_words(3), 3)
        killed = CommandError(status.signal_words(15), 15, by_signal=True)
        self.assertEqual("exited abnormally with code 3", str(failed))
        self.assertEqual("terminated", str(killed))
        self.assertEqual("signal 999", status.signal_words(999))
        for reason, cause in (
            (None, Cause.FINISHED),
            (failed, Cause.EXITED),
            (killed, Cause.SIGNALLED),
            (ProcessError(None, "lost"), Cause.EXITED),
        ):
            self.assertIs(cause, status.end_of_input(State.RUN, reason))
            self.assertIs(Cause.PEER_ENDED, status.end_of_input(State.OPEN, reason))

    def test_what_stopping_hides(self) -> None:
        for state in State:
            hidden = state not in (State.CLOSED, State.EXIT, State.SIGNAL)
            self.assertEqual("stop" if hidden else state.value, status.shown(state, True))
            self.assertEqual(state.value, status.shown(state, False))

    def test_exit_status(self) -> None:
        broken = status.step(State.OPEN, Cause.PEER_ENDED)
        assert broken is not None
        self.assertEqual(256, broken.exit_status)

    def test_nothing_happens_to_what_is_not_in_the_table(self) -> None:
        self.assertIsNone(status.step(State.CLOSED, Cause.PEER_ENDED))

    def test_failure_words(self) -> None:
        self.assertEqual(" with code 111", status.failure_words(ProcessError(111, "refused")))
        self.assertEqual(": no such name", status.failure_words(ProcessError(None, "no such name")))

    def test_messages_of_the_log_function(self) -> None:
        self.assertEqual("accept from 127.0.0.1\n", status.accept_message("127.0.0.1"))
        self.assertEqual("accept failed with code 24\n", status.accept_failed_message(24))
