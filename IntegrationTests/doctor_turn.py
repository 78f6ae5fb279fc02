#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""`adit doctor turn:…`, Adit's TURN client, against coturn and against the relay inside `adit server`.

The environment variable ADIT names the binary. Nothing leaves loopback and no port is fixed.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

from authorities import Authority  # noqa: E402
from program import ADIT, free_ports  # noqa: E402
from scene import Scene  # noqa: E402

SECRET = "a secret for tests, long enough"


class Coturn:
    """A turnserver on loopback."""

    def __init__(self, *flags, listen="127.0.0.1"):
        self.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(self.folder.name)
        self.port, self.tls = free_ports(2)
        certificate, key = Authority(folder, "authority").issue("localhost")
        self.process = subprocess.Popen(
            ["turnserver", "-n", "-L", listen, "-E", listen, "-p", str(self.port), "--tls-listening-port", str(self.tls),
             "--cert", str(certificate), "--pkey", str(key), "--realm", "coturn.test", "--no-cli", "--lt-cred-mech",
             "--pidfile", str(folder / "pid"), "--userdb", str(folder / "users"), "--log-file", "stdout", "--no-stdout-log",
             *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder
        )
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection((listen, self.tls), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        self.folder.cleanup()


def examine(server, *arguments, environment=None):
    done = subprocess.run(
        [ADIT, "doctor", server, *arguments, "--json"], env=dict(os.environ, LC_ALL="C.UTF-8", **(environment or {})),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    assert done.returncode in (0, 1), done.stderr
    report = json.loads(done.stdout)
    assert report["ok"] == (done.returncode == 0)
    return report, {hop["name"]: hop for hop in report["hops"]}


class CoturnTests(unittest.TestCase):
    USER = ["--user", "ann", "--password", "secret word"]

    def coturn(self, *flags, **options):
        server = Coturn(*flags, **options)
        self.addCleanup(server.close)
        return server

    def test_a_relay_over_udp_tcp_and_tls(self):
        server = self.coturn("--user", "ann:secret word", "--allow-loopback-peers")
        report, hops = examine("turn:127.0.0.1:%d" % server.port, *self.USER)
        self.assertTrue(report["ok"], report)
        self.assertEqual(set(hops), {"dns", "turnUDP", "turnTCP"})
        report, secure = examine("turns:127.0.0.1:%d" % server.tls, *self.USER)
        self.assertTrue(report["ok"], report)
        hops.update(secure)
        for name in ("turnUDP", "turnTCP", "turnTLS"):
            self.assertEqual(hops[name]["state"], "good", hops)
            self.assertIn("relays at 127.0.0.1:", hops[name]["facts"][0])
            self.assertRegex(hops[name]["facts"][1], r"^a datagram to itself came back in \d+ ms$")
        for transport, name in (("udp", "turnUDP"), ("tcp", "turnTCP")):
            _, hops = examine("turn:127.0.0.1:%d?transport=%s" % (server.port, transport), *self.USER)
            self.assertEqual(set(hops), {"dns", name})
        # Nothing remains: a user with one relay gets it every time.
        quota = self.coturn("--user", "ann:secret word", "--allow-loopback-peers", "--user-quota", "1")
        for _ in range(3):
            report, _ = examine("turn:127.0.0.1:%d?transport=tcp" % quota.port, *self.USER)
            self.assertTrue(report["ok"], report)
        _, hops = examine("turn:127.0.0.1:%d" % quota.port, *self.USER)
        facts = " ".join(hops["turnUDP"]["facts"] + hops["turnTCP"]["facts"])
        self.assertIn("486", facts)

    def test_a_server_that_relays_to_no_loopback_address(self):
        server = self.coturn("--user", "ann:secret word")
        report, hops = examine("turn:127.0.0.1:%d" % server.port, *self.USER)
        self.assertTrue(report["ok"], report)
        self.assertIn("it does not relay to its own address", hops["turnUDP"]["facts"][1])

    def test_time_limited_credentials(self):
        server = self.coturn("--use-auth-secret", "--static-auth-secret", SECRET, "--allow-loopback-peers")
        for offset, is_good in ((3600, True), (-3600, False)):
            user = "%d:desk" % (time.time() + offset)
            code = hmac.new(SECRET.encode(), user.encode(), hashlib.sha1).digest()
            password = base64.b64encode(code).decode()
            report, hops = examine(
                "turn:127.0.0.1:%d" % server.port, "--user", user, environment={"ADIT_TURN_PASSWORD": password}
            )
            self.assertEqual(report["ok"], is_good, report)

    def test_what_does_not_work_is_named(self):
        server = self.coturn("--user", "ann:secret word", "--allow-loopback-peers")
        place = "turn:127.0.0.1:%d" % server.port
        report, hops = examine(place, "--user", "ann", "--password", "wrong")
        self.assertEqual((report["broken"], report["code"]), ("turnUDP", "ADIT-107"))
        self.assertIn("the user or the password is wrong", hops["turnTCP"]["facts"][0])
        report, hops = examine(place)
        self.assertEqual(report["broken"], "turnUDP")
        self.assertIn("wants a user and a password", hops["turnUDP"]["facts"][0])
        self.assertIn("--user", report["fix"])
        (closed,) = free_ports(1)
        report, hops = examine("turn:127.0.0.1:%d" % closed, *self.USER)
        self.assertEqual(report["broken"], "turnUDP")
        self.assertIn("refused", hops["turnTCP"]["facts"][0])
        self.assertLess(report["timeMs"], 5000)
        report, _ = examine("turn:nobody.invalid", *self.USER)
        self.assertEqual(report["broken"], "dns")
        for wrong in ("turn:", "turn:a b", "turns:host?transport=udp", "turn:host?transport=sctp"):
            done = subprocess.run([ADIT, "doctor", wrong], stdin=subprocess.DEVNULL, capture_output=True, text=True)
            self.assertNotEqual(done.returncode, 0)

    def test_a_web_server_is_no_relay(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(10)
            report, _ = examine("turn:127.0.0.1:%d?transport=tcp" % listener.getsockname()[1], *self.USER)
            self.assertEqual(report["broken"], "turnTCP")

    def test_the_screen(self):
        server = self.coturn("--user", "ann:secret word", "--allow-loopback-peers")
        for language, word in (("en", "relay/UDP"), ("zh", "中继/UDP")):
            done = subprocess.run(
                [ADIT, "doctor", "turn:127.0.0.1:%d" % server.port, *self.USER, "--language", language],
                env=dict(os.environ, LC_ALL="C.UTF-8"), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(word, done.stdout)
            self.assertNotIn("secret", done.stdout)


class OwnServerTests(unittest.TestCase):
    def test_the_relay_of_a_joined_server(self):
        stun, tls, alternate = free_ports(3)
        scene = Scene(
            'domain = "localhost"\nstunPort = %d\nstunTLSPort = %d\nstunAlternatePort = %d\n' % (stun, tls, alternate)
        )
        self.addCleanup(scene.close)
        scene.join("laptop")
        done = subprocess.run(
            [ADIT, "doctor", "--json"], env=scene.environment("laptop"), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=30
        )
        report = json.loads(done.stdout)
        self.assertTrue(report["ok"], report)
        hops = {hop["name"]: hop for hop in report["hops"]}
        for name in ("turnUDP", "turnTCP", "turnTLS"):
            self.assertEqual(hops[name]["state"], "good", report)
            self.assertRegex(hops[name]["facts"][1], "came back in")


if __name__ == "__main__":
    unittest.main()
