"""Scenarios that netproc and the real Emacs run, and their traces (README.rst)."""
