"""The keywords of open_network_stream that say how to open a stream, checked.

`streams/openstream.py` hands them in before any socket exists, and starts a `core/negotiate.py` machine by what comes out.

What a program gives as a pattern is a regular expression of Python, with the flags of `core/answers.py` unless it
is compiled; a function in its place makes binary protocols possible.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .answers import (
    Always,
    Command,
    Dialect,
    End,
    Has,
    Polled,
    Test,
    Until,
    Upgrade,
    pattern,
    to_bytes,
)
from .dialects import dialect
from .errors import ProcessArgumentError, argument
from .escape import error_text, escape, shown
from .negotiate import NETWORK, PLAIN, SHELL, STARTTLS, TLS, StreamType
from .spec import name_to_verify

TYPES = {
    None: NETWORK,
    "network": NETWORK,
    "plain": PLAIN,
    "starttls": STARTTLS,
    "tls": TLS,
    "ssl": TLS,
    "shell": SHELL,
}

#: What `protocol=` stands for, and so not beside it.
_PRESET = ("end_of_command", "end_of_capability", "success", "starttls_function")


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """How to open a stream."""

    type: StreamType
    dialect: Dialect
    always_query: bool
    #: Is it open as soon as it is connected, without a dialogue (N261)?
    bare: bool
    #: What the shell is to run in the place of a connection (N269).
    command: str | None


#: The keywords of which only the truth counts.
_FLAGS = (
    "return_list",
    "nowait",
    "always_query_capabilities",
    "use_starttls_if_possible",
    "warn_unless_encrypted",
    "nogreeting",
)


def stream_spec(keywords: Mapping[str, object]) -> StreamSpec:
    """Check KEYWORDS, all those of open_network_stream by their names.

    Raises ProcessArgumentError that names the first faulty one.
    """
    for flag in _FLAGS:
        # A program's own object may raise when it is asked for its truth.
        with argument(flag):
            bool(keywords.get(flag))
    stream_type = _type(keywords["type"])
    made = _dialect(keywords)
    if keywords["nogreeting"]:
        made = replace(made, greeting_end=None)
    if stream_type is STARTTLS and made.upgrade is None:
        problem = "starttls needs capability_command, starttls_function and success, or protocol"
        raise ProcessArgumentError("type", problem)
    return StreamSpec(
        stream_type,
        made,
        bool(keywords["always_query_capabilities"]),
        not keywords["return_list"] and not _has_dialogue(stream_type, made, keywords),
        _shell_command(stream_type, keywords),
    )


def _shell_command(stream_type: StreamType, keywords: Mapping[str, object]) -> str | None:
    """The command, in which %s stands for the host, %p for the service and %% for itself."""
    keyword, template = "shell_command", keywords["shell_command"]
    if stream_type is not SHELL:
        if template is not None:
            raise ProcessArgumentError(keyword, "only the type shell runs one")
        return None
    if not isinstance(template, str):
        raise ProcessArgumentError(keyword, f"{shown(template)} is no command")
    _check_argument(keyword, template)

    def value(match: re.Match[str]) -> str:
        letter = match.group(1)
        if letter == "%":
            return "%"
        if letter not in _PLACES:
            raise ProcessArgumentError(keyword, f"Invalid format character: %{escape(letter)}")
        word = _word(_PLACES[letter], keywords[_PLACES[letter]])
        if "'" in word and not _OUTSIDE_QUOTES.fullmatch(template, 0, match.start()):
            problem = (
                f"%{letter} stands where its value {escape(word)} would not be one word of the shell; "
                f"write %{letter} without quotes around it, since netproc quotes the value"
            )
            raise ProcessArgumentError(keyword, problem)
        return word

    return re.sub("%(.?)", value, template, flags=re.DOTALL)


_PLACES = {"s": "host", "p": "service"}

#: A part of a shell command after which a word in single quotes is one word: all that the part quotes has its end in it.
#: What begins a comment, a here-document or a substitution of commands or numbers is in no such part.
_OUTSIDE_QUOTES = re.compile(
    r"""(?: [^'"\\`$\#<(]
          | '[^']*'
          | "(?: [^"\\`$] | \\. | \$\w | \$\{\w+\} )*"
          | \\.
          | \$\w | \$\{\w+\}
          | <(?!<) | \((?!\()
        )*""",
    re.DOTALL | re.VERBOSE,
)


def _word(keyword: str, value: object) -> str:
    """VALUE as one word of a command, whatever it is, and never an option."""
    text = str(value)
    if text.startswith("-"):
        raise ProcessArgumentError(keyword, f"{shown(text)} could be an option of the command")
    _check_argument(keyword, text)
    return shlex.quote(text)


def _check_argument(keyword: str, text: str) -> None:
    """Raise ProcessArgumentError if TEXT cannot be in the argument of a program."""
    if "\0" in text:
        raise ProcessArgumentError(keyword, f"{shown(text)} has a NUL character in it")
    _encoded(keyword, text)


def _type(value: object) -> StreamType:
    if (value is not None and not isinstance(value, str)) or value not in TYPES:
        raise ProcessArgumentError("type", f"Invalid connection type {shown(value)}")
    return TYPES[value]


def _has_dialogue(stream_type: StreamType, made: Dialect, keywords: Mapping[str, object]) -> bool:
    if stream_type is NETWORK:
        asks = made.capability_command is not None and keywords["success"] is not None
        return made.upgrade is not None or asks
    return stream_type is not PLAIN


def _dialect(keywords: Mapping[str, object]) -> Dialect:
    """The preset, or what the keywords describe."""
    ask = _command("capability_command", keywords["capability_command"])
    if keywords["protocol"] is None:
        if keywords["client_name"] is not None:
            problem = "only a protocol says it: give protocol='smtp' or 'lmtp'"
            raise ProcessArgumentError("client_name", problem)
        return _described(keywords, ask)
    if ask is not None and keywords["client_name"] is not None:
        raise ProcessArgumentError("client_name", "capability_command says the name already")
    for keyword in _PRESET:
        if keywords[keyword] is not None:
            raise ProcessArgumentError(keyword, "protocol says this already")
    preset = dialect(keywords["protocol"], _domain(keywords), keywords["client_name"])
    return preset if ask is None else replace(preset, capability_command=ask)


def _domain(keywords: Mapping[str, object]) -> str:
    """What the server is asked for: whom its certificate must be for."""
    host = keywords["host"]
    is_name = isinstance(host, str) and host != "local"
    return name_to_verify(keywords["tls_parameters"], str(host) if is_name else "localhost")


def _described(keywords: Mapping[str, object], ask: Command | None) -> Dialect:
    end = _end("end_of_command", keywords["end_of_command"])
    return Dialect(
        name="the server",
        greeting_end=end,
        capability_command=ask,
        capability_end=_end("end_of_capability", keywords["end_of_capability"]) or end,
        upgrade=_upgrade(keywords, ask, end),
    )


def _upgrade(
    keywords: Mapping[str, object], ask: Command | None, end: End | None
) -> Upgrade | None:
    """How to go over to TLS, if enough is said of it (N266, step 4)."""
    success = _test("success", keywords["success"])
    function = keywords["starttls_function"]
    if function is None:
        return None
    if not callable(function):
        raise ProcessArgumentError("starttls_function", f"{shown(function)} is no function")
    if ask is None or success is None:
        return None
    if end is None:
        raise ProcessArgumentError("end_of_command", "starttls_function needs it, for the answer")
    return Upgrade(command=_starttls_command(function), answer_end=end, success=success)


def _starttls_command(function: Callable[..., object]) -> Command:
    keyword = "starttls_function"

    def command(capabilities: str | None) -> bytes | None:
        if capabilities is None:
            return None
        return _said(keyword, _call(keyword, function, capabilities))

    return command


# --- Values of the keywords. ----------------------------------------------------------------------------


def _end(keyword: str, value: object) -> End | None:
    if value is None:
        return None
    return _end_by(keyword, value) if callable(value) else Until(_pattern(keyword, value))


def _end_by(keyword: str, function: Callable[..., object]) -> End:
    def end(data: bytearray) -> int | None:
        found = _call(keyword, function, bytes(data))
        if found is None or (type(found) is int and 0 <= found <= len(data)):
            return found
        raise ProcessArgumentError(
            keyword, f"the function gave {shown(found)}, no place in its bytes"
        )

    return Polled(end)


def _test(keyword: str, value: object) -> Test | None:
    if value is None:
        return None
    if callable(value):
        return lambda answer: bool(_call(keyword, value, answer))
    return Has(_pattern(keyword, value))


def _pattern(keyword: str, value: object) -> re.Pattern[str]:
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str):
        return value
    if not isinstance(value, str):
        raise ProcessArgumentError(keyword, f"{shown(value)} is neither a pattern nor a function")
    try:
        return pattern(value)
    # What is nested too deeply, and numbers and flags that cannot be, are other errors than those of the grammar.
    except (re.error, RecursionError, OverflowError, ValueError) as error:
        raise ProcessArgumentError(
            keyword, f"{shown(value)} is no pattern: {error_text(error)}"
        ) from None


def _command(keyword: str, value: object) -> Command | None:
    if callable(value):
        return lambda said: _said(keyword, _call(keyword, value, said))
    said = _said(keyword, value)
    return None if said is None else Always(said)


def _said(keyword: str, value: object) -> bytes | None:
    """The bytes of a command."""
    if value is None or isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ProcessArgumentError(keyword, f"{shown(value)} is no command")
    return _encoded(keyword, value)


def _encoded(keyword: str, text: str) -> bytes:
    try:
        return to_bytes(text)
    except UnicodeEncodeError:
        raise ProcessArgumentError(keyword, f"{shown(text)} has no encoding") from None


def _call(keyword: str, function: Callable[..., object], argument: object) -> object:
    """What a FUNCTION of the program's says; its error is a fault of the keyword."""
    try:
        return function(argument)
    except Exception as error:
        raise ProcessArgumentError(keyword, f"the function failed: {shown(error)}") from error
