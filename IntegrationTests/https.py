#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Names with TLS as visitors meet them: curl and openssl against `adit server`, `adit http`, `adit tls` and frp's https.

The environment variable ADIT names the binary. Nothing leaves 127.0.0.1 and no port is fixed.
"""

import datetime
import json
import os
import pathlib
import random
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

import frpc  # noqa: E402
import frps  # noqa: E402
from program import ADIT, Program, free_ports  # noqa: E402
from traffic import PageService, fetch, fetch_secure  # noqa: E402

TOKEN = b"a token"


def make_certificate(folder, name, *hosts, days=90, kind="ec"):
    """Writes name.crt and name.key, self-signed, for the hosts; returns both paths."""
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    paths = []
    texts = [
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ),
    ]
    for suffix, text in zip((".crt", ".key"), texts):
        path = folder / (name + suffix)
        fresh = folder / (name + suffix + ".new")
        fresh.write_bytes(text)
        fresh.chmod(0o600)
        fresh.rename(path)
        paths.append(str(path))
    return paths


def server_context(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


class Names(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.certificate, self.key = make_certificate(self.folder, "wildcard", "*.tunnel.test")

    def environment(self, name):
        home = self.folder / name
        home.mkdir(mode=0o700, exist_ok=True)
        environment = dict(os.environ, ADIT_HOME=str(home), LC_ALL="C.UTF-8")
        environment.pop("LANG", None)
        return environment

    def start_server(self, *arguments):
        self.session_port, self.http_port, self.https_port = free_ports(3)
        program = Program(
            "server", "--listen", "127.0.0.1", "--port", str(self.session_port), "--http-port", str(self.http_port),
            "--https-port", str(self.https_port), "--domain", "tunnel.test", "--host", "127.0.0.1", "--no-stun",
            *arguments, env=self.environment("server")
        )
        self.addCleanup(program.stop)
        program.wait_for_port(self.https_port)
        return program

    def adit(self, name, *arguments, status=0):
        done = subprocess.run(
            [ADIT, *arguments], env=self.environment(name), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def join(self, name):
        invite = re.search(r"adit join (\S+)", self.adit("server", "server", "invite"))[1]
        self.adit(name, "join", invite, "--name", name)

    def device(self, name, *arguments):
        program = Program(*arguments, env=self.environment(name))
        self.addCleanup(program.stop)
        program.wait_for("https://")
        return program, program.lines[0].strip()

    def curl(self, url, *arguments, status=0):
        host, port = url.split("://")[1].split("/")[0].rsplit(":", 1)
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "20"]
            + ["--resolve", "%s:%s:127.0.0.1" % (host, port), *arguments, url],
            capture_output=True, text=True
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def test_a_website_is_served_with_the_servers_certificate(self):
        service = PageService()
        self.start_server("--certificate", self.certificate, "--key", self.key)
        self.join("laptop")
        _, address = self.device("laptop", "http", str(service.address[1]), "--name", "web")
        self.assertEqual(address, "https://web.tunnel.test:%d" % self.https_port)
        trust = ("--cacert", self.certificate)
        self.assertEqual(self.curl(address + "/", *trust), service.body.decode())
        self.assertEqual(service.requests[-1][2]["X-Forwarded-Proto"], "https")
        self.assertEqual(self.curl(address + "/", *trust, "--tls-max", "1.2"), service.body.decode())
        for flag, version in (("--http1.1", "1.1"), ("--http2", "2")):
            told = self.curl(address + "/", *trust, flag, "--output", "/dev/null", "--write-out", "%{http_code} %{http_version}")
            self.assertEqual(told, "200 " + version)
        self.curl(address + "/", *trust, "--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0", status=35)
        code = ("--output", "/dev/null", "--write-out", "%{http_code} %{redirect_url}")
        self.assertEqual(self.curl(address + "/", *trust, *code, "--header", "Host: other.tunnel.test"), "421 ")
        self.assertEqual(self.curl("https://nobody.tunnel.test:%d/" % self.https_port, *trust, *code), "404 ")
        plain = "http://web.tunnel.test:%d/a?b=c" % self.http_port
        self.assertEqual(self.curl(plain, *code), "307 https://web.tunnel.test:%d/a?b=c" % self.https_port)
        known = "web.tunnel.test:%d:127.0.0.1" % self.https_port
        post = self.curl(plain, *trust, "--location", "--data", "x", "--resolve", known)
        self.assertEqual(len(post), 64, "the body goes along with the redirection")
        # A name that no certificate covers is refused in TLS itself.
        self.curl("https://web.example.org:%d/" % self.https_port, "--insecure", status=35)
        status = self.adit("server", "server", "status")
        self.assertIn("*.tunnel.test, valid for", status)

    def test_openssl_agrees_on_good_terms(self):
        openssl = shutil.which("openssl")
        if not openssl:
            self.skipTest("no openssl here")
        self.start_server("--certificate", self.certificate, "--key", self.key)
        connect = [openssl, "s_client", "-connect", "127.0.0.1:%d" % self.https_port]

        def talk(*arguments):
            done = subprocess.run([*connect, *arguments], input="", capture_output=True, text=True, timeout=20)
            return done.stdout + done.stderr

        known = talk("-servername", "a.tunnel.test", "-alpn", "http/1.1", "-CAfile", self.certificate)
        self.assertIn("TLSv1.3", known)
        self.assertIn("ALPN protocol: http/1.1", known)
        self.assertIn("Verify return code: 0 (ok)", known)
        older = talk("-servername", "a.tunnel.test", "-tls1_2")
        self.assertRegex(older, r"Cipher is ECDHE-\S+(GCM|POLY1305)")
        self.assertIn("Secure Renegotiation IS supported", older)
        unknown = talk("-servername", "a.example.org")
        self.assertIn("unrecognized name", unknown)
        weak = talk("-servername", "a.tunnel.test", "-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256")
        self.assertIn("handshake failure", weak)

    def test_a_service_with_its_own_certificate_is_reached_untouched(self):
        own, own_key = make_certificate(self.folder, "own", "vault.tunnel.test", kind="rsa")
        service = PageService(server_context(own, own_key))
        server = self.start_server("--certificate", self.certificate, "--key", self.key)
        self.join("laptop")
        program, address = self.device("laptop", "tls", str(service.address[1]), "--name", "vault")
        self.assertEqual(address, "https://vault.tunnel.test:%d" % self.https_port)
        self.assertEqual(self.curl(address + "/", "--cacert", own), service.body.decode())
        shown = fetch_secure(self.https_port, "vault.tunnel.test", own)[2]
        self.assertEqual(shown, ssl.PEM_cert_to_DER_cert(pathlib.Path(own).read_text()))
        self.assertIn("vault", self.adit("server", "server", "status"))
        program.stop()
        self.assertFalse(server.ended)

    def test_a_slow_reader_gets_every_byte(self):
        body = bytes(range(256)) * (16 << 12)
        own, own_key = make_certificate(self.folder, "own", "vault.tunnel.test")
        plain, secure = PageService(body=body), PageService(server_context(own, own_key), body)
        self.start_server("--certificate", self.certificate, "--key", self.key)
        self.join("laptop")
        self.device("laptop", "http", str(plain.address[1]), "--name", "web")
        self.device("laptop", "tls", str(secure.address[1]), "--name", "vault")
        for name, trusted in (("web.tunnel.test", self.certificate), ("vault.tunnel.test", own)):
            with self.subTest(name=name):
                context = ssl.create_default_context(cafile=trusted)
                with socket.create_connection(("127.0.0.1", self.https_port), timeout=20) as sock:
                    with context.wrap_socket(sock, server_hostname=name) as visitor:
                        visitor.sendall(b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % name.encode())
                        received = bytearray()
                        while True:
                            # An end without close_notify would be an error here.
                            part = visitor.recv(16384)
                            if not part:
                                break
                            received += part
                            time.sleep(0.003 if len(received) < 2 << 20 else 0)
                self.assertEqual(bytes(received).split(b"\r\n\r\n", 1)[1] == body, True)

    def test_strangers_cost_little_and_disturb_nobody(self):
        service = PageService()
        server = self.start_server("--certificate", self.certificate, "--key", self.key)
        self.join("laptop")
        _, address = self.device("laptop", "http", str(service.address[1]), "--name", "web")
        silent = [socket.create_connection(("127.0.0.1", self.https_port), timeout=30) for _ in range(200)]
        for number, sock in enumerate(silent):
            sock.sendall((b"", b"\x16\x03\x01\x40", b"\x16\x03\x01\x10\x00\x01\x00")[number % 3])
        generator = random.Random(11)
        for number in range(100):
            with socket.create_connection(("127.0.0.1", self.https_port), timeout=5) as sock:
                try:
                    begin = (b"\x16\x03\x01", b"\x80", b"GET ")[number % 3]
                    sock.sendall(begin + generator.randbytes(generator.randrange(20000)))
                    sock.recv(100)
                except OSError:
                    pass
        self.assertEqual(self.curl(address + "/", "--cacert", self.certificate), service.body.decode())
        begin = time.monotonic()
        for sock in silent:
            with sock:
                try:
                    self.assertEqual(sock.recv(100), b"")
                except ConnectionError:
                    pass
        self.assertLess(time.monotonic() - begin, 15, "nobody may hold a connection without a handshake")
        self.assertFalse(server.ended)

    def test_a_new_certificate_is_taken_up_and_a_broken_one_is_not(self):
        server = self.start_server("--certificate", self.certificate, "--key", self.key)

        def shown():
            return fetch_secure(self.https_port, "nobody.tunnel.test")[2]

        old = shown()
        make_certificate(self.folder, "wildcard", "*.tunnel.test")
        deadline = time.monotonic() + 20
        while shown() == old and time.monotonic() < deadline:
            time.sleep(0.05)
        new = shown()
        self.assertNotEqual(new, old)
        pathlib.Path(self.key).write_text("nonsense")
        reply = self.adit("server", "server", "reload", status=1)
        self.assertIn("it has no private key in PEM", reply)
        server.wait_for("it has no private key in PEM")
        self.assertEqual(shown(), new)
        make_certificate(self.folder, "wildcard", "*.tunnel.test", days=3)
        self.adit("server", "server", "reload")
        self.assertNotEqual(shown(), new)
        self.assertIn("expires in", self.adit("server", "server", "status"))

    def test_a_certificate_that_cannot_be_used_is_named_at_start(self):
        other = make_certificate(self.folder, "other", "a.tunnel.test")[1]
        text = self.adit("server", "server", "--certificate", self.certificate, "--key", other, status=1)
        self.assertIn("ADIT-906", text)
        self.assertIn("the key does not belong to the first certificate of " + self.certificate, text)
        self.assertIn("each --certificate needs its --key", self.adit("server", "server", "--certificate", "x", status=2))

    def test_the_configuration_file_names_them_too(self):
        path = self.folder / "server.toml"
        self.session_port, self.http_port, self.https_port = free_ports(3)
        path.write_text(
            "listen = '127.0.0.1'\nsessionPort = %d\nhttpPort = %d\nhttpsPort = %d\nredirectToHTTPS = false\n"
            "domain = 'tunnel.test'\nstun = false\n"
            "certificates = [{ certificate = '%s', key = '%s' }]\n"
            % (self.session_port, self.http_port, self.https_port, self.certificate, self.key)
        )
        program = Program("server", "-c", str(path), env=self.environment("server"))
        self.addCleanup(program.stop)
        program.wait_for_port(self.https_port)
        self.assertEqual(fetch_secure(self.https_port, "nobody.tunnel.test", self.certificate)[0], 404)

    def test_one_port_takes_sessions_and_visitors(self):
        service = PageService()
        own, own_key = make_certificate(self.folder, "own", "vault.tunnel.test")
        vault = PageService(server_context(own, own_key))
        port = free_ports(1)[0]
        program = Program(
            "server", "--listen", "127.0.0.1", "--port", str(port), "--https-port", str(port), "--http-port", "0",
            "--no-stun", "--domain", "tunnel.test", "--host", "127.0.0.1",
            "--certificate", self.certificate, "--key", self.key, env=self.environment("server")
        )
        self.addCleanup(program.stop)
        program.wait_for_port(port)
        self.https_port = port
        for name in ("laptop", "desktop"):
            self.join(name)
        self.device("laptop", "http", str(service.address[1]), "--name", "web")
        self.device("desktop", "tls", str(vault.address[1]), "--name", "vault")
        self.assertEqual(fetch_secure(port, "web.tunnel.test", self.certificate)[:2], (200, service.body))
        self.assertEqual(fetch_secure(port, "vault.tunnel.test", own)[:2], (200, vault.body))


class FRPServer(unittest.TestCase):
    """`adit frps` with type https of the Python client."""

    def test_https_proxies_on_ports_of_their_own_and_shared_ones(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        own, key = make_certificate(pathlib.Path(folder.name), "own", "demo.test")
        secure, plain = PageService(server_context(own, key)), PageService()
        for sharing in ("none", "bind", "http", "all"):
            bind, http, https = free_ports(3)
            if sharing == "bind":
                https = bind
            elif sharing == "http":
                https = http
            elif sharing == "all":
                http = https = bind
            program = Program(
                "frps", "--bind-addr", "127.0.0.1", "-p", str(bind), "--vhost_http_port", str(http),
                "--vhost_https_port", str(https), "-t", TOKEN.decode()
            )
            self.addCleanup(program.stop)
            program.wait_for("frps started successfully")
            for wire, tls, first_byte in (("v1", True, True), ("v2", True, False), ("v1", False, False)):
                with self.subTest(sharing=sharing, wire=wire, tls=tls):
                    client = frpc.Client(("127.0.0.1", bind), TOKEN, wire, tls, first_byte)
                    address = client.add_proxy("secure", "https", secure.address, custom_domains=["demo.test"])
                    self.assertEqual(address, "demo.test:%d" % https)
                    client.add_proxy("plain", "http", plain.address, custom_domains=["demo.test"])
                    self.assertEqual(fetch_secure(https, "demo.test", own)[:2], (200, secure.body))
                    self.assertEqual(fetch(http, "demo.test"), (200, plain.body))
                    with self.assertRaises((ssl.SSLError, OSError)):
                        fetch_secure(https, "nobody.test")
                    with self.assertRaises(frpc.Refused):
                        client.add_proxy("second", "https", secure.address, custom_domains=["demo.test"])
                    client.close_proxy("secure")
                    client.close()
            self.assertEqual(program.stop(), 0)

    def test_without_a_port_https_is_refused(self):
        bind = free_ports(1)[0]
        program = Program("frps", "--bind-addr", "127.0.0.1", "-p", str(bind), "-t", TOKEN.decode())
        self.addCleanup(program.stop)
        program.wait_for_port(bind)
        client = frpc.Client(("127.0.0.1", bind), TOKEN)
        with self.assertRaises(frpc.Refused):
            client.add_proxy("secure", "https", ("127.0.0.1", 1), custom_domains=["demo.test"])
        client.close()


class FRPClient(unittest.TestCase):
    """`adit frpc` with type https against the Python server."""

    def test_an_https_proxy_from_a_file_and_from_flags(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        own, key = make_certificate(pathlib.Path(folder.name), "own", "demo.test")
        service = PageService(server_context(own, key))
        server = frps.Server(TOKEN)
        self.addCleanup(server.close)
        path = pathlib.Path(folder.name) / "frpc.toml"
        path.write_text(
            "serverAddr = '127.0.0.1'\nserverPort = %d\nauth.token = %s\n"
            "[[proxies]]\nname = 'secure'\ntype = 'https'\nlocalPort = %d\ncustomDomains = ['demo.test']\n"
            % (server.port, json.dumps(TOKEN.decode()), service.address[1])
        )
        flags = (
            "https", "-s", "127.0.0.1", "-P", str(server.port), "-t", TOKEN.decode(), "-n", "secure", "-l",
            str(service.address[1]), "-d", "demo.test"
        )
        for arguments in (("-c", str(path)), flags):
            with self.subTest(arguments=arguments[0]):
                program = Program("frpc", *arguments)
                self.addCleanup(program.stop)
                program.wait_for("[secure] start proxy success")
                self.assertEqual(fetch_secure(server.https_port, "demo.test", own)[:2], (200, service.body))
                self.assertEqual(server.faults(), [])
                self.assertEqual(program.stop(), 0)


if __name__ == "__main__":
    if not ADIT:
        sys.exit("set ADIT to the adit binary, e.g. ADIT=.build/debug/adit")
    unittest.main(verbosity=2)
