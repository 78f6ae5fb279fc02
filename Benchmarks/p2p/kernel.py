# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""How long two devices behind the kernel's NATs take to a relayed and to a direct path, in round trips."""

import os
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "IntegrationTests"))
sys.dont_write_bytecode = True

from natlab import system  # noqa: E402
from natlab.sockets import Sockets, datagram  # noqa: E402
from pathlab import outcome  # noqa: E402
from pathlab.scenes import DIRECT_TCP, DIRECT_UDP, Scene  # noqa: E402
from pathlab.world import World  # noqa: E402

BLOCKED = "udp=blocked,tcp="
# What the first datagram and the first direct one may take: round trips, and milliseconds for the computers.
TARGET = (3, 50)
CASES = [
    Scene("easy", "full", "full", (DIRECT_UDP,)),
    Scene("easy", "port", "addr", (DIRECT_UDP,)),
    Scene("easy", "port", "port", (DIRECT_UDP,)),
    Scene("easy", "full", "sym", (DIRECT_UDP,)),
    Scene("TCP", BLOCKED + "port", BLOCKED + "port", (DIRECT_TCP,)),
    Scene("TCP", BLOCKED + "sym", BLOCKED + "full", (DIRECT_TCP,)),
    Scene("search", "seq", "port", (DIRECT_UDP,), within=20, tries=2),
    Scene("search", "sym", "port", (DIRECT_UDP,), within=20, tries=2),
]


def round_trip(lab, count=15):
    """What a datagram to the server and back takes in this lab, in seconds."""
    with Sockets(lab) as sockets:
        server = sockets.udp("s", lab.numbers.servers[1], 9)
        client = sockets.udp("hA", lab.host_address("A"))
        times = []
        for _ in range(count):
            begun = time.monotonic()
            client.sendto(b"out", server.getsockname())
            server.sendto(b"back", datagram(server)[1])
            datagram(client)
            times.append(time.monotonic() - begun)
    return statistics.median(times)


def measure(binary, rounds, delay, tell):
    """The figures of each case; `tell` takes each as it is known."""
    figures = []
    with World(f"b{os.getpid()}", CASES[0], delay, binary) as world:
        world.set(Scene("", "public", "public", ()))
        trip = round_trip(world.lab)
        for scene in CASES:
            found, faults = [], 0
            for _ in range(rounds):
                world.set(scene)
                one = outcome.look(world, scene)
                if one.direct is None or one.first is None:
                    faults += 1
                else:
                    found.append(one)
            figures.append(figure(scene, found, faults, trip, delay))
            tell(figures[-1])
    return figures


def figure(scene, found, faults, trip, delay):
    def median(values):
        values = [each for each in values if each is not None]
        return statistics.median(values) * 1000 if values else None

    direct = median([each.direct for each in found])
    limit = TARGET[0] * trip * 1000 + TARGET[1]
    return {
        "place": "kernel", "group": scene.group, "a": scene.a, "b": scene.b, "delayMs": delay, "roundTripMs": trip * 1000,
        "timeToFirstMs": median([each.first for each in found]), "timeToRelayedMs": median([each.relayed for each in found]),
        "timeToDirectMs": direct, "slowestDirectMs": max((each.direct * 1000 for each in found), default=None),
        "packets": statistics.median([each.packets for each in found]) if found else None,
        "rounds": len(found), "failures": faults,
        "isMet": (direct is not None and direct <= limit and not faults) if scene.group == "easy" else None,
    }  # fmt: skip


def heading():
    return f"{'pair':38s} {'relayed':>16s} {'direct':>16s} {'slowest':>9s} {'packets':>8s}"


def row(figure):
    def cell(name):
        value = figure[name]
        return "—" if value is None else f"{value:.0f} ms {value / figure['roundTripMs']:5.1f} RTT"

    slowest = figure["slowestDirectMs"]
    mark = {True: " ✓", False: " ✗", None: ""}[figure["isMet"]]
    failed = f"  {figure['failures']} found nothing direct" if figure["failures"] else ""
    name = f"{figure['a']} with {figure['b']}".replace(BLOCKED, "TCP ")
    return (
        f"{name:38s} {cell('timeToRelayedMs'):>16s} {cell('timeToDirectMs'):>16s} "
        f"{'—' if slowest is None else f'{slowest:.0f} ms':>9s} {figure['packets'] or 0:8.0f}{mark}{failed}"
    )


def obstacle():
    return system.obstacle()
