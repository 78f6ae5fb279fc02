# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Delay, jitter and loss: what crosses core is routed into a TUN device, held, and written back. One more hop."""

import fcntl
import heapq
import os
import random
import select
import struct
import time

from .system import LabError, run, write_settings

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
TABLE = "100"
EDGES = ("wS", "wA", "wB", "wC")
# Packets held at a time; more are lost, as in a real queue.
MOST_HELD = 20000


class Wire:
    """The TUN device of one lab, in the calling thread, which stays in the namespace of core."""

    def __init__(self, lab, delay, jitter, loss, seed=None):
        """`delay` and `jitter` in milliseconds one way, `loss` in per cent."""
        self.delay, self.jitter, self.loss = delay / 1000, jitter / 1000, loss / 100
        self.random = random.Random(seed)
        self.held, self.count = [], 0
        self.core = lab.name("core")
        lab.inside("core").__enter__()
        try:
            self.device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.device, TUNSETIFF, struct.pack("16sH22x", b"wire", IFF_TUN | IFF_NO_PI))
        except FileNotFoundError:
            raise LabError("/dev/net/tun is not there: load the module tun") from None
        except OSError as error:
            raise LabError(f"the lab has a wire already, or TUN is forbidden here: {error.strerror}") from None

    def route(self):
        """Leads packets into the device; rules that a killed wire left are replaced."""
        self.unroute()
        edges = [edge for edge in EDGES if os.path.exists(f"/proc/sys/net/ipv4/conf/{edge}")]
        lines = ["link set dev wire up txqueuelen 5000 mtu 1500", f"route replace default dev wire table {TABLE}"]
        lines += [f"rule add pref 10 iif {edge} lookup {TABLE}" for edge in edges]
        for family in ("-4", "-6"):
            run(["ip", "-n", self.core, family, "-batch", "-"], "\n".join(lines) + "\n")
        write_settings(self.core, {"ipv4/conf/wire/rp_filter": 0})

    def unroute(self):
        for family in ("-4", "-6"):
            while run(["ip", "-n", self.core, family, "rule", "show", "pref", "10"], check=False).strip():
                run(["ip", "-n", self.core, family, "rule", "del", "pref", "10"], check=False)

    def carry(self):
        """Carries packets for ever."""
        while True:
            now = time.monotonic()
            while self.held and self.held[0][0] <= now:
                self.write(heapq.heappop(self.held)[2])
            wait = max(0, self.held[0][0] - now) if self.held else None
            if select.select([self.device], [], [], wait)[0]:
                self.read()

    def read(self):
        for _ in range(256):
            try:
                packet = os.read(self.device, 65535)
            except BlockingIOError:
                return
            if self.random.random() < self.loss or len(self.held) >= MOST_HELD:
                continue
            self.count += 1
            due = time.monotonic() + self.delay + self.random.random() * self.jitter
            heapq.heappush(self.held, (due, self.count, packet))

    def write(self, packet):
        try:
            os.write(self.device, packet)
        except OSError:
            pass  # the way on is gone: a lost packet

    def close(self):
        self.unroute()
        os.close(self.device)
