# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Datagrams as games have them: a steady stream both ways, and what of it was lost, late or out of order."""

import contextlib
import socket
import struct
import threading
import time

from natlab.sockets import ProofError

from .arrivals import Arrivals

RATE = 50
SIZE = 160
HEAD = struct.Struct("!IQ")
# The first packet is sent so often until the game answers.
GREETING = 30


class Direction:
    """What comes of one sender's stream. Both ends read one clock, so that times are those of one way."""

    def __init__(self):
        self.sent, self.arrivals, self.numbers, self.late, self.again = 0, Arrivals(), set(), 0, 0
        # RFC 3550 section 6.4.1, and the highest of its values.
        self.jitter = self.worst_jitter = 0.0
        self.transit, self.highest, self.delays = None, -1, []

    def next(self):
        self.sent += 1
        head = HEAD.pack(self.sent - 1, time.monotonic_ns())
        return head + bytes(SIZE - len(head))

    def take(self, data):
        number, moment = HEAD.unpack_from(data)
        if number in self.numbers:
            self.again += 1
            return
        self.numbers.add(number)
        self.late += number < self.highest
        self.highest = max(self.highest, number)
        transit = (time.monotonic_ns() - moment) / 1e6
        if self.transit is not None:
            self.jitter += (abs(transit - self.transit) - self.jitter) / 16
            self.worst_jitter = max(self.worst_jitter, self.jitter)
        self.transit = transit
        self.delays.append(transit)
        self.arrivals.note()

    def lost(self, first=0, end=None):
        """How many of those with these numbers did not come."""
        return sum(number not in self.numbers for number in range(first, self.sent if end is None else end))

    def __str__(self):
        delays = sorted(self.delays) or [0.0]
        share = 100 * self.lost() / max(1, self.sent)
        return (
            f"{self.sent} sent, {share:.2f} % lost, {self.late} out of order, {self.again} twice; one way median "
            f"{delays[len(delays) // 2]:.1f} ms, 99 % {delays[len(delays) * 99 // 100]:.1f} ms; jitter {self.jitter:.1f} ms, at "
            f"worst {self.worst_jitter:.1f} ms; longest silence {self.arrivals.silence():.2f} s"
        )


class Server(contextlib.ExitStack):
    """A game on loopback: every address that sends is a player, and gets 50 packets a second from then on."""

    def __init__(self, lab, place, port):
        super().__init__()
        with lab.inside(place):
            self.socket = self.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.socket.bind(("127.0.0.1", port))
        self.socket.settimeout(0.1)
        self.players, self.is_over, self.is_silent = {}, threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self.read, self.write)]
        for each in self.threads:
            each.start()
        self.callback(self.end)

    def silence(self):
        """Sends no more, and waits until what is under way has come, or will not."""
        self.is_silent.set()
        self.threads[1].join()
        for _, out in self.players.values():
            out.arrivals.settle()

    def end(self):
        self.is_silent.set()
        self.is_over.set()
        for each in self.threads:
            each.join()

    def read(self):
        while not self.is_over.is_set():
            try:
                data, source = self.socket.recvfrom(2048)
            except TimeoutError:
                continue
            if source not in self.players:
                self.players[source] = Direction(), Direction()
            # A greeting belongs to no stream.
            if len(data) == SIZE:
                self.players[source][0].take(data)

    def write(self):
        while not self.is_silent.wait(1 / RATE):
            for source, (_, out) in list(self.players.items()):
                with contextlib.suppress(OSError):
                    self.socket.sendto(out.next(), source)


class Player:
    """Somebody who plays; for `with`."""

    def __init__(self, lab, place, port, server):
        with lab.inside(place):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.server, self.out, self.back, self.is_over = server, None, None, threading.Event()
        self.is_silent = threading.Event()
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self.write, self.read)]

    def __enter__(self):
        known = set(self.server.players)
        self.socket.settimeout(0.2)
        deadline = time.monotonic() + GREETING
        while True:
            self.socket.send(b"hello")
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                self.socket.recv(2048)
                break
            if time.monotonic() > deadline:
                raise ProofError("the game does not answer")
        # Players greet one after the other.
        (self.source,) = set(self.server.players) - known
        self.out, self.back = self.server.players[self.source]
        for each in self.threads:
            each.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.is_over.set()
        self.threads[1].join()
        self.socket.close()

    def stop(self):
        """Sends no more, and waits until what is under way has come, or will not."""
        self.is_silent.set()
        self.threads[0].join()
        self.out.arrivals.settle()

    def write(self):
        while not self.is_silent.wait(1 / RATE):
            with contextlib.suppress(ConnectionRefusedError):
                self.socket.send(self.out.next())

    def read(self):
        while not self.is_over.is_set():
            with contextlib.suppress(TimeoutError, ConnectionRefusedError):
                self.back.take(self.socket.recv(2048))

    def wanted(self, count):
        """How many have to have come at the game and here until so many more have."""
        return self.out.arrivals.count + count, self.back.arrivals.count + count

    def wait_for(self, wanted, seconds):
        for name, each, count in (("to the game", self.out, wanted[0]), ("to the player", self.back, wanted[1])):
            each.arrivals.wait_for(count, seconds, f"packets {name}")
