"""core/streamspec.py."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from netproc.core.dialects import dialect
from netproc.core.errors import NegotiationError, ProcessArgumentError
from netproc.core.negotiate import NETWORK, PLAIN, SHELL, STARTTLS, TLS, Negotiation
from netproc.core.streamspec import StreamSpec, stream_spec
from netproc.test.support.dialogue import Outcome, Server

#: The example for IMAP in Emacs's documentation, with a working end of command.
IMAP: dict[str, object] = {
    "capability_command": "1 CAPABILITY\r\n",
    "end_of_command": "^(?:1|\\*) (?:OK|NO|BAD).*\r\n",
    "success": " OK ",
    "starttls_function": lambda text: "1 STARTTLS\r\n" if "STARTTLS" in text else None,
}


def spec(**more: object) -> StreamSpec:
    keywords = dict.fromkeys(
        (
            "type", "host", "protocol", "capability_command", "end_of_command", "end_of_capability",
            "success", "starttls_function", "always_query_capabilities", "nogreeting", "return_list",
            "service", "shell_command", "client_name", "tls_parameters",
        )
    )  # fmt: skip
    return stream_spec({**keywords, "host": "h", **more})


def converse(script: list[bytes], **more: object) -> Outcome:
    made = spec(**more)
    return Server(
        Negotiation(made.type, made.dialect, always_query=made.always_query), script
    ).run()


class TypeTests(SynchronousTestCase):
    def test_types(self) -> None:
        for name, expected in (
            (None, NETWORK),
            ("network", NETWORK),
            ("plain", PLAIN),
            ("tls", TLS),
            ("ssl", TLS),
        ):
            self.assertIs(expected, spec(type=name).type)
        self.assertIs(SHELL, spec(type="shell", shell_command="cat").type)
        self.assertIs(STARTTLS, spec(type="starttls", protocol="imap").type)

    def test_commands(self) -> None:
        for command, line in (
            ("cat", "cat"),
            ("ssh %s -p %p", "ssh 'a b' -p 22"),
            ("echo 100%% %%s", "echo 100% %s"),
        ):
            made = spec(type="shell", shell_command=command, host="a b", service=22)
            self.assertEqual(line, made.command)

    def test_words_after_quotes(self) -> None:
        for template in (
            "echo 'a b' %s",
            'echo "$HOME \\" ${x}" --to=%s',
            "a\\' | (b %s)",
            "cat <%s; echo '%%s'x'%%'%p",
        ):
            made = spec(type="shell", shell_command=template, host="a b", service="x;y")
            assert made.command is not None
            self.assertIn(" 'a b'" if " %s" in template else "'a b'", made.command)

    def test_shell_commands_that_cannot_be(self) -> None:
        for command in (5, "run %x"):
            error = self.assertRaises(
                ProcessArgumentError, spec, type="shell", shell_command=command
            )
            self.assertEqual("shell_command", error.keyword)

    def test_words_that_would_not_be_words(self) -> None:
        """Inside quotes the shell would interpret the inserted word.  A template that may do this is refused."""
        for template in (
            "ssh '%s'",
            'ssh "%s"',
            "ssh \\%s",
            "echo `echo %s`",
            'echo "$(echo %s)"',
            "echo $(echo %s)",
            "echo $((%s))",
            "((%s))",
            "echo ${x:-%s}",
            "echo $'%s'",
            "true # %s",
            "cat <<x\n%s\nx",
            "echo 'a' \"'%s'\"",
        ):
            made = spec(type="shell", shell_command=template, host="mail.example.org")
            self.assertEqual(template.replace("%s", "mail.example.org"), made.command)
            for host in ("x; touch y; :", "$(touch y)", "a'b", "`y`", ""):
                error = self.assertRaises(
                    ProcessArgumentError, spec, type="shell", shell_command=template, host=host
                )
                self.assertEqual("shell_command", error.keyword)
                self.assertIn("write %s without quotes", error.problem)

    def test_what_no_argument_can_have(self) -> None:
        for keyword in ("host", "service", "shell_command"):
            for text in ("a\0b", "\ud800"):
                keywords = {"shell_command": "echo %s %p", "type": "shell", keyword: text}
                error = self.assertRaises(ProcessArgumentError, spec, **keywords)
                self.assertEqual(keyword, error.keyword)

    def test_hosts_that_are_options(self) -> None:
        error = self.assertRaises(
            ProcessArgumentError,
            spec,
            type="shell",
            shell_command="ssh %s",
            host="-oProxyCommand=x",
        )
        self.assertEqual("host", error.keyword)

    def test_no_such_type(self) -> None:
        for value in ("foo", 5, ["tls"]):
            error = self.assertRaises(ProcessArgumentError, spec, type=value)
            self.assertEqual(
                ("type", f"Invalid connection type {value!r}"), (error.keyword, error.problem)
            )

    def test_bare(self) -> None:
        """Such streams are open as soon as they are connected (N261)."""
        for keywords, bare in (
            ({}, True),
            ({"type": "plain"}, True),
            ({"type": "plain", **IMAP}, True),
            ({"type": "plain", "return_list": True}, False),
            ({"return_list": True}, False),
            (IMAP, False),
            ({**IMAP, "starttls_function": None}, False),
            ({**IMAP, "success": None}, True),
            ({**IMAP, "capability_command": None}, True),
            ({"protocol": "postgres"}, False),
            ({"protocol": "imap", "type": "plain"}, True),
            ({"type": "tls"}, False),
            ({"type": "shell", "shell_command": "cat"}, False),
            ({"type": "starttls", **IMAP}, False),
        ):
            self.assertEqual(bare, spec(**keywords).bare, keywords)

    def test_starttls_that_cannot_be(self) -> None:
        for missing in ("capability_command", "success", "starttls_function"):
            error = self.assertRaises(
                ProcessArgumentError, spec, type="starttls", **{**IMAP, missing: None}
            )
            self.assertEqual("type", error.keyword)
        error = self.assertRaises(ProcessArgumentError, spec, **{**IMAP, "end_of_command": None})
        self.assertEqual("end_of_command", error.keyword)


class ProtocolTests(SynchronousTestCase):
    def test_preset(self) -> None:
        self.assertEqual(dialect("imap", "h"), spec(protocol="imap").dialect)
        self.assertEqual(dialect("xmpp", "h"), spec(protocol="xmpp").dialect)
        self.assertEqual(dialect("xmpp", "localhost"), spec(protocol="xmpp", host=None).dialect)

    def test_whom_an_xmpp_client_asks_for(self) -> None:
        for keywords, domain in (
            ({"host": "local"}, "localhost"),
            ({"tls_parameters": {}}, "h"),
            ({"tls_parameters": {"hostname": "d.example"}}, "d.example"),
        ):
            self.assertEqual(dialect("xmpp", domain), spec(protocol="xmpp", **keywords).dialect)
        error = self.assertRaises(ProcessArgumentError, spec, protocol="xmpp", host="\ud800")
        self.assertEqual("host", error.keyword)

    def test_the_name_of_the_client(self) -> None:
        made = spec(protocol="lmtp", client_name="a.example").dialect
        self.assertEqual(dialect("lmtp", "h", "a.example"), made)
        for keywords in (
            {},
            {"protocol": "imap"},
            {"protocol": "smtp", "capability_command": "EHLO me\r\n"},
        ):
            error = self.assertRaises(
                ProcessArgumentError, spec, client_name="a.example", **keywords
            )
            self.assertEqual("client_name", error.keyword)

    def test_it_stands_for_the_patterns(self) -> None:
        for keyword in ("end_of_command", "end_of_capability", "success", "starttls_function"):
            error = self.assertRaises(ProcessArgumentError, spec, protocol="imap", **{keyword: "x"})
            self.assertEqual(
                (keyword, "not possible with protocol, which has its own"),
                (error.keyword, error.problem),
            )

    def test_with_another_command(self) -> None:
        script = [b"220 h\r\n", b"250 h\r\n"]
        outcome = converse(script, protocol="smtp", capability_command="EHLO me.example\r\n")
        self.assertEqual([b"EHLO me.example\r\n"], outcome.sent)

    def test_without_greeting(self) -> None:
        outcome = converse([b"", b"250 h\r\n"], protocol="smtp", nogreeting=True)
        self.assertEqual(
            (None, "250 h\r\n"), (outcome.properties.greeting, outcome.properties.capabilities)
        )

    def test_no_such_protocol(self) -> None:
        error = self.assertRaises(ProcessArgumentError, spec, protocol="gopher")
        self.assertEqual("protocol", error.keyword)


class KeywordTests(SynchronousTestCase):
    def test_a_dialogue(self) -> None:
        script = [b"* OK h\r\n", b"* CAPABILITY STARTTLS\r\n1 OK\r\n1 OK x\r\n"]
        del script[1:]
        script += [b"* CAPABILITY STARTTLS\r\n1 OK x\r\n", b"1 OK go\r\n", b"* CAP\r\n1 OK y\r\n"]
        outcome = converse(script, **IMAP)
        self.assertEqual(
            (None, [b"1 CAPABILITY\r\n", b"1 STARTTLS\r\n", b"1 CAPABILITY\r\n"]),
            (outcome.error, outcome.sent),
        )
        self.assertEqual(
            ("tls", "* CAP\r\n1 OK y\r\n"),
            (outcome.properties.type, outcome.properties.capabilities),
        )

    def test_capabilities_with_an_end_of_their_own(self) -> None:
        script = [b"+OK\r\n", b"+OK\r\nX\r\n.\r\n"]
        outcome = converse(
            script,
            type="plain",
            always_query_capabilities=True,
            end_of_command="^\\+OK.*\n",
            end_of_capability=re.compile("^\\.\r\n", re.MULTILINE),
            capability_command=b"CAPA\r\n",
        )
        self.assertEqual("+OK\r\nX\r\n.\r\n", outcome.properties.capabilities)
        self.assertEqual([b"CAPA\r\n"], outcome.sent)

    def test_the_function_is_for_capabilities(self) -> None:
        """Without capabilities the function is not called (N266, step 4)."""
        called: list[str] = []
        keywords = {
            **IMAP,
            "capability_command": lambda greeting: None,
            "starttls_function": called.append,
        }
        outcome = converse([b"* OK h\r\n"], **keywords)
        self.assertEqual(("plain", []), (outcome.properties.type, called))

    def test_functions_for_a_binary_protocol(self) -> None:
        outcome = converse(
            [b"\x01", b"\x02ab", b"\x00", b"\x01z"],
            end_of_command=lambda data: 1 if data else None,
            end_of_capability=lambda data: data[0] + 1 if data and len(data) > data[0] else None,
            capability_command=lambda greeting: b"\xff" + repr(greeting).encode(),
            starttls_function=lambda text: b"\xfe" + text.encode(),
            success=lambda answer: answer == b"\x00",
        )
        self.assertEqual([b"\xff'\\x01'", b"\xfe\x02ab", b"\xff'\\x01'"], outcome.sent)
        self.assertEqual((None, "\x01z"), (outcome.error, outcome.properties.capabilities))

    def test_an_incomplete_answer_of_a_function(self) -> None:
        outcome = converse([b""], type="tls", end_of_command=lambda data: 1 if data else None)
        self.assertIs(NegotiationError, type(outcome.error))

    def test_values_that_are_nothing(self) -> None:
        for keyword, value, problem in (
            ("end_of_command", 5, "5 is neither a pattern nor a function"),
            (
                "end_of_command",
                re.compile(b"x"),
                "re.compile(b'x') is neither a pattern nor a function",
            ),
            (
                "end_of_capability",
                "(",
                "'(' is not a pattern: missing ), unterminated subpattern at position 0",
            ),
            ("success", b"x", "b'x' is neither a pattern nor a function"),
            ("capability_command", 5, "5 is not a command"),
            ("capability_command", "\ud800", "'\\ud800' cannot be encoded in UTF-8"),
            ("starttls_function", "STARTTLS", "'STARTTLS' is not a function"),
        ):
            error = self.assertRaises(ProcessArgumentError, spec, **{keyword: value})
            self.assertEqual((keyword, problem), (error.keyword, error.problem))

    def test_patterns_that_cannot_be(self) -> None:
        for value in ("(" * 5000, "a{99999999999999999999}", f"a{{{'9' * 5000}}}", "(?L)a", "a**"):
            error = self.assertRaises(ProcessArgumentError, spec, end_of_command=value)
            self.assertEqual("end_of_command", error.keyword)

    def test_functions_that_fail(self) -> None:
        def bad(argument: object) -> object:
            raise KeyError("x")

        script = [b"* OK h\r\n", b"STARTTLS\r\n1 OK x\r\n", b"1 OK go\r\n"]
        for keyword in IMAP:
            outcome = converse(script, **{**IMAP, keyword: bad})
            self.assertIsInstance(outcome.error, ProcessArgumentError)
            self.assertEqual(
                f"{keyword}: the function failed: KeyError('x')", outcome.properties.error
            )
            self.assertIsInstance(getattr(outcome.error, "__cause__", None), KeyError)

    def test_functions_with_strange_answers(self) -> None:
        script = [b"* OK h\r\n", b"STARTTLS\r\n1 OK x\r\n", b"1 OK go\r\n"]
        for keyword, value, problem in (
            ("end_of_command", -1, "the function returned -1, which is not a place in its bytes"),
            (
                "end_of_command",
                True,
                "the function returned True, which is not a place in its bytes",
            ),
            (
                "end_of_command",
                1000,
                "the function returned 1000, which is not a place in its bytes",
            ),
            ("capability_command", 5, "5 is not a command"),
            ("starttls_function", True, "True is not a command"),
        ):
            outcome = converse(script, **{**IMAP, keyword: lambda argument, value=value: value})
            self.assertEqual(f"{keyword}: {problem}", str(outcome.error))
