#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The STUN server inside `adit server`, asked by coturn's and stun-client's programs and by a client of a few lines.

The environment variable ADIT names the binary. Nothing leaves loopback and no port is fixed.
"""

import json
import os
import pathlib
import random
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

import stun_client as stun  # noqa: E402
from authorities import Authority  # noqa: E402
from program import ADIT, Program, free_ports  # noqa: E402
from scene import facts  # noqa: E402

FIRST, SECOND = "127.0.0.2", "127.0.0.3"


class Client:
    """A UDP socket that asks; each has an address of its own unless told otherwise, so that no limit is shared."""

    count = 0

    def __init__(self, source=None, family=socket.AF_INET):
        if source is None:
            Client.count += 1
            source = "127.1.%d.%d" % divmod(Client.count, 250)
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((source, 0))
        self.socket.settimeout(5)

    @property
    def name(self):
        return self.socket.getsockname()[:2]

    def ask(self, server, *attributes, **options):
        """The response, and where it came from."""
        message, transaction = stun.request(*attributes, **options)
        self.socket.sendto(message, server)
        data, source = self.socket.recvfrom(65536)
        return stun.Response(data, transaction), source[:2]

    def ask_patiently(self, server):
        """Asks as a client does, again after half a second (RFC 8489 section 6.2.1); how long it took."""
        begun = time.monotonic()
        message, transaction = stun.request()
        self.socket.settimeout(0.5)
        for _ in range(7):
            self.socket.sendto(message, server)
            try:
                assert stun.Response(self.socket.recv(2048), transaction).is_success
                return time.monotonic() - begun
            except TimeoutError:
                pass
        raise AssertionError("no answer to seven requests")

    def is_ignored(self, server, message):
        """Whether nothing answers; a request behind it shows that the server was there."""
        self.socket.sendto(message, server)
        _, source = self.ask(server)
        return source == server[:2]

    def close(self):
        self.socket.close()


class StunTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def environment(self, name="server"):
        home = self.folder / name
        home.mkdir(mode=0o700, exist_ok=True)
        environment = dict(os.environ, ADIT_HOME=str(home), LC_ALL="C.UTF-8")
        environment.pop("LANG", None)
        return environment

    def start(self, *arguments, listen="127.0.0.1", port=0):
        """A server whose ports are in `self.port`, `self.alternate` and `self.tls`."""
        self.session_port, http_port = free_ports(2)
        ports = ["--stun-port", port, "--stun-tls-port", 0] if port is not None else []
        if port == 0:
            ports += ["--stun-alternate-port", 0]
        program = Program(
            "server", "--listen", listen, "--port", str(self.session_port), "--http-port", str(http_port),
            *(str(each) for each in ports), *arguments, env=self.environment()
        )
        self.addCleanup(program.stop)
        program.wait_for("the server runs")
        figures = self.figures()
        if figures:
            self.port, self.alternate, self.tls = figures["port"], figures.get("alternatePort"), figures.get("tlsPort")
        return program

    def start_pair(self, *arguments):
        return self.start("--stun-address", FIRST, "--stun-address", SECOND, *arguments)

    def adit(self, *arguments, name="server"):
        done = subprocess.run(
            [ADIT, *arguments], env=self.environment(name), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def figures(self):
        return json.loads(self.adit("server", "status", "--json")).get("stun")

    def client(self, *arguments, **options):
        client = Client(*arguments, **options)
        self.addCleanup(client.close)
        return client

    def run_tool(self, *order):
        done = subprocess.run(order, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    # Programs of others.

    def test_turnutils_stunclient_learns_its_address(self):
        self.start_pair()
        status, text = self.run_tool("turnutils_stunclient", "-p", str(self.port), "-L", "127.0.2.1", FIRST)
        self.assertEqual(status, 0, text)
        self.assertRegex(text, r"UDP reflexive addr: 127\.0\.2\.1:\d+")
        status, text = self.run_tool("turnutils_stunclient", "-f", "-p", str(self.port), "-L", "127.0.2.2", FIRST)
        self.assertEqual(status, 0, text)
        self.assertIn("RFC 5780 response 1", text)
        self.assertIn("Other addr: : %s:%d" % (SECOND, self.alternate), text)
        self.assertNotIn("ERROR", text)

    def test_turnutils_natdiscovery_finds_no_nat(self):
        self.start_pair()
        order = ["turnutils_natdiscovery", "-m", "-f", "-p", str(self.port), "-L", "127.0.2.3", FIRST]
        status, text = self.run_tool(*order)
        self.assertEqual(status, 0, text)
        self.assertIn("No NAT! (Endpoint Independent Mapping)", text)
        self.assertIn("Endpoint Independent Filtering", text)
        status, text = self.run_tool(*order[:1], "-P", *order[1:])
        self.assertIn("No NAT! (Endpoint Independent Mapping)", text)

    def test_the_stun_client_says_open(self):
        self.start_pair()
        _, text = self.run_tool("stun", "%s:%d" % (FIRST, self.port))
        self.assertRegex(text, r"Primary: Open")

    # The client of a few lines.

    def test_a_request_is_answered_with_every_field(self):
        self.start_pair()
        client = self.client()
        response, source = client.ask((FIRST, self.port), stun.attribute(stun.SOFTWARE, b"x" * 90), fingerprint=True)
        self.assertTrue(response.is_success)
        self.assertEqual(source, (FIRST, self.port))
        self.assertEqual(response[stun.XOR_MAPPED], client.name)
        self.assertEqual(response[stun.MAPPED], client.name)
        self.assertEqual(response[stun.ORIGIN], (FIRST, self.port))
        self.assertEqual(response[stun.OTHER], (SECOND, self.alternate))
        self.assertIn(b"Adit", response[stun.SOFTWARE])
        self.assertIn(stun.FINGERPRINT, response.attributes)
        response, source = client.ask((SECOND, self.alternate))
        self.assertEqual(source, (SECOND, self.alternate))
        self.assertEqual(response[stun.OTHER], (FIRST, self.port))

    def test_the_answer_comes_from_where_it_is_wanted(self):
        self.start_pair()
        client = self.client()
        addresses, ports = (FIRST, SECOND), (self.port, self.alternate)
        for flags in range(0, 8, 2):
            for address in (0, 1):
                for port in (0, 1):
                    response, source = client.ask((addresses[address], ports[port]), stun.change(flags))
                    wanted = addresses[address ^ flags >> 2], ports[port ^ flags >> 1 & 1]
                    self.assertEqual(source, wanted)
                    self.assertEqual(response[stun.XOR_MAPPED], client.name)
        response, _ = self.client().ask((FIRST, self.port), stun.change(6), stun.attribute(stun.SOFTWARE, b"x" * 60))
        self.assertEqual(response[stun.ORIGIN], (SECOND, self.alternate))

    def test_one_address_has_a_second_port_alone(self):
        self.start()
        client = self.client()
        response, source = client.ask(("127.0.0.1", self.port), stun.change(stun.CHANGE_PORT))
        self.assertEqual(source, ("127.0.0.1", self.alternate))
        self.assertIsNone(response.get(stun.OTHER))
        response, _ = client.ask(("127.0.0.1", self.port))
        self.assertEqual(response[stun.ALTERNATE_PORT], self.alternate)
        response, source = client.ask(("127.0.0.1", self.port), stun.change(stun.CHANGE_ADDRESS))
        self.assertEqual(response.kind, 0x0111)
        self.assertEqual(response[stun.ERROR][0], 420)
        self.assertEqual(response[stun.UNKNOWN][:1], [stun.CHANGE])
        self.assertEqual(source, ("127.0.0.1", self.port))

    def test_every_address_of_the_machine_answers_as_itself(self):
        self.start(listen="0.0.0.0")
        for address in ("127.0.0.1", "127.0.0.9"):
            response, source = self.client().ask((address, self.port), stun.attribute(stun.SOFTWARE, b"x" * 60))
            self.assertEqual(source, (address, self.port))
            self.assertEqual(response[stun.ORIGIN], (address, self.port))
        client = self.client("::1", family=socket.AF_INET6)
        response, source = client.ask(("::1", self.port), stun.attribute(stun.SOFTWARE, b"x" * 100))
        self.assertEqual(source, ("::1", self.port))
        self.assertEqual(response[stun.XOR_MAPPED], client.name)
        self.assertEqual(response[stun.ORIGIN], ("::1", self.port))
        self.assertEqual(response[stun.ALTERNATE_PORT], self.alternate)
        response, source = client.ask(("::1", self.port), stun.change(stun.CHANGE_PORT))
        self.assertEqual(source, ("::1", self.alternate))

    def test_addresses_behind_a_one_to_one_nat_are_announced_as_they_are_outside(self):
        self.start("--stun-address", "203.0.113.5/" + FIRST, "--stun-address", "203.0.113.6/" + SECOND)
        response, source = self.client().ask((FIRST, self.port), stun.change(2), stun.attribute(stun.SOFTWARE, b"x" * 40))
        self.assertEqual(source, (FIRST, self.alternate))
        self.assertEqual(response[stun.ORIGIN], ("203.0.113.5", self.alternate))
        self.assertEqual(response[stun.OTHER], ("203.0.113.6", self.alternate))

    def test_an_answer_goes_to_another_port_of_its_asker_alone(self):
        self.start_pair()
        client, other = self.client("127.0.3.1"), self.client("127.0.3.1")
        message, transaction = stun.request(stun.attribute(stun.RESPONSE_PORT, struct.pack("!HH", other.name[1], 0)))
        client.socket.sendto(message, (FIRST, self.port))
        data, source = other.socket.recvfrom(2048)
        self.assertEqual(stun.Response(data, transaction)[stun.XOR_MAPPED], client.name)
        self.assertEqual(source, (FIRST, self.port))
        response, _ = client.ask(
            (FIRST, self.port), stun.attribute(stun.RESPONSE_PORT, struct.pack("!HH", other.name[1], 0)),
            stun.attribute(stun.PADDING, bytes(400))
        )
        self.assertEqual(response[stun.ERROR][0], 400)

    def test_padding_comes_back_and_never_grows(self):
        self.start_pair()
        for size in (0, 64, 500, 1400, 1800):
            client = self.client()
            message, transaction = stun.request(stun.attribute(stun.PADDING, bytes(size)))
            client.socket.sendto(message, (FIRST, self.port))
            response = stun.Response(client.socket.recv(4096), transaction)
            self.assertIn(stun.XOR_MAPPED, response.attributes)
            if size >= 64:
                self.assertIn(stun.PADDING, response.attributes)
                self.assertLessEqual(response.size, len(message))

    def test_a_client_of_rfc_3489_is_answered_in_kind(self):
        self.start_pair()
        client = self.client()
        response, source = client.ask((FIRST, self.port), stun.change(0), classic=True)
        self.assertEqual(response[stun.MAPPED], client.name)
        self.assertEqual(response[stun.CHANGED], (SECOND, self.alternate))
        self.assertEqual(response[stun.SOURCE], (FIRST, self.port))
        self.assertIsNone(response.get(stun.XOR_MAPPED))
        _, source = client.ask((FIRST, self.port), stun.change(6), classic=True)
        self.assertEqual(source, (SECOND, self.alternate))

    def test_what_is_no_request_is_not_answered(self):
        self.start_pair("--no-turn")
        client = self.client()
        good, _ = stun.request()
        wrong = [b"", b"\0", good[:19], good + b"\0", good[:2] + b"\0\4" + good[4:], os.urandom(20), b"\xff" * 100]
        wrong += [stun.request(kind=kind)[0] for kind in (0x0011, 0x0101, 0x0111, 0x0003, 0x0802)]
        wrong += [stun.request(stun.attribute(0x8000))[0][:-1]]
        broken = bytearray(stun.request(fingerprint=True)[0])
        broken[-1] ^= 1
        wrong += [bytes(broken), b"\0\1\0\4" + good[4:] + b"\x80\0\0\x10", os.urandom(2048), os.urandom(9000)]
        for each in wrong:
            self.assertTrue(client.is_ignored((FIRST, self.port), each), each[:40].hex())
        figures = self.figures()
        self.assertEqual(figures["answered"], len(wrong))
        self.assertGreaterEqual(figures["ignored"], len(wrong) - 3)

    def test_unknown_attributes_are_named(self):
        self.start_pair()
        response, _ = self.client().ask((FIRST, self.port), stun.attribute(0x7F01), stun.attribute(0x7F02, b"abc"))
        self.assertEqual(response[stun.ERROR][0], 420)
        self.assertEqual(response[stun.UNKNOWN], [0x7F01, 0x7F02])
        response, _ = self.client().ask((FIRST, self.port), stun.attribute(0xFF01, b"abc"))
        self.assertTrue(response.is_success)

    # What hostile clients get.

    def test_nobody_gets_more_than_he_sent_beyond_a_little_credit(self):
        self.start_pair("--stun-rate", "100000")
        generator = random.Random(8489)
        client = self.client()
        sent, received, largest = 0, 0, 0
        sizes = {}
        for _ in range(1500):
            size = generator.choice((0, 0, 4, 60, 300, 1200))
            parts = [
                stun.change(generator.choice((0, 2, 4, 6))),
                stun.attribute(stun.PADDING, bytes(size)),
                stun.attribute(generator.randrange(0x10000), os.urandom(generator.randrange(9))),
                stun.attribute(stun.SOFTWARE, b"s" * generator.randrange(20)),
            ]
            message = bytearray(stun.request(*generator.sample(parts, generator.randrange(4)))[0])
            for _ in range(generator.choice((0, 0, 1, 3))):
                message[generator.randrange(len(message))] = generator.randrange(256)
            client.socket.sendto(message, (FIRST, self.port))
            sent += len(message)
            sizes[bytes(message[4:20])] = len(message)
            client.socket.settimeout(0.002)
            try:
                while True:
                    data = client.socket.recv(65536)
                    received += len(data)
                    if sent > 100_000:
                        largest = max(largest, len(data) - sizes[data[4:20]])
            except TimeoutError:
                pass
        self.assertGreater(received, 20_000)
        self.assertLess(received, sent)
        # What cannot be left out: an address behind 20 bytes, or the error of a request of 24.
        self.assertLessEqual(largest, 24)
        client.socket.settimeout(5)
        short = [client.ask((FIRST, self.port))[0].size for _ in range(100)]
        self.assertLessEqual(max(short[-20:]), 32, "the credit of a source must come to an end")

    def test_a_source_is_limited_and_others_are_not(self):
        self.start_pair()
        flooder, quiet = self.client("127.0.4.1"), self.client("127.0.4.2")
        message, _ = stun.request()
        for _ in range(3000):
            flooder.socket.sendto(message, (FIRST, self.port))
        for _ in range(20):
            self.assertTrue(quiet.ask((FIRST, self.port))[0].is_success)
        figures = self.figures()
        self.assertGreater(figures["limited"], 2000)
        self.assertLess(figures["answered"], 800)
        text = self.adit("server", "status")
        self.assertRegex(text, r"STUN +%d" % self.port)
        self.assertRegex(text, r"limited \d+")

    def test_a_flood_from_everywhere_takes_no_memory_and_nobodys_turn(self):
        server = self.start_pair()
        for _ in range(3):
            self.client().ask((FIRST, self.port))
        before = facts(server.process.pid)[0]
        done = threading.Event()
        sent = [0]

        def flood():
            generator = random.Random(1)
            message, _ = stun.request(stun.change(6))
            while not done.is_set() and sent[0] < 200_000:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
                    numbers = generator.randrange(256), generator.randrange(256), generator.randrange(1, 255)
                    attacker.bind(("127.%d.%d.%d" % numbers, 0))
                    for _ in range(3):
                        attacker.sendto(message, (FIRST, self.port))
                        attacker.sendto(os.urandom(1200), (SECOND, self.alternate))
                sent[0] += 6

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            quiet = self.client("127.0.4.3")
            slowest = 0
            for _ in range(60):
                slowest = max(slowest, quiet.ask_patiently((FIRST, self.port)))
                time.sleep(0.05)
        finally:
            done.set()
            thread.join()
        self.assertGreater(sent[0], 5000)
        self.assertLess(slowest, 2)
        self.assertLess(facts(server.process.pid)[0] - before, 6 << 20)

    # Connections.

    def connect(self, port=None, host=FIRST, source=None):
        connection = socket.create_connection((host, port or self.port), timeout=10, source_address=(source or "127.0.5.1", 0))
        self.addCleanup(connection.close)
        return connection

    def read(self, connection, transaction):
        head = self.read_exactly(connection, 20)
        return stun.Response(head + self.read_exactly(connection, struct.unpack("!H", head[2:4])[0]), transaction)

    def read_exactly(self, connection, count):
        data = b""
        while len(data) < count:
            part = connection.recv(count - len(data))
            self.assertTrue(part, "the connection ended after %d of %d bytes" % (len(data), count))
            data += part
        return data

    def assert_closed(self, connection, seconds=30):
        """The server ends it: at once, or after the ten seconds that a message may take."""
        connection.settimeout(seconds)
        try:
            while connection.recv(65536):
                pass
        except ConnectionError:
            pass

    def test_a_connection_carries_many_requests(self):
        self.start_pair()
        for host, port, other in ((FIRST, self.port, (SECOND, self.alternate)), (SECOND, self.alternate, (FIRST, self.port))):
            connection = self.connect(port, host)
            for _ in range(3):
                message, transaction = stun.request()
                connection.sendall(message)
                response = self.read(connection, transaction)
                self.assertEqual(response[stun.XOR_MAPPED], connection.getsockname())
                self.assertEqual(response[stun.ORIGIN], (host, port))
                self.assertEqual(response[stun.OTHER], other)
            pipelined = [stun.request(stun.attribute(stun.SOFTWARE, b"p")) for _ in range(40)]
            connection.sendall(b"".join(message for message, _ in pipelined))
            for _, transaction in pipelined:
                self.assertTrue(self.read(connection, transaction).is_success)
            message, transaction = stun.request(stun.change(2))
            connection.sendall(message)
            self.assertEqual(self.read(connection, transaction)[stun.ERROR][0], 420)

    def test_a_slow_message_has_ten_seconds(self):
        self.start_pair()
        connection = self.connect()
        message, transaction = stun.request(stun.attribute(stun.SOFTWARE, b"slow"))
        for byte in message:
            connection.sendall(bytes([byte]))
            time.sleep(0.005)
        self.assertTrue(self.read(connection, transaction).is_success)
        begun = time.monotonic()
        connection.sendall(message[:7])
        time.sleep(4)
        connection.sendall(message[7:9])
        self.assert_closed(connection, 20)
        self.assertTrue(8 < time.monotonic() - begun < 13, "slowness must not buy time")

    def test_what_is_no_stun_ends_a_connection(self):
        self.start_pair()
        for data in (b"GET / HTTP/1.1\r\n\r\n", b"\0\1\0\3" + bytes(16), b"\0\1\xff\xfc" + bytes(16), b"\x16\3\1\0\5hello"):
            connection = self.connect()
            connection.sendall(data)
            self.assert_closed(connection)
        connection = self.connect()
        good, transaction = stun.request()
        connection.sendall(stun.request(kind=0x0011)[0] + good)
        self.assertTrue(self.read(connection, transaction).is_success)

    def test_connections_of_one_address_are_bounded(self):
        self.start_pair()
        held = [self.connect(source="127.0.6.1") for _ in range(64)]
        for _ in range(200):
            if self.figures()["connections"] == 64:
                break
            time.sleep(0.02)
        self.assert_closed(self.connect(source="127.0.6.1"))
        message, transaction = stun.request()
        other = self.connect(source="127.0.6.2")
        other.sendall(message)
        self.assertTrue(self.read(other, transaction).is_success)
        self.assertGreaterEqual(self.figures()["refusedConnections"], 1)
        held.pop().close()
        for _ in range(200):
            if self.figures()["connections"] < 65:
                break
            time.sleep(0.02)
        again = self.connect(source="127.0.6.1")
        again.sendall(message)
        self.assertTrue(self.read(again, transaction).is_success)

    def test_a_peer_that_does_not_read_is_not_read(self):
        server = self.start_pair("--stun-rate", "1000000")
        before = facts(server.process.pid)[0]
        connection = self.connect()
        connection.settimeout(3)
        data = stun.request()[0] * 5000
        sent = 0
        try:
            while sent < 200_000_000:
                sent += connection.send(data)
        except TimeoutError:
            pass
        self.assertLess(sent, 100_000_000)
        self.assertLess(facts(server.process.pid)[0] - before, 12 << 20)
        self.assertTrue(self.client().ask((FIRST, self.port))[0].is_success)

    def secure(self, context, name=None, port=None):
        return context.wrap_socket(self.connect(port or self.tls), server_hostname=name)

    def listening(self, port=0, source="127.0.7.1"):
        """A connection to the server, and a listener on the port that it comes from."""
        pair = []
        for place in ((source, port), None):
            made = socket.socket()
            self.addCleanup(made.close)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            made.settimeout(10)
            made.bind(place or pair[0].getsockname())
            pair.append(made)
        pair[0].listen(8)
        pair[1].connect((FIRST, self.port))
        return pair

    def ask_back(self, connection, flags, *others):
        """What answers a request with CONNECT-BACK, and the 12 bytes that the server says when it comes."""
        message, transaction = stun.request(*others, stun.attribute(stun.CONNECT_BACK, struct.pack("!I", flags)))
        connection.sendall(message)
        return self.read(connection, transaction), transaction[4:]

    def test_it_connects_back_to_the_peer_alone(self):
        self.start_pair()
        listener, connection = self.listening()
        for flags, host in ((6, SECOND), (2, FIRST)):
            # None of these promises a connection, so that none may come.
            for other in (stun.change(2), stun.attribute(stun.RESPONSE_PORT, b"\0\x50\0\0"), stun.attribute(0x4001)):
                refused, _ = self.ask_back(connection, flags, other)
                self.assertEqual(refused[stun.ERROR][0], 420)
                self.assertNotIn(stun.CONNECT_BACK, refused.attributes)
            response, number = self.ask_back(connection, flags)
            self.assertEqual(response[stun.CONNECT_BACK], struct.pack("!I", flags))
            came, source = listener.accept()
            self.addCleanup(came.close)
            came.settimeout(10)
            self.assertEqual(self.read_exactly(came, 20), b"\0\x11\0\0" + struct.pack("!I", stun.COOKIE) + number)
            self.assertEqual(came.recv(1), b"")
            self.assertEqual(source[0], host)
            self.assertNotIn(source[1], (self.port, self.alternate, self.tls))
        nobody = self.connect(source="127.0.7.2")
        given = [stun.CONNECT_BACK in self.ask_back(nobody, 6)[0].attributes for _ in range(70)]
        self.assertEqual(given, [True] * 60 + [False] * 10)
        response, _ = self.client().ask((FIRST, self.port), stun.attribute(stun.CONNECT_BACK, struct.pack("!I", 6)))
        self.assertNotIn(stun.CONNECT_BACK, response.attributes)
        if os.geteuid() == 0:
            _, service = self.listening(1023, "127.0.7.3")
            self.assertNotIn(stun.CONNECT_BACK, self.ask_back(service, 6)[0].attributes)

    def test_tls_shows_the_certificate_for_names(self):
        authority = Authority(self.folder, "stun-authority")
        chain, key = authority.issue("stun.test")
        self.start_pair("--certificate", str(chain), "--key", str(key))
        context = ssl.create_default_context(cafile=str(authority.path))
        connection = self.secure(context, "localhost")
        for _ in range(2):
            message, transaction = stun.request()
            connection.sendall(message * 1)
            response = self.read(connection, transaction)
            self.assertEqual(response[stun.XOR_MAPPED], connection.getsockname())
        pipelined = [stun.request() for _ in range(10)]
        connection.sendall(b"".join(message for message, _ in pipelined))
        for _, transaction in pipelined:
            self.assertTrue(self.read(connection, transaction).is_success)
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.secure(context, "elsewhere.test")

    def test_tls_shows_the_servers_own_key_without_one(self):
        self.start_pair()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = self.secure(context)
        shown = ssl.DER_cert_to_PEM_cert(connection.getpeercert(binary_form=True))
        key = subprocess.run(["openssl", "x509", "-pubkey", "-noout"], input=shown, capture_output=True, text=True).stdout
        digest = subprocess.run(
            "openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary | base64", shell=True, input=key,
            capture_output=True, text=True
        ).stdout.strip().rstrip("=")
        self.assertIn(digest, self.adit("server", "status"))
        message, transaction = stun.request()
        connection.sendall(message)
        self.assertTrue(self.read(connection, transaction).is_success)
        plain = self.connect(self.tls)
        plain.sendall(message)
        self.assert_closed(plain)

    # Ports that are taken.

    def taken(self, kind):
        sock = socket.socket(socket.AF_INET, kind)
        sock.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            sock.listen()
        self.addCleanup(sock.close)
        return sock.getsockname()[1]

    def test_a_port_that_was_asked_for_is_needed(self):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            port = self.taken(kind)
            for flag in ("--stun-port", "--stun-alternate-port", "--stun-tls-port"):
                if flag == "--stun-tls-port" and kind == socket.SOCK_DGRAM:
                    continue
                ports = {"--stun-port": 0, "--stun-alternate-port": 0, "--stun-tls-port": 0, flag: port}
                options = [str(each) for pair in ports.items() for each in pair]
                done = subprocess.run(
                    [ADIT, "server", "--listen", "127.0.0.1", "--port", "0", "--http-port", "0", *options],
                    env=self.environment(), capture_output=True, text=True, timeout=60
                )
                self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertIn("ADIT-904", done.stderr)
                self.assertIn(str(port), done.stderr)

    def test_a_server_nobody_asked_for_stun_runs_without_it(self):
        blockers = []
        for port in (3478, 3479, 5349):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                sock = socket.socket(socket.AF_INET, kind)
                try:
                    sock.bind(("127.0.0.1", port))
                    if kind == socket.SOCK_STREAM:
                        sock.listen()
                except OSError:
                    pass
                blockers.append(sock)
                self.addCleanup(sock.close)
        program = self.start(port=None)
        self.assertIsNone(self.figures())
        self.assertEqual(program.count("the server runs without STUN"), 1)
        self.assertEqual(program.count("3478"), 1, program.lines)
        self.adit("server", "invite")

    def test_stun_can_be_off(self):
        program = self.start("--no-stun", port=None)
        self.assertIsNone(self.figures())
        self.assertEqual(program.count("STUN"), 0, program.lines)

    def test_devices_are_told_and_remember(self):
        self.start_pair()
        code = re.search(r"adit join (\S+)", self.adit("server", "invite"))[1]
        self.adit("join", code, "--name", "laptop", name="laptop")
        servers = json.loads(self.adit("status", "--json", name="laptop"))["servers"]
        wanted = {"port": self.port, "tlsPort": self.tls, "alternatePort": self.alternate, "alternateAddress": SECOND}
        self.assertEqual(servers[0]["stun"], wanted)


if __name__ == "__main__":
    unittest.main(verbosity=2)
