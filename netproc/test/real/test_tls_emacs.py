"""The status of a peer, beside what Emacs says of the same server."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from netproc.net.tls.contexts import security
from netproc.net.tls.engine import Engine
from netproc.test.certificates import Authority
from netproc.test.real.programs import require

PATIENCE = 20

ROOT = Authority("Root CA")

CODE = """
(progn (require 'cl-lib) (require 'json) (require 'gnutls)
 (setq network-security-level 'low)
 (let ((status (gnutls-peer-status
   (make-network-process :name "tls" :host "127.0.0.1" :service {port} :tls-parameters
    (cons 'gnutls-x509pki (gnutls-boot-parameters :type 'gnutls-x509pki
     :hostname "localhost" :trustfiles (list "{trust}")))))))
  ;; A list of property lists looks like an association list to `json-encode'.
  (cl-remf status :certificates)
  (princ (json-encode status))))
"""


class StatusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.emacs = require("emacs")
        self.trust = self.file(ROOT.pem)

    def file(self, data: bytes) -> str:
        name = os.path.abspath(self.mktemp())
        with open(name, "wb") as file:
            file.write(data)
        return name

    def serve(
        self, highest: ssl.TLSVersion, key_made: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    ) -> int:
        """The port where two clients, one after the other, get a handshake."""
        key, certificate = ROOT.issue("localhost", key=key_made)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = highest
        context.load_cert_chain(self.file(certificate), self.file(key))
        listening = socket.create_server(("127.0.0.1", 0))
        listening.settimeout(PATIENCE)
        self.addCleanup(listening.close)

        def shake_hands() -> None:
            for _ in range(2):
                accepted, _ = listening.accept()
                accepted.settimeout(PATIENCE)
                with context.wrap_socket(accepted, server_side=True) as connection:
                    try:
                        connection.recv(1)
                    except OSError:
                        # Emacs says no goodbye.
                        pass

        thread = threading.Thread(target=shake_hands)
        thread.start()
        self.addCleanup(thread.join, PATIENCE)
        port: int = listening.getsockname()[1]
        return port

    def of_emacs(self, port: int) -> dict[str, object]:
        code = CODE.format(port=port, trust=self.trust)
        done = subprocess.run(
            [self.emacs, "-Q", "--batch", "--eval", code],
            capture_output=True,
            check=True,
            timeout=PATIENCE,
        )
        status: dict[str, object] = json.loads(done.stdout)
        return status

    def of_ours(self, port: int) -> dict[str, object]:
        parameters = {"trustfiles": [self.trust], "system_trust": False}
        engine = security(parameters, is_server=False).engine("localhost")
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as peer:
            self.shake_hands(engine, peer)
            self.assertIsNone(engine.check())
        return engine.peer_status()

    def shake_hands(self, engine: Engine, peer: socket.socket) -> None:
        is_done = False
        while not is_done:
            is_done = self.is_done(engine.connection)
            try:
                peer.sendall(engine.connection.bio_read(65536))
            except SSL.WantReadError:
                # There is nothing to say now.
                pass
            if not is_done:
                engine.connection.bio_write(peer.recv(65536))

    def is_done(self, connection: SSL.Connection) -> bool:
        try:
            connection.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def assert_same(self, emacs: dict[str, object], ours: dict[str, object]) -> None:
        for key, value in emacs.items():
            mine = ours.get(key.replace("-", "_"))
            if isinstance(value, dict):
                assert isinstance(mine, dict)
                self.assert_same(value, mine)
            elif key != "encrypt-then-mac":
                # That cannot be read from OpenSSL.
                self.assertEqual(value, mine, key)

    def test_both_say_the_same(self) -> None:
        keys = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
        for highest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for key in keys:
                port = self.serve(highest, key)
                emacs = self.of_emacs(port)
                ours = self.of_ours(port)
                self.assertIn("certificate", emacs)
                self.assert_same(emacs, ours)
