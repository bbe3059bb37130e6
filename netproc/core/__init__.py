"""Floor 0: values, tables and machines.  No Twisted, no I/O, no clock."""
