# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Streams through a service: a conversation that goes on and on, and a download."""

import contextlib
import hashlib
import random
import socket
import struct
import threading
import time

from natlab.sockets import ProofError

from .arrivals import Arrivals

RECORD = 1024
# A conversation has so many records a second.
RATE = 50
CHUNK = 65536
# What a held-back source still sends, and how often.
TRICKLE, BEAT = 4096, 0.05


class Listener(contextlib.ExitStack):
    """A server on loopback in a place of the lab; each connection is served by a thread of its own."""

    def __init__(self, lab, place, serve, port=0):
        super().__init__()
        with lab.inside(place):
            self.socket = self.enter_context(socket.create_server(("127.0.0.1", port)))
        self.port, self.serve = self.socket.getsockname()[1], serve
        self.callback(self.socket.shutdown, socket.SHUT_RDWR)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.handle, args=(connection,), daemon=True).start()

    def handle(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.serve(connection)


def echo(connection):
    while data := connection.recv(CHUNK):
        connection.sendall(data)


def dial(lab, place, port):
    """A connection to a port on the loopback of a place."""
    with lab.inside(place):
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.settimeout(None)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Conversation:
    """Numbered records on one connection, whose other end sends each back; for `with`."""

    def __init__(self, lab, place, port):
        self.connection = dial(lab, place, port)
        self.arrivals, self.is_over, self.sent = Arrivals(), threading.Event(), 0
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self.write, self.read)]

    def __enter__(self):
        for each in self.threads:
            each.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        for each in self.threads:
            each.join()
        self.connection.close()

    @staticmethod
    def record(number):
        return struct.pack("!Q", number) + random.Random(number).randbytes(RECORD - 8)

    def write(self):
        try:
            while not self.is_over.wait(1 / RATE):
                self.connection.sendall(self.record(self.sent))
                self.sent += 1
        except OSError as error:
            self.arrivals.close(f"the connection broke while sending: {error}")

    def read(self):
        held = b""
        try:
            while data := self.connection.recv(CHUNK):
                held += data
                while len(held) >= RECORD:
                    if held[:RECORD] != self.record(self.arrivals.count):
                        return self.arrivals.close(f"record {self.arrivals.count} came back changed")
                    held = held[RECORD:]
                    self.arrivals.note()
            self.arrivals.close("the connection was closed")
        except OSError as error:
            self.arrivals.close(f"the connection broke: {error}")

    def go_on(self, seconds, rounds=RATE):
        """Waits until records that are sent from now on have come back."""
        self.arrivals.wait_for(self.sent + rounds, seconds, "the conversation")


class Source:
    """What a download gets: so many bytes that look like noise, as fast as it takes them, but not more than it is allowed to
    get quickly; beyond, a trickle goes on."""

    def __init__(self, size, seed=7):
        self.size, self.block = size, random.Random(seed).randbytes(1 << 20)
        self.allowed, self.changed = 0, threading.Condition()

    @property
    def digest(self):
        found, sent = hashlib.sha256(), 0
        while sent < self.size:
            data = self.part(sent, len(self.block))
            found.update(data)
            sent += len(data)
        return found.hexdigest()

    def part(self, start, count):
        """Each block differs from the one before, so that none can take another's place."""
        index, offset = divmod(start, len(self.block))
        turned = (offset + index * 4099) % len(self.block)
        count = min(count, self.size - start, len(self.block) - offset, len(self.block) - turned)
        return self.block[turned : turned + count]

    def allow(self, count):
        with self.changed:
            self.allowed = max(self.allowed, count)
            self.changed.notify_all()

    def serve(self, connection):
        sent = 0
        while sent < self.size:
            with self.changed:
                is_quick = self.allowed > sent or self.changed.wait(BEAT)
            data = self.part(sent, min(CHUNK, max(TRICKLE, self.allowed - sent)) if is_quick else TRICKLE)
            connection.sendall(data)
            sent += len(data)


class Download:
    """One connection that reads to the end; for `with`."""

    def __init__(self, lab, place, port):
        self.connection = dial(lab, place, port)
        self.arrivals, self.hash = Arrivals(), hashlib.sha256()
        self.thread = threading.Thread(target=self.read, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.connection.close()

    def read(self):
        try:
            while data := self.connection.recv(1 << 18):
                self.hash.update(data)
                self.arrivals.note(len(data))
            self.arrivals.close("closed")
        except OSError as error:
            self.arrivals.close(f"the connection broke: {error}")

    def wait_for(self, count, seconds):
        """Waits for so many bytes in all; returns bytes a second since the call."""
        begun, before = time.monotonic(), self.arrivals.count
        self.arrivals.wait_for(count, seconds, "the download")
        return (self.arrivals.count - before) / max(0.001, time.monotonic() - begun)

    def finish(self, seconds):
        """Waits for the end; the digest of all."""
        self.thread.join(seconds)
        if self.thread.is_alive():
            raise ProofError(f"the download does not end: {self.arrivals.count} bytes after {seconds:.0f} s more")
        if self.arrivals.end != "closed":
            raise ProofError(self.arrivals.end)
        return self.hash.hexdigest()
