# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What is measured: each case drives the same load through Adit and through the base, in turns."""

import dataclasses

from programs import Failure, wrk

GIGABYTE = 1_000_000_000


@dataclasses.dataclass
class Case:
    """`drive(bench, relay)` gives the units done and the seconds they took; `relays` names the programs in `Bench`."""

    name: str
    title: str
    relays: str
    drive: object
    unit: str
    divisor: float  # nanoseconds for one work unit, divided by this, are what the row prints
    speed: object
    target_ratio: float = None
    target: float = None


def bulk(direction, streams):
    def drive(bench, relay):
        return bench.load.run("bulk", relay.port, direction, streams, bench.amount(600_000_000, 250_000_000))

    return drive


def requests(bench, relay):
    return wrk(bench.folder, "http://HOST:%d/" % relay.port, bench.amount(2, 1))


def named_requests(bench, relay):
    return wrk(bench.folder, "http://HOST:%d/" % relay.port, bench.amount(2, 1), relay.host)


def secure_requests(bench, relay):
    return wrk(bench.folder, "https://HOST:%d/" % relay.port, bench.amount(3, 1), relay.host)


def connections(bench, relay):
    return bench.load.run("connections", relay.port, 8, bench.amount(3000, 1500))


def pingpong(bench, relay):
    return bench.load.run("pingpong", relay.port, 64, bench.amount(10000, 5000))


def datagrams(direction):
    def drive(bench, relay):
        count = bench.amount(60000, 25000)
        arrived, seconds = bench.load.run("datagrams", relay.port, direction, 1200, count, 256)
        if arrived < 0.95 * count:
            raise Failure("only %d of %d datagrams arrived" % (arrived, count))
        return arrived, seconds

    return drive


def gigabits(units, seconds):
    return "%.1f Gbit/s" % (8 * units / seconds / GIGABYTE)


def rate(units, seconds):
    return "%.0f/s" % (units / seconds)


def round_trip(units, seconds):
    return "%.0f µs round trip" % (seconds / units * 1e6)


CPU_PER_GB = dict(unit="CPU s/GB", divisor=1, speed=gigabits)  # nanoseconds a byte are seconds a gigabyte
MICROSECONDS = dict(unit="CPU µs", divisor=1e3)
REQUESTS = dict(speed=rate, **MICROSECONDS)

TIMED = [
    Case("bulk", "bulk, 1 stream up", "tcp", bulk("up", 1), target_ratio=1.2, **CPU_PER_GB),
    Case("bulk", "bulk, 1 stream down", "tcp", bulk("down", 1), target_ratio=1.2, **CPU_PER_GB),
    Case("bulk", "bulk, 8 streams up", "tcp", bulk("up", 8), target_ratio=1.2, **CPU_PER_GB),
    Case("bulk", "bulk, 8 streams down", "tcp", bulk("down", 8), target_ratio=1.2, **CPU_PER_GB),
    Case("http", "HTTP request, keep-alive", "tcp", requests, target_ratio=1.3, **REQUESTS),
    Case("connections", "new connection", "tcp", connections, target_ratio=1.5, **REQUESTS),
    Case("pingpong", "64 bytes to and fro", "tcp", pingpong, target_ratio=1.5, speed=round_trip, **MICROSECONDS),
    Case("udp", "datagram of 1200 B up", "udp", datagrams("up"), target=12, **REQUESTS),
    Case("udp", "datagram of 1200 B down", "udp", datagrams("down"), target=12, **REQUESTS),
    Case("name", "HTTP request by name", "name", named_requests, **REQUESTS),
    Case("https", "HTTPS request by name", "https", secure_requests, **REQUESTS),
    Case("splice", "frp, no mux, 1 stream up", "splice", bulk("up", 1), target_ratio=1.15, **CPU_PER_GB),
    Case("splice", "frp, no mux, 1 stream down", "splice", bulk("down", 1), target_ratio=1.15, **CPU_PER_GB),
]
MEMORY = "memory"
NAMES = [*dict.fromkeys(each.name for each in TIMED), MEMORY]
