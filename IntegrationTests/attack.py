#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Attacks on one running server and its device, while a quiet visitor watches that nobody else is disturbed.

The environment variable ADIT names the binary. Nothing leaves the loopback interface, no port is fixed, and attackers
come from other loopback addresses than the device.
"""

import concurrent.futures
import os
import socket
import ssl
import struct
import sys
import tempfile
import time
import unittest
import unittest.mock
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))

import frpc  # noqa: E402
import smuggling  # noqa: E402
from attack_devices import DeviceAttacks  # noqa: E402
from attack_visitors import VisitorAttacks  # noqa: E402
from attacking import connect, exchange, is_closed, pour  # noqa: E402
from authorities import Authority  # noqa: E402
from broken_files import check_files  # noqa: E402
from datagrams import EchoDatagrams  # noqa: E402
from device import ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW, Device, invite_secret, mux  # noqa: E402
from https import make_certificate  # noqa: E402
from links import client_context  # noqa: E402
from program import ADIT, free_ports  # noqa: E402
from scene import ControlVisitor, MemoryWatch, Scene, host_of, port_of  # noqa: E402

# What the two processes may grow by over all attacks together; unoptimised builds keep more than others.
MEMORY_LIMIT = 192 << 20
SYN_FLOOD = 1_000_000
TOKEN = b"a token that nobody guesses"


class Attack(VisitorAttacks, DeviceAttacks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.begun = time.monotonic()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.https_port = free_ports(1)[0]
        certificate, key = make_certificate(Path(folder.name), "secure", "secure.localhost")
        cls.scene = Scene(
            'token = "%s"\nhttpsPort = %d\ncertificates = [{ certificate = "%s", key = "%s" }]\n'
            % (TOKEN.decode(), cls.https_port, certificate, key)
        )
        cls.addClassCleanup(cls.scene.close)
        cls.web = smuggling.RecordingService()
        cls.echo = smuggling.EchoService()
        cls.datagrams = EchoDatagrams(cls.echo.port)
        cls.device = cls.scene.client(
            "laptop",
            [
                {"name": "web", "kind": "http", "target": "localhost:%d" % cls.web.port},
                {"name": "echo", "kind": "tcp", "target": "localhost:%d" % cls.echo.port},
                {"name": "secure", "kind": "http", "target": "localhost:%d" % cls.web.port},
                {"name": "sealed", "kind": "tls", "target": "localhost:%d" % cls.echo.port},
                {"name": "dns", "kind": "udp", "target": "localhost:%d" % cls.echo.port},
                {"name": "craft", "kind": "game", "target": "localhost:%d" % cls.echo.port},
                {"name": "guarded", "kind": "http", "target": "localhost:%d" % cls.web.port, "auth": ["me:secret"]},
            ],
        )
        cls.addresses = cls.device.wait_open()
        cls.memory = MemoryWatch(server=cls.scene.server.process.pid, device=cls.device.pid)
        cls.visitor = ControlVisitor(cls.scene, cls.addresses["web"], cls.addresses["echo"], smuggling.PAGE)
        cls.slow = smuggling.SlowHeads(cls.scene.http_port, host_of(cls.addresses["web"]), count=1500)
        cls.begin_slow_handshakes()

    @classmethod
    def tearDownClass(cls):
        cls.visitor.stop()
        cls.slow.stop()
        grown = cls.memory.stop()
        print(
            "attack: %.0f s, %d rounds of the quiet visitor, slowest %.0f ms, memory grew by at most %s"
            % (
                time.monotonic() - cls.begun,
                cls.visitor.rounds,
                cls.visitor.slowest * 1000,
                ", ".join("%s %.0f MB" % (name, size / 1e6) for name, size in grown.items()),
            )
        )
        if cls.visitor.faults:
            raise AssertionError("the quiet visitor was disturbed: " + "; ".join(cls.visitor.faults))
        for name, size in grown.items():
            if size > MEMORY_LIMIT:
                raise AssertionError("the %s grew by %d MB" % (name, size >> 20))

    def setUp(self):
        self.started = time.monotonic()
        self.known_faults = len(self.visitor.faults)

    def tearDown(self):
        self.assertIsNone(self.scene.server.process.poll(), "\n".join(self.scene.server.lines[-20:]))
        self.assertIsNone(self.device.program.process.poll(), "\n".join(self.device.program.lines[-20:]))
        disturbed = self.visitor.faults[self.known_faults :]
        self.assertEqual(disturbed, [], "the quiet visitor was disturbed")
        print("  %-60s %5.1f s" % (self.id().rsplit(".", 1)[1], time.monotonic() - self.started))

    @property
    def server(self):
        return "127.0.0.1", self.scene.session_port

    def member(self, name, source="127.0.0.1", invited=True):
        """A peer that joined by an invite or the token and is logged in."""
        peer = Device(self.server, source=source)
        self.addCleanup(peer.close)
        peer.hello()
        secret = {"invite": invite_secret(self.scene.invite())} if invited else {"token": TOKEN}
        answer = peer.login(name=name, **secret)
        self.assertNotIn("error", answer, answer)
        return peer, answer

    # Bytes.

    def test_garbage_truncated_and_oversized_bytes(self):
        deep = b'{"a":' * 3000
        hello = b'{"capabilities":' + b"[" * 30000
        frames = [
            os.urandom(4000),
            b"",
            b"\0" * 70000,
            b"\xff" * 70000,
            # wire v1: every type, absurd and negative lengths, deep and long JSON
            b"".join(bytes((kind,)) + b"\x7f" + b"\xff" * 7 for kind in b"owv1p2crs4h3"),
            b"o" + struct.pack(">q", -1) + b"{}",
            b"o" + struct.pack(">q", 10240) + b"{}",
            b"o" + struct.pack(">q", len(deep[:10240])) + deep[:10240],
            b"o" + struct.pack(">q", 2) + b"\xff\xfe",
            b"o" + struct.pack(">q", 4) + b"null",
            b"o" + struct.pack(">q", 30) + b'{"pool_count":999999999999999}',
            b"w" + struct.pack(">q", 15) + b'{"run_id":"zz"}',
            b"v" + struct.pack(">q", 2) + b"{}",
            # wire v2: magic cut, wrong, absurd lengths and flags
            b"FRP\0\2\r",
            b"FRP\0\3\r\n" + b"\0" * 40,
            b"FRP\0\2\r\n" + struct.pack(">HHI", 1, 0, 0xFFFFFFFF),
            b"FRP\0\2\r\n" + struct.pack(">HHI", 1, 0xFFFF, 2) + b"{}",
            b"FRP\0\2\r\n" + struct.pack(">HHI", 1, 0, len(hello)) + hello,
            b"FRP\0\2\r\n" + struct.pack(">HHI", 0xFFFF, 0, 0),
            b"FRP\0\2\r\n" + struct.pack(">HHIH", 16, 0, 4, 1) + b"{}",
            b"FRP\0\2\r\n" + struct.pack(">HHIH", 16, 0, 2, 0x4002),
            # yamux: types, versions, parity, data nobody asked for
            mux(9, 0, 0, 0),
            b"\1" + mux(0, 1, 1, 0)[1:],
            mux(WINDOW, SYN, 2, 0),
            mux(WINDOW, SYN, 0, 0),
            mux(DATA, SYN, 1, 0xFFFFFFFF) + b"x" * 5000,
            mux(WINDOW, SYN, 1, 0xFFFFFFFF) + mux(WINDOW, 0, 1, 0xFFFFFFFF),
            mux(WINDOW, SYN, 1, 0) * 2,
            mux(DATA, 0, 77, 10, b"x" * 10),
            mux(GO_AWAY, 0, 0, 0xFFFFFFFF),
            mux(WINDOW, 0xFFFF, 1, 0),
            mux(DATA, SYN | FIN | RST | ACK, 1, 0),
            # TLS: records that are none, a hello cut, 0x17 first
            b"\x16\x03\x01\xff\xff" + os.urandom(500),
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
            b"\x17\x16\x03\x01\x40\x00" + os.urandom(20000),
            b"\x17" * 100,
            b"\x16",
            # HTTP on every port
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000,
            b"GET " + b"/" * 200000,
            b"GET / HTTP/1.1\r\nX: " + b"y" * 200000,
            b"\r\n" * 50000,
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(3000),
            # PROXY headers, SOCKS, SSH
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + b"x" * 300,
            b"\r\n\r\n\0\r\nQUIT\n" + b"\xff" * 300,
            b"\5\1\0",
            b"SSH-2.0-x\r\n",
        ]
        ports = [self.scene.session_port, self.scene.http_port, port_of(self.addresses["echo"])]

        def one(index, port, frame, half_close):
            try:
                with connect(port, "127.0.1.%d" % (1 + index % 50)) as sock:
                    sock.sendall(frame)
                    if half_close:
                        sock.shutdown(socket.SHUT_WR)
                    sock.settimeout(0.3)
                    sock.recv(100)
            except OSError:
                pass

        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            jobs = [
                pool.submit(one, index, port, frame, half)
                for port in ports
                for half in (True, False)
                for index, frame in enumerate(frames)
            ]
            for job in jobs:
                job.result()
        # The same inside TLS.
        for index, frame in enumerate(frames):
            try:
                with connect(self.scene.session_port, "127.0.2.%d" % (1 + index)) as sock:
                    with client_context().wrap_socket(sock) as tls:
                        tls.sendall(frame)
                        tls.settimeout(0.05)
                        tls.recv(100)
            except OSError:
                pass
        with self.udp() as sock:
            for port in ports:
                for size in (0, 1, 100, 65507):
                    sock.sendto(os.urandom(size), ("127.0.0.1", port))

    @staticmethod
    def udp():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.3.1", 0))
        return sock

    def test_garbage_on_the_control_socket(self):
        path = str(self.scene.folder / "server" / "control.sock")
        for data in (
            b"",
            b"\n",
            b"\0" * 5000,
            os.urandom(4000) + b"\n",
            b"{" * 4000 + b"\n",
            b"x" * 100000,
            b'{"command":"explode"}\n',
            b'{"command":"status"}',
            b'{"command":["stop"]}\n',
            b"[" * 3000 + b"]" * 900 + b"\n",
        ):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(5)
                sock.connect(path)
                try:
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                    sock.recv(65536)
                except OSError:
                    pass
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(self.scene.status()["sessionPort"], self.scene.session_port)

    def test_one_address_cannot_take_every_place_of_strangers(self):
        waiting = []
        try:
            for _ in range(300):
                try:
                    waiting.append(connect(self.scene.session_port, "127.0.4.1", timeout=5))
                except OSError:
                    break
            time.sleep(0.3)
            open_ones = 0
            for sock in waiting:
                sock.setblocking(False)
                try:
                    open_ones += 1 if sock.recv(1) else 0
                except BlockingIOError:
                    open_ones += 1
                except OSError:
                    pass
            self.assertLessEqual(open_ones, 64)
            # Somebody else is let in meanwhile.
            self.member("neighbour", source="127.0.4.2")
        finally:
            for sock in waiting:
                sock.close()

    # yamux.

    def flood(self, name, peer, data, reads=True):
        begun = time.monotonic()
        if reads:
            received, _ = exchange(peer.sock, data, seconds=20)
        else:
            pour(peer.sock, data, seconds=5)
            received = 0
        peer.close()
        print("    %-44s %4.1f s, %d bytes back" % (name, time.monotonic() - begun, received))

    def syn_flood(self):
        return b"".join(mux(WINDOW, SYN, number, 0) for number in range(3, 2 * SYN_FLOOD + 3, 2))

    def test_yamux_floods_of_strangers(self):
        data = self.syn_flood()
        with connect(self.scene.session_port, "127.0.5.1") as sock:
            _, ended = exchange(sock, data, quiet=5)
            self.assertTrue(ended, "a stranger's flood goes on")
        peer = Device(self.server, source="127.0.5.2")
        _, ended = exchange(peer.sock, data, quiet=5)
        self.assertTrue(ended, "a stranger's flood inside TLS goes on")
        peer.close()
        # Streams that are opened and reset at once, and streams without a first frame, are bounded too.
        rapid = b"".join(mux(WINDOW, SYN, n, 0) + mux(WINDOW, RST, n, 0) for n in range(1, 200001, 2))
        for data in (rapid, mux(PING, SYN, 0, 7) * 300000, mux(DATA, SYN, 1, 0) + mux(DATA, 0, 1, 0) * 300000):
            with connect(self.scene.session_port, "127.0.5.3") as sock:
                pour(sock, data, seconds=3)

    def test_a_million_streams_of_a_member(self):
        data = self.syn_flood()
        peer, _ = self.member("flood-reads", source="127.0.5.7", invited=False)
        self.flood("a million SYN, answers read", peer, data)
        peer, _ = self.member("flood-deaf", source="127.0.5.8", invited=False)
        self.flood("a million SYN, answers not read", peer, data, reads=False)

    def test_yamux_abuse_of_a_member(self):
        some = range(3, 1003, 2)
        opened = b"".join(mux(WINDOW, SYN, n, 0) for n in range(3, 403, 2))
        abuses = {
            "open and reset, 50,000 times": b"".join(
                mux(WINDOW, SYN, n, 0) + mux(WINDOW, RST, n, 0) for n in range(3, 100003, 2)
            ),
            "empty data frames": mux(DATA, SYN, 3, 0) + mux(DATA, 0, 3, 0) * 300000,
            "empty window updates": mux(WINDOW, SYN, 3, 0) + mux(WINDOW, 0, 3, 0) * 300000,
            "windows that overflow": b"".join(mux(WINDOW, SYN, n, 0xFFFFFFFF) + mux(WINDOW, 0, n, 0xFFFFFFFF) for n in some),
            "more data than the window": mux(WINDOW, SYN, 3, 0) + mux(DATA, 0, 3, 0xFFFFFFFF) + b"x" * 1000000,
            "a window of data on every stream": opened
            + b"".join(mux(DATA, 0, n, 200000, b"o" + b"\x7f" * 199999) for n in range(3, 83, 2)),
            "a stream opened twice": mux(WINDOW, SYN, 3, 0) * 2,
            "frames for streams that never were": mux(DATA, 0, 999, 4, b"data"),
            "frames for streams that are gone": mux(WINDOW, SYN, 3, 0)
            + mux(WINDOW, RST, 3, 0)
            + mux(DATA, 0, 3, 4, b"data") * 100000,
            "a flood of pings": mux(PING, SYN, 0, 1) * 300000,
            "answers to pings that were never sent": mux(PING, ACK, 0, 99) * 300000,
            "a flood of go-away": mux(GO_AWAY, 0, 0, 0) * 300000,
            "an error in go-away": mux(GO_AWAY, 0, 0, 2),
            "streams of the server's parity": mux(WINDOW, SYN, 4, 0),
            "work connections in every stream": opened
            + b"".join(mux(DATA, 0, n, 24, b"w" + struct.pack(">q", 15) + b'{"run_id":"zz"}') for n in range(3, 403, 2)),
        }
        for index, (name, data) in enumerate(abuses.items()):
            peer, _ = self.member("abuse-%d" % index, source="127.0.5.%d" % (10 + index), invited=False)
            self.flood(name, peer, data)
        peer, _ = self.member("deaf-pings", source="127.0.5.9", invited=False)
        self.flood("a flood of pings, answers not read", peer, mux(PING, SYN, 0, 1) * 1000000, reads=False)

    # HTTP.

    def test_smuggling(self):
        host = host_of(self.addresses["web"])
        faults = smuggling.check(self.scene.http_port, host, self.web)
        self.assertEqual(faults, [], "\n".join(faults))

    def test_where_a_visitor_came_from_is_not_up_to_the_visitor(self):
        spoofed = [
            "X-Forwarded-For",
            "x-forwarded-for",
            "X_Forwarded_For",
            "X-Forwarded_For",
            "X-Forwarded-Proto",
            "X-Forwarded-Host",
            "X-Forwarded-Port",
            "X-Forwarded-Server",
            "X-Forwarded-Prefix",
            "Forwarded",
            "X-Real-IP",
            "X-Real_IP",
            "X-REAL-IP",
        ]
        lines = "".join("%s: 203.0.113.99\r\n%s: 203.0.113.98\r\n" % (name, name) for name in spoofed)
        host = host_of(self.addresses["web"])
        request = "POST /spoofed HTTP/1.1\r\nHost: %s\r\n%sTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" % (
            host,
            lines,
        )
        trailers = "".join("%s: 203.0.113.97\r\n" % name for name in spoofed)
        with connect(self.scene.http_port, "127.0.6.1") as sock:
            sock.sendall((request + "2\r\nhi\r\n0\r\n" + trailers + "\r\n").encode())
            reply = smuggling.read_reply(sock)
        self.assertTrue(reply.startswith(b"HTTP/1.1 200"), reply)
        head, body = self.web.find(b"/spoofed")
        self.assertNotIn(b"203.0.113.", head)
        self.assertNotIn(b"203.0.113.", body)
        fields = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line]
        values = {name.lower(): value for name, value in fields}
        self.assertEqual(len(values), len(fields), "a field came twice: %r" % head)
        self.assertEqual(values[b"x-forwarded-for"], b"127.0.6.1")
        self.assertEqual(values[b"x-real-ip"], b"127.0.6.1")
        self.assertEqual(values[b"x-forwarded-proto"], b"http")
        self.assertEqual(values[b"x-forwarded-host"].decode(), host)
        self.assertTrue(values[b"forwarded"].startswith(b"for=127.0.6.1"), values[b"forwarded"])

    def test_passwords_of_visitors_are_checked_for_every_request(self):
        host = host_of(self.addresses["guarded"])
        right = "Authorization: Basic bWU6c2VjcmV0\r\n"
        wrong = [
            "",
            "Authorization: Basic bWU6d3Jvbmc=\r\n",
            "Authorization: Basic\r\n",
            "Authorization: Basic !!!!\r\n",
            "Authorization: Bearer bWU6c2VjcmV0\r\n",
            "Proxy-Authorization: Basic bWU6c2VjcmV0\r\n",
            right + "Authorization: Basic eDp5\r\n",
            "Authorization: Basic bWU6c2VjcmV0AA==\r\n",
            "Authorization_: Basic bWU6c2VjcmV0\r\n",
        ]
        for index, field in enumerate(wrong):
            path = "/guarded-%d" % index
            with connect(self.scene.http_port, "127.0.6.2") as sock:
                request = "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n"
                # A right request on the same connection first: nothing of it may count for the next.
                sock.sendall((request % ("/allowed", host, right)).encode())
                self.assertTrue(smuggling.read_reply(sock).startswith(b"HTTP/1.1 200"))
                sock.sendall((request % (path, host, field)).encode())
                reply = smuggling.read_reply(sock)
            self.assertIn(reply[9:12], (b"401", b"400"), field)
            self.assertIsNone(self.web.find(path.encode()), field)

    # Credentials.

    def test_a_login_is_worth_nothing_elsewhere(self):
        peer, _ = self.member("replayed")
        body, hello = peer.last_login, peer.client_hello
        # The same bytes on another connection, with its own hello and with the recorded one.
        for recorded in (None, hello):
            with Device(self.server, key=peer.key, source="127.0.7.1") as thief:
                thief.hello(recorded)
                answer = thief.login(body)
                self.assertIn("error", answer)
        # A right signature over another fingerprint: what a machine in the middle would bring.
        with Device(self.server, key=peer.key, source="127.0.7.1") as thief:
            thief.hello()
            thief.fingerprint = os.urandom(32)
            self.assertIn("error", thief.login(name="replayed"))
        # Somebody else's key without its secret.
        with Device(self.server, source="127.0.7.1") as thief:
            mine, thief.key = thief.key, peer.key
            thief.hello()
            signature = mine.sign(thief.proof(b"adit device login v1"))
            self.assertIn("error", thief.login(signature=signature))
        # A login without any right to be here.
        with Device(self.server, source="127.0.7.1") as stranger:
            stranger.hello()
            self.assertIn("error", stranger.login(name="stranger"))
        # And the right key still works.
        with Device(self.server, key=peer.key, source="127.0.7.2") as again:
            again.hello()
            self.assertNotIn("error", again.login(name="replayed"))

    def test_guessing_is_limited_and_locks_out_no_member(self):
        member, _ = self.member("behind-the-same-address", source="127.0.7.3")
        answered, refused, limited = 0, 0, 0

        def guess(index):
            try:
                with Device(self.server, source="127.0.7.3", timeout=15) as peer:
                    peer.hello()
                    secret = {"invite": os.urandom(8)} if index % 2 else {"token": os.urandom(8)}
                    return peer.login(name="guess", **secret)["adit"]["error"]["code"]
            except (OSError, KeyError):
                return 0

        begun = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            codes = list(pool.map(guess, range(160)))
        decided = sum(1 for code in codes if 100 <= code < 200)
        print("    %d guesses in %.1f s: %d were looked at" % (len(codes), time.monotonic() - begun, decided))
        self.assertLess(decided, 80)
        self.assertNotIn(0, [code for code in codes[-20:] if code >= 900])
        with Device(self.server, key=member.key, source="127.0.7.3") as again:
            again.hello()
            answer = again.login(name="behind-the-same-address")
            self.assertNotIn("error", answer, "a member is locked out by its neighbour's guesses: %r" % answer)
        self.assertTrue(any("login refused" in line for line in self.scene.server.lines), "guesses are logged")

    def test_many_logins_on_one_connection_are_one(self):
        with Device(self.server, source="127.0.7.4") as peer:
            hello = peer.hello
            hello()
            self.assertIn("error", peer.login(invite=os.urandom(8)))
            time.sleep(0.1)
            # The connection that brought a wrong secret is over.
            self.assertTrue(is_closed(peer.sock, 10))

    def test_an_invite_races(self):
        secret = invite_secret(self.scene.invite())
        peers = [Device(self.server, source="127.0.8.%d" % (index + 1)) for index in range(12)]
        for peer in peers:
            self.addCleanup(peer.close)
            peer.hello()
        bodies = [peer.login_body(invite=secret, name="racer") for peer in peers]
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda pair: pair[0].login(pair[1]), zip(peers, bodies)))
        self.assertEqual(sum("error" not in answer for answer in answers), 1, answers)

    def test_names_ports_and_runs_belong_to_their_device(self):
        laptop_port = port_of(self.addresses["echo"])
        thief, _ = self.member("thief")
        answer = thief.open_proxy("steal-web", kind="http", name="web")
        self.assertEqual(answer["adit"]["error"]["code"], 302, answer)
        answer = thief.open_proxy("steal-port", port=laptop_port)
        self.assertIn("error", answer)
        for name in ("WEB", "web.", "web\0", "web ", "wеb", "../web", "web.localhost", "a" * 300, "-web", "*", "", "www"):
            answer = thief.open_proxy("odd", kind="http", name=name)
            if "error" not in answer:
                self.assertNotEqual(answer["adit"]["name"], "web")
                thief.send_message(5, b'{"proxy_name":"odd"}')
        for domain in ("web.localhost", "WEB.LOCALHOST", "*.localhost", "localhost", "web.localhost."):
            thief.send_message(
                3,
                b'{"proxy_name":"domain","proxy_type":"http","custom_domains":["%s"],"adit":{"target":"localhost:1"}}'
                % domain.encode(),
            )
            answer = thief.read_message(4)
            self.assertIn("error", answer, domain)
        for port in (-1, 65536, 1, self.scene.session_port, self.scene.http_port):
            self.assertIn("error", thief.open_proxy("port-%d" % port, port=port))
        # Two devices claim one name and one port at once.
        one, _ = self.member("racer-one")
        two, _ = self.member("racer-two")
        for attempt in range(5):
            for kind, fields in (("http", {"name": "raced-%d" % attempt}), ("tcp", {"port": 20900 + attempt})):
                with concurrent.futures.ThreadPoolExecutor(2) as pool:
                    jobs = [
                        pool.submit(peer.open_proxy, "%s-%d" % (kind, attempt), kind=kind, **fields) for peer in (one, two)
                    ]
                answers = [job.result() for job in jobs]
                self.assertEqual(sum("error" not in answer for answer in answers), 1, answers)
        # A run id is a name, not a key: whoever knows it gets neither the session nor its work.
        _, victim = self.member("victim")
        with Device(self.server, source="127.0.9.1") as thief:
            thief.hello()
            answer = thief.login(invite=invite_secret(self.scene.invite()), name="run-thief", run_id=victim["run_id"])
            self.assertIn("error", answer)

    def test_a_stranger_cannot_feed_a_visitor(self):
        # A work connection for the run id of an Adit session, whose device never opens one.
        _, victim = self.member("fed")
        body = b'{"run_id":"%s"}' % victim["run_id"].encode()
        with connect(self.scene.session_port, "127.0.9.2") as sock:
            with client_context().wrap_socket(sock) as tls:
                tls.sendall(b"w" + struct.pack(">q", len(body)) + body)
                tls.settimeout(2)
                try:
                    data = tls.recv(1000)
                except (TimeoutError, ssl.SSLError):
                    data = b"nothing"
                self.assertNotIn(b'"src_addr"', data)

    def test_a_server_that_asks_for_certificates_lets_in_nobody_without(self):
        folder = self.scene.folder / "certificates"
        folder.mkdir()
        ours, others = Authority(folder, "ours"), Authority(folder, "others")
        server, right = ours.issue("server"), ours.issue("right")
        foreign, expired = others.issue("foreign"), ours.issue("expired", days=-1)
        port, remote = free_ports(2)
        (folder / "frps.toml").write_text(
            'bindAddr = "127.0.0.1"\nbindPort = %d\nauth.token = "t"\n[transport.tls]\ncertFile = "%s"\nkeyFile = "%s"\n'
            'trustedCaFile = "%s"\n' % (port, *server, ours.path)
        )
        self.scene.run("frps", "frps", "-c", str(folder / "frps.toml")).wait_for("frps started successfully")

        def logs_in(pair=None, tls=True):
            def context():
                made = client_context()
                if pair:
                    made.load_cert_chain(*map(str, pair))
                return made

            with unittest.mock.patch.object(frpc.links, "client_context", context):
                try:
                    frpc.Client(("127.0.0.1", port), b"t", "v2", tls=tls).close()
                    return True
                except (OSError, ConnectionError):
                    return False

        self.assertTrue(logs_in(right))
        for pair in (None, foreign, expired):
            self.assertFalse(logs_in(pair), pair)
        self.assertFalse(logs_in(tls=False))

        # frpc of Adit's own shows its certificate, and does not talk to a server of another authority.
        def runs(name, pair, authority, word):
            (folder / (name + ".toml")).write_text(
                'serverAddr = "127.0.0.1"\nserverPort = %d\nauth.token = "t"\nloginFailExit = true\n[transport.tls]\n'
                'certFile = "%s"\nkeyFile = "%s"\ntrustedCaFile = "%s"\nserverName = "localhost"\n'
                '[[proxies]]\nname = "%s"\ntype = "tcp"\nlocalPort = %d\nremotePort = %d\n'
                % (port, *pair, authority.path, name, self.echo.port, remote)
            )
            program = self.scene.run(name, "frpc", "-c", str(folder / (name + ".toml")))
            program.wait_for(word)
            return program

        good = runs("good", right, ours, "start proxy success")
        self.assertEqual(runs("bad", foreign, ours, "login").process.wait(20), 1)
        self.assertEqual(runs("doubtful", right, others, "login").process.wait(20), 1)
        with connect(remote, "127.0.0.1") as sock:
            sock.sendall(b"through TLS both ways")
            self.assertEqual(sock.recv(100), b"through TLS both ways")
        good.stop()

    # Files.

    def test_files_that_are_broken_in_every_way(self):
        count, faults = check_files(ADIT, self.scene.folder)
        print("    %d files" % count)
        self.assertEqual(faults, [], "\n".join(faults))

    def test_zz_slow_heads_end(self):
        """The connections that began with the first attack; the name keeps this the last."""
        deadline = self.begun + 45
        while self.slow.open_count and time.monotonic() < deadline:
            time.sleep(0.2)
        self.assertEqual(
            self.slow.open_count, 0, "slow heads are still waited for after %d s" % (time.monotonic() - self.begun)
        )


if __name__ == "__main__":
    if not ADIT:
        sys.exit("set ADIT to the binary")
    unittest.main(verbosity=1)
