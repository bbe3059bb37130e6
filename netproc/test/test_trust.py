"""core/trust.py."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.trust import (
    NO_CERTIFICATE,
    Level,
    Record,
    accepted,
    decode,
    encode,
    host_key,
    pin,
    plain_problems,
    tls_problems,
)
from netproc.test.support.peerstatus import KEY, certificate, status

OTHER = "sha256:bb"


NOBODY = Record()
KNOWN = Record({KEY: frozenset()})


def conditions(level: Level, record: Record = NOBODY, **more: object) -> list[str]:
    return [problem.condition for problem in tls_problems(level, status(**more), record)]


class TLSTests(SynchronousTestCase):
    def test_a_good_connection(self) -> None:
        for level in (Level.LOW, Level.MEDIUM, Level.HIGH):
            self.assertEqual([], conditions(level))
            self.assertEqual([], conditions(level, KNOWN))
        self.assertEqual([], conditions(Level.PARANOID, KNOWN))

    def test_checks_and_their_levels(self) -> None:
        chain = [certificate(signature_algorithm="ECDSA-SHA1"), certificate()]
        root = certificate(signature_algorithm="RSA-MD5", issuer="CN=h")
        old: dict[str, Any] = {"protocol": "TLS1.2"}
        for names, level, values in (
            (["version"], Level.MEDIUM, {"protocol": "TLS1.1"}),
            (["version"], Level.MEDIUM, {"protocol": "TLS1.0"}),
            (["version"], Level.MEDIUM, {"protocol": "SSL3.0"}),
            (["renegotiation-info-ext"], Level.MEDIUM, {**old, "safe_renegotiation": False}),
            (["null-suite"], Level.MEDIUM, {"cipher": "NULL"}),
            (["anon-kx"], Level.MEDIUM, {"key_exchange": "ANON-ECDH"}),
            (["sha1-sig"], Level.MEDIUM, {"certificates": chain}),
            (["md5-sig"], Level.MEDIUM, {"certificates": [certificate(signature_algorithm="RSA-MD5")]}),
            (["rc4-cipher"], Level.MEDIUM, {"cipher": "ARCFOUR-128"}),
            (["unknown-ca", "invalid"], Level.MEDIUM, {"warnings": ["unknown-ca", "invalid"]}),
            (["rsa-kx"], Level.HIGH, {"key_exchange": "RSA"}),
            (["dhe-kx"], Level.HIGH, {"key_exchange": "DHE-RSA", "diffie_hellman_prime_bits": 1024}),
            (["3des-cipher", "cbc-cipher"], Level.HIGH, {"cipher": "3DES-CBC"}),
            (["cbc-cipher"], Level.HIGH, {"cipher": "AES-128-CBC"}),
            ([], Level.PARANOID, {"cipher": "AES-128-CBC", "encrypt_then_mac": True}),
            ([], Level.PARANOID, {"certificates": [certificate(), root]}),
            ([], Level.PARANOID, {**old, "safe_renegotiation": True}),
        ):  # fmt: skip
            self.assertEqual([], conditions(Level(level - 1), KNOWN, **values), values)
            self.assertEqual(names, conditions(level, KNOWN, **values), values)

    def test_checks_that_come_together(self) -> None:
        found = conditions(Level.MEDIUM, key_exchange="DHE-RSA", diffie_hellman_prime_bits=1023)
        self.assertEqual(["dhe-prime-kx"], found)
        found = conditions(Level.HIGH, key_exchange="ECDHE-ECDSA", cipher="AES-128-CBC")
        self.assertEqual(["ecdsa-cbc-cipher", "cbc-cipher"], found)

    def test_the_text_names_what_it_is(self) -> None:
        (problem,) = tls_problems(Level.MEDIUM, status(protocol="TLS1.0"), NOBODY)
        self.assertEqual("the protocol TLS1.0 is out of date", problem.text)
        (problem,) = tls_problems(Level.MEDIUM, status(warnings=["expired"]), NOBODY)
        self.assertEqual("the certificate is not valid: expired", problem.text)

    def test_another_key(self) -> None:
        record = Record({OTHER: frozenset()})
        self.assertEqual([], conditions(Level.LOW, record))
        self.assertEqual(["same-cert"], conditions(Level.MEDIUM, record))
        self.assertEqual([], conditions(Level.MEDIUM, record | KNOWN))

    def test_no_certificate_where_there_was_one(self) -> None:
        found = conditions(Level.MEDIUM, KNOWN, certificate=None, certificates=None)
        self.assertEqual(["same-cert"], found)

    def test_a_host_that_was_never_seen(self) -> None:
        self.assertEqual(["not-seen"], conditions(Level.PARANOID))

    def test_what_was_accepted_holds_for_its_key(self) -> None:
        record = Record({OTHER: frozenset({"expired"}), KEY: frozenset({"self-signed"})})
        self.assertEqual([], conditions(Level.HIGH, record, warnings=["self-signed"]))
        self.assertEqual(["expired"], conditions(Level.HIGH, record, warnings=("expired",)))

    def test_strange_statuses(self) -> None:
        self.assertEqual(
            (), tls_problems(Level.PARANOID, {}, Record({NO_CERTIFICATE: frozenset()}))
        )
        self.assertEqual([], conditions(Level.MEDIUM, warnings=None))


class PlainTests(SynchronousTestCase):
    def texts(self, level: Level, record: Record, warn: bool = False) -> list[str]:
        return [problem.text for problem in plain_problems(level, record, warn)]

    def test_a_host_that_had_tls(self) -> None:
        self.assertEqual([], self.texts(Level.LOW, KNOWN))
        for level in (Level.MEDIUM, Level.HIGH):
            self.assertEqual(["the connection used to be encrypted"], self.texts(level, KNOWN))

    def test_a_host_that_had_none(self) -> None:
        for level in Level:
            self.assertEqual([], self.texts(level, NOBODY))
            expected = ["the connection is not encrypted"]
            self.assertEqual(expected, self.texts(level, NOBODY, warn=True))

    def test_the_first_key_takes_clear_text_back(self) -> None:
        plain, key = Record(clear_text=True), accepted(status())
        self.assertEqual(Record(key.keys), plain | key)
        # Clear text that is accepted after the first key stays accepted, also after later keys.
        self.assertEqual(Record(key.keys, True), key | plain)
        self.assertTrue(((key | plain) | accepted(status())).clear_text)

    def test_clear_text_that_was_accepted(self) -> None:
        record = KNOWN | accepted(None)
        self.assertEqual([], self.texts(Level.PARANOID, record, warn=True))


class RecordTests(SynchronousTestCase):
    def test_pin(self) -> None:
        self.assertEqual(KEY, pin(status()))
        self.assertEqual(NO_CERTIFICATE, pin({}))

    def test_host_key(self) -> None:
        self.assertEqual("mail.example:993", host_key("Mail.EXAMPLE.", 993))

    def test_accepted(self) -> None:
        problems = tls_problems(Level.MEDIUM, status(warnings=["expired"]), NOBODY)
        self.assertEqual(Record({KEY: frozenset({"expired"})}), accepted(status(), problems))
        self.assertEqual(KNOWN, accepted(status()))
        self.assertEqual(Record({}, True), accepted(None))

    def test_together(self) -> None:
        one = Record({KEY: frozenset("a")})
        two = Record({KEY: frozenset("b"), OTHER: frozenset()}, True)
        expected = Record({KEY: frozenset("ab"), OTHER: frozenset()}, True)
        self.assertEqual((expected, expected), (one | two, two | one))


WORDS = st.text(string.printable)
RECORDS = st.dictionaries(
    WORDS,
    st.builds(Record, st.dictionaries(WORDS, st.frozensets(WORDS, max_size=3)), st.booleans()),
)


class FileTests(SynchronousTestCase):
    @given(RECORDS)
    def test_what_was_encoded_comes_back(self, records: dict[str, Record]) -> None:
        self.assertEqual(records, decode(encode(records)))

    def test_form(self) -> None:
        data = encode({"h:1": Record({KEY: frozenset("ba")})})
        host = {"keys": {KEY: ["a", "b"]}, "clear_text": False}
        self.assertEqual({"version": 1, "hosts": {"h:1": host}}, json.loads(data))
        self.assertTrue(data.endswith(b"\n"))

    def test_anything_else(self) -> None:
        host = {"keys": {KEY: ["a"]}, "clear_text": False}
        values: tuple[object, ...] = (
            [],
            {},
            {"version": 2, "hosts": {}},
            {"version": 1, "hosts": []},
            {"version": 1, "hosts": {}, "more": 1},
            {"version": 1, "hosts": {"h": []}},
            {"version": 1, "hosts": {"h": {}}},
            {"version": 1, "hosts": {"h": {**host, "more": 1}}},
            {"version": 1, "hosts": {"h": {**host, "clear_text": 1}}},
            {"version": 1, "hosts": {"h": {**host, "keys": [KEY]}}},
            {"version": 1, "hosts": {"h": {**host, "keys": {KEY: "a"}}}},
            {"version": 1, "hosts": {"h": {**host, "keys": {KEY: [1]}}}},
        )
        for value in values:
            self.assertRaises(ValueError, decode, json.dumps(value).encode())
        data = encode({"h:1": KNOWN})
        for size in range(len(data) - 1):
            self.assertRaises(ValueError, decode, data[:size])
        self.assertRaises(ValueError, decode, b"\xff\xfe\xff")
