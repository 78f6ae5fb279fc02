# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What a GB over `adit connect` costs on each way that packets take, in CPU-seconds of all of Adit's processes, beside a tunnel
through the server: a server and two devices in network namespaces that a bridge joins, without delay and without NAT."""

import contextlib
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "IntegrationTests"))
sys.dont_write_bytecode = True

from natlab import system  # noqa: E402
from natlab.lab import end  # noqa: E402
from natlab.sockets import ProofError  # noqa: E402
from pathlab.world import Program  # noqa: E402
from servicelab.streams import Listener  # noqa: E402

# Public addresses, as servers have.
ADDRESSES = {"server": "44.10.1.1", "amy": "44.10.1.2", "ben": "44.10.1.3"}
OFF = "--p2p", "off"
# What a device may have relayed is less than these send, and what is over it would be sent again.
UNLIMITED = "--turn-packets-per-device", "100000000"
RELAY = "tunnel through the server"
# Each way: whether UDP passes, what the server does not do, what both devices are told, and what `adit status` then says.
WAYS = {
    RELAY: (True, (), None, None),
    "direct, UDP": (True, (), (), ("direct", "udp")),
    "direct, TCP": (False, (), (), ("direct", "tcp")),
    "relayed by the session": (True, ("--no-turn",), OFF, ("relayed", "session")),
    "relayed by TURN": (True, UNLIMITED, OFF, ("relayed", "udp")),
}
GB, BLOCK = 1e9, 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
NO_UDP = "table inet deaf {\n chain c { type filter hook output priority 0; meta l4proto udp drop; }\n}\n"


class Place(contextlib.ExitStack):
    """The namespaces, and adit in them; everything ends with the block."""

    def __init__(self, binary):
        super().__init__()
        self.binary, self.prefix = binary, f"w{os.getpid()}"

    def __enter__(self):
        super().__enter__()
        try:
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def name(self, place):
        return f"{self.prefix}-{place}"

    def inside(self, place):
        return system.Inside(self.name(place))

    def build(self):
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="adit-ways-")))
        for place in ADDRESSES:
            system.run(["ip", "netns", "add", self.name(place)])
            self.callback(system.run, ["ip", "netns", "del", self.name(place)], check=False)
        hub = self.name("server")
        system.run(["ip", "-n", hub, "link", "add", "eth0", "type", "bridge"])
        for place in ("amy", "ben"):
            words = ["type", "veth", "peer", "name", "eth0", "netns", self.name(place)]
            system.run(["ip", "link", "add", place, "netns", hub, *words])
            system.run(["ip", "-n", hub, "link", "set", place, "master", "eth0", "up"])
        for place, address in ADDRESSES.items():
            lines = ["link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up"]
            system.run(["ip", "-n", self.name(place), "-batch", "-"], "\n".join(lines) + "\n")

    def words(self, place, *words):
        home = self.folder / place
        home.mkdir(mode=0o700, exist_ok=True)
        environment = {**os.environ, "HOME": str(home), "ADIT_HOME": str(home), "LC_ALL": "C.UTF-8"}
        return [system.tool("ip"), "netns", "exec", self.name(place), self.binary, *words], environment

    def ask(self, place, *words):
        command, environment = self.words(place, *words)
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise ProofError(f"adit {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout

    @contextlib.contextmanager
    def server(self, *lacks):
        command, environment = self.words("server", "server", "--host", ADDRESSES["server"], "--http-port", "8080", *lacks)
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=system.die_with_parent(),
        )  # fmt: skip
        try:
            for line in process.stdout:
                if "the server runs" in line:
                    break
            yield process
        finally:
            end(process)
            process.stdout.close()

    def join(self, name):
        invite = re.search(r"adit join (\S+)", self.ask("server", "server", "invite"))
        self.ask(name, "join", invite[1], "--name", name)

    def program(self, place, *words):
        return Program(*self.words(place, *words, "--json"))


def source(connection):
    """Sends as fast as it can until nobody reads any more."""
    block = bytes(BLOCK)
    while True:
        connection.sendall(block)


def cpu(processes):
    """CPU-seconds of processes, all threads, user and system."""
    total = 0
    for each in processes:
        fields = pathlib.Path(f"/proc/{each.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pump(connection, count, processes):
    """CPU-seconds for each GB of a download that goes on meanwhile; what it costs to begin is not in it."""
    buffer = memoryview(bytearray(BLOCK))

    def take(wanted):
        got = 0
        while got < wanted:
            step = connection.recv_into(buffer)
            if not step:
                raise ProofError("the download ended")
            got += step
        return got

    take(count // 10)
    before = cpu(processes)
    size = take(count)
    return (cpu(processes) - before) / (size / GB)


def settle(place, kind, transport):
    """Waits until both ends use a path of that kind."""
    deadline = time.monotonic() + 60
    while True:
        found = []
        for name, peer in (("amy", "ben"), ("ben", "amy")):
            paths = json.loads(place.ask(name, "status", "--json"))["paths"]
            found += [(each["path"], each.get("transport")) for each in paths if each["peer"] == peer and not each.get("endedAt")]
        if found == [(kind, transport)] * 2:
            return
        if time.monotonic() > deadline:
            raise ProofError(f"not {kind} {transport} but {found}")
        time.sleep(0.1)


def measure_way(place, way, rounds, count):
    has_udp, lacks, words, wanted = way
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(place.server(*lacks))
        if not (place.folder / "amy").exists():
            place.join("amy")
            place.join("ben")
        for name in () if has_udp else ("amy", "ben"):
            inside = ["ip", "netns", "exec", place.name(name), system.tool("nft")]
            system.run([*inside, "-f", "-"], NO_UDP)
            stack.callback(system.run, [*inside, "delete", "table", "inet", "deaf"])
        target = str(stack.enter_context(Listener(place, "amy", source)).port)
        if words is None:
            offers = stack.enter_context(place.program("amy", "tcp", target))
            address = ADDRESSES["server"], int(offers.wait_for("tunnel")["address"].rpartition(":")[2])
            processes = [offers.process, server]
        else:
            offers = stack.enter_context(place.program("amy", "expose", target, "--name", "load", *words))
            offers.wait_for("connected")
            visits = stack.enter_context(place.program("ben", "connect", "amy/load", *words))
            address = "127.0.0.1", int(visits.wait_for("visiting")["address"].rpartition(":")[2])
            processes = [offers.process, visits.process, server]
        costs = []
        for _ in range(rounds):
            with place.inside("ben"):
                connection = socket.create_connection(address, timeout=60)
            with connection:
                connection.recv(1)
                # Somebody has to ask for a path before there is one.
                if wanted:
                    settle(place, *wanted)
                costs.append(pump(connection, count, processes))
        return costs


def measure(binary, quick, tell):
    """The figures of each way; `tell` takes each as it is known."""
    rounds, count = (3, 300_000_000) if quick else (5, 1_000_000_000)
    figures = []
    with Place(binary) as place:
        for name, way in WAYS.items():
            costs = measure_way(place, way, rounds, count)
            figures.append({
                "place": "kernel", "group": "ways", "case": name, "cpuPerGB": statistics.median(costs), "least": min(costs),
                "most": max(costs), "rounds": rounds,
            })  # fmt: skip
            base = figures[0]["cpuPerGB"]
            figures[-1]["ofTunnel"] = figures[-1]["cpuPerGB"] / base
            # What is to be reached is said of connections alone.
            figures[-1]["isMet"] = figures[-1]["cpuPerGB"] <= base if name == "direct, TCP" else None
            tell(figures[-1])
    return figures


def heading():
    return f"{'a GB, all of adit together':38s} {'CPU-s/GB':>9s} {'least':>7s} {'most':>7s} {'of the tunnel':>14s}"


def row(figure):
    mark = {True: " ✓", False: " ✗", None: ""}[figure["isMet"]]
    return (
        f"{figure['case']:38s} {figure['cpuPerGB']:9.2f} {figure['least']:7.2f} {figure['most']:7.2f} "
        f"{figure['ofTunnel']:14.2f}{mark}"
    )
