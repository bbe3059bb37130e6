"""What each protocol says before TLS: greeting, capabilities and STARTTLS, as a table.

`core/streamspec.py` takes the row that `protocol=` names; `core/negotiate.py` leads the dialogue by it.

Every end of text is the end of a line or a tag, so that it is found at the same place however the
bytes were cut on their way, and no end is in what comes before it.
"""

from __future__ import annotations

import dataclasses
from xml.sax.saxutils import quoteattr

from .answers import (
    Afterwards,
    Always,
    Dialect,
    ForeignAnswerError,
    Has,
    LastLine,
    Offer,
    Until,
    Upgrade,
    pattern,
    to_bytes,
)
from .errors import ProcessArgumentError

# --- LDAP (RFC 4511, section 4.14): one BER element each way. -----------------------------------------

#: Message 1, an extended request with the object identifier of StartTLS.
_LDAP_STARTTLS = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037"
_SEQUENCE, _INTEGER, _ENUMERATED, _EXTENDED_RESPONSE = 0x30, 0x02, 0x0A, 0x78
#: More octets of length than this are for what no limit would let in.
_MOST_LENGTH_OCTETS = 4


def _ber_header(data: bytes) -> tuple[int, int] | None:
    """Where the contents of the element that DATA begins with start and end; None if not known yet."""
    if len(data) < 2:
        return None
    length = data[1]
    if length < 0x80:
        return 2, 2 + length
    octets = length - 0x80
    if not 0 < octets <= _MOST_LENGTH_OCTETS:
        # No length that an answer has.
        raise ForeignAnswerError(data[:2])
    start = 2 + octets
    if len(data) < start:
        return None
    return start, start + int.from_bytes(data[2:start], "big")


def _ldap_end(data: bytes, seen: int) -> int | None:
    """An `End`: that of one LDAPMessage."""
    if data and data[0] != _SEQUENCE:
        raise ForeignAnswerError(data[:1])
    header = _ber_header(data)
    return header[1] if header is not None and header[1] <= len(data) else None


def _ber_element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The contents of the element with TAG that DATA begins with, and what is behind it."""
    header = _ber_header(data)
    if header is None or data[0] != tag or header[1] > len(data):
        raise ForeignAnswerError(data[:1])
    start, end = header
    return data[start:end], data[end:]


def _ldap_success(answer: bytes) -> bool:
    """A `Test`: is it the extended response to message 1, with the result code 0?"""
    try:
        message, _ = _ber_element(answer, _SEQUENCE)
        number, operation = _ber_element(message, _INTEGER)
        response, _ = _ber_element(operation, _EXTENDED_RESPONSE)
        code, _ = _ber_element(response, _ENUMERATED)
    except ForeignAnswerError:
        return False
    return number == b"\x01" and code == b"\x00"


# --- PostgreSQL (SSLRequest): one byte is the answer. --------------------------------------------------

_POSTGRES_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"


def _postgres_end(data: bytes, seen: int) -> int | None:
    """An `End`: an error ("E") is none, for nothing can follow it and none may be believed before TLS."""
    if not data:
        return None
    if data[:1] not in (b"S", b"N"):
        raise ForeignAnswerError(data[:1])
    return 1


def _postgres_success(answer: bytes) -> bool:
    """A `Test`."""
    return answer == b"S"


# --- XMPP (RFC 6120, sections 4 and 5). ----------------------------------------------------------------

_XMPP_TLS = "urn:ietf:params:xml:ns:xmpp-tls"
_XMPP_STARTTLS = to_bytes(f"<starttls xmlns='{_XMPP_TLS}'/>")


def _xmpp_header(host: str) -> bytes:
    return to_bytes(
        f"<?xml version='1.0'?><stream:stream to={quoteattr(host)} version='1.0' "
        "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
    )


# --- The table. ----------------------------------------------------------------------------------------


def _line(expression: str, form: str) -> LastLine:
    return LastLine(pattern(expression + r".*\n"), pattern(form))


def _has(expression: str) -> Has:
    return Has(pattern(expression))


def _offer(expression: str, command: bytes) -> Offer:
    return Offer(pattern(expression), command)


# Replies of three digits: the last line of one has no hyphen behind them.
_REPLY = _line(r"^\d{3}(?=[ \r\n])", r"\d{3}[- \r\n]")
_IMAP_FORM = r"\* |np\d "
_POP3_FORM = r"\+OK|-ERR"
_POP3_LINE = _line(r"^(?:\+OK|-ERR)", _POP3_FORM)
_SIEVE_LINE = _line(r"^(?:OK|NO|BYE)(?=[ \r\n])", r'"|(?:OK|NO|BYE)[ \r\n]')
_IRC_FORM = r"(?::\S+ )?(?:[A-Z]+|\d{3}) "

_SMTP = Dialect(
    name="smtp",
    greeting_end=_REPLY,
    welcome=_has(r"\A220[- \r\n]"),
    # Who has no name says an address literal (RFC 5321, section 4.1.3).
    capability_command=Always(b"EHLO [127.0.0.1]\r\n"),
    capability_end=_REPLY,
    upgrade=Upgrade(
        # The first line has the server's name, which could be STARTTLS too.
        command=_offer(r"\n250[- ]STARTTLS[ \t]*\r?$", b"STARTTLS\r\n"),
        answer_end=_REPLY,
        success=_has(r"\A220[- \r\n]"),
    ),
)

#: The presets by the names that `protocol=` takes.
DIALECTS = {
    "smtp": _SMTP,
    "lmtp": dataclasses.replace(
        _SMTP, name="lmtp", capability_command=Always(b"LHLO [127.0.0.1]\r\n")
    ),
    # Each command has a tag of its own: a late answer to one is not taken for that to another.
    "imap": Dialect(
        name="imap",
        greeting_end=_line(r"^\* (?:OK|PREAUTH|BYE)(?=[ \r\n])", _IMAP_FORM),
        welcome=_has(r"\A\* (?:OK|PREAUTH)[ \r\n]"),
        capability_command=Always(b"np1 CAPABILITY\r\n"),
        capability_end=_line(r"^np1 (?:OK|NO|BAD)(?=[ \r\n])", _IMAP_FORM),
        upgrade=Upgrade(
            # Who is logged in cannot start TLS any more (RFC 9051, section 7.1.4).
            barred=_has(r"\A\* PREAUTH[ \r\n]"),
            command=_offer(r"^\* CAPABILITY .*(?<= )STARTTLS(?=[ \r\n])", b"np2 STARTTLS\r\n"),
            answer_end=_line(r"^np2 (?:OK|NO|BAD)(?=[ \r\n])", _IMAP_FORM),
            success=_has(r"^np2 OK[ \r\n]"),
        ),
    ),
    "pop3": Dialect(
        name="pop3",
        greeting_end=_POP3_LINE,
        welcome=_has(r"\A\+OK"),
        capability_command=Always(b"CAPA\r\n"),
        capability_end=_line(r"^(?:\.(?=\r?\n)|-ERR)", _POP3_FORM),
        upgrade=Upgrade(
            command=_offer(r"^STLS[ \t]*\r?$", b"STLS\r\n"),
            answer_end=_POP3_LINE,
            success=_has(r"\A\+OK"),
        ),
    ),
    "sieve": Dialect(
        name="sieve",
        greeting_end=_SIEVE_LINE,
        welcome=_has(r"^OK[ \r\n]"),
        capability_command=Always(b"CAPABILITY\r\n"),
        capability_end=_SIEVE_LINE,
        upgrade=Upgrade(
            command=_offer(r'^"STARTTLS"', b"STARTTLS\r\n"),
            answer_end=_SIEVE_LINE,
            success=_has(r"\AOK[ \r\n]"),
            # RFC 5804, section 2.2: as after connecting.
            afterwards=Afterwards.LISTEN,
        ),
    ),
    "nntp": Dialect(
        name="nntp",
        greeting_end=_REPLY,
        welcome=_has(r"\A20[01][ \r\n]"),
        capability_command=Always(b"CAPABILITIES\r\n"),
        capability_end=_line(r"^(?:\.(?=\r?\n)|[45]\d\d(?=[ \r\n]))", r"\d{3}[ \r\n]"),
        upgrade=Upgrade(
            command=_offer(r"^STARTTLS[ \t]*\r?$", b"STARTTLS\r\n"),
            answer_end=_REPLY,
            success=_has(r"\A382[ \r\n]"),
        ),
    ),
    # The program has to say CAP END in the end.
    "irc": Dialect(
        name="irc",
        capability_command=Always(b"CAP LS 302\r\n"),
        capability_end=_line(r"^(?::\S+ )?(?:CAP \S+ LS (?!\* )|(?:421|451|410) )", _IRC_FORM),
        upgrade=Upgrade(
            command=_offer(r"^(?::\S+ )?CAP \S+ LS .*(?<=[ :])tls(?=[ =\r\n])", b"STARTTLS\r\n"),
            answer_end=_line(r"^(?::\S+ )?(?:670|691|421|451) ", _IRC_FORM),
            success=_has(r"^(?::\S+ )?670 "),
        ),
        # Notices about looking up the client's name.
        unsolicited=True,
    ),
    # The program has to say PBSZ 0 and PROT P.
    "ftp": Dialect(
        name="ftp",
        greeting_end=_REPLY,
        welcome=_has(r"\A220[- \r\n]"),
        capability_command=Always(b"FEAT\r\n"),
        capability_end=_REPLY,
        upgrade=Upgrade(
            command=_offer(r"^ *AUTH .*\bTLS\b", b"AUTH TLS\r\n"),
            answer_end=_REPLY,
            success=_has(r"\A234[- \r\n]"),
        ),
    ),
    # `dialect` adds the command, which names the server.
    "xmpp": Dialect(
        name="xmpp",
        capability_end=Until(
            pattern(r"<stream:features\s*/>|</stream:features\s*>|</stream:stream\s*>")
        ),
        upgrade=Upgrade(
            command=_offer(rf"<starttls\b[^<>]*{_XMPP_TLS}", _XMPP_STARTTLS),
            answer_end=Until(
                pattern(
                    r"\A\s*<proceed\b[^>]*(?:/>|(?<!/)>\s*</proceed\s*>)"
                    r"|\A\s*<failure\b[^>]*(?:/>|(?<!/)>[^<]*</failure\s*>)|</stream:stream\s*>"
                )
            ),
            success=_has(r"\A\s*<proceed\b"),
        ),
    ),
    "ldap": Dialect(
        name="ldap",
        upgrade=Upgrade(
            command=Always(_LDAP_STARTTLS),
            answer_end=_ldap_end,
            success=_ldap_success,
            afterwards=Afterwards.NOTHING,
        ),
    ),
    "postgres": Dialect(
        name="postgres",
        upgrade=Upgrade(
            command=Always(_POSTGRES_SSL_REQUEST),
            answer_end=_postgres_end,
            success=_postgres_success,
            afterwards=Afterwards.NOTHING,
        ),
    ),
}


def dialect(protocol: object, host: str) -> Dialect:
    """The row of the table for PROTOCOL; HOST is the server's name, which XMPP has to say."""
    if not isinstance(protocol, str) or protocol not in DIALECTS:
        raise ProcessArgumentError("protocol", f"{protocol!r} is none of {', '.join(DIALECTS)}")
    row = DIALECTS[protocol]
    if protocol == "xmpp":
        return dataclasses.replace(row, capability_command=Always(_checked_header(host)))
    return row


def _checked_header(host: str) -> bytes:
    try:
        return _xmpp_header(host)
    except UnicodeEncodeError:
        raise ProcessArgumentError("host", f"{host!r} cannot be encoded in UTF-8") from None
