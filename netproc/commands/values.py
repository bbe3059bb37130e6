"""Read the values of options: each reader turns the text after an option into a Python value.

`keywords.py` and `open.py` name a reader for each of their options.  A reader raises ValueError for a text that it
cannot read; `read_option` turns that into an `OptionError`, which names the option.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.python import reflect, usage

from ..core.escape import error_text, escape, shown
from .passwords import read_password

#: Python refuses to read integers of more than 4300 digits; no option needs more than these.
_MOST_DIGITS: Final = 20


class OptionError(usage.UsageError):
    """The values of OPTIONS, names without dashes, are wrong: PROBLEM says how."""

    def __init__(self, options: Sequence[str], problem: str) -> None:
        super().__init__(f"{', '.join(f'--{name}' for name in options)}: {problem}")
        self.options = options
        self.problem = problem


# -- readers ------------------------------------------------------------------------------------


def lisp(value: str) -> object:
    """Return True for "t", None for "nil", an int for an integer, and any other VALUE as it is."""
    if value in ("t", "nil"):
        return True if value == "t" else None
    if not re.fullmatch(r"[-+]?[0-9]+", value):
        return value
    if len(value) > _MOST_DIGITS:
        raise ValueError(f"{value[:_MOST_DIGITS]}… has too many digits")
    return int(value)


def octal(value: str) -> int:
    """Return the mode of a file, from octal digits."""
    if not re.fullmatch(r"(0o?)?[0-7]+", value):
        raise ValueError(f"{shown(value)} is not an octal number such as 600")
    return int(value.removeprefix("0o"), 8)


def seconds(value: str) -> float:
    """Return a number of seconds."""
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{shown(value)} is not a number of seconds") from None


def address(value: str) -> object:
    """Return an address in the form that make_network_process takes.

    VALUE is HOST:PORT with a numeric IPv4 host, [HOST]:PORT for IPv6, @NAME for an abstract UNIX socket, or a path.
    """
    if match := re.fullmatch(r"([0-9]+)\.([0-9]+)\.([0-9]+)\.([0-9]+):([0-9]+)", value):
        return tuple(map(lisp, match.groups()))
    if match := re.fullmatch(r"\[(.+)\]:([0-9]+)", value):
        return match[1], int(match[2][:_MOST_DIGITS])
    return "\0" + value[1:] if value.startswith("@") else value


def function(value: str) -> object:
    """Return the function with the dotted name VALUE; "t" and "nil" are read as by `lisp`.

    The module may be an installed one, or a file in the working directory.
    """
    if value in ("t", "nil"):
        return lisp(value)
    try:
        found = _import(value)
    except BaseException as error:
        # A module may end the program, with SystemExit or KeyboardInterrupt, when it is imported.
        problem = f"{type(error).__name__}: {error_text(error)}"
        raise ValueError(f"cannot import {shown(value)}: {problem}") from error
    if not callable(found):
        raise ValueError(f"{shown(value)} is not a function")
    return found


def _import(name: str) -> object:
    try:
        return reflect.namedAny(name)
    except (reflect.ModuleNotFound, reflect.ObjectNotFound):
        here = os.getcwd()
        if here in sys.path:
            raise
        # After the installed packages, so that no file here replaces one of them.
        sys.path.append(here)
        return reflect.namedAny(name)


def text(value: str) -> str:
    """Return VALUE unchanged: "t" and "7" are strings here."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{escape(value)} is not text in UTF-8") from None
    return value


def words(value: str) -> tuple[str, ...]:
    """Return the parts of a list that is separated by commas."""
    return tuple(text(value).split(","))


# -- options ------------------------------------------------------------------------------------


def option_name(keyword: str) -> str:
    """Return the option, without dashes, for KEYWORD."""
    return keyword.replace("_", "-")


def read_option(option: str, read: Callable[[str], object], value: str) -> Any:
    """Return what READ makes of the VALUE of OPTION (a name without dashes).

    :raises OptionError: if READ raises ValueError.
    """
    try:
        return read(value)
    except ValueError as error:
        raise OptionError([option], str(error)) from error


def read_password_option(options: usage.Options, option: str, key: str) -> bytes | None:
    """Return the password that OPTION names, or None if OPTION was not given.

    KEY is the option that holds the file of the private key.
    """
    source = options[option]
    if source is None:
        return None
    if options[key] is None:
        raise OptionError([option], f"this option requires --{key}")
    password: bytes = read_option(option, lambda text: read_password(text, options[key]), source)
    return password
