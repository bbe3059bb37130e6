"""How much a stream transport reads at a time.

`net/transport.py` and `reactor/corked.py` read in sizes that `next_read_size` chooses.  `net/tls/onsocket.py` reads one
TLS record at a time.
"""

from __future__ import annotations

from ..core.limits import KIB

READ_MIN = 4 * KIB
READ_MAX = 256 * KIB
#: The most bytes that a TLS record holds.
RECORD = 16 * KIB


def _let_malloc_keep_memory() -> None:
    """Free a large block once, so that glibc keeps the memory of each read for the next one.

    glibc adapts its threshold to the size of freed blocks (mallopt(3), M_MMAP_THRESHOLD).  With the default threshold
    it returns the memory of each read to the system and gets it again page by page, which halves the speed of bulk
    traffic.
    """
    bytearray(8 * READ_MAX)


_let_malloc_keep_memory()


def next_read_size(size: int, got: int) -> int:
    """Return how many bytes to read next, after a read of SIZE bytes that returned GOT bytes."""
    if got == size:
        return min(size * 4, READ_MAX)
    return max(size // 4, READ_MIN) if got * 4 <= size else size
