"""Certificates with one odd part: the verdict is the same as OpenSSL's, and each name is judged alone."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Callable, Mapping

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessArgumentError
from netproc.core.trust import Level, Record, tls_problems
from netproc.net.tls.contexts import security
from netproc.net.tls.interfaces import Engine
from netproc.net.tls.peerstatus import describe
from netproc.net.tls.verify import Verification
from netproc.test.support.certificates import Authority, Pair, handshake
from netproc.test.support.oddcertificates import (
    ISSUER,
    SERIAL,
    SUBJECT,
    VALIDITY,
    VERSION,
    Fields,
    alternative_names,
    changed,
    common_name,
    extension,
    oid,
    tlv,
    with_extensions,
    with_field,
)
from netproc.test.support.programs import require

ROOT = Authority("Root CA")
OTHER = Authority("Other CA")
GOOD = ROOT.issue("good.example")
GOOD_NAME = tlv(0x82, b"good.example")

#: Alternative names that break a rule, or are of a kind that is never compared.
ODD_NAMES = {
    "dNSName in Latin-1": tlv(0x82, b"caf\xe9.example"),
    "dNSName in UTF-8": tlv(0x82, "café.example".encode()),
    "empty dNSName": tlv(0x82),
    "dNSName with a NUL": tlv(0x82, b"evil.example\0.good.example"),
    "rfc822Name in Latin-1": tlv(0x81, b"jos\xe9@example.org"),
    "URI in Latin-1": tlv(0x86, b"http://caf\xe9/"),
    "iPAddress of 5 bytes": tlv(0x87, b"\x7f\0\0\1\0"),
    "iPAddress in letters": tlv(0x87, b"127.0.0.1"),
    "x400Address": tlv(0xA3),
    "ediPartyName": tlv(0xA5, tlv(0xA1, tlv(12, b"x"))),
    "otherName": tlv(0xA0, oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xA0, tlv(12, b"me"))),
    "directoryName": tlv(0xA4, common_name(0x13, b"Smith & Sons")),
    "registeredID": tlv(0x88, b"\x2a\x03"),
}


def notice(tag: int, text: bytes) -> bytes:
    """A certificate policy with a notice for the user."""
    qualifier = tlv(0x30, oid("1.3.6.1.5.5.7.2.2"), tlv(0x30, tlv(tag, text)))
    policy = tlv(0x30, oid("1.2.3.4"), tlv(0x30, qualifier))
    return extension("2.5.29.32", tlv(0x30, policy))


ODD_EXTENSIONS = {
    "explicit cA FALSE": extension("2.5.29.19", tlv(0x30, tlv(1, b"\0")), tlv(1, b"\xff")),
    "pathLen without cA": extension("2.5.29.19", tlv(0x30, tlv(2, b"\0"))),
    "explicit critical FALSE": extension("1.2.3.4.5", b"x", tlv(1, b"\0")),
    "critical that is 1": extension("2.5.29.15", tlv(3, b"\7\x80"), tlv(1, b"\1")),
    "notice in a PrintableString": notice(0x13, b"hello"),
    "notice in Latin-1": notice(0x1A, b"ra\xedz"),
    "AIA in Latin-1": extension(
        "1.3.6.1.5.5.7.1.1", tlv(0x30, tlv(0x30, oid("1.3.6.1.5.5.7.48.1"), tlv(0x86, b"\xe9")))
    ),
    "list of logs that is broken": extension("1.3.6.1.4.1.11129.2.4.2", tlv(4, b"\0\1")),
}

#: Strings that OpenSSL accepts in names, with their tags.
ODD_STRINGS = {
    "_": (0x13, b"my_host"),
    "&": (0x13, b"Smith & Sons"),
    "*": (0x13, b"*.example.org"),
    "Latin-1 in a T61String": (0x14, b"Auvergne-Rh\xf4ne"),
    "Latin-1 in an IA5String": (0x16, b"Auvergne-Rh\xf4ne"),
    "an odd BMPString": (0x1E, b"\0a\0b"),
}


class OddCase(SynchronousTestCase):
    def file(self, data: bytes) -> str:
        name = os.path.abspath(self.mktemp())
        with open(name, "wb") as file:
            file.write(data)
        return name

    def client(self, name: str = "good.example", **fields: object) -> Engine:
        fields = {"trustfiles": [self.file(ROOT.pem)], "system_trust": False, **fields}
        return security(fields, is_server=False).engine(name)

    def problem(self, pair: Pair, name: str = "good.example", **fields: object) -> str | None:
        """Return why the client refuses a server with PAIR, or None if it does not."""
        client = self.client(name, **fields)
        return self.problem_of(client, pair)

    def problem_of(self, client: Engine, pair: Pair) -> str | None:
        try:
            server = security({"keylist": [pair]}, is_server=True).engine(None)
        except ProcessArgumentError as refused:
            # OpenSSL 3 does not show a certificate with names that it cannot read.
            self.assertLess(SSL.OPENSSL_VERSION_NUMBER, 0x40000000, refused)
            self.assertEqual("keylist: the given bytes: invalid certificate", refused.problem)
            return refused.problem
        error, _ = handshake(client.connection, server.connection)
        problem = client.check()
        # If the handshake fails, there is a problem too.
        self.assertFalse(error is not None and problem is None, error)
        if problem is None:
            self.assertIn("verified_chain", client.peer_status())
        return None if problem is None else str(problem)

    def described(self, pair: Pair) -> Mapping[str, object]:
        client = self.client(verify_error=None)
        self.assertIsNone(self.problem_of(client, pair))
        certificate = client.peer_status()["certificate"]
        assert isinstance(certificate, dict)
        return certificate


class NameTests(OddCase):
    def test_one_odd_name_beside_the_good_one(self) -> None:
        for what, odd in ODD_NAMES.items():
            for names in ((odd, GOOD_NAME), (GOOD_NAME, odd)):
                pair = with_extensions(ROOT, GOOD, alternative_names(*names))
                self.assertIsNone(self.problem(pair), what)
                self.assertIsNone(self.problem(pair, verify_error=["trustfiles"]), what)

    def test_an_odd_name_alone_is_no_name(self) -> None:
        for what, odd in ODD_NAMES.items():
            pair = with_extensions(ROOT, GOOD, alternative_names(odd))
            self.assertIn("for another host", str(self.problem(pair)), what)

    def test_an_extension_that_cannot_be_read(self) -> None:
        for names in (
            tlv(0x31, GOOD_NAME),
            tlv(0x30, GOOD_NAME) + b"\0",
            tlv(0x30, GOOD_NAME)[:-1],
            b"",
        ):
            pair = with_extensions(ROOT, GOOD, extension("2.5.29.17", names))
            self.assertIsNotNone(self.problem(pair, verify_error=["hostname"]), names)

    def test_two_lists_of_names_are_none(self) -> None:
        pair = with_extensions(ROOT, GOOD, *[alternative_names(GOOD_NAME)] * 2)
        self.assertIsNotNone(self.problem(pair, verify_error=["hostname"]))


class OpenSSLTests(OddCase):
    """netproc accepts and refuses the same certificates as `openssl verify`, with the documented exceptions."""

    HOSTS = (
        "good.example",
        "a.good.example",
        "a_b.good.example",
        "xn--a.good.example",
        "127.0.0.1",
    )
    PATTERNS = (
        b"good.example", b"GOOD.example", b"good.example.", b" good.example", b"good.example ",
        b".good.example", b"*.good.example", b"*.example", b"*", b"*.*.example", b"a*.good.example",
        b"*a.good.example", b"*.good.example.", b"a.*.example", b"*.-good.example", b"*.good_.example",
        b"good.example\0", b"good\0.example", b"*.0.0.1", b"127.0.0.1", b"", b"..", b"*..example",
    )  # fmt: skip
    MALFORMED = (
        tlv(0xA0, b"\5"), tlv(0xA0, tlv(5)), tlv(0xA4, b"x"), tlv(0xA4, tlv(0x30, b"x")),
        tlv(0xA5, b"x"), tlv(0x88), tlv(0xA2, GOOD_NAME), tlv(0x9F, b"good.example"), tlv(0x83),
        tlv(0x8F, b"x"), tlv(0x0C, b"good.example"), b"\x82\x80good.example\0\0",
        b"\x82\x81\x0cgood.example", b"\x82",
    )  # fmt: skip

    #: Wildcards inside a label; see docs/reference/security.rst.
    STRICTER = (b"a*.good.example", b"*a.good.example")

    def setUp(self) -> None:
        require("openssl")
        self.trust = self.file(ROOT.pem)

    def openssl_takes(self, pair: Pair, name: str) -> bool:
        kind = "-verify_ip" if name[0].isdigit() else "-verify_hostname"
        command = ["openssl", "verify", "-CAfile", self.trust, kind, name, self.file(pair[1])]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def compare(self, pair: Pair, name: str, what: object, may_be_stricter: bool = False) -> None:
        ours, theirs = self.problem(pair, name) is None, self.openssl_takes(pair, name)
        self.assertFalse(ours and not theirs, f"{what!r} for {name}: only netproc takes it")
        if not may_be_stricter:
            self.assertFalse(theirs and not ours, f"{what!r} for {name}: only OpenSSL takes it")

    def test_names(self) -> None:
        for pattern in self.PATTERNS:
            pair = with_extensions(ROOT, GOOD, alternative_names(tlv(0x82, pattern)))
            for host in self.HOSTS:
                stricter = pattern in self.STRICTER or host.startswith("xn--")
                self.compare(pair, host, pattern, stricter)

    def test_addresses(self) -> None:
        for content in (
            b"\x7f\0\0\1",
            b"\x7f\0\0\1\0",
            b"\x7f\0\0\1\xff\xff\xff\xff",
            b"127.0.0.1",
        ):
            pair = with_extensions(ROOT, GOOD, alternative_names(tlv(0x87, content)))
            for host in self.HOSTS:
                self.compare(pair, host, content)

    def test_names_of_other_kinds_that_are_malformed(self) -> None:
        for odd in self.MALFORMED:
            for names in ((odd, GOOD_NAME), (GOOD_NAME, odd)):
                pair = with_extensions(ROOT, GOOD, alternative_names(*names))
                self.compare(pair, "good.example", odd, may_be_stricter=True)

    def test_everything_else_that_is_odd(self) -> None:
        for what, odd in ODD_NAMES.items():
            pair = with_extensions(ROOT, GOOD, alternative_names(odd, GOOD_NAME))
            self.compare(pair, "good.example", what)
        for what, odd in ODD_EXTENSIONS.items():
            pair = with_extensions(ROOT, GOOD, alternative_names(GOOD_NAME), odd)
            self.compare(pair, "good.example", what)
        for what, (tag, text) in ODD_STRINGS.items():
            pair = with_field(ROOT, GOOD, SUBJECT, common_name(tag, text))
            self.compare(pair, "good.example", what)
        for time in (b"20200101000000.5Z", b"20200101000000+0100"):
            validity = tlv(0x30, tlv(0x18, time), tlv(0x18, b"20990101000000Z"))
            self.compare(with_field(ROOT, GOOD, VALIDITY, validity), "good.example", time)


class ExtensionTests(OddCase):
    def test_one_odd_extension(self) -> None:
        for what, odd in ODD_EXTENSIONS.items():
            pair = with_extensions(ROOT, GOOD, alternative_names(GOOD_NAME), odd)
            self.assertIsNone(self.problem(pair), what)

    def test_a_promise_of_a_status_beside_an_odd_one(self) -> None:
        promise = extension("1.3.6.1.5.5.7.1.24", tlv(0x30, tlv(2, b"\5")))
        odd = ODD_EXTENSIONS["explicit cA FALSE"]
        pair = with_extensions(ROOT, GOOD, alternative_names(GOOD_NAME), odd, promise)
        self.assertIn("did not send the promised", str(self.problem(pair)))


class StringTests(OddCase):
    def test_in_the_names_of_subject_and_issuer(self) -> None:
        for what, (tag, text) in ODD_STRINGS.items():
            issuer, subject = common_name(tag, text), common_name(tag, text + text)
            root = Authority("Root")
            trusted = changed(root, root.pem, renamed(issuer, issuer))
            key, leaf = root.issue("good.example")
            pair = key, changed(root, leaf, renamed(issuer, subject))
            self.assertIsNone(self.problem(pair, trustfiles=[self.file(trusted)]), what)
            self.assertIsNone(self.problem(pair, verify_error=None), what)
            self.assertIn("unknown authority", str(self.problem(pair)), what)

    def test_as_they_are_shown(self) -> None:
        for tag, text, shown in (
            (0x13, b"Smith & Sons", "CN=Smith & Sons"),
            (0x14, b"Auvergne-Rh\xf4ne", "CN=Auvergne-Rhône"),
            (0x14, "Auvergne-Rhône".encode(), "CN=Auvergne-Rhône"),
            (0x1E, b"\0a\0b", "CN=ab"),
            (0x1C, b"\0\0\0a", "CN=a"),
            (0x03, b"\0x", "CN=03020078"),
        ):
            pair = with_field(ROOT, GOOD, SUBJECT, common_name(tag, text))
            described = self.described(pair)
            self.assertEqual(shown, described["subject"])
            self.assertEqual("O=netproc tests,CN=Root CA", described["issuer"])
            self.assertNotIn("problem", described)


def renamed(issuer: bytes, subject: bytes) -> Callable[[Fields], None]:
    def change(fields: Fields) -> None:
        fields[ISSUER], fields[SUBJECT] = issuer, subject

    return change


class StatusTests(OddCase):
    """Fields that can be read are shown, and those that cannot be read are named."""

    def test_versions_that_there_are_not(self) -> None:
        for version in (1, 3, 12):
            pair = with_field(ROOT, GOOD, VERSION, tlv(0xA0, tlv(2, bytes([version]))))
            described = self.described(pair)
            self.assertEqual(version + 1, described["version"])
            self.assertEqual("O=netproc tests,CN=leaf", described["subject"])

    def test_numbers_and_times(self) -> None:
        pair = with_field(ROOT, GOOD, SERIAL, tlv(2, b"\xee\x2b"))
        self.assertEqual("ee:2b", self.described(pair)["serial_number"])
        validity = tlv(0x30, tlv(0x17, b"510203040506Z"), tlv(0x18, b"20990101000000.5Z"))
        described = self.described(with_field(ROOT, GOOD, VALIDITY, validity))
        self.assertEqual("1951-02-03", described["valid_from"])
        self.assertEqual("2099-01-01", described["valid_to"])
        validity = tlv(0x30, tlv(0x17, b"junk"), tlv(0x17))
        pem = with_field(ROOT, GOOD, VALIDITY, validity)[1]
        described = describe(ssl.PEM_cert_to_DER_cert(pem.decode()))
        self.assertNotIn("valid_to", described)
        self.assertIn("valid_from: ValueError", str(described["problem"]))
        self.assertEqual("O=netproc tests,CN=leaf", described["subject"])

    def test_a_key_of_a_kind_that_nobody_knows(self) -> None:
        der = bytearray(ssl.PEM_cert_to_DER_cert(GOOD[1].decode()))
        kind = bytes.fromhex("06072a8648ce3d0201")
        der[der.index(kind) + len(kind) - 1] = 0x7F
        described = describe(bytes(der))
        self.assertIn("public_key_algorithm: ", str(described["problem"]))
        self.assertEqual("O=netproc tests,CN=leaf", described["subject"])
        self.assertIn("public_key_pin", described)

    def test_what_is_no_der(self) -> None:
        described = describe(b"\x30\x80\0\0")
        self.assertEqual("not in DER: a length that DER does not have", described["problem"])
        self.assertIn("BEGIN CERTIFICATE", str(described["pem"]))

    def test_one_that_is_not_needed(self) -> None:
        """A security manager examines all certificates that were sent."""
        odd = with_field(OTHER, OTHER.issue("x"), SUBJECT, common_name(0x13, b"Smith & Sons"))
        client = self.client()
        self.assertIsNone(self.problem_of(client, (GOOD[0], GOOD[1] + odd[1])))
        status = client.peer_status()
        certificates = status["certificates"]
        assert isinstance(certificates, list)
        self.assertEqual("CN=Smith & Sons", certificates[1]["subject"])
        self.assertEqual((), tls_problems(Level.HIGH, status, Record()))
        certificates.append(describe(b"\x30\x80\0\0"))
        self.assertEqual((), tls_problems(Level.HIGH, status, Record()))

    def test_a_chain_that_was_not_verified(self) -> None:
        forger = Authority("Root CA")
        for pair in (
            OTHER.issue("good.example"),
            forger.issue("good.example"),
            ROOT.issue("good.example", days=(-9, -1)),
        ):
            client = self.client(verify_error=None)
            self.assertIsNone(self.problem_of(client, pair))
            self.assertEqual([], client.peer_status()["verified_chain"])
        client = self.client("other.example", verify_error=None)
        self.assertIsNone(self.problem_of(client, GOOD))
        chain = client.peer_status()["verified_chain"]
        assert isinstance(chain, list)
        self.assertEqual(2, len(chain))


class ClientTests(OddCase):
    def test_certificates_of_clients(self) -> None:
        for tag, text in ODD_STRINGS.values():
            user = with_field(ROOT, ROOT.issue("me"), SUBJECT, common_name(tag, text))
            server = security(
                {
                    "keylist": [GOOD],
                    "request_client_certificate": "required",
                    "trustfiles": [self.file(ROOT.pem)],
                },
                is_server=True,
            ).engine(None)
            client = self.client(keylist=[user])
            self.assertEqual((None, None), handshake(client.connection, server.connection))
            self.assertIsNone(server.check())
            self.assertIn("CN=", str(server.peer_status()["certificate"]))

    def test_an_authority_with_an_odd_name_is_asked_for(self) -> None:
        odd = changed(OTHER, OTHER.pem, renamed(*[common_name(0x13, b"Smith & Sons")] * 2))
        fields = {"request_client_certificate": "optional", "trustfiles": [self.file(odd)]}
        server = security({"keylist": [GOOD], **fields}, is_server=True).engine(None)
        client = self.client()
        self.assertEqual((None, None), handshake(client.connection, server.connection))
        [name] = client.connection.get_client_ca_list()
        self.assertIn(b"Smith & Sons", name.der())


class ReasonTests(OddCase):
    def test_the_reason_of_a_check_that_fails(self) -> None:
        client = self.client()
        self.patch(Verification, "_accepts", lambda *arguments: 1 // 0)
        self.assertIn("cannot be read (integer division", str(self.problem_of(client, GOOD)))

    def test_codes_have_words(self) -> None:
        client = self.client(crl_strict=True)
        problem = str(self.problem_of(client, GOOD))
        self.assertIn("could not be verified: unable to get crl (code 3)", problem)
