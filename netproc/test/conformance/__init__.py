"""Scenarios that netproc and the real Emacs go through, and their traces (README.rst)."""
