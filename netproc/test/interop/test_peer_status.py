"""peer_status compared with Emacs's gnutls-peer-status, for the same real server."""

from __future__ import annotations

from typing import Any

from netproc import make_network_process
from netproc.test.interop.emacs import emacs
from netproc.test.interop.launch import InteropTestCase
from netproc.test.interop.servers import gnutls_serv, s_server
from netproc.test.support.peers import in_thread

_STATUS = """
(let* ((parameters (gnutls-boot-parameters :type 'gnutls-{kind} :hostname "localhost"
                     :trustfiles gnutls-trustfiles :priority-string "{priority}"))
       (process (make-network-process :name "p" :host "127.0.0.1" :service {port}
                  :tls-parameters (cons 'gnutls-{kind} parameters)))
       (status (gnutls-peer-status process)))
  ;; A list of property lists looks like an association list to `json-encode'.
  (when (plist-get status :certificates)
    (plist-put status :certificates (apply #'vector (plist-get status :certificates))))
  (delete-process process)
  status)
"""

NORMAL = "NORMAL"


class StatusTests(InteropTestCase):
    async def compare(self, configure: Any, kind: str = "x509pki", priority: str = NORMAL) -> Any:
        """Check that both report the same status, and return ours."""
        server = await self.serve(configure)
        expression = _STATUS.format(kind=kind, priority=priority, port=server.port)
        expected = with_underscores(
            await in_thread(emacs, expression, server.place.trust, "nil", "low")
        )
        parameters = self.trusting(
            type=kind, hostname="localhost", allow_anonymous=kind == "anon", priority=priority
        )
        process = await make_network_process(
            name="c", host="127.0.0.1", service=server.port, tls_parameters=parameters
        )
        self.addCleanup(process.delete)
        found = dict(process.peer_status() or {})
        process.delete()
        # OpenSSL does not report this.
        expected.pop("encrypt_then_mac", None)
        self.assertEqual(expected, pick(found, expected))
        return found

    async def test_tls_1_3(self) -> None:
        for configure in (gnutls_serv(), gnutls_serv(on_curve=True), s_server()):
            found = await self.compare(configure)
            self.assertEqual(("TLS1.3", "ECDHE-RSA"), (found["protocol"], found["key_exchange"]))

    async def test_tls_1_2(self) -> None:
        old = "NORMAL:-VERS-TLS1.3"
        for configure, exchange in (
            (gnutls_serv(priority=old), "ECDHE-RSA"),
            (gnutls_serv(priority=old, on_curve=True), "ECDHE-ECDSA"),
            (s_server("-tls1_2"), "ECDHE-RSA"),
        ):
            found = await self.compare(configure)
            self.assertEqual(("TLS1.2", exchange), (found["protocol"], found["key_exchange"]))

    async def test_dhe(self) -> None:
        priority = "NORMAL:-VERS-TLS1.3:-KX-ALL:+DHE-RSA"
        for configure in (
            gnutls_serv(priority=priority),
            s_server("-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"),
        ):
            found = await self.compare(configure, priority=priority)
            self.assertEqual(("TLS1.2", "DHE-RSA"), (found["protocol"], found["key_exchange"]))
            self.assertGreaterEqual(found["diffie_hellman_prime_bits"], 2048)

    async def test_anonymous(self) -> None:
        for exchange in ("ANON-ECDH", "ANON-DH"):
            priority = f"NORMAL:-VERS-TLS1.3:-KX-ALL:+{exchange}"
            suite = {"ANON-ECDH": "AECDH-AES256-SHA", "ANON-DH": "ADH-AES256-GCM-SHA384"}[exchange]
            for configure in (
                gnutls_serv(priority=priority),
                s_server("-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0", has_certificate=False),
            ):
                found = await self.compare(configure, "anon", priority)
                self.assertEqual(exchange, found["key_exchange"])
                self.assertNotIn("certificate", found)


def with_underscores(value: Any) -> Any:
    """Return a property list from JSON with our names for its keys."""
    if isinstance(value, dict):
        return {key.replace("-", "_"): with_underscores(each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_underscores(each) for each in value]
    return value


def pick(found: Any, like: Any) -> Any:
    """Return the part of FOUND that LIKE has too, because ours has more keys."""
    if isinstance(like, dict):
        return {key: pick(found.get(key), each) for key, each in like.items()}
    if isinstance(like, list) and isinstance(found, list) and len(like) == len(found):
        return [pick(*pair) for pair in zip(found, like, strict=True)]
    return found
