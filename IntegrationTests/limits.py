#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""PROXY headers, limits and permissions of tunnels, seen from outside: a parser of its own, HAProxy, and frp peers.

The environment variable ADIT names the binary. Nothing leaves 127.0.0.1 and no port is fixed.
"""

import base64
import ipaddress
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))

import frpc  # noqa: E402
import frps  # noqa: E402
from program import Program, free_ports  # noqa: E402
from scene import Scene  # noqa: E402

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/sbin")


def parse_header(data):
    """A PROXY header as proxy-protocol.txt defines it: (version, source, destination, the rest)."""
    if data.startswith(SIGNATURE):
        command, family, length = struct.unpack("!BBH", data[12:16])
        assert command == 0x21, command
        body, rest = data[16 : 16 + length], data[16 + length :]
        assert len(body) == length
        size = {0x11: 4, 0x21: 16, 0x12: 4, 0x22: 16}[family]
        assert length >= 2 * size + 4
        ports = struct.unpack("!HH", body[2 * size : 2 * size + 4])
        addresses = [str(ipaddress.ip_address(body[i * size : (i + 1) * size])) for i in (0, 1)]
        return 2, (addresses[0], ports[0]), (addresses[1], ports[1]), rest
    line, rest = data.split(b"\r\n", 1)
    assert len(line) <= 105, line
    words = line.decode("ascii").split(" ")
    assert words[0] == "PROXY" and words[1] in ("TCP4", "TCP6") and len(words) == 6, words
    for address in words[2:4]:
        assert ipaddress.ip_address(address).version == int(words[1][3]), words
    return 1, (words[2], int(words[4])), (words[3], int(words[5])), rest


class Recorder:
    """A service that keeps what each connection sent and answers `ok` after a line."""

    def __init__(self):
        self.received = []
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        data = b""
        with connection:
            while not re.search(rb"END\r?\n", data):
                part = connection.recv(65536)
                if not part:
                    break
                data += part
            if not data:
                # The device looks whether its target answers.
                return
            with self.changed:
                self.received.append(data)
                self.changed.notify_all()
            try:
                connection.sendall(b"ok")
            except OSError:
                pass

    def first(self, timeout=10):
        with self.changed:
            assert self.changed.wait_for(lambda: self.received, timeout), "nothing came"
            return self.received.pop(0)


class Pour:
    """A service that sends a number of bytes to everybody who comes."""

    def __init__(self, count):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.count = count
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                connection.sendall(b"x" * self.count)
            except OSError:
                pass


def visit(address, source="127.0.0.1", data=b"hello END\n"):
    """Sends data to a tunnel from an address of this machine; what came back, and the visitor's own endpoint."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection(("127.0.0.1", int(port)), timeout=20, source_address=(source, 0)) as connection:
        own = connection.getsockname()
        try:
            connection.sendall(data)
            return receive_all(connection), own
        except OSError:
            return b"", own


def receive_all(connection):
    reply = b""
    while True:
        try:
            data = connection.recv(65536)
        except ConnectionResetError:
            return reply
        if not data:
            return reply
        reply += data


class ProxyHeaders(unittest.TestCase):
    def setUp(self):
        self.recorder = Recorder()

    def test_the_device_writes_both_versions(self):
        scene = Scene()
        self.addCleanup(scene.close)
        scene.join("laptop")
        for version in ("v1", "v2"):
            with self.subTest(version=version):
                program = scene.run(
                    "laptop", "tcp", str(self.recorder.port), "--name", "rec-" + version, "--proxy-protocol", version,
                    "--url-only"
                )
                program.wait_for(":")
                address = program.lines[0].strip()
                reply, own = visit(address, source="127.0.0.5")
                self.assertEqual(reply, b"ok")
                number, source, destination, rest = parse_header(self.recorder.first())
                self.assertEqual((number, rest), (int(version[1]), b"hello END\n"))
                self.assertEqual(source, own)
                self.assertEqual(destination, ("127.0.0.1", int(address.rsplit(":", 1)[1])))
                # A header that a visitor sends is payload: the service sees it behind the true one.
                reply, own = visit(address, data=b"PROXY TCP4 6.6.6.6 7.7.7.7 1 2\r\nEND\n")
                _, source, _, rest = parse_header(self.recorder.first())
                self.assertEqual((source, rest), (own, b"PROXY TCP4 6.6.6.6 7.7.7.7 1 2\r\nEND\n"))

    def test_a_configuration_file_has_the_key(self):
        scene = Scene()
        self.addCleanup(scene.close)
        client = scene.client(
            "laptop", [{"kind": "tcp", "name": "rec", "target": str(self.recorder.port), "proxyProtocol": "v1"}]
        )
        reply, own = visit(client.wait_open()["rec"])
        self.assertEqual(parse_header(self.recorder.first())[1], own)

    def test_frpc_writes_it_for_tcp_and_http(self):
        server = frps.Server(b"secret")
        self.addCleanup(server.close)
        for version in ("v1", "v2"):
            for form in ("toml", "ini"):
                with self.subTest(version=version, form=form):
                    self.frpc(server, version, form)

    def frpc(self, server, version, form):
        names = ["t-%s-%s" % (version, form), "h-%s-%s" % (version, form)]
        if form == "toml":
            text = (
                "serverAddr = '127.0.0.1'\nserverPort = %d\nauth.token = 'secret'\n"
                "[[proxies]]\nname = '%s'\ntype = 'tcp'\nlocalPort = %d\nremotePort = 0\ntransport.proxyProtocolVersion = '%s'\n"
                "[[proxies]]\nname = '%s'\ntype = 'http'\nlocalPort = %d\ncustomDomains = ['%s.test']\n"
                "transport.proxyProtocolVersion = '%s'\n"
                % (server.port, names[0], self.recorder.port, version, names[1], self.recorder.port, names[1], version)
            )
        else:
            text = (
                "[common]\nserver_addr = 127.0.0.1\nserver_port = %d\ntoken = secret\n"
                "[%s]\ntype = tcp\nlocal_port = %d\nremote_port = 0\nproxy_protocol_version = %s\n"
                "[%s]\ntype = http\nlocal_port = %d\ncustom_domains = %s.test\nproxy_protocol_version = %s\n"
                % (server.port, names[0], self.recorder.port, version, names[1], self.recorder.port, names[1], version)
            )
        path = pathlib.Path(os.environ.get("TMPDIR", "/tmp")) / ("frpc-%d.%s" % (os.getpid(), form))
        path.write_text(text)
        self.addCleanup(lambda: path.unlink(missing_ok=True))
        program = Program("frpc", "-c", str(path))
        try:
            for name in names:
                program.wait_for("[%s] start proxy success" % name)
            port = server.last_login.listeners[names[0]].getsockname()[1]
            _, own = visit("127.0.0.1:%d" % port)
            number, source, destination, rest = parse_header(self.recorder.first())
            self.assertEqual((number, source, destination, rest), (int(version[1]), own, ("127.0.0.1", port), b"hello END\n"))
            request = ("GET / HTTP/1.1\r\nHost: %s.test\r\nX: END\n\r\n\r\n" % names[1]).encode()
            _, own = visit("127.0.0.1:%d" % server.http_port, data=request)
            number, source, _, rest = parse_header(self.recorder.first())
            self.assertEqual((number, source[0]), (int(version[1]), own[0]))
            self.assertTrue(rest.startswith(b"GET / HTTP/1.1\r\n"), rest)
        finally:
            program.stop()

    @unittest.skipUnless(HAPROXY, "haproxy is not installed: apt-get install haproxy")
    def test_haproxy_takes_our_header(self):
        scene = Scene()
        self.addCleanup(scene.close)
        front, statistics = free_ports(2)
        path = scene.folder / "haproxy.cfg"
        # HAProxy takes the address from our header, and shows it to the service in a header of HTTP.
        path.write_text(
            "defaults\n mode http\n timeout connect 5s\n timeout client 20s\n timeout server 20s\n"
            "frontend in\n bind 127.0.0.1:%d accept-proxy\n"
            " http-request return status 200 content-type text/plain lf-string \"%%[src]:%%[src_port] %%[dst]:%%[dst_port]\"\n"
            % front
        )
        checked = subprocess.run([HAPROXY, "-c", "-f", str(path)], capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        haproxy = subprocess.Popen([HAPROXY, "-db", "-f", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def end():
            haproxy.terminate()
            haproxy.wait()

        self.addCleanup(end)
        scene.join("laptop")
        for version in ("v1", "v2"):
            with self.subTest(version=version):
                program = scene.run(
                    "laptop", "tcp", str(front), "--name", "ha-" + version, "--proxy-protocol", version, "--url-only"
                )
                program.wait_for(":")
                address = program.lines[0].strip()
                request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
                reply, own = visit(address, source="127.0.0.7", data=request)
                self.assertTrue(reply.startswith(b"HTTP/1.1 200 "), reply)
                port = int(address.rsplit(":", 1)[1])
                self.assertEqual(reply.split(b"\r\n\r\n", 1)[1].decode(), "127.0.0.7:%d 127.0.0.1:%d" % (own[1], port))


class Limits(unittest.TestCase):
    def setUp(self):
        self.scene = Scene()
        self.addCleanup(self.scene.close)
        self.scene.join("laptop")

    def tunnel(self, *arguments):
        program = self.scene.run("laptop", *arguments)
        program.wait_for("://" if arguments[0] == "http" else ":2")
        return program, program.lines[0].strip()

    def get(self, address, extra="", source="127.0.0.1"):
        host = address.split("://")[1].rstrip("/").split(":")[0]
        request = "GET / HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n\r\n" % (host, extra)
        return visit("127.0.0.1:%d" % self.scene.http_port, source=source, data=request.encode())[0]

    def test_the_log_says_who_came_and_who_was_turned_away(self):
        recorder = Recorder()
        program, address = self.tunnel("tcp", str(recorder.port), "--name", "log me", "--allow", "127.0.0.1")
        _, own = visit(address)
        self.assertEqual(visit(address, source="127.0.0.66")[0], b"")
        # The expressions of docs/security.md.
        accepted = re.compile(r"visitor accepted  port=(\d+)  remote=(\S+)  tunnel=(\S+)$")
        refused = re.compile(r"visitor refused  port=\d+  reason=(?:allow-list|password)  remote=(\S+)  tunnel=\S+$")
        self.scene.server.wait_for("visitor refused")
        lines = list(self.scene.server.lines)
        came = [match.groups() for match in map(accepted.search, lines) if match]
        self.assertIn((str(own[1]), "127.0.0.1", "log_me"), came)
        self.assertEqual([match[1] for match in map(refused.search, lines) if match], ["127.0.0.66"])
        program.wait_for("turned away 1 visitor in the last")
        program.wait_for("not on the allow list")

    def test_more_visitors_than_allowed_are_turned_away_and_the_device_says_so(self):
        recorder = Recorder()
        program, address = self.tunnel("tcp", str(recorder.port), "--max-connections", "3")
        port = int(address.rsplit(":", 1)[1])
        held = []
        for _ in range(3):
            connection = socket.create_connection(("127.0.0.1", port), timeout=10)
            connection.sendall(b"x")
            held.append(connection)
        time.sleep(0.5)
        for _ in range(4):
            self.assertEqual(visit(address)[0], b"")
        program.wait_for("turned away 4 visitors in the last")
        program.wait_for("connection limit 3")
        for connection in held:
            connection.close()
        deadline = time.monotonic() + 10
        while visit(address)[0] != b"ok":
            self.assertLess(time.monotonic(), deadline)
        status = self.scene.status()
        tunnels = [tunnel for client in status["clients"] for tunnel in client["tunnels"]]
        self.assertGreaterEqual(tunnels[0]["refusedVisitors"], 4)

    def test_the_password_comes_from_a_file_or_the_environment_and_contradictions_are_refused(self):
        recorder = Recorder()
        path = self.scene.folder / "passwords"
        path.write_text("# friends\nann:one two\n\nbob:geheim\n")
        program, address = self.tunnel("http", str(recorder.port), "--auth-file", str(path))

        def basic(text):
            return "Authorization: Basic %s\r\n" % base64.b64encode(text.encode()).decode()

        self.assertIn(b" 401 ", self.get(address).split(b"\r\n")[0])
        self.assertIn(b" 401 ", self.get(address, basic("ann:wrong")).split(b"\r\n")[0])
        for pair in ("ann:one two", "bob:geheim"):
            self.assertNotIn(b" 401 ", self.get(address, basic(pair) + "X: END\r\n").split(b"\r\n")[0])
        # Whoever passes gets 502: the recorder answers no HTTP.
        # Two fields that contradict each other let nobody in, whichever comes first.
        for fields in (basic("ann:one two") + basic("x:y"), basic("x:y") + basic("ann:one two")):
            self.assertRegex(self.get(address, fields).split(b"\r\n")[0], rb" 40[01] ")
        self.assertFalse(any("geheim" in line for line in program.lines))
        with open("/proc/%d/cmdline" % program.process.pid, "rb") as command:
            self.assertNotIn(b"geheim", command.read())
        self.scene.server.wait_for("reason=password")
        environment = dict(self.scene.environment("laptop"), ADIT_AUTH="eve:apple")
        second = Program("http", str(recorder.port), "--name", "second", env=environment)
        self.scene.programs.append(second)
        second.wait_for("://")
        self.assertIn(b" 401 ", self.get(second.lines[0].strip()).split(b"\r\n")[0])
        self.assertNotIn(b" 401 ", self.get(second.lines[0].strip(), basic("eve:apple") + "X: END\r\n").split(b"\r\n")[0])

    def test_a_bandwidth_holds_and_is_shared_fairly(self):
        pour = Pour(1_500_000)
        _, address = self.tunnel("tcp", str(pour.port), "--bandwidth", "1MB")
        port = int(address.rsplit(":", 1)[1])
        finished = [None] * 3

        def download(index):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                count = len(receive_all(connection))
            finished[index] = (time.monotonic(), count)

        start = time.monotonic()
        threads = [threading.Thread(target=download, args=(index,)) for index in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        times = [moment - start for moment, _ in finished]
        self.assertEqual([count for _, count in finished], [1_500_000] * 3)
        due = 4_500_000 / 1048576
        self.assertGreaterEqual(max(times), due - 0.3)
        self.assertLess(max(times), due + 3)
        # All three ran side by side: the first one done is not far ahead of the last.
        self.assertGreater(min(times), 0.8 * max(times))

    def test_frps_limits_of_both_modes_hold(self):
        pour = Pour(900_000)
        token = "secret"
        bind, = free_ports(1)
        path = self.scene.folder / "frps.toml"
        path.write_text("bindAddr = '127.0.0.1'\nbindPort = %d\nauth.token = '%s'\n" % (bind, token))
        server = self.scene.run("frps", "frps", "-c", str(path))
        server.wait_for_port(bind)
        # The Python client keeps no limit: this one is the server's.
        client = frpc.Client(("127.0.0.1", bind), token.encode(), "v1", True, False, True)
        self.addCleanup(client.close)
        remote = client.add_proxy(
            "limited", "tcp", ("127.0.0.1", pour.port), bandwidth_limit="300KB", bandwidth_limit_mode="server"
        )
        self.assertGreaterEqual(self.seconds(int(remote.rsplit(":", 1)[1]), 900_000), 900_000 / 307200 - 0.3)
        # The Python server keeps none either: this one is frpc's.
        other = frps.Server(token.encode())
        self.addCleanup(other.close)
        path = self.scene.folder / "frpc.toml"
        path.write_text(
            "serverAddr = '127.0.0.1'\nserverPort = %d\nauth.token = '%s'\n"
            "[[proxies]]\nname = 'slow'\ntype = 'tcp'\nlocalPort = %d\ntransport.bandwidthLimit = '300KB'\n"
            % (other.port, token, pour.port)
        )
        program = self.scene.run("frpc", "frpc", "-c", str(path))
        program.wait_for("[slow] start proxy success")
        port = other.last_login.listeners["slow"].getsockname()[1]
        self.assertGreaterEqual(self.seconds(port, 900_000), 900_000 / 307200 - 0.3)

    def seconds(self, port, count):
        start = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            self.assertEqual(len(receive_all(connection)), count)
        return time.monotonic() - start

    def test_revoking_ends_live_visitors_within_a_second(self):
        recorder = Recorder()
        program, address = self.tunnel("tcp", str(recorder.port))
        with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), timeout=20) as connection:
            connection.sendall(b"x")
            time.sleep(0.5)
            start = time.monotonic()
            self.scene.adit("server", "server", "devices", "revoke", "laptop")
            receive_all(connection)
            self.assertLess(time.monotonic() - start, 1.5)
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), timeout=2)
        program.wait_for("ADIT-114")

    def test_a_changed_allow_list_holds_after_a_reload(self):
        recorder = Recorder()
        tunnel = {"kind": "tcp", "name": "rec", "target": str(recorder.port), "allow": ["127.0.0.1"]}
        client = self.scene.client("laptop", [tunnel], joined=True)
        address = client.wait_open()["rec"]
        self.assertEqual(visit(address)[0], b"ok")
        (self.scene.folder / "laptop.json").write_text(json.dumps({"tunnels": [dict(tunnel, allow=["127.0.0.9"])]}))
        client.program.process.send_signal(1)
        deadline = time.monotonic() + 10
        while True:
            try:
                if visit(address)[0] == b"" and visit(address, source="127.0.0.9")[0] == b"ok":
                    break
            except OSError:
                pass
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)


if __name__ == "__main__":
    unittest.main(verbosity=2)
