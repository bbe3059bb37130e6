"""The file of TLS secrets: it is written for contexts that ask for it, and for no others."""

from __future__ import annotations

import os

from twisted.logger import capturedLogs

from netproc.core.errors import ProcessArgumentError
from netproc.test.support.contexts import ContextCase


class KeyLogTests(ContextCase):
    def test_secrets_for_those_who_ask(self) -> None:
        name = os.path.abspath(self.mktemp())
        self.agree(self.client(keylog=name), self.server())
        with open(name) as file:
            self.assertIn("CLIENT_TRAFFIC_SECRET_0", file.read())
        self.assertEqual(0o600, os.stat(name).st_mode & 0o777)

    def test_a_file_that_others_may_read(self) -> None:
        name = self.file(b"")
        for mode in (0o640, 0o604, 0o602):
            os.chmod(name, mode)
            error = self.assertRaises(ProcessArgumentError, self.client, keylog=name)
            self.assertIn(f"keylog: {name}: other users have access to it", error.problem)
        os.chmod(name, 0o600)
        self.client(keylog=name)

    def test_a_file_of_another_user_or_kind(self) -> None:
        link, pipe, name = (os.path.abspath(self.mktemp()) for _ in range(3))
        os.symlink(self.file(b""), link)
        os.mkfifo(pipe, 0o600)
        for path, problem in ((link, "it is a symbolic link"), (pipe, "No such device")):
            error = self.assertRaises(ProcessArgumentError, self.client, keylog=path)
            self.assertIn(f"keylog: {path}: {problem}", error.problem)
        self.patch(os, "getuid", lambda: 12345)
        self.patch(os, "geteuid", lambda: 12345)
        error = self.assertRaises(ProcessArgumentError, self.client, keylog=name)
        self.assertIn("it belongs to another user", error.problem)

    def test_a_file_that_changes_its_rights(self) -> None:
        """netproc stops writing to it and logs this once; the connection goes on."""
        name = os.path.abspath(self.mktemp())
        client = self.client(keylog=name)
        os.chmod(name, 0o644)
        with capturedLogs() as events:
            self.agree(client, self.server())
        self.assertEqual(0, os.stat(name).st_size)
        self.assertEqual(1, len(events))
        self.assertIn("other users have access to it", events[0]["problem"])

    def test_a_file_that_cannot_be_written(self) -> None:
        error = self.assertRaises(ProcessArgumentError, self.client, keylog="/nowhere/keys")
        self.assertIn("keylog: /nowhere/keys: No such file", error.problem)

    def test_not_with_the_rights_of_others(self) -> None:
        self.patch(os, "geteuid", lambda: os.getuid() + 1)
        error = self.assertRaises(ProcessArgumentError, self.client, keylog="/nowhere/keys")
        self.assertIn("more rights", error.problem)
