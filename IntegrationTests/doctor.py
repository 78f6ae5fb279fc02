#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""`adit doctor` against a real server, and against one hop after another that is broken.

The environment variable ADIT names the binary. Nothing leaves loopback and no port is fixed.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

from program import ADIT, free_ports  # noqa: E402
from scene import Scene  # noqa: E402

PORTAL = b"HTTP/1.1 302 Found\r\nLocation: http://portal.test/login\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Impostor:
    """Somebody else on a port: answers each connection, at once or after it said something, and hangs up or stays."""

    def __init__(self, answer, waits=True, stays=False, only=b""):
        self.answer, self.waits, self.stays, self.only = answer, waits, stays, only
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            if self.waits and not connection.recv(4096).startswith(self.only):
                connection.close()
                return
            connection.sendall(self.answer)
            if self.stays:
                self.open.append(connection)
                return
            connection.shutdown(socket.SHUT_WR)
            connection.recv(4096)
            connection.close()
        except OSError:
            pass

    def close(self):
        self.listener.close()
        for connection in self.open:
            connection.close()


class DoctorTest(unittest.TestCase):
    def setUp(self):
        stun, tls, alternate = free_ports(3)
        self.scene = Scene(
            'domain = "localhost"\nstunPort = %d\nstunTLSPort = %d\nstunAlternatePort = %d\n' % (stun, tls, alternate)
        )
        self.addCleanup(self.scene.close)

    def examine(self, name, *arguments, broken=None, environment=None, limit=9):
        """The report of `adit doctor`, whose first broken hop has to be `broken`; the screen has to agree."""
        environment = dict(self.scene.environment(name), **(environment or {}))
        start = time.monotonic()
        done = subprocess.run(
            [ADIT, "doctor", *arguments, "--json"], env=environment, capture_output=True, text=True, timeout=30
        )
        took = time.monotonic() - start
        self.assertLess(took, limit)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["broken"], broken, json.dumps(report, indent=1, ensure_ascii=False))
        self.assertEqual(report["ok"], broken is None)
        self.assertEqual(done.returncode, 0 if broken is None else 1)
        self.assertLess(report["timeMs"], 8000)
        if broken is not None:
            self.assertTrue(report["fix"])
            self.assertRegex(report["code"], r"^ADIT-\d\d\d$")
            explained = subprocess.run([ADIT, "explain", report["code"]], env=environment, capture_output=True, text=True)
            self.assertEqual(explained.returncode, 0)
        return report

    def hop(self, report, name):
        return next(hop for hop in report["hops"] if hop["name"] == name)

    def server_of(self, name):
        """The place of the joined server, for changes to what the device remembers."""
        file = self.scene.folder / name / "servers.json"
        return file, json.loads(file.read_text())

    def point_elsewhere(self, name, host=None, port=None, fingerprint=None, http_port=None):
        file, servers = self.server_of(name)
        entry = servers["servers"][0]
        entry["host"] = host or entry["host"]
        entry["port"] = port or entry["port"]
        entry["fingerprint"] = fingerprint or entry["fingerprint"]
        entry["httpPort"] = http_port or entry.get("httpPort")
        file.write_text(json.dumps(servers))

    def test_a_good_way(self):
        self.scene.join("laptop")
        report = self.examine("laptop")
        states = {hop["name"]: hop["state"] for hop in report["hops"]}
        for name in ("dns", "server", "tls", "session", "clock", "http", "stunUDP", "stunTCP", "stunTLS"):
            self.assertEqual(states[name], "good", report)
        self.assertTrue(report["joined"])
        self.assertIn("127.0.0.1", self.hop(report, "stunUDP")["facts"][0])
        # With tunnels that run.
        page = Impostor(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        self.addCleanup(page.close)
        client = self.scene.client("laptop", [{"name": "web", "kind": "http", "target": "localhost:%d" % page.port}], joined=True)
        client.wait_open()
        report = self.examine("laptop")
        self.assertEqual(self.hop(report, "tunnels")["facts"], ["1 of 1 open"])

    def test_the_screen_in_both_languages(self):
        self.scene.join("laptop")
        environment = self.scene.environment("laptop")
        text = subprocess.run([ADIT, "doctor"], env=environment, capture_output=True, text=True).stdout
        self.assertRegex(text, r"you ─✓─ DNS ─✓─ server ─✓─ TLS ─✓─ session")
        self.assertRegex(text, r"✓ session +answers as Adit +\d")
        self.assertIn("all is well", text)
        self.scene.server.stop()
        broken = subprocess.run([ADIT, "doctor"], env=environment, capture_output=True, text=True)
        self.assertEqual(broken.returncode, 1)
        self.assertRegex(broken.stdout, r"you ─✓─ DNS ─✗─ server ─·─ TLS ─·─ session")
        self.assertRegex(broken.stdout, r"(?m)^fix:  .*adit server")
        environment["LC_ALL"] = "zh_CN.UTF-8"
        text = subprocess.run([ADIT, "doctor"], env=environment, capture_output=True, text=True).stdout
        self.assertIn("本机 ─✓─ DNS ─✗─ 服务器", text)
        self.assertIn("解决：", text)
        environment["LC_ALL"] = "C"
        text = subprocess.run([ADIT, "doctor"], env=environment, capture_output=True).stdout
        self.assertTrue(text.isascii(), text)
        self.assertIn(b"you -OK- DNS -X- server", text)

    def test_a_server_that_is_stopped(self):
        self.scene.join("laptop")
        self.scene.server.stop()
        report = self.examine("laptop", broken="server")
        self.assertEqual(report["code"], "ADIT-101")
        self.assertIn("refused", " ".join(self.hop(report, "server")["facts"]))

    def test_a_port_that_is_refused_and_one_that_is_silent(self):
        (closed,) = free_ports(1)
        report = self.examine("stranger", "127.0.0.1:%d" % closed, broken="server")
        self.assertIn("adit server", report["fix"])
        self.assertFalse(report["joined"])
        # A full backlog drops what comes, as a firewall does.
        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            self.addCleanup(each.close)
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        report = self.examine("stranger", "127.0.0.1:%d" % full.getsockname()[1], broken="server")
        self.assertIn("firewall", report["fix"])

    def test_a_name_that_does_not_resolve(self):
        report = self.examine("stranger", "no-such-name.invalid", broken="dns")
        self.assertEqual(report["code"], "ADIT-102")
        self.scene.join("laptop")
        self.point_elsewhere("laptop", host="no-such-name.invalid")
        self.examine("laptop", broken="dns")

    def test_a_key_that_is_not_the_pinned_one(self):
        self.scene.join("laptop")
        self.point_elsewhere("laptop", fingerprint="SHA256:" + "A" * 43)
        report = self.examine("laptop", broken="tls")
        self.assertEqual(report["code"], "ADIT-120")
        self.assertIn("SHA256:AAAA", " ".join(self.hop(report, "tls")["facts"]))

    def test_what_answers_is_not_tls(self):
        for answer, waits in ((b"\x00\x01garbage" * 50, True), (b"SSH-2.0-OpenSSH_9.2\r\n", False), (os.urandom(300), True)):
            impostor = Impostor(b"\x01" + answer if waits else answer, waits)
            self.addCleanup(impostor.close)
            report = self.examine("stranger", "127.0.0.1:%d" % impostor.port, broken="tls")
            self.assertEqual(report["code"], "ADIT-910")
        for answer, stays in ((b"", False), (b"", True)):
            impostor = Impostor(answer, stays=stays)
            self.addCleanup(impostor.close)
            report = self.examine("stranger", "127.0.0.1:%d" % impostor.port, broken="tls")
            self.assertEqual(report["code"], "ADIT-101")

    def test_a_portal_in_place_of_the_server(self):
        for answer in (PORTAL, b"HTTP/1.1 511 Network Authentication Required\r\nContent-Length: 0\r\n\r\n"):
            impostor = Impostor(answer)
            self.addCleanup(impostor.close)
            report = self.examine("stranger", "127.0.0.1:%d" % impostor.port, broken="tls")
            self.assertEqual(report["code"], "ADIT-103")
            if b"Location" in answer:
                self.assertIn("http://portal.test/login", report["fix"])
        # One that understands nothing but plain requests.
        strict = Impostor(PORTAL, only=b"GET ")
        self.addCleanup(strict.close)
        self.assertEqual(self.examine("stranger", "127.0.0.1:%d" % strict.port, broken="tls")["code"], "ADIT-103")

    def test_a_portal_on_the_port_of_names(self):
        self.scene.join("laptop")
        impostor = Impostor(PORTAL)
        self.addCleanup(impostor.close)
        self.point_elsewhere("laptop", http_port=impostor.port)
        report = self.examine("laptop", broken="http")
        self.assertEqual(report["code"], "ADIT-103")
        (closed,) = free_ports(1)
        self.point_elsewhere("laptop", http_port=closed)
        self.assertEqual(self.examine("laptop", broken="http")["code"], "ADIT-101")

    @unittest.skipUnless(shutil.which("openssl"), "openssl is missing")
    def test_what_answers_behind_tls_is_not_adit(self):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", "/CN=x", "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"],
                check=True, capture_output=True,
            )  # fmt: skip
            (port,) = free_ports(1)
            server = subprocess.Popen(
                ["openssl", "s_server", "-accept", "127.0.0.1:%d" % port, "-cert", folder + "/cert.pem",
                 "-key", folder + "/key.pem", "-www"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                for _ in range(200):
                    try:
                        socket.create_connection(("127.0.0.1", port)).close()
                        break
                    except OSError:
                        time.sleep(0.02)
                report = self.examine("stranger", "127.0.0.1:%d" % port, broken="session")
                self.assertEqual(report["code"], "ADIT-910")
            finally:
                server.kill()
                server.wait()

    def test_a_computer_that_has_not_joined(self):
        report = self.examine("stranger")
        self.assertIn("adit join", report["fix"])
        report = self.examine("stranger", "127.0.0.1:%d" % self.scene.session_port)
        self.assertIn("SHA256:", self.hop(report, "tls")["facts"][0])
        done = subprocess.run(
            [ADIT, "doctor", "a b"], env=self.scene.environment("stranger"), capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 2)

    def test_proxies_are_named(self):
        report = self.examine(
            "stranger", "127.0.0.1:%d" % self.scene.session_port, environment={"https_proxy": "http://127.0.0.1:9"}
        )
        self.assertTrue(any("https_proxy" in fact for fact in self.hop(report, "computer")["facts"]))


if __name__ == "__main__":
    if not ADIT:
        sys.exit("ADIT is not set")
    unittest.main()
