"""Tests over real sockets, on the reactor that trial runs."""
