# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Somebody on the internet who wants nothing of Adit: a network of its own, in which every packet is counted."""

import collections
import contextlib
import socket
import struct
import threading
import time

from natlab import system
from natlab.system import run

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


class Packet:
    """An IPv4 packet as it passed."""

    def __init__(self, data):
        self.data = data
        head = (data[0] & 15) * 4
        self.protocol = PROTOCOLS.get(data[9], str(data[9]))
        self.source, self.target = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
        self.ports = struct.unpack("!HH", data[head : head + 4]) if self.protocol in ("tcp", "udp") else (0, 0)
        self.payload = data[head + 8 :] if self.protocol == "udp" else b""

    def __str__(self):
        return f"{self.protocol} {self.source}:{self.ports[0]} → {self.target}:{self.ports[1]}, {len(self.data)} bytes"


class Watch:
    """Keeps every IPv4 packet that an interface of a namespace receives, sends, or both; for `with`."""

    def __init__(self, lab, place, interface, sent=False, keep=50_000):
        self.packets, self.keep, self.is_sent = collections.deque(maxlen=keep), keep, sent
        with lab.inside(place):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        with lab.inside(place):
            self.socket.bind((interface, ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.settimeout(0.1)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.read, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        self.socket.close()

    def read(self):
        while not self.is_over.is_set():
            try:
                data, place = self.socket.recvfrom(65535)
            except TimeoutError:
                continue
            if place[1] == ETH_P_IP and (place[2] == socket.PACKET_OUTGOING) == self.is_sent and len(data) >= 28:
                self.packets.append(Packet(data))

    def settle(self, quiet=1.0, limit=60):
        """Waits until nothing has come for a while; how many packets there were."""
        deadline, count, since = time.monotonic() + limit, len(self.packets), time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - since < quiet:
            time.sleep(0.05)
            if len(self.packets) != count:
                count, since = len(self.packets), time.monotonic()
        return count

    def clear(self):
        self.packets.clear()

    def by_target(self):
        return collections.Counter(packet.target for packet in self.packets)


class Stranger(contextlib.ExitStack):
    """A namespace behind core that has every address of a /24 and never answers."""

    def __init__(self, lab):
        super().__init__()
        self.lab = lab
        # Beside the networks of the lab.
        self.network = "47.50.1" if lab.state.values["routable"] else "198.18.2"
        self.address = f"{self.network}.10"
        name, core = lab.name("x"), lab.name("core")
        run(["ip", "netns", "add", name])
        run(["ip", "link", "add", "eth0", "netns", name, "type", "veth", "peer", "name", "wX", "netns", core])
        commands = f"addr add {self.network}.1/24 dev wX\nlink set dev wX up\n"
        run(["ip", "-n", core, "-batch", "-"], commands)
        lines = ["link set dev lo up", "link set dev eth0 up", f"addr add {self.address}/24 dev eth0"]
        lines += [f"addr add {self.network}.{number}/32 dev eth0" for number in range(11, 64)]
        lines += [f"route add default via {self.network}.1"]
        run(["ip", "-n", name, "-batch", "-"], "\n".join(lines) + "\n")
        rules = "table inet quiet { chain out { type filter hook output priority 0; meta l4proto { tcp, icmp } drop; }\n}\n"
        run(["ip", "netns", "exec", name, system.tool("nft"), "-f", "-"], rules)
        self.watch = self.enter_context(Watch(lab, "x", "eth0"))

    def send(self, source, target, payload):
        """A datagram with whatever source."""
        head = struct.pack("!HHHH", source[1], target[1], 8 + len(payload), 0)
        total = 20 + len(head) + len(payload)
        packet = struct.pack("!BBHHHBBH", 0x45, 0, total, 0, 0, 64, 17, 0)
        packet += socket.inet_aton(source[0]) + socket.inet_aton(target[0]) + head + payload
        self.raw.sendto(packet, (target[0], 0))

    @property
    def raw(self):
        """A socket that sends IPv4 packets as they are (raw(7), IP_HDRINCL); the kernel fills in the header's sum."""
        if not hasattr(self, "raw_socket"):
            with self.lab.inside("x"):
                self.raw_socket = self.enter_context(
                    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
                )
        return self.raw_socket
