"""streams/security.py."""

from __future__ import annotations

import os
from collections.abc import Awaitable

from twisted.internet.defer import Deferred

from netproc.core.errors import ProcessArgumentError, SecurityError
from netproc.core.trust import Problem, Record, Status
from netproc.streams.security import Answer, SecurityManager
from netproc.test.support.base import NetprocTestCase
from netproc.test.support.peerstatus import certificate, status


def with_key(pin: str, **more: object) -> dict[str, object]:
    return status(certificate=certificate(public_key_pin=pin), **more)


GOOD = status()
SELF_SIGNED = status(warnings=["self-signed", "unknown-ca", "invalid"])


class Asked:
    """Answers each question, and keeps the questions."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.heard: list[tuple[str, int, list[str]]] = []

    def __call__(self, host: str, port: int, problems: tuple[Problem, ...]) -> Answer:
        self.heard.append((host, port, [problem.condition for problem in problems]))
        return self.answers.pop(0)


class SecurityTestCase(NetprocTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        self.pins = os.path.join(directory, "pins")

    def good(self, deferred: Deferred[None]) -> None:
        """Check that DEFERRED has fired already, without an error."""
        self.assertIsNone(self.successResultOf(deferred))

    def refused(self, deferred: Deferred[None], *conditions: str) -> SecurityError:
        error = self.failureResultOf(deferred, SecurityError).value
        self.assertEqual(conditions, error.conditions)
        return error

    async def refused_later(self, awaitable: Awaitable[None], *conditions: str) -> SecurityError:
        refusal = None
        try:
            await awaitable
        except SecurityError as error:
            refusal = error
        assert refusal is not None
        self.assertEqual(conditions, refusal.conditions)
        return refusal


class NobodyAskedTests(SecurityTestCase):
    """A manager without a file and without `ask`."""

    def test_a_good_connection(self) -> None:
        for level in ("low", "medium", "high"):
            manager = SecurityManager(level=level)
            self.good(manager.verify_connection("h", 993, GOOD))

    def test_a_bad_certificate(self) -> None:
        error = self.refused(
            SecurityManager().verify_connection("h", 993, SELF_SIGNED),
            "self-signed",
            "unknown-ca",
            "invalid",
        )
        self.assertIn("h:993: the certificate is not valid: self-signed; ", str(error))

    def test_low_objects_to_nothing(self) -> None:
        self.good(SecurityManager(level="low").verify_connection("h", 993, SELF_SIGNED))

    def test_trust_on_first_use_is_for_starttls_and_for_high(self) -> None:
        for level, save, kept in (
            ("medium", False, False),
            ("medium", True, True),
            ("high", False, True),
        ):
            manager = SecurityManager(level=level)
            for state in (GOOD, GOOD):
                self.good(manager.verify_connection("h", 1, state, save_fingerprint=save))
            changed = manager.verify_connection("H.", 1, with_key("sha256:bb"))
            if kept:
                self.refused(changed, "same-cert")
            else:
                self.good(changed)
            self.good(manager.verify_connection("h", 2, with_key("sha256:bb")))

    def test_only_the_first_key_is_trusted(self) -> None:
        """A level that accepts changed keys does not remember them either."""
        manager = SecurityManager(level="low", pins=None)
        self.good(manager.verify_connection("h", 1, GOOD, save_fingerprint=True))
        self.good(manager.verify_connection("h", 1, with_key("x"), save_fingerprint=True))
        self.assertEqual(Record({"sha256:aa": frozenset()}), manager._store.read("h:1"))

    def test_a_bad_connection_is_not_remembered(self) -> None:
        manager = SecurityManager(level="high")
        self.refused(manager.verify_connection("h", 1, status(cipher="NULL")), "null-suite")
        self.good(manager.verify_connection("h", 1, with_key("sha256:bb")))

    def test_clear_text_after_tls(self) -> None:
        manager = SecurityManager()
        self.good(manager.verify_connection("h", 143, None))
        self.good(manager.verify_connection("h", 143, GOOD, save_fingerprint=True))
        error = self.refused(manager.verify_connection("h", 143, None), "unencrypted")
        self.assertEqual("h:143: the connection used to be encrypted", str(error))

    def test_a_warning_of_clear_text(self) -> None:
        manager = SecurityManager()
        deferred = manager.verify_connection("h", 143, None, warn_unencrypted=True)
        self.refused(deferred, "unencrypted")

    def test_paranoid_knows_nobody(self) -> None:
        manager = SecurityManager(level="paranoid")
        self.refused(manager.verify_connection("h", 1, GOOD), "not-seen")

    def test_no_such_level(self) -> None:
        error = self.assertRaises(ProcessArgumentError, SecurityManager, level="none")
        self.assertEqual("level", error.keyword)


class AskedTests(SecurityTestCase):
    async def test_always_is_remembered_in_the_file(self) -> None:
        asked = Asked("always")
        manager = SecurityManager(pins=self.pins, ask=asked)
        await manager.verify_connection("h", 993, SELF_SIGNED)
        await manager.verify_connection("h", 993, SELF_SIGNED)
        self.assertEqual([("h", 993, ["self-signed", "unknown-ca", "invalid"])], asked.heard)
        later = SecurityManager(pins=self.pins)
        await later.verify_connection("h", 993, SELF_SIGNED)
        expired = status(warnings=["expired", "self-signed"])
        await self.refused_later(later.verify_connection("h", 993, expired), "expired")
        other = with_key("sha256:bb", warnings=["self-signed"])
        await self.refused_later(
            later.verify_connection("h", 993, other), "self-signed", "same-cert"
        )

    async def test_session_is_not(self) -> None:
        asked = Asked("session")
        manager = SecurityManager(level="high", pins=self.pins, ask=asked)
        for _ in range(3):
            await manager.verify_connection("h", 993, SELF_SIGNED)
        self.assertEqual(1, len(asked.heard))
        self.assertFalse(os.path.exists(self.pins))

    async def test_no(self) -> None:
        asked = Asked("no", "maybe")
        manager = SecurityManager(pins=self.pins, ask=asked)
        for _ in range(2):
            deferred = manager.verify_connection("h", 1, None, warn_unencrypted=True)
            await self.refused_later(deferred, "unencrypted")
        self.assertFalse(os.path.exists(self.pins))

    def test_the_answer_may_come_later(self) -> None:
        answer: Deferred[Answer] = Deferred()
        manager = SecurityManager(ask=lambda *question: answer)
        deferred = manager.verify_connection("h", 993, SELF_SIGNED)
        self.assertNoResult(deferred)
        answer.callback("session")
        self.good(deferred)

    def test_a_coroutine_may_answer(self) -> None:
        async def ask(host: str, port: int, problems: tuple[Problem, ...]) -> Answer:
            return "session"

        self.good(SecurityManager(ask=ask).verify_connection("h", 993, SELF_SIGNED))

    def test_asking_fails(self) -> None:
        def ask(*question: object) -> Answer:
            raise KeyError("x")

        deferred = SecurityManager(ask=ask).verify_connection("h", 993, SELF_SIGNED)
        self.failureResultOf(deferred, KeyError)

    def test_clear_text_can_be_accepted(self) -> None:
        asked = Asked("always")
        manager = SecurityManager(ask=asked)
        for _ in range(2):
            self.good(manager.verify_connection("h", 1, None, warn_unencrypted=True))
        self.assertEqual([("h", 1, ["unencrypted"])], asked.heard)

    def test_a_changed_key_can_be_accepted(self) -> None:
        manager = SecurityManager(level="high", ask=Asked("always"))
        for state in (GOOD, with_key("sha256:bb"), GOOD, with_key("sha256:bb")):
            self.good(manager.verify_connection("h", 1, state))

    def test_what_others_remembered_meanwhile_counts(self) -> None:
        """Two first connections with different keys: the second is made before `ask` answers about the first."""
        answer: Deferred[Answer] = Deferred()
        manager = SecurityManager(level="high", ask=lambda *question: answer)
        slow = manager.verify_connection("h", 1, with_key("sha256:bb", warnings=["expired"]))
        self.good(manager.verify_connection("h", 1, GOOD))
        manager._ask = Asked("no")
        answer.callback("always")
        self.refused(slow, "expired", "same-cert")


class FileTests(SecurityTestCase):
    async def test_two_managers_share_it(self) -> None:
        first, second = (SecurityManager(level="high", pins=self.pins) for _ in range(2))
        await first.verify_connection("h", 1, GOOD)
        await self.refused_later(
            second.verify_connection("h", 1, with_key("sha256:bb")), "same-cert"
        )

    async def test_a_corrupt_file_refuses(self) -> None:
        with open(self.pins, "w", encoding="ascii") as file:
            file.write("{}")
        manager = SecurityManager(pins=self.pins)
        states: tuple[Status | None, ...] = (GOOD, None)
        for state in states:
            error = await self.refused_later(manager.verify_connection("h", 1, state))
            self.assertIn("is corrupt", str(error))

    async def test_a_file_that_cannot_be_written_refuses(self) -> None:
        manager = SecurityManager(level="high", pins=self.pins + "/none/pins")
        error = await self.refused_later(manager.verify_connection("h", 1, GOOD))
        self.assertIn("cannot write", str(error))

    async def test_forget(self) -> None:
        manager = SecurityManager(level="high", pins=self.pins)
        await manager.verify_connection("h", 1, GOOD)
        await manager.forget("H", 1)
        await manager.verify_connection("h", 1, with_key("sha256:bb"))
        await self.refused_later(manager.verify_connection("h", 1, GOOD), "same-cert")

    def test_forget_what_the_session_accepted(self) -> None:
        manager = SecurityManager(ask=Asked("session", "no"))
        self.good(manager.verify_connection("h", 1, SELF_SIGNED))
        self.good(manager.forget("h", 1))
        deferred = manager.verify_connection("h", 1, status(warnings=["expired"]))
        self.refused(deferred, "expired")

    def test_forget_while_others_write(self) -> None:
        manager = SecurityManager()
        swap, late = manager._store.swap, [True]

        def swap_late(host: str, old: Record, new: Record) -> bool:
            if late:
                late.pop()
                swap(host, Record(), Record({"x": frozenset()}))
            return swap(host, old, new)

        self.patch(manager._store, "swap", swap_late)
        self.good(manager.forget("h", 1))
        self.assertEqual(Record(), manager._store.read("h:1"))
