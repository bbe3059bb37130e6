"""Checks of single values that programs give: integers, flags and texts.

Every part of the package that takes values from programs uses them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from .errors import ProcessArgumentError, argument
from .escape import shown

#: The range of a C int, which is what the kernel takes for most numbers.
C_INT_MIN, C_INT_MAX = -(2**31), 2**31 - 1


def is_integer(value: object) -> TypeGuard[int]:
    """Whether VALUE is an integer.  True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def check_number(value: object, highest: int, keyword: str, what: str) -> int:
    """Return VALUE if it is an integer in 0…HIGHEST; otherwise raise ProcessArgumentError, which calls it WHAT."""
    if not is_integer(value) or not 0 <= value <= highest:
        raise ProcessArgumentError(keyword, f"{what} {shown(value)} is not in 0…{highest}")
    return value


def check_flag(value: object, keyword: str) -> bool:
    """Return whether VALUE is true; raise ProcessArgumentError if the program's object does not say."""
    with argument(keyword):
        return bool(value)


def plain(value: object) -> object:
    """Return VALUE; if it is of a subclass of str, whose methods may do anything, return its text as a str."""
    return str.__str__(value) if isinstance(value, str) else value


def plain_keywords(keywords: Mapping[str, object]) -> dict[str, object]:
    """Return KEYWORDS with plain texts as values."""
    return {keyword: plain(value) for keyword, value in keywords.items()}
