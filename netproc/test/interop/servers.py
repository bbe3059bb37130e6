"""The configurations of real servers, each in its own directory and on loopback only.

`launch.py` starts the servers that are described here.  Their contacts to other machines are switched off.
"""

from __future__ import annotations

import os
import shutil
import subprocess

from cryptography.hazmat.primitives.asymmetric import ec

from netproc.test.interop.launch import OURS, Configure, Place, Start, authority, needs_root
from netproc.test.support.programs import require

# -- mail -----------------------------------------------------------------------------------------

#: The protocol here, then dovecot's names for the protocol, the service that listens, and its listener.
_DOVECOT = {
    "imap": ("imap", "imap-login", "imap"),
    "pop3": ("pop3", "pop3-login", "pop3"),
    "sieve": ("sieve", "managesieve-login", "sieve"),
    "lmtp": ("lmtp", "lmtp", "lmtp"),
    "submission": ("submission", "submission-login", "submission"),
}

_DOVECOT_CONFIGURATION = """\
base_dir = {place.directory}/run
state_dir = {place.directory}/run
log_path = /dev/stderr
protocols = {protocol}
listen = 127.0.0.1
hostname = localhost
ssl = yes
ssl_cert = <{place.certificate}
ssl_key = <{place.key}
ssl_min_protocol = TLSv1.2
mail_location = maildir:{place.directory}/mail
submission_relay_host = 127.0.0.1
submission_relay_port = {place.second_port}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={place.directory}/mail
}}
service {service} {{
  inet_listener {listener} {{
    address = 127.0.0.1
    port = {place.port}
    ssl = {ssl}
  }}
  {secure_listener}
}}
"""


def dovecot(protocol: str, is_secure: bool = False) -> Configure:
    """One protocol of dovecot; with IS_SECURE, TLS begins with the first byte."""

    def configure(place: Place) -> Start:
        program = require("dovecot")
        needs_root()
        name, service, listener = _DOVECOT[protocol]
        secure = ""
        if name in ("imap", "pop3"):
            # Dovecot listens here by default.
            secure = f"inet_listener {name}s {{\n    port = 0\n  }}"
        text = _DOVECOT_CONFIGURATION.format(
            place=place,
            protocol=name,
            service=service,
            listener=listener,
            secure_listener=secure,
            ssl="yes" if is_secure else "no",
        )
        place.make("run")
        return Start([program, "-F", "-c", place.write("dovecot.conf", text)])

    return configure


_POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {place.directory}/spool
data_directory = {place.directory}/data
daemon_directory = /usr/lib/postfix/sbin
myhostname = localhost
mydestination = localhost
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_tls_security_level = may
smtpd_tls_cert_file = {place.certificate}
smtpd_tls_key_file = {place.key}
smtpd_peername_lookup = no
maillog_file = /dev/stdout
alias_maps =
{more}
"""
_POSTFIX_MASTER = """\
127.0.0.1:{place.port} inet n - n - - smtpd
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
cleanup unix n - n - 0 cleanup
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


def postfix(more: str = "") -> Configure:
    """The SMTP server of postfix, with MORE in main.cf; it delivers no mail."""

    def configure(place: Place) -> Start:
        # Not with "postfix start", which needs a line in the configuration of the system.
        program = require("master", "/usr/lib/postfix/sbin")
        needs_root()
        place.make("etc", "data", "spool/pid", "spool/public", "spool/private")
        for name in ("data", "spool/public", "spool/private"):
            shutil.chown(place.path(name), "postfix")
        place.write("etc/main.cf", _POSTFIX_MAIN.format(place=place, more=more))
        place.write("etc/master.cf", _POSTFIX_MASTER.format(place=place))
        return Start([program, "-c", place.path("etc"), "-d"])

    return configure


# -- directories and databases --------------------------------------------------------------------

_SLAPD = """\
include /etc/ldap/schema/core.schema
pidfile {place.directory}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile {place.trust}
TLSCertificateFile {place.certificate}
TLSCertificateKeyFile {place.key}
TLSProtocolMin 3.3
database mdb
maxsize 10485760
suffix "dc=example"
directory {place.directory}/db
"""


def slapd(place: Place) -> Start:
    """OpenLDAP's server; on the second port TLS begins with the first byte."""
    program = require("slapd")
    place.make("db")
    configuration = place.write("slapd.conf", _SLAPD.format(place=place))
    urls = f"ldap://127.0.0.1:{place.port} ldaps://127.0.0.1:{place.second_port}"
    command = [program, "-f", configuration, "-h", urls, "-d", "0"]
    return Start(command, has_second_port=True)


def postgres(place: Place) -> Start:
    """PostgreSQL, with an empty cluster."""
    directories = [f"/usr/lib/postgresql/{version}/bin" for version in range(30, 12, -1)]
    program = require("postgres", *directories)
    options = place.as_user("postgres")
    initdb = require("initdb", *directories)
    subprocess.run(
        [initdb, "--no-sync", "-A", "trust", "-U", "postgres", "-D", place.path("data")],
        check=True,
        capture_output=True,
        cwd=place.directory,
        timeout=60,
        **options,
    )
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": place.directory,
        "ssl": "on",
        "ssl_cert_file": place.certificate,
        "ssl_key_file": place.key,
        "fsync": "off",
    }
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = [program, "-D", place.path("data"), "-p", str(place.port), *flags]
    return Start(command, options, ready="ready to accept connections")


# -- chat and news --------------------------------------------------------------------------------

_PROSODY = """\
pidfile = "{place.directory}/prosody.pid"
data_path = "{place.directory}/data"
log = {{ info = "*console" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {place.port} }}
c2s_direct_tls_ports = {{ {place.second_port} }}
c2s_require_encryption = true
modules_enabled = {{ "saslauth", "tls" }}
modules_disabled = {{ "s2s" }}
ssl = {{ certificate = "{place.certificate}", key = "{place.key}" }}
authentication = "internal_plain"
VirtualHost "localhost"
"""


def prosody(place: Place) -> Start:
    """An XMPP server for "localhost"."""
    program = require("prosody")
    place.make("data")
    configuration = place.write("prosody.cfg.lua", _PROSODY.format(place=place))
    command = [program, "--config", configuration, "-F"]
    return Start(command, place.as_user("prosody"), has_second_port=True)


_INSPIRCD = """\
<server name="irc.test.example" description="t" network="t">
<admin name="a" nick="a" email="a@localhost">
<bind address="127.0.0.1" port="{place.port}" type="clients" sslprofile="">
<module name="ssl_gnutls">
<sslprofile name="Clients" provider="gnutls" certfile="{place.certificate}"
 keyfile="{place.key}" hash="sha256">
<module name="starttls">
<module name="cap">
<starttls provider="Clients">
<connect name="x" allow="*" timeout="30" localmax="100" globalmax="100">
<cidr ipv4clone="32"><options><performance><security><limits>
<pid file="{place.directory}/pid">
<path configdir="{place.directory}" datadir="{place.directory}"
 logdir="{place.directory}" runtimedir="{place.directory}">
<log method="file" type="*" level="default" target="{place.directory}/log">
"""


def inspircd(place: Place) -> Start:
    """An IRC server that has the command STARTTLS."""
    program = require("inspircd")
    configuration = place.write("inspircd.conf", _INSPIRCD.format(place=place))
    as_root = ["--runasroot"] if os.geteuid() == 0 else []
    return Start([program, "--nofork", *as_root, "--config", configuration])


_NGIRCD = """\
[Global]
Name = irc.localhost.test
Info = test
Listen = 127.0.0.1
Ports = {place.port}
ServerUID = nobody
ServerGID = nogroup
PidFile = {place.directory}/pid
[SSL]
CertFile = {place.certificate}
KeyFile = {place.key}
Ports = {place.second_port}
"""


def ngircd(place: Place) -> Start:
    """An IRC server without STARTTLS."""
    program = require("ngircd")
    configuration = place.write("ngircd.conf", _NGIRCD.format(place=place))
    place.give_to("nobody")
    return Start([program, "-n", "-f", configuration])


_INN = """\
mta: "/bin/true %s"
organization: "test"
ovmethod: tradindexed
hismethod: hisv6
pathhost: news.test.example
domain: test.example
pathnews: /usr/lib/news
pathbin: /usr/lib/news/bin
patharchive: {place.directory}
patharticles: {place.directory}
pathincoming: {place.directory}
pathoverview: {place.directory}
pathspool: {place.directory}
pathetc: {place.directory}
pathdb: {place.directory}
pathrun: {place.directory}
pathlog: {place.directory}
pathtmp: {place.directory}
pathhttp: {place.directory}
runasuser: news
runasgroup: news
tlscafile: ""
tlscertfile: {place.certificate}
tlskeyfile: {place.key}
"""
_INN_READERS = 'auth "all" {\n hosts: "*"\n default: "<localhost>"\n}\n'
_INN_ACCESS = 'access "all" {\n users: "*"\n newsgroups: "*"\n}\n'
_INN_BIN = "/usr/lib/news/bin"


def nnrpd(place: Place) -> Start:
    """The server of INN for readers, with one empty group."""
    program = require("nnrpd", _INN_BIN)
    needs_root()
    environment = {"INNCONF": place.write("inn.conf", _INN.format(place=place))}
    readers = place.write("readers.conf", _INN_READERS + _INN_ACCESS)
    place.write("storage.conf", "method tradspool {\n newsgroups: *\n class: 0\n}\n")
    place.write("active", "test.group 0000000000 0000000001 y\n")
    for name in ("newsgroups", "active.times", "history", "expire.ctl", "passwd.nntp"):
        place.write(name, "")
    options = place.as_user("news")
    # It starts without an overview database, but readers need one.
    subprocess.run(
        [require("makehistory", _INN_BIN), "-O", "-x", "-F", "-a"],
        check=False,
        capture_output=True,
        env={**os.environ, **environment, "PATH": f"{_INN_BIN}:{os.environ['PATH']}"},
        timeout=60,
        **options,
    )
    command = [program, "-D", "-f", "-p", str(place.port), "-4", "127.0.0.1", "-c", readers]
    return Start(command, options, environment)


# -- files ----------------------------------------------------------------------------------------

_VSFTPD = """\
listen=YES
listen_address=127.0.0.1
listen_port={place.port}
background=NO
anonymous_enable=YES
anon_root={place.directory}/anonymous
local_enable=NO
no_anon_password=YES
secure_chroot_dir={place.directory}/empty
ssl_enable=YES
allow_anon_ssl=YES
rsa_cert_file={place.certificate}
rsa_private_key_file={place.key}
ssl_tlsv1=YES
ssl_ciphers=HIGH
require_ssl_reuse=NO
seccomp_sandbox=NO
"""


def vsftpd(place: Place) -> Start:
    """An FTP server for anonymous readers."""
    program = require("vsftpd")
    needs_root()
    place.make("empty", "anonymous")
    return Start([program, place.write("vsftpd.conf", _VSFTPD.format(place=place))])


# -- tools ----------------------------------------------------------------------------------------


def gnutls_serv(*flags: str, priority: str = "NORMAL", on_curve: bool = False) -> Configure:
    """GnuTLS's server; its key is ON_CURVE, or else of RSA."""

    def configure(place: Place) -> Start:
        if on_curve:
            curve = ec.generate_private_key(ec.SECP256R1())
            key, certificate = authority(OURS).issue("localhost", key=curve)
            place.write("key.pem", key)
            place.write("cert.pem", certificate)
        return Start(
            [
                *(require("gnutls-serv"), "--echo", "--quiet", "-p", str(place.port)),
                *(f"--x509certfile={place.certificate}", f"--x509keyfile={place.key}"),
                *(f"--priority={priority}", *flags),
            ]
        )

    return configure


def s_server(*flags: str, has_certificate: bool = True, has_commands: bool = False) -> Configure:
    """OpenSSL's server, which sends every line back reversed, or with HAS_COMMANDS obeys commands on its
    standard input."""

    def configure(place: Place) -> Start:
        shown = ["-cert", place.certificate, "-key", place.key] if has_certificate else ["-nocert"]
        listen = ["-accept", f"127.0.0.1:{place.port}"]
        command = [require("openssl"), "s_server", *listen, *shown, *flags]
        if has_commands:
            return Start(command, {"stdin": subprocess.PIPE})
        return Start([*command, "-rev", "-quiet"])

    return configure


def socat(command: str) -> Configure:
    """A TLS server made with socat: COMMAND of the shell talks to its only client."""

    def configure(place: Place) -> Start:
        listen = f"OPENSSL-LISTEN:{place.port},bind=127.0.0.1,reuseaddr,fork,verify=0"
        shown = f"cert={place.certificate},key={place.key}"
        return Start([require("socat"), "-t10", f"{listen},{shown}", f"SYSTEM:{command}"])

    return configure
