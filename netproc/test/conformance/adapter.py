"""All calls of the conformance runner into netproc.

When a name of netproc changes, only this module has to change.
"""

from __future__ import annotations

import errno
import os
import socket
from unittest import mock

import netproc
from netproc import ProcessTable
from netproc.test.conformance.notation import CallbackError


class NetprocAdapter:
    """netproc, with its own table of processes and buffers.

    Methods that may return a Deferred say so; all the others are synchronous.
    """

    def __init__(self):
        self.table = ProcessTable()

    # -- making processes (Deferreds) ---------------------------------------
    def make(self, args):
        return netproc.make_network_process(table=self.table, **args)

    def open(self, arguments, keywords):
        # The traces were recorded in an Emacs whose shell is bash.
        with mock.patch.dict(os.environ, SHELL="/bin/bash"):
            return netproc.open_network_stream(*arguments, table=self.table, **keywords)

    def properties(self, found):
        """Return the properties of an opened stream as a property list."""
        return {
            "greeting": found.greeting,
            "capabilities": found.capabilities,
            "type": found.type,
            "error": found.error,
        }

    def accept_output(self, proc, timeout):
        """Return a Deferred of a bool; proc None stands for any process."""
        return netproc.accept_process_output(proc, timeout, table=self.table)

    # -- acting on processes ------------------------------------------------
    def send(self, proc, data):
        proc.send(data)

    def eof(self, proc):
        proc.send_eof()

    def stop(self, proc):
        proc.stop()

    def resume(self, proc):
        proc.resume()

    def delete(self, proc):
        proc.delete()

    def set_option(self, proc, name, value, *no_error):
        return proc.set_option(name, value, *no_error)

    def set(self, proc, what, value):
        if what == "buffer" and isinstance(value, str):
            value = self.get_buffer_create(value)
        elif what == "noquery":
            what, value = "query_on_exit", not value
        setattr(proc, what.replace("-", "_"), value)

    def put(self, proc, key, value):
        proc.plist[key] = value

    # -- reading ------------------------------------------------------------
    def command(self, proc):
        """process-command: true when stopped."""
        return proc.stopped or (proc.command and list(proc.command))

    def is_default(self, callback):
        """Whether CALLBACK, read from a process, is the default one."""
        return callback in (None, netproc.default_filter, netproc.default_sentinel)

    # -- buffers ------------------------------------------------------------
    def get_buffer(self, name):
        return netproc.get_buffer(name, table=self.table)

    def get_buffer_create(self, name):
        return netproc.get_buffer_create(name, table=self.table)

    def buffer_process(self, name):
        return netproc.get_buffer_process(name, table=self.table)

    # -- the module ---------------------------------------------------------
    def process_list(self):
        return netproc.process_list(table=self.table)

    def get_process(self, name):
        return netproc.get_process(name, table=self.table)

    def format_address(self, address, omit_port):
        return netproc.format_network_address(address, omit_port)

    def lookup(self, name, family):
        """Return a Deferred of a list."""
        return netproc.network_lookup_address_info(name, family)

    def interface_list(self):
        return netproc.network_interface_list()

    def interface_info(self, name):
        return netproc.network_interface_info(name)

    # -- errors -------------------------------------------------------------
    def category(self, exc):
        """Return the category of an exception from netproc, and the name of its errno or None."""
        if isinstance(exc, CallbackError):
            return "raised", None
        if isinstance(exc, socket.gaierror):
            return "lookup", None
        if isinstance(exc, OSError):
            if exc.errno is None:
                return "state", None
            if exc.errno not in errno.errorcode:
                return "lookup", None
            return "network", errno.errorcode[exc.errno]
        if isinstance(exc, (ValueError, TypeError)):
            return "argument", None
        return "crash:" + type(exc).__name__, None
