"""Transcripts of servers and clients in each protocol, for the tests of the dialects."""

from __future__ import annotations

from collections.abc import Sequence

from netproc.core.dialects import dialect
from netproc.core.negotiate import STARTTLS, Negotiation, StreamType
from netproc.test.support.dialogue import Outcome, Server

XMPP_TLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
XMPP_OPEN = (
    b"<?xml version='1.0'?><stream:stream to=\"h\" version='1.0' xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
XMPP_ANSWER = (
    b"<?xml version='1.0'?><stream:stream id='1' from='h' version='1.0' xmlns='jabber:client' "
    b"xmlns:stream='http://etherx.jabber.org/streams'>"
)
XMPP_ERROR = (
    b"<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    b"<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>not here</text></stream:error>"
)
XMPP_OFFER = (
    XMPP_ANSWER + b"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>"
    b"<required/></starttls></stream:features>"
)
XMPP_INSIDE = XMPP_ANSWER + b"<stream:features><mechanisms/></stream:features>"
LDAP_TLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
#: With the name of the response after the three fields that every result has.
LDAP_OK = b"\x30\x24\x02\x01\x01\x78\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20037"
IRC_NOTICE = b":s NOTICE * :*** Looking up your hostname\r\n"

#: What a server with TLS sends, in order: its greeting (empty if it has none), its answers, and its last
#: message inside TLS.
AGREES: dict[str, list[bytes]] = {
    "smtp": [
        b"220-h ESMTP\r\n220 ready\r\n",
        b"250-h\r\n250-PIPELINING\r\n250 STARTTLS\r\n",
        b"220 2.0.0 go ahead\r\n",
        b"250-h\r\n250 AUTH PLAIN\r\n",
    ],
    "lmtp": [
        b"220 h LMTP\r\n",
        b"250-h\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
        b"220 go\n",
        b"250 h\r\n",
    ],
    "imap": [
        b"* OK [CAPABILITY IMAP4rev1] h\xc3\xa9 ready\r\n",
        b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\nnp1 OK done\r\n",
        b"* OK by the way\r\nnp2 OK begin\r\n",
        b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nnp1 OK done\r\n",
    ],
    "pop3": [
        b"+OK h ready <1@h>\r\n",
        b"+OK\r\nTOP\r\nSTLS\r\nUIDL\r\n.\r\n",
        b"+OK begin\r\n",
        b"+OK\r\nUSER\r\n.\r\n",
    ],
    "sieve": [
        b'"IMPLEMENTATION" "h"\r\n"SIEVE" "fileinto"\r\n"STARTTLS"\r\nOK "ready"\r\n',
        b'"IMPLEMENTATION" "h"\r\n"STARTTLS"\r\nOK\r\n',
        b"OK begin\r\n",
        b'"IMPLEMENTATION" "h"\r\n"SASL" "PLAIN"\r\nOK "TLS negotiation successful."\r\n',
    ],
    "nntp": [
        b"200 h ready\r\n",
        b"101 list\r\nVERSION 2\r\nSTARTTLS\r\nREADER\r\n.\r\n",
        b"382 continue\r\n",
        b"101 list\r\nVERSION 2\r\nAUTHINFO USER\r\n.\r\n",
    ],
    "irc": [
        IRC_NOTICE,
        b":s CAP * LS * :multi-prefix tls\r\n:s CAP * LS :sasl\r\n" + IRC_NOTICE,
        b":s 670 * :STARTTLS successful\r\n",
        b":s CAP * LS :multi-prefix sasl\r\n",
    ],
    "ftp": [
        b"220-h\r\n  a line\r\n220 ready\r\n",
        b"211-Features:\r\n MDTM\r\n AUTH SSL;TLS;\r\n211 End\r\n",
        b"234 go\r\n",
        b"211-Features:\r\n PROT\r\n211 End\r\n",
    ],
    "xmpp": [
        b"",
        XMPP_OFFER,
        b"<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
        XMPP_INSIDE,
    ],
    "ldap": [b"", LDAP_OK],
    "postgres": [b"", b"S"],
}

#: What the client sends to these servers.
COMMANDS: dict[str, list[bytes]] = {
    "smtp": [b"EHLO [127.0.0.1]\r\n", b"STARTTLS\r\n", b"EHLO [127.0.0.1]\r\n"],
    "lmtp": [b"LHLO [127.0.0.1]\r\n", b"STARTTLS\r\n", b"LHLO [127.0.0.1]\r\n"],
    "imap": [b"np1 CAPABILITY\r\n", b"np2 STARTTLS\r\n", b"np1 CAPABILITY\r\n"],
    "pop3": [b"CAPA\r\n", b"STLS\r\n", b"CAPA\r\n"],
    "sieve": [b"CAPABILITY\r\n", b"STARTTLS\r\n"],
    "nntp": [b"CAPABILITIES\r\n", b"STARTTLS\r\n", b"CAPABILITIES\r\n"],
    "irc": [b"CAP LS 302\r\n", b"STARTTLS\r\n", b"CAP LS 302\r\n"],
    "ftp": [b"FEAT\r\n", b"AUTH TLS\r\n", b"FEAT\r\n"],
    "xmpp": [XMPP_OPEN, XMPP_TLS, XMPP_OPEN],
    "ldap": [LDAP_TLS],
    "postgres": [b"\x00\x00\x00\x08\x04\xd2\x16\x2f"],
}

#: Answers that refuse STARTTLS, and what an error shows of them.
REFUSALS: dict[str, list[tuple[bytes, str]]] = {
    "smtp": [
        (b"454 4.7.0 TLS not available\r\n", "454 4.7.0 TLS not available"),
        (b"501-no\r\n501 \x07no\r\n", r"501-no 501 \x07no"),
        (b"250 2200 no\r\n", "250 2200 no"),
    ],
    "lmtp": [(b"454 no\r\n", "454 no")],
    "imap": [
        (b"np2 NO not now\r\n", "np2 NO not now"),
        (b"* OK np2 NO\r\nnp2 BAD what\r\n", "np2 BAD what"),
        (b"* np2 OK\r\nnp2 BAD what\r\n", "np2 BAD what"),
        (b"* BYE shutting down\r\n", "* BYE shutting down"),
    ],
    "pop3": [(b"-ERR no\r\n", "-ERR no")],
    "sieve": [
        (b"NO no\r\n", "NO no"),
        (b'BYE "no"\r\n', 'BYE "no"'),
        (b"NO {4}\r\nOK\r\n\r\n", "NO {4} OK"),
    ],
    "nntp": [(b"580 no\r\n", "580 no"), (b"502 unavailable\r\n", "502 unavailable")],
    "irc": [
        (IRC_NOTICE + b":s 691 * :failed\r\n", ":s 691 * :failed"),
        (b"421 * STARTTLS :what\r\n", "421 * STARTTLS :what"),
        (b":s 451 STARTTLS :first\r\n", ":s 451 STARTTLS :first"),
        (b"ERROR :Closing Link\r\n", "ERROR :Closing Link"),
    ],
    "ftp": [(b"534 no\r\n", "534 no"), (b"421-bye\r\n421 bye\r\n", "421-bye 421 bye")],
    "xmpp": [
        (b"<failure xmlns='x'/>", "<failure xmlns='x'/>"),
        (b"<tls:failure> </tls:failure>", "<tls:failure> </tls:failure>"),
        (b"<stream:error><reset/></stream:error>", "<stream:error><reset/></stream:error>"),
        (b"</stream:stream>", "</stream:stream>"),
    ],
    "ldap": [
        (
            b"\x30\x0e\x02\x01\x01\x78\x09\x0a\x01\x34\x04\x00\x04\x02no",
            "result code 52 no",
        ),
        # As Active Directory writes lengths.
        (
            b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x78\x84\x00\x00\x00\x07\x0a\x01\x02\x04\x00\x04\x00",
            "result code 2",
        ),
        # The notice of disconnection, which has message number 0.
        (b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x34\x04\x00\x04\x00", "result code 52"),
        # Another message, another operation, nothing at all, a part longer than the whole.
        (b"\x30\x0c\x02\x01\x00\x78\x07\x0a\x01\x00\x04\x00\x04\x00", "result code 0"),
        (b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00", "no extended response"),
        (b"\x30\x00", "no extended response"),
        (b"\x30\x03\x02\x05\x01", "no extended response"),
        (b"\x30\x04\x02\x89\x01\x01", "no extended response"),
    ],
    # This answer has no text.
    "postgres": [(b"N", "")],
}

#: Capabilities without STARTTLS, or that only seem to have it.
NO_OFFERS: dict[str, list[bytes]] = {
    "smtp": [
        b"250-STARTTLS\r\n250 SIZE\r\n",
        b"250 STARTTLS\r\n",
        b"250-h\r\n250 XSTARTTLS\r\n",
        b"250-h\r\n250 SIZE STARTTLS\r\n",
    ],
    "lmtp": [b"250 h\r\n"],
    "imap": [
        b"* CAPABILITY IMAP4rev1 X-STARTTLS STARTTLS2\r\nnp1 OK done\r\n",
        b"* OK STARTTLS\r\nnp1 OK STARTTLS\r\n",
    ],
    "pop3": [b"+OK STLS\r\nXSTLS\r\nSTLS2\r\n.\r\n"],
    "sieve": [b'"SIEVE" "\\"STARTTLS\\""\r\nOK "STARTTLS"\r\n'],
    "nntp": [b"101 STARTTLS\r\nREADER\r\nXSTARTTLS\r\n.\r\n"],
    "irc": [b":s CAP * LS :xtls tls2 sts=port=6697\r\n"],
    "ftp": [b"211-Features:\r\n AUTH KERBEROS\r\n211 AUTHTLS\r\n"],
    "xmpp": [
        XMPP_INSIDE,
        XMPP_ANSWER + b"<stream:features/>",
        XMPP_ANSWER + b"<stream:features><starttls xmlns='x'/></stream:features>",
        # Before version 1.0 there are no features to wait for.
        b"<stream:stream xmlns:stream='http://etherx.jabber.org/streams'>",
    ],
    "ldap": [],
    "postgres": [],
}

#: Refusals to list capabilities, and what an error shows of them; the server goes on.
UNLISTED: dict[str, list[tuple[bytes, str]]] = {
    "smtp": [(b"502 what\r\n", "502 what"), (b"500-5.5.1\r\n500 what\r\n", "500-5.5.1 500 what")],
    "lmtp": [(b"500 what\r\n", "500 what")],
    "imap": [(b"np1 BAD what\r\n", "np1 BAD what"), (b"* OK x\r\nnp1 NO y\r\n", "np1 NO y")],
    "pop3": [(b"-ERR what\r\n", "-ERR what")],
    "sieve": [(b"NO what\r\n", "NO what")],
    "nntp": [(b"500 what\r\n", "500 what"), (b"480 first\r\n", "480 first")],
    "irc": [
        (b":s 421 * CAP :what\r\n", ":s 421 * CAP :what"),
        (IRC_NOTICE + b":s 410 x\r\n", ":s 410 x"),
    ],
}

#: Messages that end the connection instead of listing capabilities, and what an error shows of them.
DISMISSED: dict[str, list[tuple[bytes, str]]] = {
    "smtp": [
        (b"550 Access denied - Invalid HELO name\r\n", "550 Access denied - Invalid HELO name"),
        (b"421 later\r\n", "421 later"),
        (b"504-no\r\n504 such name\r\n", "504-no 504 such name"),
    ],
    "lmtp": [(b"501 no\r\n", "501 no")],
    "imap": [(b"* CAPABILITY IMAP4rev1\r\n* BYE overloaded\r\n", "* BYE overloaded")],
    "sieve": [(b'"SIEVE" "x"\r\nBYE "later"\r\n', 'BYE "later"')],
    "nntp": [(b"400 later\r\n", "400 later")],
    "irc": [(b"ERROR :Closing Link (banned)\r\n", "ERROR :Closing Link (banned)")],
    "ftp": [(b"421 bye\r\n", "421 bye")],
    "xmpp": [
        (XMPP_ANSWER + XMPP_ERROR, "host-unknown not here"),
        (XMPP_ANSWER + b"<stream:error><reset/></stream:error>", "reset"),
        (b"<x/></stream:stream>", "<x/></stream:stream>"),
    ],
}

#: Greetings of servers that refuse the connection.
CLOSED: dict[str, list[bytes]] = {
    "smtp": [b"554-no\r\n554 go away\r\n", b"421 later\r\n"],
    "lmtp": [b"421 later\r\n"],
    "imap": [b"* BYE overloaded\r\n"],
    "pop3": [b"-ERR in use\r\n"],
    "sieve": [b'BYE "no"\r\n', b"NO\r\n"],
    "nntp": [b"400 later\r\n", b"502 no\r\n"],
    "ftp": [b"421 too many\r\n", b"120 in 5 minutes\r\n421 too many\r\n"],
}

#: The protocols that ask for nothing before STARTTLS.
WITHOUT_CAPABILITIES = ("ldap", "postgres")


def converse(
    name: str,
    script: Sequence[bytes],
    stream_type: StreamType = STARTTLS,
    cuts: Sequence[int] | None = None,
    bytewise: bool = False,
) -> Outcome:
    return Server(Negotiation(stream_type, dialect(name, "h")), script, cuts, bytewise).run()


def said(name: str, index: int) -> str | None:
    """Return the text of message INDEX of an agreeing server, or None if there is no such message."""
    script = AGREES[name]
    return script[index].decode() if script[index] and len(script) > 2 else None


def until_answer(name: str) -> list[bytes]:
    """Return the messages of an agreeing server before its answer to STARTTLS."""
    return AGREES[name][: 1 if name in WITHOUT_CAPABILITIES else 2]
