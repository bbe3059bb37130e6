"""Floor 1: work on sockets, with Twisted: one job in each module.

Its modules know the values of `core/` and never a process.
"""
