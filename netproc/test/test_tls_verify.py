"""Which peers are accepted: chains, names and client certificates, with TLS engines in memory."""

from __future__ import annotations

import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.internet.ssl import (
    CertificateOptions,
    PrivateCertificate,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netproc.core.errors import ProcessArgumentError
from netproc.net.tls.certificate import Certificate
from netproc.net.tls.contexts import security
from netproc.net.tls.credentials import use_pair
from netproc.net.tls.engine import OpenSSLEngine
from netproc.net.tls.interfaces import Engine
from netproc.net.tls.names import is_for
from netproc.net.tls.parameters import TLSParameters
from netproc.net.tls.verify import Verification
from netproc.test.support.certificates import (
    CLIENT_PURPOSE,
    SERVER_PURPOSE,
    Authority,
    Pair,
    handshake,
    pem_of_key,
    receive,
)

ROOT = Authority("Root CA")
OTHER = Authority("Other CA")
MIDDLE = Authority("Middle CA", ROOT)
NO_CA = Authority("not a CA", ROOT, is_ca=False)
GOOD = ROOT.issue("good.example", "*.wild.example", "127.0.0.1", "::1", common="bank.example")


class VerifyCase(SynchronousTestCase):
    def file(self, data: bytes) -> str:
        name = os.path.abspath(self.mktemp())
        with open(name, "wb") as file:
            file.write(data)
        return name

    def client(self, name: str | None = "good.example", **fields: object) -> Engine:
        fields.setdefault("trustfiles", [self.file(ROOT.pem)])
        return security({"system_trust": False, **fields}, is_server=False).engine(name)

    def server(self, pair: Pair = GOOD, **fields: object) -> Engine:
        return security({"keylist": [pair], **fields}, is_server=True).engine(None)

    def accepted(self, client: Engine, server: Engine) -> None:
        self.assertEqual((None, None), handshake(client.connection, server.connection))
        self.assertIsNone(client.check())
        self.assertIsNone(server.check())
        client.connection.send(b"hello")
        self.assertEqual(b"hello", receive(client.connection, server.connection))

    def refused(self, client: Engine, server: Engine, problem: str) -> list[str]:
        """Check that CLIENT refuses SERVER with PROBLEM; return the warnings that reached the server."""
        errors = handshake(client.connection, server.connection)
        self.assertIsNotNone(errors[0], "the handshake was not ended")
        found = client.check()
        assert found is not None
        self.assertIn(problem, str(found))
        # An alert also says why to the server.
        self.assertIn("alert", str(errors[1]))
        return server_told(errors[1])


def server_told(error: SSL.Error | None) -> list[str]:
    return [entry[2] for entry in error.args[0]] if error is not None else []


class NameTests(VerifyCase):
    def test_names_of_the_certificate(self) -> None:
        for name in (
            "good.example",
            "GOOD.example",
            "good.example.",
            "a.wild.example",
            "127.0.0.1",
            "::1",
            "0:0:0:0:0:0:0:1",
            "::1%lo",
        ):
            self.accepted(self.client(name), self.server())

    def test_other_names(self) -> None:
        for name in ("bank.example", "wild.example", "a.b.wild.example", "127.0.0.2", "::2", "x."):
            told = self.refused(self.client(name), self.server(), f"another host than {name}")
            self.assertTrue(told)

    def test_certificates_that_fit_nobody(self) -> None:
        """Twisted's own check accepts these for any host."""
        for names in (
            (),
            (x509.DNSName("*.com"),),
            (x509.DNSName("127.0.0.1"),),
            (x509.DNSName("www.*.evil.example"),),
            (x509.DNSName("*.com"), x509.DNSName("other.example")),
            (x509.DNSName("bank.example\0.evil.example"),),
            (x509.UniformResourceIdentifier("https://bank.example"),),
        ):
            pair = ROOT.issue(*names, common="bank.example")
            self.refused(self.client("bank.example"), self.server(pair), "another host")

    def test_an_address_among_the_names_is_no_address(self) -> None:
        pair = ROOT.issue(x509.DNSName("127.0.0.1"))
        self.refused(self.client("127.0.0.1"), self.server(pair), "another host")

    def test_one_bad_name_beside_the_good_one(self) -> None:
        pair = ROOT.issue(x509.DNSName("*.com"), x509.DNSName("bank.example"))
        self.accepted(self.client("bank.example"), self.server(pair))

    def test_a_wildcard_does_not_stand_for_an_international_name(self) -> None:
        pair = ROOT.issue("*.wild.example", "xn--bcher-kva.example")
        self.accepted(self.client("xn--bcher-kva.example"), self.server(pair))
        self.refused(self.client("xn--bcher-kva.wild.example"), self.server(pair), "another host")

    def test_what_the_server_hears(self) -> None:
        for name, heard in (
            ("good.example.", b"good.example"),
            ("127.0.0.1", None),
            ("::1", None),
        ):
            client, server = self.client(name), self.server()
            self.accepted(client, server)
            self.assertEqual(heard, server.connection.get_servername())

    def test_a_name_that_is_another_than_the_host(self) -> None:
        self.accepted(self.client("127.0.0.7", hostname="good.example"), self.server())

    def test_there_must_be_a_name(self) -> None:
        for name in (None, "", ".", "a\0b", "bücher.example", "a" * 300):
            error = self.assertRaises(ProcessArgumentError, self.client, name)
            self.assertIn("hostname", error.problem)
        self.accepted(self.client(None, verify_error=["trustfiles"]), self.server())

    def test_garbage_is_for_nobody(self) -> None:
        certificate = Certificate(ssl.PEM_cert_to_DER_cert(GOOD[1].decode()))
        self.assertTrue(is_for(certificate, "good.example"))
        for name in ("", ".", "a b", ".example", "good..example", "\u212a", "a" * 64, "a." * 127):
            self.assertFalse(is_for(certificate, name))


class ChainTests(VerifyCase):
    def problem(self, pair: Pair, problem: str, alert: str, **fields: object) -> None:
        told = self.refused(self.client(**fields), self.server(pair), problem)
        self.assertTrue(any(alert in text for text in told), told)

    def test_times(self) -> None:
        expired = ROOT.issue("good.example", days=(-10, -1))
        early = ROOT.issue("good.example", days=(1, 10))
        self.problem(expired, "has expired", "certificate expired")
        self.problem(early, "not valid yet", "bad certificate")
        self.accepted(self.client(verify_flags=64), self.server(expired))
        self.problem(expired, "has expired", "certificate expired", verify_flags=128)

    def test_who_signed(self) -> None:
        self.problem(OTHER.issue("good.example"), "unknown authority", "unknown ca")
        lone = Authority("good.example")
        own = (lone.issue("x", key=lone.key)[0], lone.pem)
        self.problem(own, "unknown authority", "unknown ca")

    def test_the_chain_between(self) -> None:
        key, leaf = MIDDLE.issue("good.example")
        self.problem((key, leaf), "unknown authority", "unknown ca")
        self.accepted(self.client(), self.server((key, leaf + MIDDLE.pem)))

    def test_purposes(self) -> None:
        pair = ROOT.issue("good.example", purpose=CLIENT_PURPOSE)
        self.problem(pair, "not meant for this purpose", "unsupported certificate")
        self.accepted(
            self.client(), self.server(ROOT.issue("good.example", purpose=SERVER_PURPOSE))
        )

    def test_a_leaf_that_signs(self) -> None:
        key, leaf = NO_CA.issue("good.example")
        self.problem((key, leaf + NO_CA.pem), "not an authority", "")

    def test_nothing_is_trusted_by_default(self) -> None:
        told = self.refused(self.client(trustfiles=[]), self.server(), "unknown authority")
        self.assertTrue(told)

    def test_revocations(self) -> None:
        bad = ROOT.issue("good.example")
        crl = self.file(ROOT.revocations(bad))
        self.problem(bad, "was revoked", "certificate revoked", crlfiles=[crl])
        self.accepted(self.client(crlfiles=[crl]), self.server())
        stale = self.file(ROOT.revocations(days=(-9, -2)))
        self.problem(GOOD, "too old", "", crlfiles=[stale])
        future = self.file(ROOT.revocations(days=(2, 9)))
        self.problem(GOOD, "not valid yet", "", crlfiles=[future])

    def test_an_authority_without_revocations(self) -> None:
        crl = self.file(OTHER.revocations())
        self.accepted(self.client(crlfiles=[crl]), self.server())
        self.problem(GOOD, "could not be verified", "", crlfiles=[crl], crl_strict=True)
        self.problem(GOOD, "could not be verified", "", crl_strict=True)

    def test_forged_revocations(self) -> None:
        forger = Authority("Root CA")
        # The issuer has the right name and the wrong key.
        forger.certificate, forged = ROOT.certificate, forger.revocations(GOOD)
        self.problem(GOOD, "signature", "", crlfiles=[self.file(forged)])

    def test_weak_keys(self) -> None:
        pair = ROOT.issue("good.example", key=rsa.generate_private_key(65537, 1024))
        server = self.server(pair, priority="NORMAL:%PROFILE_VERY_WEAK")
        self.refused(self.client(), server, "weak key")
        server = self.server(pair, priority="NORMAL:%PROFILE_VERY_WEAK")
        self.accepted(self.client(priority="NORMAL:%PROFILE_VERY_WEAK"), server)

    def test_problems_that_are_told_only(self) -> None:
        pair = OTHER.issue("other.example", days=(-10, -1))
        client = self.client(verify_error=None)
        self.accepted(client, self.server(pair))
        self.assertEqual(
            ["no-host-match", "expired", "unknown-ca", "invalid"], client.peer_status()["warnings"]
        )
        self.accepted(self.client("x.example", verify_error=["trustfiles"]), self.server())
        self.accepted(self.client("other.example", verify_error=["hostname"]), self.server(pair))
        told = self.refused(
            self.client("x.example", verify_error=["hostname"]), self.server(pair), "another host"
        )
        self.assertTrue(told)

    def test_the_warnings_of_a_self_signed_one(self) -> None:
        lone = Authority("good.example")
        client = self.client(verify_error=None)
        self.accepted(client, self.server((pem_of_key(lone.key), lone.pem)))
        self.assertEqual(
            ["self-signed", "no-host-match", "unknown-ca", "invalid"],
            client.peer_status()["warnings"],
        )

    def test_what_cannot_be_decided_is_a_problem(self) -> None:
        client, server = self.client(), self.server()
        self.accepted(client, server)
        self.patch(Verification, "problem", lambda self, certificate: 1 // 0)
        self.assertIn("cannot be read (ZeroDivisionError: integer", str(client.check()))

    def test_one_context_for_two_hosts(self) -> None:
        """The verdict on one connection does not affect another."""
        trust = [self.file(ROOT.pem)]
        parameters = TLSParameters(trustfiles=trust, system_trust=False)
        one = security(parameters, is_server=False).engine("good.example")
        two = security(parameters, is_server=False).engine("bank.example")
        self.assertIs(one.connection.get_context(), two.connection.get_context())
        servers = self.server(), self.server()
        # Both handshakes begin before either ends.
        for client in (one, two):
            self.assertRaises(SSL.WantReadError, client.connection.do_handshake)
        self.refused(two, servers[1], "another host")
        self.accepted(one, servers[0])

    def test_a_resumed_session_proves_nothing(self) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        use_pair(context, "keylist", GOOD, None)
        context.set_session_id(b"test")
        first = self.client()
        server = SSL.Connection(context, None)
        server.set_accept_state()
        self.assertEqual((None, None), handshake(first.connection, server))
        session = first.connection.get_session()
        assert session is not None
        again = self.client_of(first)
        again.connection.set_session(session)
        # The first connection is kept: if it ended without a shutdown, OpenSSL would forget the session.
        other = SSL.Connection(context, None)
        other.set_accept_state()
        self.assertEqual((None, None), handshake(again.connection, other))
        self.assertIn("was not verified", str(again.check()))

    def client_of(self, engine: Engine) -> Engine:
        """Another engine with the context of ENGINE."""
        connection = SSL.Connection(engine.connection.get_context(), None)
        connection.set_connect_state()
        verdict = Verification(TLSParameters(), "good.example", is_server=False)
        connection.set_verify(SSL.VERIFY_PEER, verdict.callback)
        return OpenSSLEngine(connection, verdict, "good.example")


class ClientCertificateTests(VerifyCase):
    def setUp(self) -> None:
        self.trust = [self.file(ROOT.pem)]

    def asking(self, how: str, **fields: object) -> Engine:
        return self.server(request_client_certificate=how, trustfiles=self.trust, **fields)

    def is_turned_away(self, client: Engine, server: Engine, problem: str) -> None:
        errors = handshake(client.connection, server.connection)
        self.assertIsNotNone(errors[1])
        self.assertIn(problem, str(server.check()))

    def test_each_version(self) -> None:
        good, bad = ROOT.issue("user", purpose=CLIENT_PURPOSE), OTHER.issue("user")
        for version in ("1.2", "1.3"):
            only = f"NORMAL:-VERS-ALL:+VERS-TLS{version}"
            server = self.asking("required", priority=only)
            self.accepted(self.client(keylist=[good]), server)
            self.assertEqual(f"TLS{version}", server.peer_status()["protocol"])
            server = self.asking("required", priority=only)
            self.is_turned_away(self.client(keylist=[bad]), server, "unknown authority")
            server = self.asking("required", priority=only)
            self.is_turned_away(self.client(), server, "no certificate")

    def test_a_client_of_tls_13_hears_of_it_later(self) -> None:
        client, server = self.client(), self.asking("required")
        errors = handshake(client.connection, server.connection)
        self.assertIsNone(errors[0])
        self.assertIsNone(client.check())
        with self.assertRaises(SSL.Error) as caught:
            client.connection.recv(100)
        self.assertIn("alert certificate required", str(caught.exception))

    def test_required(self) -> None:
        good = ROOT.issue("user", purpose=CLIENT_PURPOSE)
        self.accepted(self.client(keylist=[good]), self.asking("required"))
        self.is_turned_away(self.client(), self.asking("required"), "no certificate")
        bad = OTHER.issue("user")
        self.is_turned_away(
            self.client(keylist=[bad]), self.asking("required"), "unknown authority"
        )

    def test_optional(self) -> None:
        self.accepted(self.client(), self.asking("optional"))
        server = self.asking("optional")
        self.accepted(self.client(keylist=[ROOT.issue("user", common="me")]), server)
        certificate = server.peer_status()["certificate"]
        assert isinstance(certificate, dict)
        self.assertEqual("O=netproc tests,CN=me", certificate["subject"])
        self.is_turned_away(
            self.client(keylist=[OTHER.issue("user")]), self.asking("optional"), "unknown authority"
        )

    def test_revoked(self) -> None:
        bad = ROOT.issue("user")
        crl = self.file(ROOT.revocations(bad))
        self.is_turned_away(
            self.client(keylist=[bad]), self.asking("optional", crlfiles=[crl]), "revoked"
        )

    def test_a_servers_certificate_is_no_clients(self) -> None:
        bad = ROOT.issue("user", purpose=SERVER_PURPOSE)
        self.is_turned_away(self.client(keylist=[bad]), self.asking("optional"), "purpose")

    def test_nobody_is_asked_by_default(self) -> None:
        server = self.server()
        self.accepted(self.client(keylist=[OTHER.issue("user")]), server)
        self.assertNotIn("certificate", server.peer_status())

    def test_the_wrong_server_sees_no_certificate(self) -> None:
        client = self.client("bank.example", keylist=[ROOT.issue("user")])
        server = self.asking("optional")
        handshake(client.connection, server.connection)
        self.assertIsNone(server.connection.get_peer_certificate(as_cryptography=True))


class ForeignTests(VerifyCase):
    def options(self, name: str) -> object:
        root = trustRootFromCertificates([TwistedCertificate.loadPEM(ROOT.pem)])
        return optionsForClientTLS(name, trustRoot=root)

    def foreign(self, source: object, name: str | None = "bank.example") -> Engine:
        return security(source, is_server=False).engine(name)

    def test_twisteds_options(self) -> None:
        self.accepted(self.foreign(self.options("good.example"), "127.0.0.7"), self.server())
        self.accepted(self.foreign(self.options("127.0.0.1"), "127.0.0.1"), self.server())

    def test_what_twisteds_options_let_through(self) -> None:
        for names in ((), (x509.DNSName("*.com"),), (x509.DNSName("www.*.evil.example"),)):
            client = self.foreign(self.options("bank.example"))
            server = self.server(ROOT.issue(*names, common="bank.example"))
            handshake(client.connection, server.connection)
            self.assertIn("another host", str(client.check()))
            self.flushLoggedErrors()

    def test_a_context_that_verifies_gets_the_name_verified(self) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.load_verify_locations(self.file(ROOT.pem))
        context.set_verify(SSL.VERIFY_PEER)
        self.accepted(self.foreign(context, "good.example"), self.server())
        client = self.foreign(context, "bank.example")
        handshake(client.connection, self.server().connection)
        self.assertIn("another host than bank.example", str(client.check()))
        self.assertEqual(["no-host-match"], client.peer_status()["warnings"])

    def test_names_that_are_none(self) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_verify(SSL.VERIFY_PEER)
        for name in ("a\0b", ".", "bücher.example", None):
            error = self.assertRaises(ProcessArgumentError, self.foreign, context, name)
            self.assertIn("hostname", error.problem)

    def test_keys_that_do_not_fit_are_told_at_once(self) -> None:
        one = PrivateCertificate.loadPEM(GOOD[0] + GOOD[1])
        other = PrivateCertificate.loadPEM(b"".join(ROOT.issue("other.example")))
        options = CertificateOptions(privateKey=one.privateKey.original, certificate=other.original)
        error = self.assertRaises(ProcessArgumentError, security, options, is_server=True)
        self.assertIn("CertificateOptions cannot make a connection: key values", error.problem)

    def test_one_that_does_not_is_refused(self) -> None:
        for source in (CertificateOptions(), SSL.Context(SSL.TLS_METHOD)):
            error = self.assertRaises(ProcessArgumentError, security, source, is_server=False)
            self.assertIn("does not verify the server", error.problem)

    def test_a_maker_of_contexts(self) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.load_verify_locations(self.file(ROOT.pem))
        context.set_verify(SSL.VERIFY_PEER)

        @implementer(IOpenSSLContextFactory)
        class Maker:
            def getContext(self) -> SSL.Context:
                return context

        self.accepted(self.foreign(Maker(), "good.example"), self.server())

    def test_a_server_of_twisteds(self) -> None:
        made = PrivateCertificate.loadPEM(GOOD[0] + GOOD[1]).options()
        self.accepted(self.client(), security(made, is_server=True).engine(None))
