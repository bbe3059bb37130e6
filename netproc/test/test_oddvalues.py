"""A wrong value from a program is accepted, or refused with one printable line of limited length."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

import netproc
from netproc import (
    NetprocError,
    ProcessArgumentError,
    TLSParameters,
    TransactionQueue,
    make_network_process,
    open_network_stream,
    tls_boot_parameters,
)
from netproc.core.coding import coding_pair
from netproc.core.streamspec import stream_spec
from netproc.core.table import ProcessTable
from netproc.making.make import KEYWORDS
from netproc.net.tls import contexts
from netproc.streams.security import SecurityManager
from netproc.test.support import oddvalues

STREAM = {
    name: None if parameter.default is inspect.Parameter.empty else parameter.default
    for name, parameter in inspect.signature(open_network_stream).parameters.items()
}
TLS_FIELDS = inspect.signature(TLSParameters).parameters
#: The keywords of a stream besides those of the process.
STREAM_ONLY = (
    "type", "protocol", "client_name", "shell_command", "end_of_command", "end_of_capability",
    "capability_command", "success", "starttls_function",
    "return_list", "always_query_capabilities", "warn_unless_encrypted", "nogreeting",
)  # fmt: skip


def generator() -> Any:
    yield


class OddValueTests(SynchronousTestCase):
    def check(self, function: Callable[..., object], *arguments: Any, **keywords: Any) -> None:
        try:
            function(*arguments, **keywords)
        except ProcessArgumentError as error:
            self.check_message(error)

    def check_message(self, error: BaseException) -> None:
        self.assertTrue(str(error).isprintable(), repr(error))
        self.assertLess(len(str(error)), 1000)

    @given(st.sampled_from(STREAM_ONLY), oddvalues.values, st.sampled_from([None, "shell", "tls"]))
    def test_streams(self, keyword: str, value: object, kind: str | None) -> None:
        given = {**STREAM, "host": "localhost", "service": 1, "type": kind, keyword: value}
        if kind == "shell":
            given = {"shell_command": "true", **given}
        self.check(stream_spec, given)

    def test_a_stream_is_never_refused_by_an_error_at_once(self) -> None:
        for keyword in STREAM_ONLY:
            for value in ((1, 2, 10**5000), oddvalues.Broken(), "a\n\ud800" * 100_000):
                keywords: dict[str, Any] = {"type": "tls", keyword: value}
                opening: Deferred[Any] = open_network_stream(
                    "x", None, "localhost", 1, table=ProcessTable(), **keywords
                )
                errors: list[Any] = []
                opening.addErrback(errors.append)
                opening.cancel()
                self.check_message(errors[0].value)

    def test_every_keyword_may_be_a_text_or_an_object_that_raises(self) -> None:
        """The value is accepted, or an exception of netproc is raised, and no other."""
        odd = [oddvalues.BrokenText(text) for text in ("127.0.0.1", "224.0.0.1", "x" * 3000)]
        made_keywords = {**KEYWORDS, "name": "x", "host": "127.0.0.1", "service": 1}
        streams = {**STREAM, "name": "x", "host": "127.0.0.1", "service": 1, "type": "tls"}
        for function, keywords in (
            (make_network_process, made_keywords),
            (open_network_stream, streams),
        ):
            for keyword in keywords.keys() - {"table", "reactor"}:
                for value in (*odd, oddvalues.Broken()):
                    given = {**keywords, "table": ProcessTable(), "reactor": None, keyword: value}
                    with self.subTest(keyword=keyword):
                        self.give_up(function(**given))

    def give_up(self, opening: Deferred[Any]) -> None:
        """Cancel OPENING, unless it has failed already or fired with a process."""
        results: list[Any] = []
        opening.addBoth(results.append)
        opening.cancel()
        if isinstance(results[0], Failure):
            self.assertTrue(results[0].check(NetprocError, CancelledError), results[0])
            if results[0].check(ProcessArgumentError):
                self.check_message(results[0].value)
        else:
            results[0].delete()

    @given(st.sampled_from(sorted(TLS_FIELDS)), oddvalues.values, st.booleans())
    def test_tls_parameters(self, field: str, value: Any, is_server: bool) -> None:
        self.check(TLSParameters, **{field: value})
        self.check(tls_boot_parameters, **{field: value})
        if field != "keylog":  # because this would make a file
            self.check(contexts.security, {field: value}, is_server=is_server)

    def test_checks_that_cannot_be_compared(self) -> None:
        self.check(tls_boot_parameters, verify_error=[oddvalues.Broken()])
        self.check(tls_boot_parameters, verify_hostname_error=oddvalues.Broken())

    def test_long_names_in_errors_of_tls(self) -> None:
        long = "x/" * 1500
        for fields in (
            {"trustfiles": [long]},
            {"crlfiles": [long]},
            {"keylist": [(long, long)]},
            {"keylog": long},
            {"priority": "NORMAL:%UNKNOWN" + long},
            {"priority": oddvalues.BrokenText("NORMAL:-VERS-ALL")},
        ):
            error = self.assertRaises(
                ProcessArgumentError, contexts.security, fields, is_server=False
            )
            self.check_message(error)
        error = self.assertRaises(
            ProcessArgumentError, contexts.security, {"sni": long}, is_server=True
        )
        self.check_message(error)

    @given(oddvalues.values)
    def test_framings(self, value: Any) -> None:
        def function(process: object, message: object) -> None:
            pass

        for framing, keywords in (
            (netproc.lines, ("max_length", "delimiter")),
            (netproc.length_prefixed, ("size", "byteorder", "max_length")),
        ):
            self.check(framing, value)
            for keyword in keywords:
                self.check(framing, function, **{keyword: value})

    @given(oddvalues.values)
    def test_tables(self, value: Any) -> None:
        table = ProcessTable[Any]()
        for function in (table.get, table.get_buffer, table.get_buffer_create):
            self.check(function, value)

    @given(oddvalues.values)
    def test_the_rest(self, value: Any) -> None:
        self.check(coding_pair, value)
        self.check(netproc.supports, value)
        self.check(netproc.supports, type=value)
        self.check(lambda: SecurityManager(level=value))

    @given(st.one_of(oddvalues.values, st.builds(generator)))
    def test_transaction_queues(self, value: Any) -> None:
        self.check_message(self.assertRaises(ProcessArgumentError, TransactionQueue, value))
