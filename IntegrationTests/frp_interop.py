#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Adit's frp roles against the independent peers, in every combination of wire, TLS, mux and transforms.

The environment variable ADIT names the binary. Nothing leaves 127.0.0.1 and no port is fixed.
"""

import itertools
import json
import pathlib
import random
import socket
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

import datagrams  # noqa: E402
import frpc  # noqa: E402
import frps  # noqa: E402
from program import ADIT, Program, free_ports  # noqa: E402
from traffic import EchoService, PageService, echo_round_trip, fetch, mixed_bytes  # noqa: E402

TOKEN = "a token with spaces and 中文"
MEGABYTE = 1 << 20
COMBINATIONS = list(itertools.product(("v1", "v2"), (True, False), (True, False), (True, False)))
ECHO, PAGE = EchoService(), PageService()


class Files(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)


class AditAsServer(Files):
    """`adit frps` and the Python client."""

    numbers = itertools.count()

    def start(self, mux, more=""):
        bind, http = free_ports(2)
        path = self.write(
            "frps.toml",
            "bindAddr = '127.0.0.1'\nbindPort = %d\nvhostHTTPPort = %d\nauth.token = %s\ntransport.tcpMux = %s\n%s"
            % (bind, http, json.dumps(TOKEN, ensure_ascii=False), str(mux).lower(), more),
        )
        program = Program("frps", "-c", path)
        self.addCleanup(program.stop)
        program.wait_for_port(bind)
        return program, bind, http

    def check(self, bind, http, wire, tls, mux, transforms, first_byte=False, algorithms=None):
        # Each has names of its own: the server may see the last one's end a moment later.
        user = "me%d" % next(self.numbers)
        client = frpc.Client(
            ("127.0.0.1", bind), TOKEN.encode(), wire, tls, first_byte, mux, user=user, algorithms=algorithms
        )
        try:
            address = client.add_proxy("echo", "tcp", ECHO.address, transforms, transforms)
            port = int(address.rsplit(":", 1)[1])
            echo_round_trip(("127.0.0.1", port), MEGABYTE)
            domain = "demo-%s.test" % client.run_id[:8].lower()
            client.add_proxy("web", "http", PAGE.address, transforms, transforms, custom_domains=[domain])
            self.assertEqual(fetch(http, domain), (200, PAGE.body))
            self.assertEqual(fetch(http, "nobody.test")[0], 404)
            self.assertTrue(client.ping())
            if mux:
                self.assertTrue(client.session.ping())
            self.assertIsNone(client.error)
            self.assertIsNone(client.session.error if client.session else None)
        finally:
            client.close()

    def test_every_combination(self):
        for mux in (True, False):
            program, bind, http = self.start(mux)
            for wire, tls, transforms in itertools.product(("v1", "v2"), (True, False), (True, False)):
                with self.subTest(wire=wire, tls=tls, mux=mux, transforms=transforms):
                    self.check(bind, http, wire, tls, mux, transforms)
            with self.subTest(first_byte=True, mux=mux):
                self.check(bind, http, "v1", True, mux, False, first_byte=True)
            with self.subTest(algorithm="xchacha20-poly1305", mux=mux):
                self.check(bind, http, "v2", True, mux, False, algorithms=["xchacha20-poly1305"])
            self.assertEqual(program.stop(), 0)

    def test_plain_connections_are_spliced(self):
        program, bind, _ = self.start(False, "log.level = 'debug'\n")
        for wire in ("v1", "v2"):
            client = frpc.Client(("127.0.0.1", bind), TOKEN.encode(), wire, False, False, False, user=wire)
            address = client.add_proxy("plain", "tcp", ECHO.address)
            echo_round_trip(("127.0.0.1", int(address.rsplit(":", 1)[1])), 8 * MEGABYTE)
            program.wait_for("a visitor is spliced")
            self.assertEqual(program.count("a visitor is spliced"), 1 if wire == "v1" else 2)
            # What has to be changed on its way cannot be spliced.
            address = client.add_proxy("sealed", "tcp", ECHO.address, True, True)
            echo_round_trip(("127.0.0.1", int(address.rsplit(":", 1)[1])), MEGABYTE)
            self.assertIsNone(client.error)
            client.close()
        self.assertEqual(program.count("a visitor is spliced"), 2)
        self.assertEqual(program.stop(), 0)

    def test_udp_in_every_combination(self):
        service = datagrams.EchoDatagrams()
        for mux in (True, False):
            program, bind, _ = self.start(mux)
            for wire, tls, transforms in itertools.product(("v1", "v2"), (True, False), (True, False)):
                with self.subTest(wire=wire, tls=tls, mux=mux, transforms=transforms):
                    client = frpc.Client(("127.0.0.1", bind), TOKEN.encode(), wire, tls, False, mux, user="me")
                    address = client.add_proxy("dns", "udp", service.address, transforms, transforms)
                    port = int(address.rsplit(":", 1)[1])
                    for size in (0, 1, 1200, 1500, 7000, 40000):
                        if size <= 7000 or wire == "v2":
                            datagrams.ask(port, mixed_bytes(size))
                    # One that no frame has room for is lost, and nothing else is.
                    with datagrams.udp_socket() as sock:
                        sock.sendto(bytes(9000 if wire == "v1" else 60000), ("127.0.0.1", port))
                    datagrams.ask(port, b"still there")
                    with datagrams.udp_socket() as first, datagrams.udp_socket() as second:
                        datagrams.ask(port, b"first", sock=first)
                        datagrams.ask(port, b"second", sock=second)
                    self.assertIsNone(client.error)
                    self.assertIsNone(client.session.error if client.session else None)
                    client.close()
            self.assertEqual(program.stop(), 0)
        service.close()

    def test_a_wrong_token_is_refused(self):
        _, bind, _ = self.start(True)
        for wire in ("v1", "v2"):
            with self.assertRaises(frpc.Refused):
                frpc.Client(("127.0.0.1", bind), b"a guess", wire)

    def test_a_returning_client_takes_its_port_back(self):
        _, bind, _ = self.start(True)
        first = frpc.Client(("127.0.0.1", bind), TOKEN.encode(), "v1")
        address = first.add_proxy("echo", "tcp", ECHO.address)
        port = int(address.rsplit(":", 1)[1])
        second = frpc.Client(("127.0.0.1", bind), TOKEN.encode(), "v1", run_id=first.run_id)
        self.assertEqual(second.run_id, first.run_id)
        self.assertTrue(first.closed.wait(10))
        again = second.add_proxy("echo", "tcp", ECHO.address, remote_port=port)
        self.assertEqual(int(again.rsplit(":", 1)[1]), port)
        echo_round_trip(("127.0.0.1", port), MEGABYTE)
        second.close()

    def test_a_proxy_name_in_use_is_refused(self):
        _, bind, _ = self.start(True)
        first = frpc.Client(("127.0.0.1", bind), TOKEN.encode(), "v1")
        first.add_proxy("echo", "tcp", ECHO.address)
        second = frpc.Client(("127.0.0.1", bind), TOKEN.encode(), "v2")
        with self.assertRaises(frpc.Refused):
            second.add_proxy("echo", "tcp", ECHO.address)
        first.close()
        second.close()

    def test_random_bytes_disturb_nobody(self):
        import random
        program, bind, http = self.start(True)
        client = frpc.Client(("127.0.0.1", bind), TOKEN.encode(), "v2")
        address = client.add_proxy("echo", "tcp", ECHO.address)
        generator = random.Random(7)
        starts = [b"", b"o", b"w", b"FRP\0\2\r\n", b"\0\0\0\1\0\0\0\1", b"\x16\x03\x01", b"\x17", b"GET "]
        for port in (bind, http):
            for number in range(64):
                with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                    try:
                        sock.sendall(starts[number % len(starts)] + generator.randbytes(generator.randrange(4000)))
                    except OSError:
                        pass
        echo_round_trip(("127.0.0.1", int(address.rsplit(":", 1)[1])), MEGABYTE)
        self.assertFalse(program.ended)
        client.close()


class AditAsClient(Files):
    """`adit frpc` and the Python server."""

    def test_every_combination(self):
        for wire, tls, mux, transforms in COMBINATIONS:
            with self.subTest(wire=wire, tls=tls, mux=mux, transforms=transforms):
                self.check(wire, tls, mux, transforms)

    def test_plain_connections_are_spliced(self):
        # The round trip of the visitor and the page that the server itself fetches.
        program = self.check("v1", False, False, False, "log.level = 'debug'\n")
        self.assertEqual(program.count("a visitor is spliced"), 2)
        program = self.check("v2", False, False, True, "log.level = 'debug'\n")
        self.assertEqual(program.count("a visitor is spliced"), 0)

    def test_udp_in_every_combination(self):
        service = datagrams.EchoDatagrams()
        for wire, tls, mux, transforms in COMBINATIONS:
            with self.subTest(wire=wire, tls=tls, mux=mux, transforms=transforms):
                self.check_udp(service, wire, tls, mux, transforms)
        service.close()

    def check_udp(self, service, wire, tls, mux, transforms):
        server = frps.Server(TOKEN.encode(), mux)
        path = self.write(
            "frpc-udp.toml",
            "serverAddr = '127.0.0.1'\nserverPort = %d\nauth.token = %s\n"
            "transport.wireProtocol = '%s'\ntransport.tls.enable = %s\ntransport.tcpMux = %s\n"
            "[[proxies]]\nname = 'dns'\ntype = 'udp'\nlocalIP = '127.0.0.1'\nlocalPort = %d\nremotePort = 0\n"
            "transport.useEncryption = %s\ntransport.useCompression = %s\n"
            % (
                server.port,
                json.dumps(TOKEN, ensure_ascii=False),
                wire,
                str(tls).lower(),
                str(mux).lower(),
                service.address[1],
                str(transforms).lower(),
                str(transforms).lower(),
            ),
        )
        program = Program("frpc", "-c", path)
        try:
            program.wait_for("[dns] start proxy success")
            side = server.last_login.datagrams["dns"]
            for size in (0, 1, 1200, 1500, 7000, 40000):
                if size <= 7000 or wire == "v2":
                    datagrams.ask(side.port, mixed_bytes(size))
            with datagrams.udp_socket() as first, datagrams.udp_socket() as second:
                datagrams.ask(side.port, b"first", sock=first)
                datagrams.ask(side.port, b"second", sock=second)
            # The service sees each visitor by a port of its own.
            self.assertGreaterEqual(len(service.senders), 2)
            self.assertEqual(side.faults, [])
            self.assertEqual(server.faults(), [])
            self.assertEqual(program.stop(), 0)
        finally:
            program.stop()
            server.close()

    def test_the_custom_first_byte(self):
        self.check("v1", True, True, False, "transport.tls.disableCustomTLSFirstByte = false\n", first_byte=True)

    def check(self, wire, tls, mux, transforms, more="", first_byte=False):
        server = frps.Server(TOKEN.encode(), mux)
        proxy = "transport.useEncryption = %s\ntransport.useCompression = %s\n" % ((str(transforms).lower(),) * 2)
        path = self.write(
            "frpc-%s-%s-%s-%s.toml" % (wire, tls, mux, transforms),
            "user = 'me'\nserverAddr = '127.0.0.1'\nserverPort = %d\nauth.token = %s\n"
            "transport.wireProtocol = '%s'\ntransport.tls.enable = %s\ntransport.tcpMux = %s\n%s"
            "[[proxies]]\nname = 'echo'\ntype = 'tcp'\nlocalIP = '127.0.0.1'\nlocalPort = %d\nremotePort = 0\n%s"
            "[[proxies]]\nname = 'web'\ntype = 'http'\nlocalIP = '127.0.0.1'\nlocalPort = %d\ncustomDomains = ['demo.test']\n%s"
            % (
                server.port,
                json.dumps(TOKEN, ensure_ascii=False),
                wire,
                str(tls).lower(),
                str(mux).lower(),
                more,
                ECHO.address[1],
                proxy,
                PAGE.address[1],
                proxy,
            ),
        )
        program = Program("frpc", "-c", path)
        try:
            program.wait_for("login to server success")
            program.wait_for("[echo] start proxy success")
            program.wait_for("[web] start proxy success")
            login = server.last_login
            self.assertEqual((login.wire, server.saw_tls), (wire, tls))
            self.assertEqual(server.saw_first_byte, first_byte)
            port = login.listeners["me.echo"].getsockname()[1]
            echo_round_trip(("127.0.0.1", port), MEGABYTE)
            self.assertEqual(fetch(server.http_port, "demo.test"), (200, PAGE.body))
            if mux:
                self.assertTrue(server.sessions[0].ping())
            else:
                deadline = time.monotonic() + 5
                while login.pings == 0 and time.monotonic() < deadline:
                    time.sleep(0.02)
                self.assertGreater(login.pings, 0)
            self.assertEqual(server.faults(), [])
            self.assertEqual(program.stop(), 0)
            return program
        finally:
            program.stop()
            server.close()

    def test_a_refused_first_login_ends_with_status_1(self):
        server = frps.Server(b"another token")
        path = self.write("frpc.toml", "serverAddr = '127.0.0.1'\nserverPort = %d\nauth.token = 'x'\n" % server.port)
        program = Program("frpc", "-c", path)
        self.assertEqual(program.process.wait(20), 1)
        server.close()

    def test_it_comes_back_when_the_server_does(self):
        server = frps.Server(b"t")
        port = server.port
        path = self.write(
            "frpc.toml",
            "serverAddr = '127.0.0.1'\nserverPort = %d\nauth.token = 't'\nloginFailExit = false\n"
            "[[proxies]]\nname = 'echo'\ntype = 'tcp'\nlocalPort = %d\n" % (port, ECHO.address[1]),
        )
        program = Program("frpc", "-c", path)
        try:
            program.wait_for("[echo] start proxy success")
            server.close()
            server = frps.Server(b"t", port=port)
            self.assertTrue(server.logged_in.wait(30))
            deadline = time.monotonic() + 10
            while "echo" not in server.last_login.listeners and time.monotonic() < deadline:
                time.sleep(0.02)
            echo_round_trip(("127.0.0.1", server.last_login.listeners["echo"].getsockname()[1]), MEGABYTE)
        finally:
            program.stop()
            server.close()


if __name__ == "__main__":
    if not ADIT:
        sys.exit("set ADIT to the adit binary, e.g. ADIT=.build/debug/adit")
    unittest.main(verbosity=2)
