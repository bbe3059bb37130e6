"""Integers that programs give: which values are integers, and whether they are in range.

`address.py`, `options.py`, `limits.py` and `spec.py` check their numbers with these, and so does `net/tls/parameters.py`.
"""

from __future__ import annotations

from typing import TypeGuard

from .errors import ProcessArgumentError
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
