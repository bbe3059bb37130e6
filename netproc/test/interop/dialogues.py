"""The server's side of STARTTLS in each protocol, as netproc filters, for other projects' clients.

`test_clients.py` serves these to openssl, gnutls-cli, curl and Emacs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from netproc import NetworkProcess, ProcessError, TLSParameters
from netproc.test.support.fixtures import echo


@dataclass(frozen=True)
class Dialogue:
    """The answers of a server: patterns of commands with the answer to each, before TLS and inside TLS.

    "\\1" in an answer is the first group of the command.
    """

    greeting: bytes
    answers: Mapping[bytes, bytes]
    starttls: bytes
    go_ahead: bytes
    #: The answers inside TLS; if there are none, the server echoes its input.
    inside: Mapping[bytes, bytes] = field(default_factory=dict)
    #: The greeting inside TLS, which is sent without a command.
    banner: bytes = b""


class Offer:
    """Filter and sentinel of a server with DIALOGUE; keeps the input inside TLS, and the versions of TLS."""

    def __init__(self, dialogue: Dialogue, parameters: TLSParameters) -> None:
        self.dialogue = dialogue
        self.parameters = parameters
        self.inside = b""
        self.connections: list[NetworkProcess] = []
        self.versions: list[object] = []

    def sentinel(self, process: NetworkProcess, event: str) -> None:
        if event.startswith("open from"):
            self.connections.append(process)
            process.send(self.dialogue.greeting)

    def filter(self, process: NetworkProcess, data: bytes) -> None:
        """The filter of a connection before TLS."""
        said = process.plist.get("said", b"") + data  # type: ignore[operator]
        rest = self._answer(process, self.dialogue.answers, said)
        request = re.match(self.dialogue.starttls, rest)
        if request is None:
            process.plist["said"] = rest
            return
        process.send(request.expand(self.dialogue.go_ahead))
        process.filter = self._inside
        process.plist["said"] = b""
        started = process.start_tls(self.parameters, rest[request.end() :])
        started.addCallbacks(self._started, lambda failure: failure.trap(ProcessError) and None)

    def _started(self, process: NetworkProcess) -> None:
        self.versions.append((process.peer_status() or {})["protocol"])
        if self.dialogue.banner:
            process.send(self.dialogue.banner)

    def _inside(self, process: NetworkProcess, data: bytes) -> None:
        self.inside += data
        if self.dialogue.inside:
            said = process.plist["said"] + data  # type: ignore[operator]
            process.plist["said"] = self._answer(process, self.dialogue.inside, said)
        else:
            echo(process, data)

    def _answer(
        self, process: NetworkProcess, answers: Mapping[bytes, bytes], said: bytes
    ) -> bytes:
        """Answer all complete commands in SAID; return the rest."""
        while True:
            for pattern, answer in answers.items():
                command = re.match(pattern, said, re.DOTALL)
                if command is not None:
                    process.send(command.expand(answer))
                    said = said[command.end() :]
                    break
            else:
                return said


_EHLO = b"250-localhost\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
_FEATURES = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams' id='1' from='localhost' version='1.0'><stream:features>"
    b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
)

#: The dialogues with openssl and gnutls-cli, by the name that both use for the protocol.
DIALOGUES = {
    "smtp": Dialogue(
        b"220 localhost ESMTP\r\n",
        {rb"EHLO [^\n]*\n": _EHLO},
        rb"STARTTLS\r\n",
        b"220 go ahead\r\n",
    ),
    "lmtp": Dialogue(
        b"220 localhost LMTP\r\n",
        {rb"LHLO [^\n]*\n": _EHLO},
        rb"STARTTLS\r\n",
        b"220 go ahead\r\n",
    ),
    "pop3": Dialogue(
        b"+OK ready\r\n", {rb"CAPA\r\n": b"+OK\r\nSTLS\r\n.\r\n"}, rb"STLS\r\n", b"+OK begin\r\n"
    ),
    # Each program chooses its own tags for commands.
    "imap": Dialogue(
        b"* OK ready\r\n",
        {rb"(\S+) CAPABILITY\r\n": b"* CAPABILITY IMAP4rev1 STARTTLS\r\n\\1 OK done\r\n"},
        rb"(\S+) STARTTLS\r\n",
        b"\\1 OK begin\r\n",
    ),
    "ftp": Dialogue(
        b"220 ready\r\n",
        {rb"FEAT\r\n": b"211-Features:\r\n AUTH TLS\r\n211 End\r\n"},
        rb"AUTH TLS\r\n",
        b"234 begin\r\n",
    ),
    "nntp": Dialogue(
        b"200 ready\r\n",
        {rb"CAPABILITIES\r\n": b"101 list:\r\nVERSION 2\r\nSTARTTLS\r\n.\r\n"},
        rb"STARTTLS\r\n",
        b"382 begin\r\n",
    ),
    "sieve": Dialogue(
        b'"IMPLEMENTATION" "netproc"\r\n"STARTTLS"\r\nOK "ready"\r\n',
        {},
        rb"STARTTLS\r\n",
        b'OK "begin"\r\n',
    ),
    "irc": Dialogue(
        b"",
        {rb"CAP LS[^\n]*\n": b":localhost CAP * LS :tls\r\n"},
        rb"STARTTLS\r\n",
        b":localhost 670 * :begin\r\n",
    ),
    "xmpp": Dialogue(
        b"",
        {rb".*<stream:stream [^>]*>": _FEATURES},
        rb"\s*<starttls [^>]*/>",
        b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
    ),
    "ldap": Dialogue(
        b"",
        {},
        # BER: message 1, an extended request; the lengths differ with the program.
        rb"(?s)\x30.\x02\x01\x01\x77.*1\.3\.6\.1\.4\.1\.1466\.20037",
        b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00",
    ),
    "postgres": Dialogue(b"", {}, re.escape(b"\x00\x00\x00\x08\x04\xd2\x16\x2f"), b"S"),
}
