#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""`adit doctor nat` against Adit's own STUN server, coturn, poor servers, hostile ones and nobody.

The environment variable ADIT names the binary. Nothing leaves this machine but questions to its own router, and no port is
fixed. NATs of every type are doctor_kernel.py's.
"""

import concurrent.futures
import json
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from program import ADIT, Program, free_ports  # noqa: E402
from scene import Scene  # noqa: E402

COOKIE = 0x2112A442
MEMBERS = {
    "event", "access", "udp", "tcp", "ipv6", "public", "hops", "nats", "carrier_nat", "hairpin", "pooling", "lifetime",
    "port_mapping", "udp_blocked", "web_only", "captive_portal", "firewall", "direct", "uncertain", "interfaces", "servers",
    "changed", "duration_ms",
}  # fmt: skip


def attribute(number, value):
    return struct.pack("!HH", number, len(value)) + value + bytes(-len(value) % 4)


def mapped(source):
    """XOR-MAPPED-ADDRESS (RFC 8489 section 14.2)."""
    address = int.from_bytes(socket.inet_aton(source[0]), "big") ^ COOKIE
    return attribute(0x0020, struct.pack("!xBHI", 1, source[1] ^ (COOKIE >> 16), address))


def answer(request, *attributes, kind=0x0101):
    body = b"".join(attributes)
    return struct.pack("!HH", kind, len(body)) + request[4:20] + body


class Peer:
    """Answers datagrams, and connections on the same port, with what `make(request, source)` gives: a list of messages."""

    def __init__(self, make):
        self.make = make
        while True:
            self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.datagrams.bind(("127.0.0.1", 0))
            self.port = self.datagrams.getsockname()[1]
            try:
                self.listener = socket.create_server(("127.0.0.1", self.port))
                break
            except OSError:
                self.datagrams.close()
        for work in (self._serve_datagrams, self._serve_connections):
            threading.Thread(target=work, daemon=True).start()

    def _serve_datagrams(self):
        while True:
            try:
                request, source = self.datagrams.recvfrom(65536)
                for message in self.make(request, source):
                    self.datagrams.sendto(message, source)
            except OSError:
                return

    def _serve_connections(self):
        while True:
            try:
                connection, source = self.listener.accept()
                threading.Thread(target=self._serve, args=(connection, source), daemon=True).start()
            except OSError:
                return

    def _serve(self, connection, source):
        with connection:
            try:
                while request := connection.recv(65536):
                    for message in self.make(request, source):
                        connection.sendall(message)
            except OSError:
                pass

    def close(self):
        self.datagrams.close()
        self.listener.close()


class DoctorNATTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.home = folder.name

    def doctor(self, *arguments, home=None, **variables):
        environment = dict(os.environ, ADIT_HOME=home or self.home, LC_ALL="C.UTF-8", **variables)
        environment.pop("LANG", None)
        begun = time.monotonic()
        done = subprocess.run(
            [ADIT, "doctor", "nat", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60
        )  # fmt: skip
        self.assertLess(time.monotonic() - begun, 20)
        for text in (done.stdout, done.stderr):
            self.assertNotIn("\x1b", text)
        return done

    def report(self, *arguments, status=0, **options):
        done = self.doctor(*arguments, "--json", **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(set(report), MEMBERS)
        return report

    def peer(self, make):
        peer = Peer(make)
        self.addCleanup(peer.close)
        return "127.0.0.1:%d" % peer.port

    # Servers that do what they should.

    def test_the_joined_server_is_asked(self):
        stun, alternate = free_ports(2)
        scene = Scene("stunPort = %d\nstunAlternatePort = %d\nstunTLSPort = 0\n" % (stun, alternate))
        self.addCleanup(scene.close)
        scene.join("laptop")
        report = self.report(home=str(scene.folder / "laptop"))
        for name in ("udp", "tcp"):
            self.assertIs(report[name]["reachable"], True)
            self.assertIs(report[name]["translated"], False)
        self.assertEqual(report["servers"][0]["endpoint"], "127.0.0.1:%d" % stun)
        self.assertEqual(report["access"], "full")
        self.assertEqual(report["nats"], 0)
        self.assertLess(report["duration_ms"], 5000)
        screen = self.doctor(home=str(scene.folder / "laptop"))
        self.assertEqual(screen.returncode, 0)
        self.assertIn("no NAT: the address is this computer's own", screen.stdout)
        self.assertTrue(all(len(line) <= 80 for line in screen.stdout.splitlines()))
        chinese = self.doctor("--language", "zh", home=str(scene.folder / "laptop"))
        self.assertIn("无 NAT：就是本机自己的地址", chinese.stdout)

    # Sign-in pages.

    def joined(self):
        """A scene with STUN, and what the joined device wrote down of its server."""
        scene = Scene("stunPort = %d\nstunAlternatePort = %d\nstunTLSPort = 0\n" % tuple(free_ports(2)))
        self.addCleanup(scene.close)
        scene.join("laptop")
        home = scene.folder / "laptop"
        file = next(each for each in home.rglob("*.json") if '"httpPort"' in each.read_text())
        return scene, home, file

    def edit(self, file, **values):
        content = json.loads(file.read_text())
        content["servers"][0].update(values)
        file.write_text(json.dumps(content))

    def portal(self, reply):
        """An HTTP server with one answer; its port, and the requests that came."""
        heads = []

        def serve(listener):
            while True:
                try:
                    connection, _ = listener.accept()
                    with connection:
                        heads.append(connection.recv(65536).decode())
                        connection.sendall(reply)
                except OSError:
                    return

        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        return listener.getsockname()[1], heads

    def test_the_joined_servers_own_answer_shows_that_there_is_no_sign_in_page(self):
        scene, home, _ = self.joined()
        report = self.report(home=str(home))
        self.assertIs(report["captive_portal"], False)
        self.assertFalse([doubt for doubt in report["uncertain"] if doubt["what"] == "captive_portal"])
        reply = self.check(scene.http_port)
        self.assertTrue(reply.startswith("HTTP/1.1 204 "), reply)
        names = [line.split(":")[0] for line in reply.strip().splitlines()[1:]]
        self.assertEqual(names, ["Date", "Cache-Control", "Connection"])

    @staticmethod
    def check(port):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as visitor:
            visitor.sendall(b"GET /.well-known/adit-check HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b"".join(iter(lambda: visitor.recv(65536), b"")).decode()

    def test_frps_has_no_such_page(self):
        session, web = free_ports(2)
        file = pathlib.Path(self.home) / "frps.toml"
        file.write_text('bindAddr = "127.0.0.1"\nbindPort = %d\nvhostHTTPPort = %d\n' % (session, web))
        program = Program("frps", "-c", str(file), env=dict(os.environ, ADIT_HOME=self.home))
        self.addCleanup(program.process.wait)
        self.addCleanup(program.process.kill)
        program.wait_for_port(web)
        self.assertTrue(self.check(web).startswith("HTTP/1.1 404 "))

    def test_a_server_that_knows_no_such_page_is_no_sign_in_page(self):
        _, home, file = self.joined()
        port, _ = self.portal(b"HTTP/1.1 404 Not Found\r\nAdit-Error: ADIT-222\r\nContent-Length: 0\r\n\r\n")
        self.edit(file, httpPort=port)
        self.assertIs(self.report(home=str(home))["captive_portal"], False)

    def test_a_sign_in_page_in_the_servers_place_is_named(self):
        _, home, file = self.joined()
        page = b"HTTP/1.1 302 Found\r\nLocation: http://login.example/?id=1\r\nContent-Length: 0\r\n\r\n"
        port, heads = self.portal(page)
        self.edit(file, httpPort=port)
        # The server's STUN still answers, so that the page itself may be what is wrong.
        report = self.report(home=str(home))
        self.assertEqual(report["captive_portal"]["status"], 302)
        self.assertTrue(any(doubt["what"] == "captive_portal" for doubt in report["uncertain"]))
        self.assertEqual(report["access"], "full")
        self.assertTrue(heads[0].startswith("GET /.well-known/adit-check HTTP/1.1\r\n"), heads[0])
        # Nothing but the page answers: that is what holds everything back.
        self.edit(file, stun={"port": free_ports(1)[0]})
        report = self.report(home=str(home))
        self.assertEqual(report["access"], "captive-portal")
        self.assertEqual(report["captive_portal"], {"status": 302, "location": "http://login.example/?id=1"})
        self.assertIs(report["udp_blocked"], True)
        screen = self.doctor(home=str(home))
        self.assertIn("http://login.example/", screen.stdout)

    def test_coturn_with_two_addresses_tells_the_filtering(self):
        place = self.coturn("127.0.0.1", "127.0.0.2")
        report = self.report("--stun", place)
        self.assertEqual(report["udp"]["classic"], "open")
        self.assertEqual(report["udp"]["filtering"], "endpoint-independent")
        self.assertIn("oturn", report["servers"][0]["software"])
        self.assertEqual({row["udp"] for row in report["direct"] if row["peer"] != "no-udp"}, {"direct"})

    def test_coturn_with_one_address_leaves_the_filtering_open(self):
        report = self.report("--stun", self.coturn("127.0.0.1"))
        self.assertIs(report["udp"]["reachable"], True)
        self.assertIsNone(report["udp"]["filtering"])
        self.assertTrue(any(doubt["what"] == "udp.filtering" for doubt in report["uncertain"]), report["uncertain"])

    def coturn(self, *addresses):
        program = shutil.which("turnserver")
        if program is None:
            self.skipTest("coturn is not installed")
        # From 4.7 on RFC 5780 has to be asked for; before, the flag is not known.
        flags = subprocess.run([program, "--help"], capture_output=True, text=True).stdout
        first, second = free_ports(2)
        process = subprocess.Popen(
            [
                program, "-n", "-S", "--no-tls", "--no-dtls", "--no-cli", "--no-auth", "--log-file", "stdout", "-p", str(first),
                "--alt-listening-port", str(second), *(word for each in addresses for word in ("-L", each)),
                *(["--rfc5780"] if "--rfc5780" in flags else []),
            ],
            cwd=self.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )  # fmt: skip
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection((addresses[0], first), timeout=1).close()
                return "%s:%d" % (addresses[0], first)
            except OSError:
                self.assertLess(time.monotonic(), deadline, "coturn does not start")
                time.sleep(0.05)

    # Servers that cannot or will not.

    def test_a_server_without_rfc_5780_still_tells_the_address(self):
        place = self.peer(lambda request, source: [answer(request, mapped(source))])
        report = self.report("--stun", place)
        self.assertIs(report["udp"]["reachable"], True)
        self.assertIs(report["udp"]["translated"], False)
        self.assertIsNone(report["udp"]["filtering"])

    def test_nobody_there_is_said_so(self):
        place = "127.0.0.1:%d" % free_ports(1)[0]
        report = self.report("--stun", place, status=1)
        self.assertIs(report["udp"]["reachable"], False)
        self.assertFalse(report["servers"][0]["udp"] or report["servers"][0]["tcp"])
        screen = self.doctor("--stun", place)
        self.assertEqual(screen.returncode, 1)
        self.assertIn("ADIT-106", screen.stderr)

    def test_hostile_answers_neither_crash_nor_hang_nor_write_on_the_screen(self):
        noise = random.Random(5780)
        escape = "\x1b]0;owned\x07\x1b[2J".encode()

        def garbage(request, source):
            return [noise.randbytes(noise.randrange(1, 1200)) for _ in range(8)]

        def lies(request, source):
            return [answer(request, mapped((place, 1))) for place in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "10.1.2.3")]

        def errors(request, source):
            reason = struct.pack("!xxBB", 5, 0) + escape * 20
            return [answer(request, attribute(0x0009, reason), kind=0x0111)]

        def software(request, source):
            other = attribute(0x802C, struct.pack("!xBH4s", 1, 9, socket.inet_aton("127.0.0.9")))
            return [answer(request, mapped(source), attribute(0x8022, escape * 10), other)]

        def torn(request, source):
            whole = answer(request, mapped(source))
            return [whole[:size] for size in range(1, len(whole))]

        def echo(request, source):
            return [request] * 4

        def flood(request, source):
            return [answer(request, mapped(("198.51.100.%d" % index, index + 1))) for index in range(60)]

        # They mostly wait for answers that make no sense.
        runs = []
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for make in (garbage, lies, errors, software, torn, echo, flood):
                place = self.peer(make)
                for arguments in (["--json"], ["--language", "zh"]):
                    runs.append((make.__name__, arguments, pool.submit(self.doctor, "--stun", place, *arguments)))
        for name, arguments, run in runs:
            with self.subTest(name, arguments=arguments):
                done = run.result()
                self.assertIn(done.returncode, (0, 1), done.stdout + done.stderr)
                self.assertTrue(done.stdout)

    # Orders that cannot be.

    def test_without_a_server_nobody_is_asked(self):
        done = self.doctor()
        self.assertEqual(done.returncode, 1)
        self.assertIn("ADIT-116", done.stderr)
        self.assertIn("adit doctor nat --stun HOST", done.stderr)

    def test_wrong_flags(self):
        for arguments in (["--stun", "a b"], ["--stun", "127.0.0.1:9", "--interface", "none0"], ["--stun", "h", "--page", "x"]):
            done = self.doctor(*arguments)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("ADIT-902", done.stderr)

    def test_a_name_that_does_not_resolve(self):
        done = self.doctor("--stun", "stun.invalid")
        self.assertEqual(done.returncode, 1)
        self.assertIn("ADIT-102", done.stderr)


if __name__ == "__main__":
    if not ADIT:
        sys.exit("set ADIT to the binary")
    unittest.main()
