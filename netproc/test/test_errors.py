"""core/errors.py."""

from __future__ import annotations

import errno

from twisted.trial.unittest import SynchronousTestCase

from netproc.core import errors


class ErrorTests(SynchronousTestCase):
    def test_argument_error_names_the_keyword(self) -> None:
        error = errors.ProcessArgumentError("host", "5 is not a string")
        self.assertIsInstance(error, ValueError)
        self.assertIsInstance(error, errors.NetprocError)
        self.assertEqual(
            ("host", "5 is not a string", "host: 5 is not a string"),
            (error.keyword, error.problem, str(error)),
        )

    def test_process_error_is_an_os_error(self) -> None:
        error = errors.ProcessError(errno.ECONNREFUSED, "connect: Connection refused", "[::1]:7")
        self.assertIsInstance(error, OSError)
        self.assertEqual(errno.ECONNREFUSED, error.errno)
        self.assertEqual("connect: Connection refused: [::1]:7", str(error))

    def test_process_error_without_address_or_errno(self) -> None:
        error = errors.ProcessError(None, "x/80 Name or service not known")
        self.assertEqual(
            (None, None, "x/80 Name or service not known"),
            (error.errno, error.address, str(error)),
        )

    def test_errors_of_streams(self) -> None:
        for kind in (errors.StartTLSError, errors.AnswerSizeError):
            error = kind("no")
            self.assertIsInstance(error, errors.NegotiationError)
            self.assertEqual((None, "no", None), (error.errno, error.problem, error.address))

    def test_security_error_names_the_conditions(self) -> None:
        error = errors.SecurityError("h:1: no", ("expired",))
        self.assertEqual(("h:1: no", ("expired",)), (str(error), error.conditions))

    def test_from_os_error_keeps_the_cause(self) -> None:
        cause = OSError(errno.EADDRINUSE, "whatever")
        error = errors.from_os_error(cause, "bind", "127.0.0.1:7")
        self.assertEqual("bind: Address already in use: 127.0.0.1:7", str(error))
        self.assertIs(cause, error.__cause__)

    def test_os_error_without_errno_speaks_for_itself(self) -> None:
        self.assertEqual("odd", errors.os_error_text(OSError("odd")))
        self.assertEqual("OSError", errors.os_error_text(OSError()))

    def test_an_error_that_is_kept_keeps_no_frames(self) -> None:
        try:
            try:
                raise OSError(errno.EPIPE, "x")
            except OSError as cause:
                raise errors.from_os_error(cause, "send") from cause
        except errors.ProcessError as error:
            kept = errors.without_traceback(error)
            assert kept.__cause__ is not None
            self.assertEqual((None, None), (kept.__traceback__, kept.__cause__.__traceback__))

    def test_not_running_is_emacs_text(self) -> None:
        error = errors.not_running("cli")
        self.assertEqual(("Process cli not running", errno.ENOTCONN), (str(error), error.errno))
