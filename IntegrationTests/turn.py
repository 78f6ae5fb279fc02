#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The TURN server inside `adit server`: coturn's programs, a client of a few lines, and those who want what is not theirs.

The environment variable ADIT names the binary. Nothing leaves loopback and no port is fixed.
"""

import json
import os
import pathlib
import re
import shutil
import signal
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

import turn_client as turn  # noqa: E402
from authorities import Authority  # noqa: E402
from program import ADIT, Program, free_ports  # noqa: E402
from scene import facts  # noqa: E402
from turn_client import Refused, Turn  # noqa: E402

SECRET = "a secret for tests, long enough"
OPEN = ["--turn-allow-peer", "127.0.0.0/8"]


class TurnTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.sources = 0

    def environment(self, name="server"):
        home = self.folder / name
        home.mkdir(mode=0o700, exist_ok=True)
        environment = dict(os.environ, ADIT_HOME=str(home), LC_ALL="C.UTF-8")
        environment.pop("LANG", None)
        return environment

    def start(self, *arguments, listen="127.0.0.1", secret=SECRET):
        """A server whose ports are in `self.port`, `self.tls` and `self.session`."""
        self.session, http_port = free_ports(2)
        config = self.folder / "adit-server.toml"
        config.write_text('turnSecret = "%s"\n' % secret if secret else "")
        program = Program(
            "server", "--config", str(config), "--listen", listen, "--port", str(self.session), "--http-port", str(http_port),
            "--stun-port", "0", "--stun-tls-port", "0", "--stun-alternate-port", "0", *arguments, env=self.environment()
        )
        self.addCleanup(program.stop)
        program.wait_for("the server runs")
        figures = self.figures()
        self.port, self.tls = (figures["port"], figures["tlsPort"]) if figures else (None, None)
        return program

    def adit(self, *arguments, name="server", status=0):
        done = subprocess.run(
            [ADIT, *arguments], env=self.environment(name), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout if status == 0 else done.stderr

    def figures(self):
        return json.loads(self.adit("server", "status", "--json")).get("turn")

    def source(self):
        """An address of its own for each client, so that no limit is shared."""
        self.sources += 1
        return "127.2.%d.%d" % divmod(self.sources, 250)

    def client(self, user=None, password=None, port=None, **options):
        if user is None:
            user, password = turn.credentials(SECRET, options.pop("name", "guest"))
        options.setdefault("source", self.source())
        client = Turn(("127.0.0.1", port or self.port), user, password, **options)
        self.addCleanup(client.close)
        return client

    def connection(self, port=None, context=None, name=None, **options):
        raw = socket.create_connection(("127.0.0.1", port or self.port), timeout=10, source_address=(self.source(), 0))
        stream = context.wrap_socket(raw, server_hostname=name) if context else raw
        self.addCleanup(stream.close)
        return self.client(stream=stream, **options)

    def peer(self, address="127.0.0.1"):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((address, 0))
        sock.settimeout(5)
        self.addCleanup(sock.close)
        return sock

    def assert_code(self, code, call, *arguments):
        with self.assertRaises(Refused) as caught:
            call(*arguments)
        self.assertEqual(caught.exception.code, code)

    def eventually(self, check, seconds=10):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if check():
                return
            time.sleep(0.05)
        self.assertTrue(check())

    def unverified(self, *protocols):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context

    # Programs of others.

    def uclient(self, *flags, port=None, messages=20, clients=2, length=171):
        """Runs coturn's client against its own peer; what it lost."""
        echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo.bind(("127.0.0.1", 0))
        peer_port = echo.getsockname()[1]
        echo.close()
        peer = subprocess.Popen(
            ["turnutils_peer", "-L", "127.0.0.1", "-p", str(peer_port)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            done = subprocess.run(
                ["turnutils_uclient", "-W", SECRET, "-u", "guest", "-n", str(messages), "-m", str(clients), "-l", str(length),
                 "-e", "127.0.0.1", "-r", str(peer_port), "-p", str(port or self.port), *flags, "127.0.0.1"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90
            )
        finally:
            peer.kill()
            peer.wait()
        text = done.stdout + done.stderr
        self.assertEqual(done.returncode, 0, text)
        sent = re.findall(r"tot_send_msgs=(\d+), tot_recv_msgs=(\d+)", text)
        self.assertTrue(sent, text)
        self.assertEqual(sent[-1][0], sent[-1][1], text)
        self.assertGreaterEqual(int(sent[-1][0]), messages * clients, text)
        self.assertIn("Total lost packets 0", text)

    def test_coturns_client_over_udp(self):
        self.start(*OPEN)
        self.uclient("-c")
        self.uclient("-c", "-s")
        self.uclient("-c", length=1300)

    def test_coturns_clients_talk_to_each_other(self):
        self.start(*OPEN)
        self.uclient("-y", "-c", clients=4)

    def test_coturns_client_with_ports_in_pairs(self):
        self.start(*OPEN)
        self.uclient()

    def test_coturns_client_over_tcp(self):
        self.start(*OPEN)
        self.uclient("-t", "-c")
        self.uclient("-t", "-c", "-s")
        self.uclient("-t", "-c", "-y", clients=4)

    def test_coturns_client_over_tls(self):
        self.start(*OPEN)
        self.uclient("-t", "-S", "-c", port=self.tls)

    # The client of a few lines.

    def echo(self, client, peer, payload=b"hello"):
        """Both ways by Send and Data, then by a channel."""
        relayed = client.allocate()
        name = peer.getsockname()
        client.permit(name[0])
        client.send(payload, name)
        self.assertEqual(peer.recvfrom(65536), (payload, relayed))
        peer.sendto(payload[::-1], relayed)
        self.assertEqual(client.receive(), (payload[::-1], name))
        client.bind(0x4001, name)
        client.send_channel(0x4001, payload)
        self.assertEqual(peer.recvfrom(65536), (payload, relayed))
        for size in (0, 1, 2, 3, 4, 1200, 1452, 9000, 60000):
            data = os.urandom(size)
            peer.sendto(data, relayed)
            if size > 0:
                self.assertEqual(client.receive(), (data, 0x4001))
        return relayed

    def test_datagrams_pass_over_every_transport(self):
        self.start(*OPEN)
        self.echo(self.client(), self.peer())
        self.echo(self.connection(), self.peer())
        self.echo(self.connection(self.tls, self.unverified()), self.peer())
        figures = self.figures()
        self.assertEqual(figures["allocations"], 3)
        self.assertEqual(figures["devices"][0]["name"], "guest")
        self.assertGreater(figures["bytesToClients"], 3 * 70000)

    def test_each_message_has_a_tls_record_of_its_own(self):
        """coturn's client takes what one record brings for one message."""
        server = self.start(*OPEN)
        client, peer = self.connection(self.tls, self.unverified()), self.peer()
        relayed, name = client.allocate(), peer.getsockname()
        client.bind(0x4001, name)
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            for size in range(1, 21):
                peer.sendto(bytes(size), relayed)
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        for size in range(1, 21):
            self.assertEqual(client.stream.recv(65536), struct.pack(">HH", 0x4001, size) + bytes((size + 3) & ~3))

    def test_the_session_port_takes_turn_by_alpn(self):
        self.start(*OPEN)
        context = self.unverified("stun.turn")
        client = self.connection(self.session, context)
        self.assertEqual(client.stream.selected_alpn_protocol(), "stun.turn")
        self.echo(client, self.peer())
        # Without it the same port is the session's, for which these bytes are nothing.
        other = self.connection(self.session, self.unverified())
        other.write(other.message(turn.ALLOCATE, turn.attribute(turn.TRANSPORT, turn.UDP))[0])
        with self.assertRaises((ConnectionError, OSError)):
            other.read()

    def test_the_certificate_for_names_is_shown(self):
        authority = Authority(self.folder, "turn-authority")
        chain, key = authority.issue("turn.test")
        self.start(*OPEN, "--certificate", str(chain), "--key", str(key))
        context = ssl.create_default_context(cafile=str(authority.path))
        self.echo(self.connection(self.tls, context, "localhost"), self.peer())

    def test_allocations_of_one_server_reach_each_other_whatever_its_address(self):
        self.start()
        first, second = self.client(name="a"), self.connection(name="b")
        ends = first.allocate(), second.allocate()
        first.permit(ends[1][0])
        second.permit(ends[0][0])
        first.send(b"to the other", ends[1])
        self.assertEqual(second.receive(), (b"to the other", ends[0]))
        second.bind(0x4ABC, ends[0])
        second.send_channel(0x4ABC, b"and back")
        self.assertEqual(first.receive(), (b"and back", ends[1]))

    def test_ports_stay_in_their_range_and_end(self):
        first = free_ports(1)[0] & ~7
        self.start(*OPEN, "--turn-ports", "%d-%d" % (first, first + 3))
        clients = [self.client() for _ in range(4)]
        got = {client.allocate()[1] for client in clients}
        self.assertEqual(got, set(range(first, first + 4)))
        self.assert_code(508, self.client().allocate)
        clients[0].refresh(0)
        self.assertIn(self.client().allocate()[1], got)

    def test_a_relay_ends_with_its_connection(self):
        self.start(*OPEN)
        client = self.connection()
        client.allocate()
        self.assertEqual(self.figures()["allocations"], 1)
        client.close()
        self.eventually(lambda: self.figures()["allocations"] == 0)

    def test_a_relay_tells_of_a_closed_port(self):
        self.start(*OPEN)
        client, peer = self.client(), self.peer()
        name = peer.getsockname()
        peer.close()
        client.allocate()
        client.permit(name[0])
        client.send(b"anybody there?", name)
        data = client.read()
        kind, transaction, found = turn.parse(data)
        self.assertEqual((kind, turn.read_endpoint(found[turn.PEER], transaction)), (turn.DATA | 0x10, name))
        self.assertEqual(found[0x8004][2], (3 << 1 | 3 >> 7) & 0xFF) if len(found[0x8004]) != 8 else None

    # Who may not.

    def test_without_credentials_there_is_nothing(self):
        self.start(*OPEN)
        anonymous = self.client(user="", password="")
        anonymous.user = None
        self.assert_code(401, anonymous.allocate)
        for user, password in (
            ("guest", "guess"), turn.credentials("another secret, of that length"), turn.credentials(SECRET, lifetime=-60),
            (turn.credentials(SECRET)[0], turn.credentials(SECRET, lifetime=7200)[1]), ("", ""), ("9" * 500, "x"),
        ):
            self.assert_code(401, self.client(user, password).allocate)
        self.assertEqual(self.figures()["allocations"], 0)
        self.assertGreaterEqual(self.figures()["unauthorized"], 5)

    def test_nobody_reaches_what_only_this_machine_reaches(self):
        self.start()
        service = self.peer()
        client = self.client()
        client.allocate()
        for address in (
            "127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
            "169.254.169.254", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1",
        ):
            # The relay's own address is permitted for other relays; nothing leaves for it.
            if address != "127.0.0.1":
                self.assert_code(403, client.permit, address)
                self.assert_code(403, client.bind, 0x4000, (address, service.getsockname()[1]))
        client.permit("127.0.0.1")
        client.bind(0x4001, service.getsockname())
        client.send_channel(0x4001, b"to a service")
        for port in (self.port, self.session, service.getsockname()[1]):
            client.send(b"to a service", ("127.0.0.1", port))
        service.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            service.recv(100)
        self.assertGreaterEqual(self.figures()["forbidden"], 12)

    def test_private_peers_need_a_word(self):
        self.start("--turn-allow-private-peers", "--turn-refuse-peer", "10.9.0.0/16")
        client = self.client()
        client.allocate()
        client.permit("10.0.0.1")
        self.assert_code(403, client.permit, "10.9.1.1")
        self.assert_code(403, client.permit, "127.0.0.2")
        self.assert_code(403, client.permit, "169.254.169.254")

    def test_a_stranger_on_the_peers_side_gets_nothing_through(self):
        self.start(*OPEN)
        client, friend, stranger = self.client(), self.peer("127.0.0.7"), self.peer("127.0.0.8")
        relayed = client.allocate()
        client.permit("127.0.0.7")
        for _ in range(50):
            stranger.sendto(b"let me in", relayed)
        friend.sendto(b"expected", relayed)
        self.assertEqual(client.receive(), (b"expected", friend.getsockname()))

    def test_a_device_has_its_share(self):
        self.start(*OPEN, "--turn-max-allocations-per-device", "3", "--turn-max-allocations", "5")
        user, password = turn.credentials(SECRET, "greedy")
        for _ in range(3):
            self.client(user, password).allocate()
        self.assert_code(486, self.client(user, password).allocate)
        for _ in range(2):
            self.client(name="other").allocate()
        self.assert_code(508, self.client(name="third").allocate)
        self.assertGreaterEqual(self.figures()["overQuota"], 2)

    def test_a_device_has_its_rate(self):
        self.start(*OPEN, "--turn-packets-per-device", "100")
        client, peer = self.client(), self.peer()
        client.allocate()
        client.bind(0x4000, peer.getsockname())
        for _ in range(500):
            client.send_channel(0x4000, b"x")
        peer.settimeout(0.5)
        count = 0
        try:
            while True:
                peer.recv(10)
                count += 1
        except TimeoutError:
            pass
        self.assertLess(count, 120)
        self.assertGreater(count, 20)
        self.assertGreater(self.figures()["dropped"], 300)

    def test_a_rate_holds_between_relays_of_this_server_too(self):
        self.start(*OPEN, "--turn-packets-per-device", "100")
        first, second = self.client(name="a"), self.client(name="b")
        ends = first.allocate(), second.allocate()
        first.bind(0x4000, ends[1])
        second.bind(0x4000, ends[0])
        for _ in range(500):
            first.send_channel(0x4000, b"x")
        count = 0
        second.socket.settimeout(0.5)
        try:
            while True:
                second.read()
                count += 1
        except TimeoutError:
            pass
        self.assertLess(count, 120)
        self.assertGreater(count, 20)

    def test_strangers_do_not_use_up_a_devices_rate(self):
        self.start(*OPEN, "--turn-packets-per-device", "100")
        client, friend, stranger = self.client(), self.peer("127.0.0.7"), self.peer("127.0.0.8")
        relayed = client.allocate()
        client.permit("127.0.0.7")
        # More than the rate, and no more than the kernel keeps while the server waits for its turn.
        for _ in range(200):
            stranger.sendto(b"let me in", relayed)
        friend.sendto(b"expected", relayed)
        self.assertEqual(client.receive(), (b"expected", friend.getsockname()))

    def test_a_bandwidth_holds(self):
        self.start(*OPEN, "--turn-bandwidth-per-device", "64KB")
        client, peer = self.client(), self.peer()
        client.allocate()
        client.bind(0x4000, peer.getsockname())
        for _ in range(400):
            client.send_channel(0x4000, bytes(1000))
        peer.settimeout(0.5)
        count = 0
        try:
            while True:
                peer.recv(2000)
                count += 1
        except TimeoutError:
            pass
        self.assertLess(count, 100)

    # Those who only want to do harm.

    def test_a_flood_of_strangers_costs_little_and_grows_nothing(self):
        program = self.start(*OPEN)
        before = facts(program.process.pid)[0]
        honest, peer = self.client(name="honest"), self.peer()
        honest.allocate()
        honest.permit("127.0.0.1")
        stop = threading.Event()

        def flood():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.66.0.1", 0))
            sock.connect(("127.0.0.1", self.port))
            index = 0
            while not stop.is_set():
                index += 1
                for data in (
                    Turn.message(honest, turn.ALLOCATE, turn.attribute(turn.TRANSPORT, UDP_VALUE), signed=False)[0],
                    struct.pack("!HH", 0x4000 | index & 0xFFF, 900) + bytes(900),
                    struct.pack("!HHI", 0x0016, 8, turn.COOKIE) + os.urandom(20), os.urandom(index % 200),
                ):
                    try:
                        sock.send(data)
                    except OSError:
                        pass
            sock.close()

        threads = [threading.Thread(target=flood) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            time.sleep(2)
            # A flood may take single datagrams away, as any full queue does; those who repeat themselves get through.
            peer.settimeout(0.3)
            for _ in range(40):
                honest.send(b"still here", peer.getsockname())
                try:
                    self.assertEqual(peer.recv(100), b"still here")
                    break
                except TimeoutError:
                    pass
            else:
                self.fail("nothing came through in 12 s")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertLess(facts(program.process.pid)[0] - before, 16 << 20)
        self.assertEqual(self.figures()["allocations"], 1)
        self.assertGreater(self.figures()["limited"], 100)

    def test_a_forged_source_gains_nothing(self):
        self.start(*OPEN)
        owner = self.client(name="owner")
        owner.allocate()
        peer = self.peer()
        owner.bind(0x4000, peer.getsockname())
        # Whoever has seen the traffic has neither the socket nor the key.
        thief = self.client(name="thief", source="127.0.0.9")
        thief.send_channel(0x4000, b"stolen")
        thief.send(b"stolen", peer.getsockname())
        request, _ = owner.message(turn.REFRESH, turn.attribute(turn.LIFETIME, bytes(4)))
        thief.write(request)
        answer = thief.read()
        self.assertEqual(turn.parse(answer)[0], turn.REFRESH | 0x0110)
        for index in range(len(request) - 24, len(request)):
            broken = bytearray(request)
            broken[index] ^= 1
            owner.write(bytes(broken))
        peer.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            peer.recv(100)
        owner.refresh(600)
        self.assertEqual(self.figures()["allocations"], 1)

    def test_broken_streams_end_and_slow_ones_are_bounded(self):
        program = self.start(*OPEN)
        before = facts(program.process.pid)[0]
        for data in (b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n", struct.pack("!HH", 0x4000, 0xFFFF) + bytes(50000)):
            stream = socket.create_connection(("127.0.0.1", self.port), timeout=15, source_address=(self.source(), 0))
            self.addCleanup(stream.close)
            try:
                stream.sendall(data)
                self.assertEqual(stream.recv(1), b"")
            except ConnectionError:
                pass
        # A client that never reads, to which a peer sends without end.
        client, peer = self.connection(), self.peer()
        relayed = client.allocate()
        client.bind(0x4000, peer.getsockname())
        for _ in range(30000):
            peer.sendto(bytes(1000), relayed)
        self.assertLess(facts(program.process.pid)[0] - before, 16 << 20)
        other, second = self.client(), self.peer()
        self.echo(other, second)

    # What devices are told.

    def join(self, home, name=None):
        code = re.search(r"adit join (\S+)", self.adit("server", "invite"))[1]
        self.adit("join", code, "--name", name or home, name=home)
        return json.loads((self.folder / home / "servers.json").read_text())["servers"][0]

    def test_a_device_gets_credentials_of_its_own_and_loses_them(self):
        self.start(*OPEN, secret=None)
        offer = self.join("laptop")["turn"]
        self.assertEqual((offer["port"], offer["tlsPort"], offer["onSessionPort"]), (self.port, self.tls, True))
        self.assertGreater(offer["expiresAt"], time.time() + 80000)
        shown = json.loads(self.adit("status", "--json", name="laptop"))["servers"][0]["turn"]
        self.assertNotIn("password", shown)
        self.assertNotIn("nonce", shown)
        client = self.client(offer["username"], offer["password"])
        client.allocate()
        self.assertEqual([each["name"] for each in self.figures()["devices"]], ["laptop"])
        self.assertIn("laptop", offer["username"])
        self.assertNotIn(offer["password"], self.adit("server", "status", "--json"))

    def test_a_device_that_is_removed_while_it_is_away_has_no_relay_any_more(self):
        self.start(*OPEN, secret=None)
        offer = self.join("laptop")["turn"]
        client = self.client(offer["username"], offer["password"])
        client.allocate()
        # It has no session now, and relays on.
        clients = json.loads(self.adit("server", "status", "--json"))["clients"]
        self.assertEqual([each["isOnline"] for each in clients], [False])
        self.adit("server", "devices", "remove", "laptop")
        self.assertEqual(self.figures()["allocations"], 0)
        self.assert_code(403, self.client(offer["username"], offer["password"]).allocate)
        # What the old one was told stays worthless when another device gets the name.
        fresh = self.join("laptop-2", "laptop")["turn"]
        self.assertIn(":laptop", fresh["username"])
        self.client(fresh["username"], fresh["password"]).allocate()
        self.assert_code(403, self.client(offer["username"], offer["password"]).allocate)
        self.assertEqual(self.figures()["allocations"], 1)

    def test_turn_can_be_off(self):
        self.start("--no-turn")
        self.assertIsNone(self.figures())
        port = json.loads(self.adit("server", "status", "--json"))["stun"]["port"]
        self.assertNotIn("turn", self.join("laptop"))
        client = Turn(("127.0.0.1", port), *turn.credentials(SECRET), timeout=0.5)
        self.addCleanup(client.close)
        with self.assertRaises((Refused, TimeoutError)):
            client.allocate()

    def test_flags_that_make_no_sense_are_explained(self):
        for flags in (["--turn-ports", "80-90"], ["--turn-allow-peer", "everyone"], ["--turn-packets-per-device", "0"]):
            done = subprocess.run(
                [ADIT, "server", "--listen", "127.0.0.1", "--port", "0", "--http-port", "0", *flags], env=self.environment(),
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
            )
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(flags[0], done.stderr)


UDP_VALUE = turn.UDP

if __name__ == "__main__":
    if shutil.which("turnutils_uclient") is None:
        sys.exit("✗ coturn's turnutils_uclient is missing")
    unittest.main(verbosity=2)
