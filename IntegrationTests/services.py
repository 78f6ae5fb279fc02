#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Private services between two devices as their users see them: expose, connect over TCP and UDP, who is let in, files.

The server and both devices run on this computer, so that the path is by its own address, or by the relay where there is none.
The environment variable ADIT names the binary.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
sys.dont_write_bytecode = True

from paths import own_address  # noqa: E402
from program import ADIT, Program, free_ports  # noqa: E402
from scene import Scene  # noqa: E402

PATIENCE = 30


class Echo:
    """A service of TCP that sends back what comes, and one of UDP at the same number."""

    def __init__(self):
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp.bind(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()
        threading.Thread(target=self.datagrams, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    @staticmethod
    def serve(connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)

    def datagrams(self):
        while True:
            try:
                data, source = self.udp.recvfrom(65536)
                self.udp.sendto(data, source)
            except OSError:
                return

    def stop(self):
        """Nobody listens from now on; closing alone would leave the thread that accepts in its call."""
        self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()

    def close(self):
        self.tcp.close()
        self.udp.close()


class ServicesTest(unittest.TestCase):
    def setUp(self):
        stun, alternate = free_ports(2)
        self.scene = Scene(f'domain = "localhost"\nstunPort = {stun}\nstunAlternatePort = {alternate}\n')
        self.addCleanup(self.scene.close)
        for name in ("amy", "ben"):
            self.scene.join(name)
        self.echo = Echo()
        self.addCleanup(self.echo.close)

    def start(self, home, *words, until):
        program = Program(*words, env=self.scene.environment(home))
        self.addCleanup(program.stop)
        program.wait_for(until)
        return program

    def connect(self, *words):
        """`adit connect`, and the local port that it opened."""
        program = self.start("ben", "connect", *words, until="127.0.0.1:")
        return program, int(re.search(r"127\.0\.0\.1:(\d+)", "\n".join(program.lines)).group(1))

    def dial(self, port):
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.addCleanup(connection.close)
        return connection

    def expose(self, *words, name="echo"):
        return self.start("amy", "expose", str(self.echo.port), "--name", name, *words, until="amy/" + name)

    def echoes(self, port, count=1000):
        """Whether what is sent to a local port comes back."""
        connection = self.dial(port)
        sent = os.urandom(count)
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        came = bytearray()
        try:
            while data := connection.recv(65536):
                came += data
        except ConnectionError:
            return False
        return came == sent

    def flow(self, port):
        flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(flow.close)
        flow.settimeout(0.5)
        flow.connect(("127.0.0.1", port))
        return flow

    def exchange(self, flow, payload):
        """The answer to a datagram, which is sent until there is one."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            flow.send(payload)
            try:
                return flow.recv(65536)
            except (TimeoutError, ConnectionRefusedError):
                continue
        raise AssertionError("no answer to a datagram of %d bytes" % len(payload))

    def test_bytes_come_back_whole(self):
        self.expose()
        _, port = self.connect("amy/echo")
        connection = self.dial(port)
        sent = os.urandom(5_000_000)
        threading.Thread(
            target=lambda: (connection.sendall(sent), connection.shutdown(socket.SHUT_WR)), daemon=True).start()
        came = bytearray()
        while data := connection.recv(65536):
            came += data
        self.assertEqual(hashlib.sha256(came).hexdigest(), hashlib.sha256(sent).hexdigest())

    def test_many_connections_at_once(self):
        self.expose()
        _, port = self.connect("amy/echo")
        connections = [self.dial(port) for _ in range(100)]
        for number, connection in enumerate(connections):
            connection.sendall(b"%d" % number)
        for number, connection in enumerate(connections):
            self.assertEqual(connection.recv(100), b"%d" % number)

    def test_datagrams_of_every_size(self):
        self.expose("--udp")
        _, port = self.connect("amy/echo", "--udp")
        flow = self.flow(port)
        for size in (1, 500, 1100, 1200, 1500, 9000, 60_000):
            payload = os.urandom(size)
            self.assertEqual(self.exchange(flow, payload), payload)

    def test_a_game_is_reached_by_its_port(self):
        self.start("amy", "game", str(self.echo.port), until="localhost:")
        program = self.start("ben", "play", "amy/%d" % self.echo.port, until="amy/%d" % self.echo.port)
        port = int(re.search(r"(?:127\.0\.0\.1|localhost):(\d+)", "\n".join(program.lines)).group(1))
        self.assertTrue(self.echoes(port))
        self.assertEqual(self.exchange(self.flow(port), b"jump"), b"jump")

    def test_only_named_devices_come_in(self):
        self.scene.join("cat")
        self.expose("--allow", "ben")
        _, port = self.connect("amy/echo")
        self.assertTrue(self.echoes(port))
        stranger = self.start("cat", "connect", "amy/echo", until="127.0.0.1:")
        refused = int(re.search(r"127\.0\.0\.1:(\d+)", "\n".join(stranger.lines)).group(1))
        self.assertFalse(self.echoes(refused))
        stranger.wait_for("ADIT-212")

    def test_a_removed_device_loses_what_it_has_open(self):
        for allowed in ([], ["--allow", "ben"]):
            with self.subTest(allowed=allowed):
                host = self.expose(*allowed, name="echo%d" % len(allowed))
                program, port = self.connect("amy/echo%d" % len(allowed))
                connection = self.dial(port)
                connection.sendall(b"x")
                self.assertEqual(connection.recv(1), b"x")
                if own_address():
                    program.wait_for("direct")
                self.scene.adit("server", "server", "devices", "remove", "ben")
                try:
                    connection.sendall(b"y")
                    while data := connection.recv(100):
                        self.assertEqual(data, b"y", "it lives on")
                        time.sleep(0.1)
                        connection.sendall(b"y")
                except ConnectionError:
                    pass
                program.stop()
                host.stop()
                self.scene.join("ben")

    def test_what_is_not_there_is_said(self):
        done = subprocess.run(
            [ADIT, "connect", "amy/none", "--stdio"], env=self.scene.environment("ben"), input="", capture_output=True,
            text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "ADIT-(212|221)")
        self.expose()
        done = subprocess.run(
            [ADIT, "connect", "amy/none", "--stdio"], env=self.scene.environment("ben"), input="", capture_output=True,
            text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("ADIT-212", done.stderr)

    def test_a_target_that_is_down_is_said(self):
        self.expose()
        self.echo.stop()
        program, port = self.connect("amy/echo")
        self.assertFalse(self.echoes(port))
        program.wait_for("ADIT-211")

    def test_standard_input_and_output(self):
        self.expose()
        done = subprocess.run(
            [ADIT, "connect", "amy/echo", "--stdio"], env=self.scene.environment("ben"), input=b"x" * 300_000,
            capture_output=True, timeout=60)
        self.assertEqual((done.returncode, len(done.stdout)), (0, 300_000))

    def test_two_processes_of_a_device_have_a_service_each(self):
        self.expose(name="one")
        self.expose(name="two")
        _, first = self.connect("amy/one")
        _, second = self.connect("amy/two")
        self.assertTrue(self.echoes(first) and self.echoes(second))

    def test_a_service_that_comes_back_is_reached_again(self):
        program = self.expose()
        _, port = self.connect("amy/echo")
        self.assertTrue(self.echoes(port))
        program.stop()
        self.expose()
        end = time.monotonic() + PATIENCE
        while not self.echoes(port):
            self.assertLess(time.monotonic(), end, "it is not reached again")

    @unittest.skipUnless(own_address(), "SKIPPED: this computer has no address but loopback")
    def test_the_way_through_the_server_is_given_up_when_another_one_has_stood_for_a_while(self):
        self.expose()
        _, port = self.connect("amy/echo")
        self.assertTrue(self.echoes(port))
        connection = self.dial(port)

        def streams():
            signals = json.loads(self.scene.adit("server", "server", "status", "--json"))["signals"]
            return signals["streams"], signals["openStreams"]

        self.assertGreaterEqual(streams()[0], 1)
        # Half a minute after the direct path was found, and after the last packet on the stream.
        end = time.monotonic() + 30 + 30 + PATIENCE
        while streams()[1] > 0:
            self.assertLess(time.monotonic(), end, "a stream through both sessions is still open")
            connection.sendall(b"x")
            self.assertEqual(connection.recv(1), b"x")
            time.sleep(0.5)
        # The connection has not noticed.
        connection.sendall(b"y")
        self.assertEqual(connection.recv(1), b"y")

    def test_status_shows_services_and_visits(self):
        self.expose()
        _, port = self.connect("amy/echo")
        connection = self.dial(port)
        connection.sendall(b"x")
        connection.recv(1)

        def status(home):
            done = subprocess.run(
                [ADIT, "status", "--json"], env=self.scene.environment(home), capture_output=True, text=True, timeout=20)
            return json.loads(done.stdout)

        offered = json.dumps(status("amy"))
        self.assertIn('"echo"', offered)
        self.assertIn('"ben"', offered)
        self.assertIn('"service": "echo"', json.dumps(status("ben")))


if __name__ == "__main__":
    unittest.main()
