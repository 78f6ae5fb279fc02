# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""How long a program that connects to a port of `adit connect` waits for the first byte of the service's answer, in round trips,
between two devices behind NATs of the kernel.

Devices and server are all equally far from each other: a round trip of two devices through the server is two of any other."""

import contextlib
import os
import pathlib
import socket
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "IntegrationTests"))
sys.dont_write_bytecode = True

import kernel  # noqa: E402
from pathlab.scenes import Scene  # noqa: E402
from pathlab.world import World  # noqa: E402
from servicelab import streams  # noqa: E402
from servicelab.life import DIRECT, RELAYED, Devices  # noqa: E402

SITES = Scene("", "port", "port", ())
# What is needed, in round trips. Through the server each takes two: for the greeting that brings the key, where the devices have
# never met, for QUIC's handshake, which goes with the first words, and for the request with its answer.
CASES = {
    "devices that have never met": 6,
    "no connection yet": 4,
    "no connection yet, relayed alone": 4,
    "with a connection, relayed": 2,
    "with a connection, direct": 1,
}
# Milliseconds for the computers: six programs on two cores, and the local connections at both ends.
SPARE = 50
OFF = "--p2p", "off"


class Pair(Devices):
    """One device offers an echo, the other visits it."""

    def __init__(self, world, host, visitor):
        super().__init__(world, visitor)
        self.host = host

    def __enter__(self):
        super().__enter__()
        target = self.enter_context(streams.Listener(self.lab, self.world.places[self.host], streams.echo))
        words = "expose", str(target.port), "--name", "echo", "--json"
        self.enter_context(self.world.program(self.host, *words)).wait_for("connected")
        return self

    @contextlib.contextmanager
    def visit(self, *words):
        """The local port of an `adit connect` that has its session and nothing else."""
        with self.world.program(self.visitor, "connect", f"{self.host}/echo", "--json", *words) as program:
            missing, address = {"visiting", "connected"}, None
            for _, event in program.events(30):
                missing.discard(event["event"])
                address = event.get("address", address) if event["event"] == "visiting" else address
                if not missing:
                    break
            # Programs that begin look at networks and NATs.
            time.sleep(1)
            yield int(address.rpartition(":")[2])

    def first_byte(self, port):
        """Seconds from a program's connect to the first byte that comes back."""
        with self.lab.inside(self.world.places[self.visitor]):
            begun = time.monotonic()
            with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
                connection.sendall(b"?")
                if connection.recv(1) != b"?":
                    raise ValueError("the connection ended before its first byte")
                return time.monotonic() - begun

    def forget(self):
        """The visitor has met nobody."""
        (self.world.folder / self.visitor / "devices.json").unlink(missing_ok=True)

    def settle(self, kind):
        """Waits until both ends use a path of that kind."""
        ends = (self.visitor, self.host), (self.host, self.visitor)
        deadline = time.monotonic() + 30
        while any(self.path(*each)["path"] != kind for each in ends):
            if time.monotonic() > deadline:
                raise ValueError(f"no {kind} path")
            time.sleep(0.1)


def once(pair, rounds, note):
    never, cold, relayed_cold, relayed, direct = CASES
    for _ in range(rounds):
        pair.forget()
        with pair.visit() as port:
            note(never, pair.first_byte(port))
        with pair.visit() as port:
            note(cold, pair.first_byte(port))
        with pair.visit(*OFF) as port:
            note(relayed_cold, pair.first_byte(port))
    for case, kind, words in ((relayed, RELAYED, OFF), (direct, DIRECT, ())):
        with pair.visit(*words) as port:
            pair.first_byte(port)
            pair.settle(kind)
            for _ in range(rounds):
                note(case, pair.first_byte(port))


def measure(binary, rounds, delay, tell):
    """The figures of each case; either device visits the other, since one of them leads."""
    found = {case: [] for case in CASES}
    with World(f"f{os.getpid()}", SITES, delay, binary) as world:
        world.set(SITES)
        trip = kernel.round_trip(world.lab)
        for host, visitor in (("amy", "ben"), ("ben", "amy")):
            with Pair(world, host, visitor) as pair:
                once(pair, rounds, lambda case, seconds: found[case].append(seconds))
    figures = []
    for case, times in found.items():
        needed, median = CASES[case], statistics.median(times)
        figures.append({
            "place": "kernel", "group": "first byte", "case": case, "roundTripMs": trip * 1000, "neededRoundTrips": needed,
            "timeToFirstByteMs": median * 1000, "leastMs": min(times) * 1000, "mostMs": max(times) * 1000,
            "rounds": len(times), "isMet": median * 1000 <= needed * trip * 1000 + SPARE,
        })  # fmt: skip
        tell(figures[-1])
    return figures


def heading():
    return f"{'first byte of adit connect':38s} {'median':>16s} {'needed':>8s} {'least':>8s} {'most':>8s}"


def row(figure):
    median = figure["timeToFirstByteMs"]
    return (
        f"{figure['case']:38s} {median:6.0f} ms {median / figure['roundTripMs']:4.1f} RTT {figure['neededRoundTrips']:4d} RTT "
        f"{figure['leastMs']:5.0f} ms {figure['mostMs']:5.0f} ms {'✓' if figure['isMet'] else '✗'}"
    )
