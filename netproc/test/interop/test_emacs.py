"""Emacs as the client of our servers: open-network-stream, with TLS and with STARTTLS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from netproc.test.interop.dialogues import DIALOGUES, Offer
from netproc.test.interop.emacs import emacs
from netproc.test.interop.launch import ANOTHER, InteropTestCase
from netproc.test.support.fixtures import echo
from netproc.test.support.peers import in_thread

#: Opens a stream, says something, and waits for the answer.
_OPEN = r"""
(let* ((buffer (generate-new-buffer "b"))
       (opened (open-network-stream "s" buffer "{host}" {port} :type '{type} :coding 'binary
                                    :return-list t {more}))
       (process (car opened)) (properties (cdr opened)))
  (when process
    (process-send-string process "{request}")
    (with-timeout (10)
      (while (not (with-current-buffer buffer
                    (goto-char (point-min)) (search-forward "{answer}" nil t)))
        (accept-process-output process 0.1)))
    (setq properties
      (append properties (list :text (with-current-buffer buffer (buffer-string))
                               :status (symbol-name (process-status process))
                               :protocol (plist-get (gnutls-peer-status process) :protocol))))
    (delete-process process))
  properties)
"""


@dataclass(frozen=True)
class Protocol:
    """The arguments for Emacs in one protocol, and the answers of our server inside TLS."""

    arguments: str
    inside: dict[bytes, bytes]
    capabilities: str


PROTOCOLS = {
    "smtp": Protocol(
        r""":end-of-command "^[0-9]+ .*\r\n" :capability-command "EHLO me\r\n"
        :success "^220 " :starttls-function
        (lambda (said) (and (string-match "[ -]STARTTLS" said) "STARTTLS\r\n"))""",
        {rb"EHLO [^\n]*\n": b"250-localhost\r\n250 AUTH PLAIN\r\n", rb"NOOP\r\n": b"250 done\r\n"},
        "250-localhost\r\n250 AUTH PLAIN\r\n",
    ),
    "pop3": Protocol(
        r""":end-of-command "^\\(-ERR\\|+OK\\).*\n" :end-of-capability "^\\.\r?\n\\|^-ERR"
        :capability-command "CAPA\r\n" :success "^\\+OK.*\n" :starttls-function
        (lambda (said) (and (string-match "\\bSTLS\\b" said) "STLS\r\n"))""",
        {rb"CAPA\r\n": b"+OK\r\nUSER\r\n.\r\n", rb"NOOP\r\n": b"+OK done\r\n"},
        "+OK\r\nUSER\r\n.\r\n",
    ),
}


class EmacsTests(InteropTestCase):
    async def open(self, port: int, kind: str, trust: str = "", **keywords: str) -> Any:
        keywords = {
            "host": "localhost",
            "more": "",
            "request": r"NOOP\r\n",
            "answer": "done",
            **keywords,
        }
        expression = _OPEN.format(port=port, type=kind, **keywords)
        return await in_thread(emacs, expression, trust or self.trust_file())

    async def offer(self, protocol: str) -> tuple[Offer, int]:
        offer = Offer(
            replace(DIALOGUES[protocol], inside=PROTOCOLS[protocol].inside), self.serving()
        )
        server = await self.make(
            name=protocol,
            server=True,
            service=True,
            coding="binary",
            filter=offer.filter,
            sentinel=offer.sentinel,
        )
        return offer, int(server.contact("service"))

    async def test_starttls(self) -> None:
        for name, protocol in PROTOCOLS.items():
            offer, port = await self.offer(name)
            for kind in ("starttls", "network"):
                found = await self.open(port, kind, more=protocol.arguments)
                self.assertIs(None, found["error"], found)
                self.assertEqual(
                    ("tls", protocol.capabilities, "open", "TLS1.3"),
                    (found["type"], found["capabilities"], found["status"], found["protocol"]),
                    found,
                )
                self.assertIn("done", found["text"])
            self.assertTrue(offer.inside.endswith(b"NOOP\r\n"))

    async def test_tls(self) -> None:
        server = await self.make(
            name="s",
            server=True,
            service=True,
            coding="binary",
            filter=echo,
            tls_parameters=self.serving(),
        )
        port = int(server.contact("service"))
        found = await self.open(port, "tls", request="done")
        self.assertEqual(("done", "TLS1.3"), (found["text"], found["protocol"]))
        found = await self.open(port, "tls", self.trust_file(ANOTHER))
        self.assertIn("Certificate validation failed localhost", found["error"])

    async def test_it_refuses_another(self) -> None:
        """If Emacs does not open the stream, our server receives no data inside TLS."""
        offer, port = await self.offer("smtp")
        more = PROTOCOLS["smtp"].arguments
        found = await self.open(port, "starttls", self.trust_file(ANOTHER), more=more)
        self.assertIn("Certificate validation failed", found["error"])
        self.assertEqual(b"", offer.inside)
