"""Priority strings, compared with what GnuTLS lists for them."""

from __future__ import annotations

import re
import ssl
import subprocess

from OpenSSL import SSL
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from netproc.core.errors import ProcessArgumentError
from netproc.net.tls import priority
from netproc.net.tls.priority import _Lists, select
from netproc.test.support.base import PATIENCE
from netproc.test.support.programs import require

#: What gnutls-cli 3.7.9 lists: the numbers of the suites, in its order; nothing if it refuses the string.
LISTED = {
    "NORMAL": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d "
        "c09d 0035 009c c09c 002f 009f ccaa c09f 0039 009e c09e 0033"
    ),
    "SECURE128": (
        "1302 1303 1301 1304 c02c cca9 c00a c0ad c02b c009 c0ac c030 cca8 c014 c02f c013 009d "
        "0035 c09d 009c 002f c09c 009f ccaa 0039 c09f 009e 0033 c09e"
    ),
    "SECURE192": ("1302 1303 c02c cca9 c0ad c030 cca8 009d c09d 009f ccaa c09f"),
    "SECURE256": ("1302 1303 c02c cca9 c0ad c030 cca8 009d c09d 009f ccaa c09f"),
    "PERFORMANCE": (
        "1301 1302 1303 1304 009c 009d c09c c09d 002f 0035 c02b c02c cca9 c0ac c0ad c009 c00a "
        "c02f c030 cca8 c013 c014 009e 009f ccaa c09e c09f 0033 0039"
    ),
    "PFS": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009f "
        "ccaa c09f 0039 009e c09e 0033"
    ),
    "LEGACY": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d "
        "c09d 0035 009c c09c 002f 009f ccaa c09f 0039 009e c09e 0033"
    ),
    "SUITEB128": ("c02c c02b"),
    "SUITEB192": ("c02c"),
    "normal": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d "
        "c09d 0035 009c c09c 002f 009f ccaa c09f 0039 009e c09e 0033"
    ),
    "NORMAL:-VERS-TLS1.3": (
        "c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d c09d 0035 009c c09c "
        "002f 009f ccaa c09f 0039 009e c09e 0033"
    ),
    "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d "
        "c09d 0035 009c c09c 002f 009f ccaa c09f 0039 009e c09e 0033"
    ),
    "NORMAL:-VERS-ALL:+VERS-TLS1.2": (
        "c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d c09d 0035 009c c09c "
        "002f 009f ccaa c09f 0039 009e c09e 0033"
    ),
    "NORMAL:-VERS-ALL:+VERS-TLS1.3": ("1302 1303 1301 1304"),
    "NORMAL:-VERS-TLS-ALL:+VERS-TLS1.2:+VERS-TLS1.3": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d "
        "c09d 0035 009c c09c 002f 009f ccaa c09f 0039 009e c09e 0033"
    ),
    "NORMAL:-RSA": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009f "
        "ccaa c09f 0039 009e c09e 0033"
    ),
    "NORMAL:-KX-ALL:+ECDHE-RSA": ("1302 1303 1301 1304 c030 cca8 c014 c02f c013"),
    "NORMAL:!RSA:!DHE-RSA": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013"
    ),
    "NORMAL:-CIPHER-ALL:+AES-128-GCM": ("1301 c02b c02f 009c 009e"),
    "NORMAL:-AES-256-CBC:-AES-128-CBC": (
        "1302 1303 1301 1304 c02c cca9 c0ad c02b c0ac c030 cca8 c02f 009d c09d 009c c09c 009f "
        "ccaa c09f 009e c09e"
    ),
    "NORMAL:+AES-128-CCM-8:+AES-256-CCM-8": (
        "1302 1303 1301 1304 1305 c02c cca9 c0ad c00a c02b c0ac c009 c0ae c0af c030 cca8 c014 "
        "c02f c013 009d c09d 0035 009c c09c 002f c0a0 c0a1 009f ccaa c09f 0039 009e c09e 0033 "
        "c0a2 c0a3"
    ),
    "NORMAL:-MAC-ALL:+AEAD": (
        "1302 1303 1301 1304 c02c cca9 c0ad c02b c0ac c030 cca8 c02f 009d c09d 009c c09c 009f "
        "ccaa c09f 009e c09e"
    ),
    "NORMAL:-MAC-ALL:+SHA256": ("c023 c027 003d 003c 006b 0067"),
    "NORMAL:+SHA256:+SHA384": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c024 c02b c0ac c009 c023 c030 cca8 c014 c028 "
        "c02f c013 c027 009d c09d 0035 003d 009c c09c 002f 003c 009f ccaa c09f 0039 006b 009e "
        "c09e 0033 0067"
    ),
    "NORMAL:-AEAD": ("c00a c009 c014 c013 0035 002f 0039 0033"),
    "NORMAL:+ANON-DH": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d "
        "c09d 0035 009c c09c 002f 009f ccaa c09f 0039 009e c09e 0033 00a7 003a 00a6 0034"
    ),
    "NORMAL:+ANON-ECDH": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d "
        "c09d 0035 009c c09c 002f 009f ccaa c09f 0039 009e c09e 0033 c019 c018"
    ),
    "NORMAL:+ANON-DH:!ARCFOUR-128:%DUMBFW": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d "
        "c09d 0035 009c c09c 002f 009f ccaa c09f 0039 009e c09e 0033 00a7 003a 00a6 0034"
    ),
    "SECURE256:+SECURE128": (
        "1302 1303 1301 1304 c02c cca9 c00a c0ad c02b c009 c0ac c030 cca8 c014 c02f c013 009d "
        "0035 c09d 009c 002f c09c 009f ccaa 0039 c09f 009e 0033 c09e"
    ),
    "NONE:+VERS-TLS1.2:+AES-128-CBC:+SHA256:+ECDHE-RSA:+SIGN-ALL:+GROUP-ALL": ("c027"),
    "NORMAL:%SERVER_PRECEDENCE:%COMPAT": (
        "1302 1303 1301 1304 c02c cca9 c0ad c00a c02b c0ac c009 c030 cca8 c014 c02f c013 009d "
        "c09d 0035 009c c09c 002f 009f ccaa c09f 0039 009e c09e 0033"
    ),
    "NORMAL:+FOO": "",
    "NORMAL:%FOO": "",
    "NORMAL:-CIPHER-ALL": "",
}

TLS13 = {
    "TLS_AES_128_GCM_SHA256": "1301",
    "TLS_AES_256_GCM_SHA384": "1302",
    "TLS_CHACHA20_POLY1305_SHA256": "1303",
    "TLS_AES_128_CCM_SHA256": "1304",
    "TLS_AES_128_CCM_8_SHA256": "1305",
}


def numbers() -> dict[str, str]:
    """The numbers of OpenSSL's suites, by its names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return {c["name"]: f"{c['id'] & 0xFFFF:04x}" for c in context.get_ciphers()} | TLS13


class ListTests(SynchronousTestCase):
    def suites(self, string: str) -> str:
        """The suites as GnuTLS lists them, for all versions together."""
        try:
            select(string)
            lists = _Lists(string)
        except ProcessArgumentError:
            return ""
        named = numbers()
        versions = lists.chosen["versions"]
        found = lists.tls13() if "TLS1.3" in versions else []
        if {*versions} - {"TLS1.3"}:
            found += lists.suites(lists.chosen["exchanges"])
        return " ".join(named[name] for name in found)

    def test_the_table(self) -> None:
        for string, listed in LISTED.items():
            self.assertEqual(listed, self.suites(string), string)

    def test_the_table_is_what_gnutls_lists(self) -> None:
        program = require("gnutls-cli")
        version = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        if " 3.7." not in version.stdout.split("\n")[0] + " ":
            raise SkipTest("this is another GnuTLS")
        for string, listed in LISTED.items():
            done = subprocess.run(
                [program, "--list", "--priority", string],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            codes = re.findall(r"^TLS_\S+\s+0x(..), 0x(..)", done.stdout, re.MULTILINE)
            self.assertEqual(listed, " ".join(a + b for a, b in codes), string)

    def test_openssl_knows_every_suite(self) -> None:
        for string in ("NORMAL:+SHA256:+SHA384:+AES-128-CCM-8:+AES-256-CCM-8", "PERFORMANCE"):
            named = select(string).ciphers.split(":")[:-1]
            context = SSL.Context(SSL.TLS_METHOD)
            context.set_cipher_list(":".join([*named, "@SECLEVEL=0"]).encode())
            known = SSL.Connection(context, None).get_cipher_list()
            self.assertEqual([], [name for name in named if name not in known])


class SelectTests(SynchronousTestCase):
    def refused(self, string: str, problem: str) -> None:
        error = self.assertRaises(ProcessArgumentError, select, string)
        self.assertIn(problem, error.problem)

    def test_the_default(self) -> None:
        chosen = select(None)
        self.assertEqual(SSL.TLS1_2_VERSION, chosen.lowest)
        self.assertEqual(SSL.TLS1_3_VERSION, chosen.highest)
        for suite in chosen.ciphers.split(":")[:-1]:
            self.assertTrue(suite.startswith("ECDHE-"), suite)
        self.assertTrue(chosen.ciphers.endswith(":@SECLEVEL=2"))

    def test_the_default_of_servers(self) -> None:
        """It allows no suite with CBC, and the server's order counts."""
        chosen = select(None, is_server=True)
        suites = chosen.ciphers.split(":")[:-1]
        self.assertEqual(
            [s for s in select(None).ciphers.split(":")[:-1] if "SHA" not in s.split("-")], suites
        )
        self.assertTrue(chosen.options & SSL.OP_CIPHER_SERVER_PREFERENCE)
        self.assertFalse(select(None).options)
        self.assertEqual(select("NORMAL"), select("NORMAL", is_server=True))

    def test_old_versions_need_their_name(self) -> None:
        self.assertEqual(SSL.TLS1_2_VERSION, select("NORMAL").lowest)
        self.assertEqual(SSL.TLS1_2_VERSION, select("NORMAL:-VERS-ALL:+VERS-ALL").lowest)
        old = select("NORMAL:+VERS-TLS1.1")
        self.assertEqual(SSL.TLS1_1_VERSION, old.lowest)
        self.assertIn("@SECLEVEL=0", old.ciphers)
        self.refused("NORMAL:-VERS-TLS1.3:-VERS-TLS1.2", "leaves no version or no cipher suite")

    def test_holes_between_versions(self) -> None:
        chosen = select("NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.1")
        self.assertEqual(SSL.OP_NO_TLSv1_2, chosen.options)
        self.assertEqual((SSL.TLS1_1_VERSION, SSL.TLS1_3_VERSION), chosen[:2])

    def test_options(self) -> None:
        chosen = select("NORMAL:%SERVER_PRECEDENCE:%NO_TICKETS:%DUMBFW")
        self.assertEqual(SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_TICKET, chosen.options)
        self.assertIn("@SECLEVEL=4", select("NORMAL:%PROFILE_ULTRA").ciphers)

    def test_a_profile_holds(self) -> None:
        """If OpenSSL can do the rest of the string only without a security level, the profile is refused."""
        self.assertIn("@SECLEVEL=4", select("NORMAL:%PROFILE_ULTRA:+SECURE128").ciphers)
        for string, demand in (
            ("NORMAL:%PROFILE_ULTRA:+VERS-TLS1.1", "%PROFILE_ULTRA"),
            ("NORMAL:+VERS-TLS1.0:%PROFILE_LOW", "%PROFILE_LOW"),
            ("SECURE256:+VERS-TLS1.0", "SECURE256"),
        ):
            self.refused(string, f"leave out {demand}")
        anonymous = "NORMAL:+ANON-ECDH:%PROFILE_HIGH"
        error = self.assertRaises(ProcessArgumentError, select, anonymous, anonymous=True)
        self.assertIn("leave out %PROFILE_HIGH", error.problem)
        for string in ("LEGACY:+VERS-TLS1.0", "NORMAL:+VERS-TLS1.1:%PROFILE_VERY_WEAK"):
            self.assertIn("@SECLEVEL=0", select(string).ciphers)

    def test_what_weakens_is_refused(self) -> None:
        for option in ("UNSAFE_RENEGOTIATION", "DISABLE_SAFE_RENEGOTIATION", "PROFILE_NONE"):
            self.refused(f"NORMAL:%{option}", f"syntax error at '%{option}'")

    def test_syntax_errors(self) -> None:
        for string, token in (
            ("FOO", "FOO"),
            ("@SYSTEM", "@SYSTEM"),
            ("NORMAL:", ""),
            ("+NORMAL", "+NORMAL"),
            ("NORMAL:-SECURE256", "-SECURE256"),
            ("NORMAL::%COMPAT", ""),
        ):
            self.refused(string, f"syntax error at {token!r}")

    def test_anonymous_suites_are_by_themselves(self) -> None:
        self.assertNotIn("ADH", select("NORMAL:+ANON-DH").ciphers)
        self.assertNotIn("AECDH", select("NORMAL:+ANON-ECDH").ciphers)
        chosen = select(None, anonymous=True)
        for suite in chosen.ciphers.split(":")[:-1]:
            self.assertTrue(suite.startswith(("ADH-", "AECDH-")), suite)
        self.assertEqual(SSL.TLS1_2_VERSION, chosen.highest)
        error = self.assertRaises(ProcessArgumentError, select, "NORMAL", anonymous=True)
        self.assertIn("leaves no version or no cipher suite", error.problem)

    def test_every_keyword_makes_a_context(self) -> None:
        for keyword in priority._KEYWORDS:
            if keyword != "NONE":
                context = SSL.Context(SSL.TLS_METHOD)
                context.set_cipher_list(select(keyword).ciphers.encode())
                self.assertTrue(SSL.Connection(context, None).get_cipher_list())
        self.refused("NONE", "leaves no version or no cipher suite")
