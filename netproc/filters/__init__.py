"""Floor 6: filters for programs and for the command line.

`ready.py` has whole filters, `framing.py` filters that cut input into messages, `transactions.py` requests and their answers.
"""

from __future__ import annotations

from .framing import length_prefixed, lines
from .ready import chat, daytime, discard, echo

__all__ = ["chat", "daytime", "discard", "echo", "length_prefixed", "lines"]
