# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Attacks of visitors on the port of https and on ports of datagrams, and of a local program on a device's status socket."""

import concurrent.futures
import json
import os
import random
import socket
import ssl
import stat
import struct
import time

import datagrams
from attacking import connect, exchange, is_closed
from scene import host_of, port_of

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HTTP2_DATA, HEADERS, PRIORITY, RESET, SETTINGS, HTTP2_PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 8, 9
# More connections from one address than may be without a finished handshake.
SLOW_HANDSHAKES = 600
# Above what a server and a device remember of a tunnel.
SPOOFED_SOURCES, SPOOFED_PORTS = 5, 1000


def http2_frame(kind, flags, stream, payload=b""):
    """A frame (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def head_block(host):
    """GET https://host/ in HPACK without a dynamic table (RFC 7541)."""
    return b"\x82\x87\x84\x01" + bytes((len(host),)) + host.encode()


def client_hello(name):
    """The first bytes of a real client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = visitor_context().wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def visitor_context(*protocols):
    """A visitor who takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


class VisitorAttacks:
    """Part of the attacks; the other part has the scene."""

    @classmethod
    def begin_slow_handshakes(cls):
        """Connections from one address with a part of a hello each; that of a website and that of a tls tunnel in turn."""
        cls.handshakes = []
        for index in range(SLOW_HANDSHAKES):
            hello = client_hello(("secure.localhost", "sealed.localhost")[index % 2])
            sizes = [0, 3, len(hello) // 2, len(hello) - 1]
            if index % 2 == 0:
                # All of it, and then silence; where the server only leads on, that is for the service to judge.
                sizes.append(len(hello))
            try:
                sock = connect(cls.https_port, "127.0.11.1")
                sock.send(hello[: sizes[index // 2 % len(sizes)]])
                cls.handshakes.append(sock)
            except OSError:
                pass

    def secure_page(self, source):
        """What another visitor gets of the website with TLS."""
        with connect(self.https_port, source) as sock:
            with visitor_context("http/1.1").wrap_socket(sock, server_hostname="secure.localhost") as tls:
                tls.sendall(b"GET /control HTTP/1.1\r\nHost: secure.localhost:%d\r\nConnection: close\r\n\r\n" % self.https_port)
                reply = b""
                while data := tls.recv(65536):
                    reply += data
        return reply

    def check_secure_page(self, source="127.0.11.200"):
        reply = self.secure_page(source)
        self.assertTrue(reply.startswith(b"HTTP/1.1 200") and reply.endswith(self.visitor.page), reply[:200])

    # TLS.

    def test_hellos_that_are_none(self):
        names = "secure.localhost", "sealed.localhost"
        hellos = [client_hello(name) for name in names]
        chance = random.Random(1)
        strikes = [
            os.urandom(4000),
            b"\0" * 5000,
            b"\x16\x03\x01\0\0" * 20000,
            b"\x16\x03\x01\xff\xff" + os.urandom(70000),
            b"\x16\x03\x01\x40\x01" + b"\x01" * 16385,
            b"\x15\x03\x01\x00\x02\x02\x28" * 1000,
            b"\x17\x03\x03\x00\x20" + os.urandom(32),
            # Hellos of 16 MB and of 2 MB, in records that are full and in records of one byte.
            b"\x16\x03\x01\x40\x00" + b"\x01\xff\xff\xff" + b"\0" * 16380 + (b"\x16\x03\x01\x40\x00" + b"\0" * 16384) * 120,
            b"\x16\x03\x01\x00\x04\x01\x1f\xff\xff" + b"\x16\x03\x01\x00\x01\x00" * 200000,
            b"GET / HTTP/1.1\r\nHost: secure.localhost\r\n\r\n",
            PREFACE + http2_frame(SETTINGS, 0, 0),
            b"SSH-2.0-x\r\n",
        ]
        for hello in hellos:
            strikes += [hello[:size] for size in range(1, len(hello), 23)]
            # One byte in each record.
            strikes.append(b"".join(hello[:3] + b"\0\1" + hello[at : at + 1] for at in range(5, len(hello))))
            strikes.append(hello + hello)
            strikes.append(hello + os.urandom(3000))
            for _ in range(150):
                changed = bytearray(hello)
                for _ in range(chance.randint(1, 6)):
                    changed[chance.randrange(len(changed))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
                strikes.append(bytes(changed))

        def one(index):
            try:
                with connect(self.https_port, "127.0.11.%d" % (2 + index % 50)) as sock:
                    sock.sendall(strikes[index])
                    if index % 2:
                        sock.shutdown(socket.SHUT_WR)
                    sock.settimeout(0.2)
                    sock.recv(100)
            except OSError:
                pass

        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            list(pool.map(one, range(len(strikes))))
        self.check_secure_page()

    def test_what_follows_a_handshake(self):
        """Garbage inside TLS, to the website and past the server to the sealed service."""
        for name in ("secure.localhost", "sealed.localhost"):
            for data in (os.urandom(20000), PREFACE[:20], b"\0" * 100000, b"GET " + b"/" * 200000, PREFACE + b"\xff" * 50000):
                try:
                    with connect(self.https_port, "127.0.11.60") as sock:
                        with visitor_context("h2", "http/1.1").wrap_socket(sock, server_hostname=name) as tls:
                            exchange(tls, data, seconds=2, quiet=0.1)
                except OSError:
                    pass
        # A handshake again and again on one connection, which TLS 1.3 does not know: records of a hello in the middle.
        hello = client_hello("secure.localhost")
        with connect(self.https_port, "127.0.11.61") as sock:
            exchange(sock, hello * 200, seconds=2, quiet=0.2)
        self.check_secure_page()

    def test_floods_of_http2_inside_tls(self):
        block = head_block("secure.localhost:%d" % self.https_port)
        odd = range(1, 40001, 2)
        floods = {
            "requests that are reset at once": b"".join(
                http2_frame(HEADERS, 5, n, block) + http2_frame(RESET, 0, n, b"\0\0\0\x08") for n in odd
            ),
            "requests that break a rule": b"".join(
                http2_frame(HEADERS, 4, n, block) + http2_frame(WINDOW_UPDATE, 0, n, bytes(4)) for n in odd
            ),
            "CONTINUATION without end": http2_frame(HEADERS, 1, 1, block) + http2_frame(CONTINUATION, 0, 1) * 200000,
            "CONTINUATION with fields": http2_frame(HEADERS, 1, 1, block)
            + http2_frame(CONTINUATION, 0, 1, (b"\0\1x\x7f\x81\x1e" + b"a" * 4000) * 3) * 200,
            "SETTINGS": http2_frame(SETTINGS, 0, 0, b"\0\4\0\0\x64\0") * 100000,
            "PING": http2_frame(HTTP2_PING, 0, 0, bytes(8)) * 100000,
            "WINDOW_UPDATE": http2_frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 100000,
            "PRIORITY": http2_frame(PRIORITY, 0, 1, b"\0\0\0\0\1") * 100000,
            "empty DATA": http2_frame(HEADERS, 4, 1, block) + http2_frame(HTTP2_DATA, 0, 1) * 200000,
            "frames that nobody knows": http2_frame(0xEE, 0, 0) * 200000,
            "a frame above the limit": http2_frame(0xEE, 0, 0, bytes(0xFFFFFF)),
        }
        for index, (name, data) in enumerate(floods.items()):
            begun = time.monotonic()
            with connect(self.https_port, "127.0.11.%d" % (70 + index)) as sock:
                with visitor_context("h2").wrap_socket(sock, server_hostname="secure.localhost") as tls:
                    self.assertEqual(tls.selected_alpn_protocol(), "h2")
                    start = PREFACE + http2_frame(SETTINGS, 0, 0)
                    received, ended = exchange(tls, start + data, seconds=15, quiet=5)
            print("    %-44s %4.1f s, %d bytes back" % (name, time.monotonic() - begun, received))
            self.assertTrue(ended, "a flood goes on: " + name)
        self.check_secure_page()

    def test_zz_slow_handshakes_end(self):
        """The connections that began with the first attack."""
        for sock in self.handshakes:
            self.assertTrue(is_closed(sock, 5), "half a hello is still waited for")
            sock.close()
        self.check_secure_page("127.0.11.1")

    # Datagrams.

    def test_floods_of_datagrams(self):
        for tunnel in ("dns", "craft"):
            port = port_of(self.addresses[tunnel])
            with datagrams.udp_socket() as visitor:
                datagrams.ask(port, b"before", sock=visitor)
                begun = time.monotonic()
                for source in range(SPOOFED_SOURCES):
                    for index in range(SPOOFED_PORTS):
                        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                            sock.bind(("127.0.12.%d" % (1 + source), 0))
                            sock.sendto(os.urandom(index % 50), ("127.0.0.1", port))
                        if index % 100 == 0:
                            # A visitor who is there stays there.
                            datagrams.ask(port, b"between %d" % index, sock=visitor)
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind(("127.0.12.100", 0))
                    for size in (0, 1, 1500, 9000, 65507) * 60:
                        sock.sendto(os.urandom(size), ("127.0.0.1", port))
                for size in (0, 1, 65507):
                    datagrams.ask(port, os.urandom(size), sock=visitor)
                # A new one finds room as soon as the silent ones have been silent for a while.
                with datagrams.udp_socket() as newcomer:
                    datagrams.ask(port, b"after", sock=newcomer)
            print("    %-44s %4.1f s" % ("visitors beyond the bound: " + tunnel, time.monotonic() - begun))
        with connect(port_of(self.addresses["craft"]), "127.0.12.101") as sock:
            sock.sendall(b"by TCP")
            self.assertEqual(sock.recv(100), b"by TCP")

    # The status socket of a device.

    def test_garbage_on_the_status_socket(self):
        (path,) = (self.scene.folder / "laptop").rglob("run/*.sock")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(path.parent.stat().st_mode), 0o700)
        held = []
        for index in range(400):
            # One that blocks waits for room among those who are not accepted yet.
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(path))
            sock.settimeout(5)
            held.append(sock)
            try:
                if index % 4 == 1:
                    sock.sendall(b"\0" * 100)
                elif index % 4 == 2:
                    sock.sendall(os.urandom(1000) + b"\n")
                elif index == 3:
                    sock.sendall(b"x" * (8 << 20))
                elif index % 4 == 3:
                    sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        status = json.loads(self.scene.adit("laptop", "status", "--json"))
        for sock in held:
            sock.close()
        self.assertIn(host_of(self.addresses["web"]), json.dumps(status))
