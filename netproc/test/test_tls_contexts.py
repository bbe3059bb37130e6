"""Contexts: errors when a process is made, what connections share, and what handshakes agree on."""

from __future__ import annotations

import gc
import os
import ssl
import traceback
import weakref

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from OpenSSL import SSL
from twisted.logger import capturedLogs

from netproc.core.errors import ProcessArgumentError
from netproc.net.tls import contexts
from netproc.net.tls.contexts import security
from netproc.net.tls.interfaces import Engine
from netproc.net.tls.parameters import TLSParameters
from netproc.net.tls.peerstatus import describe
from netproc.test.support.certificates import (
    handshake,
    move,
    pem_of_key,
    receive,
    step,
)
from netproc.test.support.contexts import GOOD, OTHER, ROOT, ContextCase


class ErrorTests(ContextCase):
    """Errors are raised before there is a socket, and name the file."""

    def refused(self, *problems: str, is_server: bool = True, **fields: object) -> str:
        error = self.assertRaises(ProcessArgumentError, security, fields, is_server=is_server)
        self.assertEqual("tls_parameters", error.keyword)
        for problem in problems:
            self.assertIn(problem, error.problem)
        self.assertIsNone(error.__cause__)
        return error.problem

    def test_files_that_are_not_there(self) -> None:
        key, cert = self.file(GOOD[0]), self.file(GOOD[1])
        missing = "/nowhere/file.pem"
        said = f"{missing}: No such file or directory"
        self.refused("keylist", said, keylist=[(missing, cert)])
        self.refused("keylist", said, keylist=[(key, missing)])
        self.refused("trustfiles", said, trustfiles=[missing], is_server=False)
        self.refused("crlfiles", said, crlfiles=[missing], is_server=False)

    def test_files_of_something_else(self) -> None:
        key, cert, junk = self.file(GOOD[0]), self.file(GOOD[1]), self.file(b"junk")
        self.refused(junk, "no private key", keylist=[(junk, cert)])
        self.refused(junk, "no certificate", keylist=[(key, junk)])
        self.refused(key, "no certificate", keylist=[(key, key)])
        self.refused(cert, "no private key", keylist=[(cert, cert)])
        self.refused("trustfiles", junk, "no certificate", trustfiles=[junk], is_server=False)
        self.refused("crlfiles", junk, "no list", crlfiles=[junk], is_server=False)
        broken = self.file(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n")
        self.refused("crlfiles", broken, "broken", crlfiles=[broken], is_server=False)

    def test_a_pair_that_does_not_fit(self) -> None:
        key, cert = self.file(OTHER[0]), self.file(GOOD[1])
        self.refused(key, cert, "key values mismatch", keylist=[(key, cert)])
        weak = rsa.generate_private_key(65537, 1024)
        self.refused(
            "the given bytes", "key too small", keylist=[ROOT.issue("good.example", key=weak)]
        )

    def test_passwords(self) -> None:
        secret = rsa.generate_private_key(65537, 2048)
        key = self.file(pem_of_key(secret, b"open"))
        cert = self.file(ROOT.issue("good.example", key=secret)[1])
        self.refused(key, "give its password", keylist=[(key, cert)])
        told = self.refused(key, "wrong password", keylist=[(key, cert)], password="sesame")
        self.assertNotIn("sesame", told)
        self.agree(self.client(), self.server(keylist=[(key, cert)], password="open"))
        # A password that is not needed does no harm.
        self.agree(self.client(), self.server(password="open"))

    def test_a_failure_keeps_no_secret(self) -> None:
        key = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
        parameters = TLSParameters(keylist=[(key, GOOD[1])], password="".join(("ses", "ame")))
        try:
            security(parameters, is_server=True)
        except ProcessArgumentError as error:
            shown = "".join(
                traceback.TracebackException.from_exception(error, capture_locals=True).format()
            )
        self.assertIn("wrong password", shown)
        self.assertNotIn("BEGIN ENCRYPTED", shown.replace(repr(key), "", 1))
        self.assertNotIn("sesame", shown)


class SharingTests(ContextCase):
    def test_equal_parameters_share_a_context(self) -> None:
        trust = self.file(ROOT.pem)
        made = [
            security(self.trusting(trustfiles=[trust]), is_server=False).engine(f"{n}.example")
            for n in range(100)
        ]
        self.assertEqual(1, len({id(engine.connection.get_context()) for engine in made}))

    def test_what_is_kept_has_a_bound(self) -> None:
        for number in range(contexts.MOST + 5):
            security({"alpn": [f"{number}"], "system_trust": False}, is_server=False)
        self.assertEqual(contexts.MOST, len(contexts._kept))

    def test_a_client_and_a_server_share_nothing(self) -> None:
        parameters = TLSParameters(keylist=[GOOD], system_trust=False)
        self.assertIsNot(
            security(parameters, is_server=True), security(parameters, is_server=False)
        )

    def test_engines_vanish_at_once(self) -> None:
        client, server = self.client(), self.server()
        self.agree(client, server)
        gc.disable()
        self.addCleanup(gc.enable)
        watched = [weakref.ref(e) for e in (client, server, client.connection, server.connection)]
        del client, server
        self.assertEqual([None] * 4, [ref() for ref in watched])


class StrengthTests(ContextCase):
    def only(self, **fields: object) -> tuple[Engine, SSL.Connection]:
        """Return a client, and a server that is limited to FIELDS."""
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_options(SSL.OP_ALL)
        for name, value in fields.items():
            getattr(context, name)(value)
        credentials = contexts.credentials
        pair = ROOT.issue("good.example", key=rsa.generate_private_key(65537, 2048))
        credentials.use_pair(context, "keylist", pair, None)
        server = SSL.Connection(context, None)
        server.set_accept_state()
        return self.client(), server

    def test_versions_and_suites_that_are_too_weak(self) -> None:
        for fields in (
            {"set_max_proto_version": SSL.TLS1_1_VERSION, "set_cipher_list": b"ALL:@SECLEVEL=0"},
            {"set_max_proto_version": SSL.TLS1_2_VERSION, "set_cipher_list": b"AES256-GCM-SHA384"},
            {"set_max_proto_version": SSL.TLS1_2_VERSION, "set_cipher_list": b"aNULL:@SECLEVEL=0"},
            {"set_max_proto_version": SSL.TLS1_2_VERSION, "set_cipher_list": b"eNULL:@SECLEVEL=0"},
        ):
            client, server = self.only(**fields)
            errors = handshake(client.connection, server)
            self.assertIsNotNone(errors[0], fields)

    def test_a_client_does_not_renegotiate(self) -> None:
        client, server = self.only(set_max_proto_version=SSL.TLS1_2_VERSION)
        self.assertEqual((None, None), handshake(client.connection, server))
        server.renegotiate()
        step(server)
        self.assertEqual(b"", receive(server, client.connection))
        # The answer is an alert, not a new hello.
        self.assertLess(len(client.connection.bio_read(65536)), 100)

    def test_a_server_does_not_renegotiate(self) -> None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        client, server = SSL.Connection(context, None), self.server().connection
        client.set_connect_state()
        self.assertEqual((None, None), handshake(client, server))
        client.renegotiate()
        step(client)
        self.assertEqual(b"", receive(client, server))
        move(server, client)
        self.assertIn("no renegotiation", str(step(client)))

    def test_no_session_is_resumed(self) -> None:
        client, server = self.client(), self.server()
        self.agree(client, server)
        session = client.connection.get_session()
        assert session is not None
        again = SSL.Connection(client.connection.get_context(), None)
        again.set_connect_state()
        again.set_session(session)
        other = self.server()
        self.assertEqual((None, None), handshake(again, other.connection))
        self.assertIsNotNone(again.get_verified_chain())

    def test_clean_ends_and_cut_ones(self) -> None:
        client, server = self.client(), self.server()
        self.agree(client, server)
        server.connection.shutdown()
        with self.assertRaises(SSL.ZeroReturnError):
            receive(server.connection, client.connection)
        client, server = self.client(), self.server()
        self.agree(client, server)
        client.connection.bio_shutdown()
        with self.assertRaises(SSL.SysCallError) as caught:
            receive(server.connection, client.connection)
        self.assertIn("EOF", str(caught.exception))


class ServerNameTests(ContextCase):
    def agree_on(self, name: str, certificate: str, **fields: object) -> None:
        client = self.client(name, verify_error=["trustfiles"])
        server = self.server(**fields)
        self.agree(client, server)
        shown = client.peer_status()["certificate"]
        assert isinstance(shown, dict)
        self.assertEqual(f"O=netproc tests,CN={certificate}", shown["subject"])

    def test_pairs_by_name(self) -> None:
        wild = ROOT.issue("*.wild.example", common="wild")
        names = {"Other.example": OTHER, "*.wild.example": wild}
        for name, certificate in (
            ("other.example", "other"),
            ("OTHER.example", "other"),
            ("a.wild.example", "wild"),
            ("a.b.wild.example", "good"),
            ("wild.example", "good"),
            ("good.example", "good"),
            ("127.0.0.1", "good"),
        ):
            self.agree_on(name, certificate, sni=names)

    def test_a_directory(self) -> None:
        directory = os.path.abspath(self.mktemp())
        os.mkdir(directory)
        for order, name in ((OTHER, "other.example"), (OTHER[::-1], "second.example")):
            with open(os.path.join(directory, f"{name}.pem"), "wb") as file:
                file.write(b"".join(order))
        for name, certificate in (
            ("other.example", "other"),
            ("second.example", "other"),
            ("good.example", "good"),
        ):
            self.agree_on(name, certificate, sni=directory)

    def test_names_alone(self) -> None:
        """A client that asks for none of the names gets no certificate."""
        names = {"other.example": OTHER}
        self.agree_on("other.example", "other", sni=names, keylist=())
        server = self.server(sni=names, keylist=())
        errors = handshake(self.client().connection, server.connection)
        self.assertIn("no suitable signature algorithm", str(errors[1]))

    def test_alpn_and_client_certificates_stay(self) -> None:
        fields = {
            "sni": {"other.example": OTHER},
            "alpn": ["imap"],
            "request_client_certificate": "required",
            "trustfiles": [self.file(ROOT.pem)],
        }
        client, server = self.client("other.example", alpn=["imap"]), self.server(**fields)
        errors = handshake(client.connection, server.connection)
        self.assertIn("did not return a certificate", str(errors[1]))
        client = self.client("other.example", alpn=["imap"], keylist=[GOOD])
        server = self.server(**fields)
        self.agree(client, server)
        self.assertEqual(b"imap", server.connection.get_alpn_proto_negotiated())

    def test_errors(self) -> None:
        empty = os.path.abspath(self.mktemp())
        os.mkdir(empty)
        for sni, problem in (
            ("/nowhere", "sni: /nowhere: No such file"),
            (empty, f"sni: {empty}: there is no file NAME.pem in it"),
            ({"other.example": (OTHER[0], "/nowhere/x")}, "/nowhere/x: No such file"),
        ):
            fields = {"keylist": [GOOD], "sni": sni}
            error = self.assertRaises(ProcessArgumentError, security, fields, is_server=True)
            self.assertIn(problem, error.problem)


class VersionTests(ContextCase):
    def test_the_least(self) -> None:
        for least, version in ((None, "TLSv1.2"), ("TLS1.2", "TLSv1.2")):
            client = self.client(priority="NORMAL:-VERS-TLS1.3", min_version=least)
            self.agree(client, self.server())
            self.assertEqual(version, client.connection.get_protocol_version_name())
        old = self.client(priority="NORMAL:-VERS-TLS1.3")
        errors = handshake(old.connection, self.server(min_version="TLS1.3").connection)
        self.assertIn("unsupported protocol", str(errors[1]))

    def test_one_that_the_priority_has_not(self) -> None:
        fields = {"priority": "NORMAL:-VERS-TLS1.3", "min_version": "TLS1.3"}
        error = self.assertRaises(
            ProcessArgumentError, security, self.trusting(**fields), is_server=False
        )
        self.assertEqual("min_version: TLS1.3: the priority allows no such version", error.problem)


class LogLevelTests(ContextCase):
    def test_steps(self) -> None:
        for level, told in ((0, False), (1, True)):
            with capturedLogs() as events:
                self.agree(self.client(loglevel=level), self.server())
            steps = [event["state"] for event in events if "state" in event]
            self.assertEqual(told, "SSL negotiation finished successfully" in steps)


class AnonymousTests(ContextCase):
    def engine(self, is_server: bool, **fields: object) -> Engine:
        made = TLSParameters(type="anon", allow_anonymous=True, **fields)
        return security(made, is_server=is_server).engine(None)

    def test_anonymous_with_anonymous(self) -> None:
        client, server = self.engine(False), self.engine(True)
        self.agree(client, server)
        status = client.peer_status()
        self.assertEqual("ANON-ECDH", status["key_exchange"])
        self.assertEqual("AES-256-CBC", status["cipher"])
        self.assertEqual("SHA1", status["mac"])
        self.assertEqual("TLS1.2", status["protocol"])
        self.assertEqual([], status["verified_chain"])
        self.assertNotIn("certificate", status)

    def test_anonymous_with_proven(self) -> None:
        for client, server in (
            (self.client(), self.engine(True)),
            (self.client(priority="NORMAL:+ANON-ECDH:+ANON-DH"), self.engine(True)),
            (self.engine(False), self.server(priority="NORMAL:+ANON-ECDH")),
        ):
            errors = handshake(client.connection, server.connection)
            self.assertIsNotNone(errors[0])
            self.assertIsNotNone(errors[1])


class AgreementTests(ContextCase):
    def test_alpn(self) -> None:
        for ours, theirs, common in (
            (["h2", "imap"], ["imap", "h2"], b"imap"),
            (["h2"], ["imap"], b""),
            ([], ["imap"], b""),
            (["h2"], [], b""),
        ):
            client, server = self.client(alpn=ours), self.server(alpn=theirs)
            self.agree(client, server)
            self.assertEqual(common, client.connection.get_alpn_proto_negotiated())
            self.assertEqual(common or None, server.peer_status()["alpn"])

    def test_status_of_tls_12(self) -> None:
        rsa_pair = ROOT.issue("good.example", key=rsa.generate_private_key(65537, 2048))
        for suite, kx, cipher, mac in (
            ("ECDHE-RSA:+AES-128-GCM:+AEAD", "ECDHE-RSA", "AES-128-GCM", "AEAD"),
            ("RSA:+AES-256-CBC:+SHA256", "RSA", "AES-256-CBC", "SHA256"),
            ("RSA:+AES-128-CCM-8:+AEAD", "RSA", "AES-128-CCM-8", "AEAD"),
            ("ECDHE-RSA:+CHACHA20-POLY1305:+AEAD", "ECDHE-RSA", "CHACHA20-POLY1305", "AEAD"),
            ("ECDHE-RSA:+AES-256-CBC:+SHA1", "ECDHE-RSA", "AES-256-CBC", "SHA1"),
        ):
            priority = f"NONE:+VERS-TLS1.2:+{suite}:%PROFILE_VERY_WEAK"
            client = self.client(priority=priority)
            server = self.server(keylist=[rsa_pair], priority=priority)
            self.agree(client, server)
            status = client.peer_status()
            self.assertEqual("TLS1.2", status["protocol"])
            self.assertEqual(
                (kx, cipher, mac), tuple(map(status.get, ("key_exchange", "cipher", "mac")))
            )
            self.assertTrue(status["safe_renegotiation"])
            certificate = status["certificate"]
            assert isinstance(certificate, dict)
            self.assertEqual("RSA", certificate["public_key_algorithm"])
            self.assertEqual("Medium", certificate["certificate_security_level"])
            self.assertEqual("ECDSA-SHA256", certificate["signature_algorithm"])

    def test_a_certificate_as_emacs_shows_it(self) -> None:
        client = self.client()
        self.agree(client, self.server())
        shown = client.peer_status()["certificate"]
        assert isinstance(shown, dict)
        made = x509.load_pem_x509_certificate(GOOD[1])
        self.assertEqual(3, shown["version"])
        self.assertEqual("EC/ECDSA", shown["public_key_algorithm"])
        self.assertEqual("High", shown["certificate_security_level"])
        self.assertEqual("O=netproc tests,CN=Root CA", shown["issuer"])
        self.assertEqual(f"{made.not_valid_after_utc:%Y-%m-%d}", shown["valid_to"])
        self.assertEqual(made.serial_number, int(shown["serial_number"].replace(":", ""), 16))
        self.assertEqual(
            "sha1:" + made.fingerprint(hashes.SHA1()).hex(":"), shown["certificate_id"]
        )
        pin = "sha256:" + made.fingerprint(hashes.SHA256()).hex(":")
        self.assertEqual(pin, shown["certificate_pin"])
        self.assertEqual(GOOD[1].decode(), shown["pem"])

    def test_other_kinds_of_keys(self) -> None:
        for key, kind, level in (
            (ed25519.Ed25519PrivateKey.generate(), "EdDSA (Ed25519)", "High"),
            (rsa.generate_private_key(65537, 3072), "RSA", "High"),
            (ec.generate_private_key(ec.SECP384R1()), "EC/ECDSA", "Ultra"),
        ):
            client = self.client()
            self.agree(client, self.server(keylist=[ROOT.issue("good.example", key=key)]))
            shown = client.peer_status()["certificate"]
            assert isinstance(shown, dict)
            self.assertEqual(kind, shown["public_key_algorithm"])
            self.assertEqual(level, shown["certificate_security_level"])

    def test_a_serial_number_with_the_highest_bit(self) -> None:
        self.patch(x509, "random_serial_number", lambda: 0xFF01AA)
        made = ssl.PEM_cert_to_DER_cert(ROOT.issue("good.example")[1].decode())
        self.assertEqual("00:ff:01:aa", describe(made)["serial_number"])

    def test_status_of_tls_13(self) -> None:
        client, server = self.client(), self.server()
        self.assertEqual({}, client.peer_status())
        self.agree(client, server)
        status = client.peer_status()
        self.assertEqual("TLS1.3", status["protocol"])
        # The name is GnuTLS's, though the certificate has an elliptic curve.
        self.assertEqual("ECDHE-RSA", status["key_exchange"])
        self.assertEqual("AES-256-GCM", status["cipher"])
        self.assertEqual("AEAD", status["mac"])
        self.assertNotIn("warnings", status)
        self.assertNotIn("safe_renegotiation", status)
        self.assertEqual("good.example", server.peer_status()["sni"])
        chain = status["verified_chain"]
        assert isinstance(chain, list)
        self.assertEqual(
            ["O=netproc tests,CN=good", "O=netproc tests,CN=Root CA"],
            [certificate["subject"] for certificate in chain],
        )
        self.assertEqual(status["certificate"], chain[0])
