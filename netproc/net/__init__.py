"""Floor 1: one job of Twisted's each.  Knows the values of `core/`, never the process."""
