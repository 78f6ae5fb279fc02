#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A server and devices as people run them: the commands, the screens, and what must survive.

The environment variable ADIT names the binary; UPLOAD is the size in bytes of the large upload (64 MiB unless told).
Nothing leaves 127.0.0.1 and no port is fixed.
"""

import hashlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from program import ADIT, Program, free_ports

UPLOAD = int(os.environ.get("UPLOAD", str(64 << 20)))
BLOCK = bytes(range(256)) * 256
EIGHT_MEGABYTES = (BLOCK * 123)[:8_000_000]


class Service:
    """A TCP service that hands each connection to a function in a thread of its own."""

    def __init__(self, handle, port=0):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.handle = handle
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                self.handle(connection)
            except OSError:
                pass

    def close(self):
        # An accept that is waiting would keep the port open.
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()


def read_all(connection, pause=0.0):
    digest, count = hashlib.sha256(), 0
    while True:
        data = connection.recv(65536)
        if not data:
            return digest.hexdigest(), count
        digest.update(data)
        count += len(data)
        if pause:
            time.sleep(pause)


def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(4096)
        if not data:
            return head, b""
        head += data
    head, rest = head.split(b"\r\n\r\n", 1)
    return head, rest


def page_service(body=b"<h1>hello from behind NAT</h1>"):
    """Answers every GET with the page and every POST with the SHA-256 of its body."""

    def handle(connection):
        head, rest = read_head(connection)
        length = re.search(rb"(?i)content-length: *(\d+)", head)
        reply = body
        if length:
            digest, left = hashlib.sha256(rest), int(length[1]) - len(rest)
            while left > 0:
                data = connection.recv(min(left, 1 << 18))
                if not data:
                    return
                digest.update(data)
                left -= len(data)
            reply = digest.hexdigest().encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(reply), reply))

    return Service(handle)


def resident(pid):
    """The resident memory of a process in bytes."""
    for line in pathlib.Path("/proc/%d/status" % pid).read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS of %d" % pid)


class Commands(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.session_port, self.http_port = free_ports(2)
        self.server = self.start_server()

    # The actors.

    def environment(self, name):
        home = self.folder / name
        home.mkdir(mode=0o700, exist_ok=True)
        environment = dict(os.environ, ADIT_HOME=str(home), LC_ALL="C.UTF-8")
        environment.pop("LANG", None)
        return environment

    def start_server(self, **options):
        program = Program(
            "server", "--listen", "127.0.0.1", "--port", str(self.session_port), "--http-port", str(self.http_port),
            "--no-stun", env=self.environment("server"), **options
        )
        self.addCleanup(program.stop)
        program.wait_for_port(self.session_port)
        program.wait_for_port(self.http_port)
        return program

    def adit(self, name, *arguments, status=0, user=None):
        done = subprocess.run(
            [ADIT, *arguments], env=self.environment(name), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
            user=user, group=user
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def invite(self):
        text = self.adit("server", "server", "invite")
        return re.search(r"adit join (\S+)", text)[1]

    def join(self, name):
        return self.adit(name, "join", self.invite(), "--name", name)

    def device(self, name, *arguments, **options):
        program = Program(*arguments, env=self.environment(name), **options)
        self.addCleanup(program.stop)
        return program

    def tunnel(self, name, *arguments):
        """Opens a tunnel and returns the program and its public address, which is on the first line."""
        program = self.device(name, *arguments)
        program.wait_for("://" if arguments[0] == "http" else ":2")
        return program, program.lines[0].strip()

    def visitor(self, address):
        host, port = address.split("://")[-1].rstrip("/").rsplit(":", 1)
        connection = socket.create_connection(("127.0.0.1", int(port)), timeout=60)
        return connection, host

    def get(self, address, path="/", extra=""):
        connection, host = self.visitor(address)
        with connection:
            request = "GET %s HTTP/1.1\r\nHost: %s:%d\r\nAccept: text/html\r\n%sConnection: close\r\n\r\n"
            connection.sendall((request % (path, host, self.http_port, extra)).encode())
            reply = b""
            while True:
                data = connection.recv(65536)
                if not data:
                    break
                reply += data
        head, body = reply.split(b"\r\n\r\n", 1)
        return int(head.split()[1]), head, body

    def eventually(self, check, timeout=40):
        deadline = time.monotonic() + timeout
        while True:
            try:
                return check()
            except (AssertionError, OSError, ValueError, IndexError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    # What must be true.

    def test_a_page_behind_nat_opens_at_the_first_line(self):
        service = page_service()
        self.join("laptop")
        program, address = self.tunnel("laptop", "http", str(service.port))
        status, _, body = self.get(address, "/some/page?secret=1")
        self.assertEqual((status, body), (200, b"<h1>hello from behind NAT</h1>"))
        program.wait_for("/some/page")
        self.assertFalse(any("secret=1" in line for line in program.lines), "queries are not logged")
        self.assertIn("laptop", self.adit("server", "server", "status"))
        self.assertIn(address, self.adit("laptop", "status"))

    def test_the_three_pages_tell_apart_what_is_wrong(self):
        service = page_service()
        self.join("laptop")
        program, address = self.tunnel("laptop", "http", str(service.port))
        self.assertEqual(self.get("http://nobody.localhost:%d" % self.http_port)[0], 404)
        service.close()
        status, _, body = self.get(address)
        self.assertEqual(status, 502)
        program.stop()
        status, head, body = self.eventually(lambda: self.expect_status(address, 503))
        self.assertIn(b"retry-after", head.lower())

    def expect_status(self, address, status):
        reply = self.get(address)
        self.assertEqual(reply[0], status)
        return reply

    def test_a_large_upload_keeps_memory_flat(self):
        service = page_service()
        self.join("laptop")
        program, address = self.tunnel("laptop", "http", str(service.port))
        self.get(address)
        before = [resident(self.server.process.pid), resident(program.process.pid)]
        highest, stop = list(before), threading.Event()

        def watch():
            while not stop.wait(0.05):
                for index, pid in enumerate((self.server.process.pid, program.process.pid)):
                    highest[index] = max(highest[index], resident(pid))

        watcher = threading.Thread(target=watch)
        watcher.start()
        connection, host = self.visitor(address)
        digest = hashlib.sha256()
        with connection:
            connection.sendall(
                b"POST /upload HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (host.encode(), UPLOAD)
            )
            left, chunk = UPLOAD, BLOCK * 4
            while left > 0:
                data = chunk[:left]
                connection.sendall(data)
                digest.update(data)
                left -= len(data)
            _, body = read_head(connection)
            while len(body) < 64:
                body += connection.recv(1024)
        stop.set()
        watcher.join()
        self.assertEqual(body.decode(), digest.hexdigest())
        for grown in (high - low for high, low in zip(highest, before)):
            self.assertLess(grown, 48 << 20)

    def test_no_byte_is_lost_after_an_early_fin(self):
        received = {}

        def answer_after_fin(connection):
            received["request"] = read_all(connection)
            connection.sendall(EIGHT_MEGABYTES)

        def answer_then_read(connection):
            connection.sendall(b"bye")
            connection.shutdown(socket.SHUT_WR)
            upload = read_all(connection, pause=0.002)
            if upload[1]:  # adit's own look at its target brings nothing
                received["upload"] = upload
                received["done"].set()

        self.join("laptop")
        expected = hashlib.sha256(EIGHT_MEGABYTES).hexdigest()
        down, up = Service(answer_after_fin), Service(answer_then_read)
        for wait in (0, 0.3):
            _, address = self.tunnel("laptop", "tcp", str(down.port))
            connection, _ = self.visitor(address)
            with connection:
                connection.sendall(b"request")
                time.sleep(wait)
                connection.shutdown(socket.SHUT_WR)
                self.assertEqual(read_all(connection, pause=0.002), (expected, 8_000_000))
            self.assertEqual(received["request"][1], 7)
        received["done"] = threading.Event()
        _, address = self.tunnel("laptop", "tcp", str(up.port))
        connection, _ = self.visitor(address)
        with connection:
            self.assertEqual(read_all(connection)[1], 3)
            connection.sendall(EIGHT_MEGABYTES)
            connection.shutdown(socket.SHUT_WR)
            self.assertTrue(received["done"].wait(60))
        self.assertEqual(received["upload"], (expected, 8_000_000))

    def test_a_visitor_that_stops_reading_stops_the_service(self):
        sent = [0]

        def pour(connection):
            connection.settimeout(2)
            try:
                while sent[0] < 1 << 30:
                    sent[0] += connection.send(BLOCK)
            except TimeoutError:
                pass
            connection.settimeout(None)
            connection.recv(1)

        service = Service(pour)
        self.join("laptop")
        program, address = self.tunnel("laptop", "tcp", str(service.port))
        connection, _ = self.visitor(address)
        with connection:
            connection.recv(1)
            self.eventually(lambda: self.assertEqual(sent[0], self.still(sent)), timeout=60)
            self.assertLess(sent[0], 64 << 20)
            for pid in (self.server.process.pid, program.process.pid):
                self.assertLess(resident(pid), 200 << 20)
            # Another visitor of the same tunnel is not disturbed.
            other, _ = self.visitor(address)
            with other:
                self.assertEqual(len(other.recv(1)), 1)

    @staticmethod
    def still(sent):
        before = sent[0]
        time.sleep(1)
        return before

    def test_a_killed_device_takes_its_own_addresses_back(self):
        service = page_service()
        self.join("laptop")
        web, web_address = self.tunnel("laptop", "http", str(service.port))
        tcp, tcp_address = self.tunnel("laptop", "tcp", str(service.port))
        for program in (web, tcp):
            program.process.send_signal(signal.SIGKILL)
            program.process.wait()
        web, again = self.tunnel("laptop", "http", str(service.port))
        self.assertEqual(again, web_address)
        tcp, again = self.tunnel("laptop", "tcp", str(service.port))
        self.assertEqual(again, tcp_address)
        self.assertEqual(self.get(web_address)[0], 200)
        self.assertEqual(self.get(tcp_address)[0], 200)

    def test_a_device_comes_back_after_the_server_restarts(self):
        service = page_service()
        self.join("laptop")
        web, address = self.tunnel("laptop", "http", str(service.port))
        self.assertEqual(self.get(address)[0], 200)
        self.server.stop()
        self.server = self.start_server()
        self.eventually(lambda: self.expect_status(address, 200))

    def test_a_name_belongs_to_its_device(self):
        service = page_service()
        self.join("laptop")
        self.join("desk")
        _, address = self.tunnel("laptop", "http", str(service.port), "--name", "blog")
        self.assertTrue(address.startswith("http://blog."), address)
        other = self.device("desk", "http", str(service.port), "--name", "blog")
        other.wait_for("ADIT-302")
        self.assertEqual(other.process.wait(20), 1)
        self.assertEqual(self.get(address)[0], 200)

    def test_an_invite_works_once_and_a_guess_never(self):
        invite = self.invite()
        self.adit("laptop", "join", invite, "--name", "laptop")
        self.assertIn("ADIT-110", self.adit("desk", "join", invite, "--name", "desk", status=1))
        host, code = invite.rsplit("/", 1)
        # The secret is at the front, the server's fingerprint at the end.
        guessed = "".join(reversed(code[1:10])) if code[1:10] != code[1:10][::-1] else "ABCDEFGHJ"
        self.adit("desk", "join", host + "/" + code[0] + guessed + code[10:], status=1)
        wrong_key = code[:-1] + ("0" if code[-1] != "0" else "1")
        self.assertIn("ADIT-120", self.adit("desk", "join", host + "/" + wrong_key, status=1))

    def test_garbage_on_every_port_disturbs_nobody(self):
        service = page_service()
        self.join("laptop")
        _, web = self.tunnel("laptop", "http", str(service.port))
        _, tcp = self.tunnel("laptop", "tcp", str(service.port))
        ports = (self.session_port, self.http_port, int(tcp.rsplit(":", 1)[1]))
        before = resident(self.server.process.pid)
        garbage = [os.urandom(2000) for _ in range(40)]
        garbage += [b"\x16\x03\x01\xff\xff" + os.urandom(100), b"\0" * 5000]
        garbage += [b"o" + b"\x7f" + b"\xff" * 7, b"FRP\0\2\r\n" + b"\xff" * 50]
        garbage += [b"\0\0\0\1\0\0\0\1" + b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000]
        garbage += [b"\0\1\0\1" + (2 * i + 1).to_bytes(4, "big") + b"\0\0\0\0" for i in range(50)]
        garbage += [b"".join(b"\0\1\0\1" + (2 * i + 1).to_bytes(4, "big") + b"\0\0\0\0" for i in range(20000))]
        for port in ports:
            for data in garbage:
                with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                    try:
                        connection.sendall(data)
                        connection.shutdown(socket.SHUT_WR)
                    except OSError:
                        pass
        self.assertEqual(self.get(web)[0], 200)
        self.assertEqual(self.get(tcp)[0], 200)
        self.assertLess(resident(self.server.process.pid) - before, 64 << 20)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
    def test_a_server_and_a_device_need_no_privileges(self):
        self.server.stop()
        nobody = 65534
        self.folder.chmod(0o755)
        for name in ("server", "laptop"):
            self.environment(name)
            for path in (self.folder / name, *(self.folder / name).rglob("*")):
                os.chown(path, nobody, nobody)
        self.server = self.start_server(user=nobody)
        service = page_service()
        code = re.search(r"adit join (\S+)", self.adit("server", "server", "invite"))[1]
        self.adit("laptop", "join", code, "--name", "laptop", user=nobody)
        for kind in ("http", "tcp"):
            program = self.device("laptop", kind, str(service.port), "--url-only", user=nobody)
            program.wait_for(":")
            self.assertEqual(self.get(program.lines[0])[0], 200)

    def test_risky_ports_need_a_word(self):
        self.join("laptop")
        self.assertIn("ADIT-501", self.adit("laptop", "tcp", "22", status=1))

    def test_scripts_get_the_address_alone(self):
        service = page_service()
        self.join("laptop")
        program = self.device("laptop", "http", str(service.port), "--url-only")
        program.wait_for("http://")
        self.assertEqual(self.get(program.lines[0])[0], 200)
        program = self.device("laptop", "tcp", str(service.port), "--json", stderr=subprocess.DEVNULL)
        program.wait_for("{")
        self.assertRegex(json.loads(program.lines[0])["address"], r":2\d{4}$")


if __name__ == "__main__":
    if not ADIT:
        sys.exit("set ADIT to the binary")
    unittest.main(verbosity=2)
