"""streams/clientcert.py."""

from __future__ import annotations

import os

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessArgumentError
from netproc.streams import clientcert
from netproc.streams.clientcert import KeyPair, client_certificate


class ClientCertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = os.path.abspath(self.mktemp())
        os.mkdir(self.home)
        self.patch(os, "environ", {**os.environ, "HOME": self.home})
        self.key, self.certificate = self.write("key", "k"), self.write("cert", "c")
        self.pair = (self.key, self.certificate)

    def write(self, name: str, text: str, mode: int = 0o600) -> str:
        path = os.path.join(self.home, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def look_up(self, service: int | str = 993, host: str = "h") -> KeyPair | None:
        """Return the key pair that is found; nothing may be logged."""
        with capturedLogs() as logged:
            found = client_certificate(True, host, service)
        self.assertEqual([], logged)
        return found

    def look_up_warned(self) -> tuple[KeyPair | None, str]:
        with capturedLogs() as logged:
            found = client_certificate(True, "h", 993)
        (event,) = logged
        return found, event["problem"]

    def test_none(self) -> None:
        for value in (None, False):
            self.assertIsNone(client_certificate(value, "h", 993))

    def test_a_pair_is_taken_as_it_is(self) -> None:
        for value in (("/no/k", "/no/c"), ["/no/k", "/no/c"]):
            self.assertEqual(("/no/k", "/no/c"), client_certificate(value, "h", 993))

    def test_other_values(self) -> None:
        for value in (1, "key", ("k",), ("k", "c", "d"), ("k", None), (1, "c")):
            error = self.assertRaises(ProcessArgumentError, client_certificate, value, "h", 993)
            self.assertEqual("client_certificate", error.keyword)

    def test_no_error_shows_a_key(self) -> None:
        for value in (("-----BEGIN PRIVATE KEY-----", None), "-----BEGIN PRIVATE KEY-----"):
            error = self.assertRaises(ProcessArgumentError, client_certificate, value, "h", 993)
            self.assertNotIn("BEGIN", str(error))

    def test_a_service_that_there_is_not(self) -> None:
        self.write(".authinfo", f"machine h port 993 key {self.key} cert {self.certificate}")
        for service in ("a\0b", "\ud800", "9" * 5000, "nonsense"):
            self.assertIsNone(self.look_up(service))

    def test_no_files(self) -> None:
        self.assertIsNone(self.look_up())

    def test_authinfo_goes_before_netrc(self) -> None:
        self.write(".netrc", "machine h key ~/key cert ~/cert")
        self.assertEqual(self.pair, self.look_up())
        self.write(".authinfo", "machine h key /no cert /no")
        self.assertIsNone(self.look_up())
        self.write(".authinfo", "machine h login me password x")
        self.assertEqual(self.pair, self.look_up())

    def test_ports_have_numbers_and_names(self) -> None:
        self.write(".authinfo", f"machine h port imaps key {self.key} cert {self.certificate}")
        self.assertEqual(self.pair, self.look_up(993))
        self.assertEqual(self.pair, self.look_up("993"))
        self.assertEqual(self.pair, self.look_up("imaps"))
        self.assertIsNone(self.look_up(143))
        self.write(".authinfo", f"machine h port 993 key {self.key} cert {self.certificate}")
        self.assertEqual(self.pair, self.look_up("imaps"))
        self.write(".authinfo", f"machine h port mine key {self.key} cert {self.certificate}")
        self.assertEqual(self.pair, self.look_up("mine"))
        self.assertIsNone(self.look_up("imaps"))

    def test_both_files_have_to_be_readable(self) -> None:
        for line in ("machine h key ~/no cert ~/cert", "machine h key ~/key cert ~/no"):
            self.write(".authinfo", line)
            self.assertIsNone(self.look_up())

    def test_a_file_with_a_mistake_is_passed_over(self) -> None:
        self.write(".authinfo", "machine h password\nmachine SECRET")
        self.write(".netrc", "machine h key ~/key cert ~/cert")
        self.assertEqual((self.pair, "line 2: a value is missing"), self.look_up_warned())

    def test_a_file_that_others_can_write_is_passed_over(self) -> None:
        for mode in (0o620, 0o602):
            self.write(".authinfo", "machine h key ~/key cert ~/cert", mode)
            self.assertEqual((None, "others can write to it"), self.look_up_warned())

    def test_a_file_that_is_too_large_is_passed_over(self) -> None:
        self.patch(clientcert, "LARGEST", 10)
        self.write(".authinfo", "machine h key ~/key cert ~/cert")
        self.assertEqual((None, "it is too large"), self.look_up_warned())

    def test_what_is_no_file_is_passed_over(self) -> None:
        os.mkdir(os.path.join(self.home, ".authinfo"))
        self.assertEqual((None, "Is a directory"), self.look_up_warned())

    def test_bytes_that_are_no_text(self) -> None:
        path = self.write(".authinfo", "")
        with open(path, "wb") as file:
            file.write(b"machine \xff login x machine h key ~/key cert ~/cert")
        self.assertEqual(self.pair, self.look_up())
