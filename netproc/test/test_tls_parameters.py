"""The value of tls_parameters: what it accepts, and what it never shows."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from twisted.trial.unittest import SynchronousTestCase

from netproc.core.errors import ProcessArgumentError
from netproc.core.escape import shown
from netproc.net.tls.parameters import TLSParameters, parse, tls_boot_parameters

PAIR = (b"secret key", b"certificate")


class ParametersTests(SynchronousTestCase):
    def refused(self, problem: str, **fields: object) -> None:
        error = self.assertRaises(ProcessArgumentError, parse, fields, False)
        self.assertEqual("tls_parameters", error.keyword)
        self.assertIn(problem, error.problem)

    def test_everything_is_verified_by_default(self) -> None:
        made = TLSParameters()
        self.assertEqual({"trustfiles", "hostname"}, made.verify_error)
        self.assertEqual("x509pki", made.type)

    def test_equal_values_are_one_key(self) -> None:
        one = TLSParameters(keylist=[PAIR], alpn=["h2"], sni={"A.example": PAIR})
        other = TLSParameters(keylist=(PAIR,), alpn=(b"h2",), sni={"a.example": PAIR})
        self.assertEqual(1, len({one, other}))

    def test_nothing_secret_is_shown(self) -> None:
        shown = repr(TLSParameters(keylist=[PAIR], password="open me", sni={"a.example": PAIR}))
        self.assertNotIn("secret", shown)
        self.assertNotIn("open me", shown)
        self.assertIn("<PEM>", shown)
        self.assertIn("/tmp/key.pem", repr(TLSParameters(keylist=[("/tmp/key.pem", "/tmp/c.pem")])))

    def test_values_that_cannot_work(self) -> None:
        self.refused("type: 'openpgp'", type="openpgp")
        self.refused("hostname: ''", hostname="")
        self.refused("hostname: non-ASCII", hostname="bücher.example")
        for name in (".", "a\nb", "a\0b", "a b", ".a", "a..b", "a" * 64, "a." * 128, "::1%a\nb"):
            self.refused(f"hostname: {shown(name)} is not the name", hostname=name)
        self.refused("priority: 5", priority=5)
        self.refused("trustfiles: 'x.pem' is not a list", trustfiles="x.pem")
        self.refused("crlfiles: 7 is not the name", crlfiles=[7])
        self.refused("keylist: it must be a list", keylist="key.pem")
        self.refused("keylist: an entry is not a pair", keylist=["key.pem"])
        self.refused("keylist: an entry is not a pair", keylist=[("one",)])
        self.refused("verify_error: 'hostname' is not True", verify_error="hostname")
        self.refused("verify_error: the list", verify_error=["host"])
        self.refused("verify_error: the list", verify_error=[[]])
        self.refused("verify_flags: 1:", verify_flags=1)
        self.refused("min_prime_bits: -1", min_prime_bits=-1)
        self.refused("alpn: 'h2' is not a list", alpn="h2")
        self.refused("alpn: b''", alpn=[""])
        self.refused("alpn: there are too many protocols", alpn=["a" * 255] * 300)
        self.refused("sni: it must be", sni=5)
        self.refused("password: it must be", password=5)
        self.refused("password: UTF-8 cannot", password="\ud800")
        self.refused("alpn: UTF-8 cannot", alpn=["\ud800"])
        for name in ("a\0b", "\ud800"):
            for field in ("trustfiles", "crlfiles"):
                self.refused(f"{field}: {name!r}: no file can have this name", **{field: [name]})
            self.refused("no file can have this name", keylist=[(name, name)])
            self.refused("no file can have this name", sni=name)
            self.refused("no file can have this name", keylog=name)
        self.refused("request_client_certificate: True", request_client_certificate=True)
        self.refused("min_version: 'TLS1.1' is not one of", min_version="TLS1.1")
        self.refused("loglevel: -1", loglevel=-1)
        self.refused("unknown fields 'colour', 'shape'", shape=1, colour=2)
        pair = """unknown fields 'cert', 'key'; use keylist=[("key.pem", "cert.pem")]"""
        self.refused(pair, key="k", cert="c")
        self.refused("unknown fields 'trustfile'; did you mean 'trustfiles'?", trustfile="ca.pem")
        self.refused("unknown fields 'keylogfile'; did you mean 'keylog'?", keylogfile="f")

    def test_no_error_shows_a_key(self) -> None:
        error = self.assertRaises(ProcessArgumentError, parse, {"keylist": [(b"secret",)]}, False)
        self.assertNotIn("secret", str(error))
        text = "-----BEGIN PRIVATE KEY-----secret"
        for fields in (
            {"keylist": [(text, text)]},
            {"sni": {"a.example": (text, text)}},
            {"sni": text},
            {"keylog": text},
            {"ocsp_staple": text},
            *({field: value} for field in ("trustfiles", "crlfiles") for value in (text, [text])),
            *({"trustfiles": value} for value in (text.encode(), [text.encode()], [(text,)])),
            {"hostname": text},
            {"min_version": text},
            {"verify_error": text},
            {"priority": text.encode()},
        ):
            error = self.assertRaises(ProcessArgumentError, parse, fields, False)
            self.assertNotIn("secret", str(error))

    def test_verify_error_as_in_emacs(self) -> None:
        self.assertEqual(frozenset(), TLSParameters(verify_error=None).verify_error)
        self.assertEqual({"hostname"}, TLSParameters(verify_error=["hostname"]).verify_error)

    def test_verify_flags(self) -> None:
        self.assertEqual(0, TLSParameters(verify_flags=2 | 8 | 256).verify_flags)
        self.assertEqual(64, TLSParameters(verify_flags=64 | 4).verify_flags)

    def test_anonymous_needs_a_second_word(self) -> None:
        self.refused("allow_anonymous", type="anon")
        made = TLSParameters(type="gnutls-anon", allow_anonymous=True)
        self.assertEqual("anon", made.type)

    def test_the_names_of_emacs(self) -> None:
        made = tls_boot_parameters(
            type="gnutls-x509pki",
            hostname="a.example",
            priority_string="NORMAL",
            loglevel=None,
            verify_error=None,
            verify_hostname_error=True,
            alpn=["h2"],
        )
        expected = TLSParameters(
            hostname="a.example", priority="NORMAL", verify_error=["hostname"], alpn=["h2"]
        )
        self.assertEqual(expected, made)
        self.assertEqual(TLSParameters(), tls_boot_parameters())


class ParseTests(SynchronousTestCase):
    def refused(self, problem: str, value: object, is_server: bool) -> None:
        error = self.assertRaises(ProcessArgumentError, parse, value, is_server)
        self.assertIn(problem, error.problem)

    def test_a_mapping_of_fields(self) -> None:
        self.assertEqual(TLSParameters(alpn=["h2"]), parse({"alpn": ["h2"]}, False))

    def test_what_others_made_stays(self) -> None:
        for value, is_server in (
            (SSL.Context(SSL.TLS_METHOD), False),
            (SSL.Context(SSL.TLS_METHOD), True),
            (CertificateOptions(), False),
            (CertificateOptions(), True),
            (optionsForClientTLS("a.example"), False),
        ):
            self.assertIs(value, parse(value, is_server))

    def test_what_does_no_tls(self) -> None:
        self.refused("a client cannot use str for TLS", "NORMAL", False)
        self.refused("a server cannot use bool", True, True)
        self.refused("a server cannot use", optionsForClientTLS("a.example"), True)

    def test_each_side_has_its_fields(self) -> None:
        self.refused("keylist: a server needs", TLSParameters(), True)
        self.refused(
            "trustfiles: give the authorities",
            TLSParameters(keylist=[PAIR], request_client_certificate="required"),
            True,
        )
        self.refused("sni: only a server can have this", {"sni": {"a.example": PAIR}}, False)
        self.refused("request_client", {"request_client_certificate": "optional"}, False)
        anonymous = TLSParameters(type="anon", allow_anonymous=True)
        self.assertIs(anonymous, parse(anonymous, True))
