"""How much a stream transport reads at a time.

`net/transport.py` and `reactor/corked.py` read as much as this module says; `net/tls/onsocket.py` reads one TLS record.
"""

from __future__ import annotations

from ..core.limits import KIB

READ_MIN = 4 * KIB
READ_MAX = 256 * KIB
#: The most that a record of TLS holds.
RECORD = 16 * KIB


def _let_malloc_keep_memory() -> None:
    """Free a large block once: from then on glibc keeps the memory of reads for the next ones.

    Otherwise it gives each back to the system and takes it again, page by page, which halves the
    speed of bulk traffic (mallopt(3), M_MMAP_THRESHOLD: it adapts to what is freed).
    """
    bytearray(8 * READ_MAX)


_let_malloc_keep_memory()


def next_read_size(size: int, got: int) -> int:
    """How much to read at a time when the last time it was SIZE and GOT bytes came."""
    if got == size:
        return min(size * 4, READ_MAX)
    return max(size // 4, READ_MIN) if got * 4 <= size else size
