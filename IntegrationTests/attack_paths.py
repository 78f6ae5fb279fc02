#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Attacks on paths between devices, in the kernel lab: by a device with a valid key, by who listens, and by strangers.

amy and ben are real devices in sites A and B, mallory is a device made of Python in site A's LAN. A stranger's network counts
every packet that reaches it, and so do the interfaces of the victims. The environment variable ADIT names the binary. Needs
root and network namespaces; says SKIPPED where there are none.
"""

import base64
import collections
import contextlib
import json
import os
import pathlib
import random
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
sys.dont_write_bytecode = True

import signals  # noqa: E402
import turn_messages as turn  # noqa: E402
from device import DATA, FEATURES, SYN, WINDOW, Device, invite_secret, mux  # noqa: E402
from natlab import system  # noqa: E402
from natlab.sockets import ProofError, Sockets, datagram, is_ready  # noqa: E402
from pathlab import outcome  # noqa: E402
from pathlab.scenes import DIRECT_UDP, Scene  # noqa: E402
from pathlab.stranger import Stranger, Watch  # noqa: E402
from pathlab.world import SESSION_PORT, World  # noqa: E402

# Packets that one address may get which never answered, whatever a peer says of it.
SILENT_LIMIT = 25
SCENE = Scene("attack", "full", "full", (DIRECT_UDP,))


def demand(condition, words):
    if not condition:
        raise ProofError(words)


class Mallory:
    """A device with a valid key and a session, whose every word is chosen by the attack."""

    def __init__(self, world, name="mallory", place="hA2", login=True):
        self.world, self.name = world, name
        made = world.run("s", "server", "server", "invite")
        invite = made.split("adit join ")[1].split()[0]
        self.address = world.lab.numbers.lan(place[1], 3)
        with world.lab.inside(place):
            self.device = Device((world.lab.numbers.servers[0], SESSION_PORT), source=self.address)
        self.device.hello(features=[*FEATURES, "paths", "services"])
        answer = self.device.login(invite=invite_secret(invite), name=name)
        self.offer = answer.get("adit", {}).get("turn") or answer.get("turn")
        self.sender = signals.Sender(self.device.key, name, self.device.fingerprint)
        self.heard, self.lock = [], threading.Lock()
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        try:
            while True:
                kind, body = self.device._read_message_frame()
                number = struct.unpack(">H", body[:2])[0]
                with self.lock:
                    self.heard.append((number, json.loads(body[2:] or b"{}")))
        except (OSError, ConnectionError, ValueError):
            pass

    def say(self, receiver, payload, **options):
        self.device.send_message(signals.PEER_SIGNAL, self.sender.message(receiver, payload, **options))

    def take(self):
        """What came since the last time."""
        with self.lock:
            found, self.heard = self.heard, []
        return found

    def wait_for(self, number, seconds=15):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for kind, message in self.take():
                if kind == number:
                    return message
            time.sleep(0.02)
        raise ProofError(f"no message {number:#x} came to {self.name}")

    def converse(self, receiver, *fields, seconds=12.0, session=None, every=0.5):
        """Says a description again and again, with the session and epoch that the victim answers with."""
        session, revision, theirs = session or random.getrandbits(62) + 1, 1, (0, 0)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.say(
                receiver, signals.description(session, *fields, revision=revision, peer_session=theirs[0], acknowledged=theirs[1])
            )
            end = time.monotonic() + every
            while time.monotonic() < min(end, deadline):
                for kind, message in self.take():
                    if kind != signals.PEER_SIGNAL:
                        continue
                    read = signals.read(message)
                    self.sender.echo = read["epoch"]
                    if read.get("session"):
                        theirs = (read["session"], read["revision"])
                time.sleep(0.02)
        return theirs

    def close(self):
        self.device.close()


@contextlib.contextmanager
def victim(world, *words):
    """ben is up, and all that leaves its interface is seen."""
    with Watch(world.lab, "hB", "eth0", sent=True) as leaves, world.program("ben", "up", "--json", *words) as up:
        up.wait_for("connected")
        yield leaves


def is_well(world):
    """amy still finds ben at once."""
    found = outcome.Outcome(SCENE)
    with world.program("amy", "ping", "ben", "--json", "--timeout", "15s") as ping:
        for _, event in ping.events(30):
            outcome.take(found, event)
    demand(found.path == "direct udp", f"afterwards amy finds ben by {found.path}: {found.reason}")


def forbidden_places(world, stranger):
    """A device with a valid key names loopback, metadata, multicast and the like; nothing leaves for there."""
    server = world.lab.numbers.servers[0]
    aims = [
        ("127.0.0.1", 22), ("127.0.0.1", 7000), ("127.8.8.8", 9999), ("0.0.0.0", 4000), ("0.1.2.3", 4000),
        ("169.254.169.254", 80), ("169.254.169.254", 4000), ("169.254.7.7", 4000), ("224.0.0.251", 5353),
        ("239.255.255.250", 4000), ("255.255.255.255", 4000), ("240.1.2.3", 4000), ("192.168.2.255", 4000), (server, 53),
        (stranger.address, 53), (stranger.address, 5353), (stranger.address, 1900), (stranger.address, 11211),
        (stranger.address, 0), ("::1", 7000), ("fe80::1", 4000), ("ff02::fb", 5353), ("::ffff:127.0.0.1", 7000),
    ]  # fmt: skip
    mallory = Mallory(world, "mallory-1")
    with victim(world) as leaves, Watch(world.lab, "hB", "lo", sent=True) as inside:
        stranger.watch.clear()
        for kind, transport in ((signals.HOST, signals.UDP), (signals.RELAYED, signals.UDP), (signals.HOST, signals.TCP_PASSIVE)):
            fields = [signals.candidate(*aim, kind, transport) for aim in aims]
            for start in range(0, len(fields), 12):
                mallory.converse("ben", *fields[start : start + 12], seconds=2.5)
            mallory.converse("ben", signals.tcp(aims[:16]), signals.openers(aims[:16]), seconds=2.5)
        mallory.close()
        named = {(address, port) for address, port in aims if ":" not in address and address != server}
        wrong = [packet for packet in (*leaves.packets, *inside.packets) if (packet.target, packet.ports[1]) in named]
        demand(not wrong, f"{len(wrong)} packets left: {wrong[0] if wrong else ''}")
        demand(not stranger.watch.packets, f"the stranger got {len(stranger.watch.packets)}, {list(stranger.watch.packets)[:1]}")
        seen = leaves.settle(0.3)
        is_well(world)
    return f"{len(aims)} places over UDP and TCP, of {seen} packets none went there"


def third_parties(world, stranger):
    """It names a third party again and again; each address gets a few checks, however often it is named."""
    aims = [(f"{stranger.network}.{10 + number}", 4000 + number) for number in range(40)]
    mallory, second = Mallory(world, "mallory-2"), Mallory(world, "mallory-3")
    with victim(world):
        stranger.watch.clear()
        counts = []
        for attempt in range(6):
            with_whom = mallory if attempt % 2 == 0 else second
            fields = [signals.candidate(*aim) for aim in aims[:20]]
            fields += [signals.tcp(aims[:16]), signals.openers(aims[:16])]
            with_whom.converse("ben", *fields, seconds=5)
            # The same with a new run, as if the attacker had begun anew.
            with_whom.sender = signals.Sender(with_whom.device.key, with_whom.name, with_whom.device.fingerprint)
            counts.append(stranger.watch.settle(0.3))
        mallory.close()
        second.close()
        per_address = stranger.watch.by_target()
        most = max(per_address.values(), default=0)
        demand(len(per_address) <= 8, f"{len(per_address)} addresses of one network are aimed at")
        demand(most <= 2 * SILENT_LIMIT, f"one address got {most} packets: {per_address.most_common(3)}")
        is_well(world)
    return f"six tries by two devices: {counts} packets in all, at most {most} to one address"


def searches(world, stranger):
    """It claims a NAT that counts, or draws ports, at the stranger's address: the budget holds, and is not renewed."""
    places = [(stranger.address, 20000 + number) for number in range(4)]
    nat = signals.short(1, signals.short(1, b"\x05") + signals.short(2, b"\x02"))
    mallory = Mallory(world, "mallory-4")
    with victim(world):
        stranger.watch.clear()
        counts = []
        for _ in range(3):
            fields = [signals.candidate(*places[0]), signals.long(signals.NAT, nat)]
            for stage in (0, 1, 2, 3):
                mallory.converse("ben", *fields, signals.search(stage, places), seconds=4)
            mallory.sender = signals.Sender(mallory.device.key, mallory.name, mallory.device.fingerprint)
            counts.append(stranger.watch.settle(1))
        mallory.close()
        demand(counts[-1] <= 1400, f"the stranger got {counts} packets")
        demand(counts[-1] - counts[0] <= 200, f"the budget is renewed: {counts}")
        is_well(world)
    return f"three searches wanted, {counts} packets came in all"


def signals_of_others(world, stranger):
    """Signals with a wrong signature, or made for another device, are worth nothing."""
    mallory = Mallory(world, "mallory-5")
    with victim(world) as leaves:
        # amy looks for mallory, who hands the very signal on to ben.
        with world.program("amy", "ping", "mallory-5", "--json", "--timeout", "5s"):
            heard = mallory.wait_for(signals.PEER_SIGNAL)
        body, signature = (base64.b64decode(heard[name]) for name in ("body", "signature"))
        before = leaves.settle(1.0)
        begun = time.monotonic()
        for _ in range(20):
            mallory.say("ben", b"", body=body, signature=signature)
            aim = signals.description(9, signals.candidate(stranger.address, 4000))
            mallory.say("ben", aim, signature=os.urandom(64))
        time.sleep(2)
        answers = [read for read in mallory.take() if read[0] == signals.PEER_SIGNAL]
        udp = [each for each in list(leaves.packets)[before:] if each.protocol == "udp"]
        targets = collections.Counter(each.target for each in udp)
        demand(stranger.address not in targets, f"a forged signal is followed: {targets}")
        demand(not answers, f"ben answers a forged signal: {answers[:1]}")
        took = time.monotonic() - begun
        mallory.close()
        is_well(world)
    return f"a signal for another device and 20 forged ones in {took:.1f} s: no answer, no packet"


def replays(world, stranger):
    """Checks are sent again from elsewhere and again and again; answers to them are few, the path stays."""
    with victim(world), Watch(world.lab, "core", "wB", sent=True) as arriving:
        with world.program("amy", "ping", "ben", "--json", "--count", "12") as ping:
            for _, event in ping.events(20):
                if event["event"] == "ping" and event.get("path") == "direct":
                    break
            checks = [each for each in arriving.packets if each.protocol == "udp" and each.payload[4:8] == b"\x21\x12\xa4\x42"]
            demand(checks, "no check was seen")
            stranger.watch.clear()
            sent = sum(len(each.data) for each in checks) * 20
            for _ in range(20):
                for each in checks:
                    # From the stranger's own address, and from a forged one, both unanswered.
                    stranger.send((stranger.address, 5555), (each.target, each.ports[1]), each.payload)
                    stranger.send((each.source, each.ports[0]), (each.target, each.ports[1]), each.payload)
                time.sleep(0.02)
            time.sleep(3)
            got = list(stranger.watch.packets)
            count, size = len(got), sum(len(each.data) for each in got)
            rest = [event for _, event in ping.events(20)]
        last = [event for event in rest if event["event"] == "ping"]
        demand(last and all(event["path"] == "direct" for event in last), f"the path was lost: {rest[-2:]}")
        replayed = 20 * len(checks)
        demand(size <= sent and count <= replayed + SILENT_LIMIT, f"{replayed} replays gave the stranger {count} packets")
    return f"{replayed} replays from elsewhere: {count} packets back, {size} bytes for {sent}; the path stayed"


def floods(world, stranger):
    """Datagrams of strangers to a port that is open to all: no answers, no harm."""
    with victim(world), Watch(world.lab, "core", "wB", sent=True) as arriving:
        with world.program("amy", "ping", "ben", "--json", "--count", "8") as ping:
            for _, event in ping.events(20):
                if event["event"] == "ping" and event.get("path") == "direct":
                    break
            amy = world.lab.wan_address("nA")
            ports = {each.ports[1] for each in arriving.packets if each.source == amy and each.protocol == "udp"}
            stranger.watch.clear()
            luck, count = random.Random(5), 0
            target = world.lab.wan_address("nB")
            for number in range(4000):
                kind = number % 4
                if kind == 0:
                    payload = luck.randbytes(luck.randrange(1, 1200))
                elif kind == 1:
                    payload = struct.pack("!HHI", 1, 0, 0x2112A442) + luck.randbytes(12)
                elif kind == 2:
                    payload = struct.pack("!HHI", 0x0101, 0, 0x2112A442) + luck.randbytes(12)
                else:
                    name = b"abcd:efgh"
                    body = struct.pack("!HH", 6, len(name)) + name + bytes(-len(name) % 4)
                    body += struct.pack("!HH", 8, 20) + luck.randbytes(20)
                    payload = struct.pack("!HHI", 1, len(body), 0x2112A442) + luck.randbytes(12) + body
                for port in ports:
                    stranger.send((stranger.address, 1024 + luck.randrange(60000)), (target, port), payload)
                    count += 1
            rest = [event for _, event in ping.events(20)]
        stranger.watch.settle(0.5)
        # That a port has been closed meanwhile the kernel says by ICMP, at the price of the datagram.
        back = sum(each.protocol == "udp" for each in stranger.watch.packets)
        last = [event for event in rest if event["event"] == "ping"]
        demand(last and last[-1]["path"] == "direct", f"the path was lost: {rest[-2:]}")
        demand(back <= count // 50, f"{count} datagrams without a key gave {back} packets back")
    return f"{count} datagrams to {len(ports)} open ports: {back} packets back"


def signal_flood(world, stranger):
    """A device shouts: the server says that it is busy, others do not notice, and nothing grows."""
    mallory = Mallory(world, "mallory-6")
    with victim(world):
        pid = world.server.pid
        before = memory(pid)
        payload = signals.description(7, *[signals.candidate(f"10.0.0.{number}", 4000) for number in range(60)])
        for number in range(3000):
            mallory.say("ben", payload)
        is_well(world)
        told = mallory.wait_for(signals.PEER_UNAVAILABLE, seconds=60)
        grown = (memory(pid) - before) / 1024
        mallory.close()
        demand(told.get("reason") == "busy", f"the device was told {told}")
        demand(grown < 40, f"the server grew by {grown:.0f} MB")
    return f"3000 signals: told that it is busy, the server grew by {grown:.1f} MB, amy finds ben"


def stream_flood(world, stranger):
    """Streams to another device without end, and services that are none: the session that does so ends, no other one."""
    lines = []
    with victim(world):
        pid = world.server.pid
        before = memory(pid)
        mallory = Mallory(world, "mallory-9")
        # With a signal that is its own, so that ben takes some of them.
        mallory.say("ben", signals.description(11))
        first = signals.stream(peer="ben") + signals.packet(os.urandom(1200)) * 20
        sent = 0
        try:
            for number in range(3, 20003, 2):
                mallory.device.send_raw(mux(WINDOW, SYN, number, 0) + mux(DATA, 0, number, len(first), first))
                sent += 1
        except OSError:
            pass
        mallory.reader.join(20)
        demand(not mallory.reader.is_alive(), f"{sent} streams, and the session goes on")
        is_well(world)
        lines.append(f"a session ended after {sent} streams")
        for number, message in enumerate(
            (
                {"names": [str(each) for each in range(300)]},
                {"names": ["x" * 65]},
                {"names": ["a\nb"]},
                {"names": [""]},
            )
        ):
            other = Mallory(world, f"mallory-9{number}")
            other.device.send_message(signals.SERVICES, json.dumps(message).encode())
            other.reader.join(20)
            demand(not other.reader.is_alive(), f"services {message} were taken")
            other.close()
        grown = (memory(pid) - before) / 1024
        demand(grown < 40, f"the server grew by {grown:.0f} MB")
        mallory.close()
    return f"{lines[0]}, 4 after services that are none; the server grew by {grown:.1f} MB, amy finds ben"


def memory(pid):
    """Resident kilobytes of a program, the child of `ip netns exec` that became it."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    raise ProofError("the server is gone")


def open_relay(world, stranger):
    """What the relay is asked to reach that is none of the public's, with valid credentials."""
    lab, server = world.lab, world.lab.numbers.servers
    mallory = Mallory(world, "mallory-7")
    demand(mallory.offer, "the login brings no offer of a relay")
    refused = [
        ("127.0.0.1", 22), ("127.0.0.53", 53), ("0.0.0.0", 80), ("169.254.169.254", 80), ("10.0.0.1", 80),
        ("172.16.5.5", 80), ("192.168.1.1", 80), ("192.168.2.2", 80), ("100.64.0.1", 80), ("224.0.0.251", 5353),
        ("255.255.255.255", 9), ("240.0.0.1", 9),
    ]  # fmt: skip
    # Relays have the server's own addresses, and two of them may speak; nothing else there is reached.
    own = [(server[0], 22), (server[1], 53)]
    with Sockets(lab) as sockets, Watch(lab, "s", "lo") as inside, Watch(lab, "s", "eth0", sent=True) as leaves:
        relay = (server[0], mallory.offer["port"])
        local = sockets.udp("s", "127.0.0.1", 0)
        client = turn.Client(sockets.udp("hA2", mallory.address), relay, mallory.offer)
        demand(client.allocate() == 0, f"no allocation: {client.response.attributes}")
        refused.append(local.getsockname())
        for number, place in enumerate(refused + own):
            code = client.permit(place)
            demand(code == 403 or place in own and code == 0, f"permission for {place}: {code}")
            code = client.bind(0x4000 + number, place)
            demand(code in (400, 403) or place in own and code == 0, f"channel to {place}: {code}")
            client.send(place, b"in by Send")
            client.channel_data(0x4000 + number, b"in by channel")
        code = client.permit((stranger.address, 9), ("127.0.0.1", 9))
        demand(code == 403, f"a permission for two, one of them loopback: {code}")
        stranger.watch.clear()
        for number in range(50):
            client.send((stranger.address, 4000 + number), b"without permission")
        demand(stranger.watch.settle(0.5) == 0, "data reaches a stranger without permission")
        demand(not is_ready(local, 0.2), "data reached loopback of the server")
        hits = [each for each in (*inside.packets, *leaves.packets) if b"in by" in each.data]
        demand(not hits, f"refused data left: {hits[:1]}")
        demand(client.permit((stranger.address, 9)) == 0, "a public address is refused")
        client.send((stranger.address, 4000), b"with permission")
        demand(stranger.watch.settle(0.5) == 1, "data does not reach a public address with permission")
        codes = credentials_of_others(sockets, mallory, relay)
        most = quota(sockets, mallory, relay)
    mallory.close()
    return f"{len(refused)} places refused by 403; wrong credentials {codes}; {most} allocations, then 486"


def credentials_of_others(sockets, mallory, relay):
    """Made up, expired, somebody else's name."""
    codes = []
    expiry, _, name = mallory.offer["username"].partition(":")
    for change in (
        {"password": "guess"},
        {"username": f"{int(expiry) + 86400}:{name}"},
        {"username": f"{expiry}:amy"},
        {"username": f"1000000000:{name}"},
        {"realm": "elsewhere"},
        {"username": ""},
        {"username": "x" * 400},
    ):
        client = turn.Client(sockets.udp("hA2", mallory.address), relay, {**mallory.offer, **change})
        codes.append(client.allocate())
        demand(codes[-1] in (400, 401, None), f"credentials {change}: {codes[-1]}")
    client = turn.Client(sockets.udp("hA2", mallory.address), relay, mallory.offer)
    codes.append(client.allocate(credentials=False))
    demand(codes[-1] == 401, f"without credentials: {codes[-1]}")
    return codes


def quota(sockets, mallory, relay):
    """How many allocations one device gets."""
    for number in range(200):
        client = turn.Client(sockets.udp("hA2", mallory.address), relay, mallory.offer)
        code = client.allocate()
        if code != 0:
            demand(code == 486, f"allocation {number}: {code}")
            return number
    raise ProofError("200 allocations for one device")


def reflection(world, stranger):
    """Requests with the stranger's address as their source: it gets no more than was sent."""
    lab, server = world.lab, world.lab.numbers.servers
    mallory = Mallory(world, "mallory-8")
    relay, luck = (server[0], mallory.offer["port"]), random.Random(3)
    figures = []
    for name, method in (("Binding", 1), ("Allocate", 3), ("Refresh", 4), ("CreatePermission", 8), ("ChannelBind", 9)):
        stranger.watch.clear()
        sent = 0
        for number in range(300):
            body = struct.pack("!HHBxxx", 0x0019, 4, 17) if method == 3 else b""
            payload = struct.pack("!HHI", turn.kind_of(method), len(body), 0x2112A442) + luck.randbytes(12) + body
            stranger.send((stranger.address, 2000 + number), relay, payload)
            sent += 28 + len(payload)
        stranger.watch.settle(0.5)
        back = sum(len(each.data) for each in stranger.watch.packets)
        figures.append(f"{name} {back / sent:.2f}")
        demand(back <= 3 * sent, f"{name}: {sent} bytes give {back}")
    mallory.close()
    return "bytes back for each byte sent: " + ", ".join(figures)


PROOFS = (
    forbidden_places, third_parties, searches, signals_of_others, replays, floods, signal_flood, stream_flood,
    open_relay, reflection,
)  # fmt: skip


def main():
    reason = system.obstacle()
    if reason:
        print(f"SKIPPED: {reason}")
        return 0
    failed, begun = 0, time.monotonic()
    wanted = [proof for proof in PROOFS if len(sys.argv) == 1 or proof.__name__ in sys.argv[1:]]
    with World(f"z{os.getpid()}", SCENE, 0) as world, Stranger(world.lab) as stranger:
        world.set(SCENE)
        for proof in wanted:
            try:
                print(f"  ✓ {proof.__name__.replace('_', ' ')}: {proof(world, stranger)}", flush=True)
            except (ProofError, OSError, system.LabError, ConnectionError, ValueError, KeyError, TypeError) as error:
                failed += 1
                print(f"  ✗ {proof.__name__.replace('_', ' ')}: {type(error).__name__}: {error}", flush=True)
    print(f"{'FAILED' if failed else 'OK'} in {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
