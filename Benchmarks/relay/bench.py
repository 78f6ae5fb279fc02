# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the cases: Adit and the base in turns, so that what else the machine does meets both."""

import dataclasses
import time

from hotspots import profile
from measure import cpu_nanoseconds, median, private_kilobytes
from programs import Adit, Haproxy, Load, certificate, descriptors
from report import Figure

NAME = "bench"


class Skip(Exception):
    """A case that this binary or machine cannot run."""


@dataclasses.dataclass
class Once:
    """One run of a case: what a unit cost, the share of the relay's program in front, and how fast it was."""

    cost: float
    front: float
    speed: str


class Bench:
    """The load, Adit and haproxy, and how much of everything a run does."""

    def __init__(self, folder, binary, quick, rounds, profiles):
        self.folder = folder
        self.quick = quick
        self.rounds = rounds
        self.profiles = profiles
        self.load = Load(folder)
        self.adit = Adit(folder, binary)
        self.haproxy = Haproxy(folder)

    def amount(self, full, quick):
        return quick if self.quick else full

    # Each gives the relay of Adit and that of the base.

    def tcp(self):
        return self.adit.tcp(self.load.port), self.haproxy.tcp(self.load.port)

    def udp(self):
        if not self.adit.mentions("udp"):
            raise Skip("this binary has no `adit udp`")
        return self.adit.udp(self.load.port), self.load.forwarders()

    def name(self):
        relay = self.adit.http(self.load.port, NAME)
        return relay, self.haproxy.by_name(self.load.port, relay.host)

    def https(self):
        if not self.adit.mentions("--certificate", "server", "run"):
            raise Skip("this binary does not end visitors' TLS")
        host = NAME + ".localhost"
        chain, key, both = certificate(self.folder, host)
        relay = self.adit.https(self.load.port, host, chain, key)
        return relay, self.haproxy.by_name(self.load.port, host, both)

    def splice(self):
        # `splice-auto` copies on loopback after all, as strace shows; these two never do.
        option = "option splice-request\n  option splice-response"
        return self.adit.frp(self.load.port), self.haproxy.tcp(self.load.port, option)

    def timed(self, kind, cases):
        """The figures of the cases that use these relays, one after the other."""
        relay, base = getattr(self, kind)()
        try:
            for case in cases:
                yield self.measure(case, relay, base)
                if self.profiles:
                    profile(self.profiles, self.folder, case.title, relay, lambda: case.drive(self, relay))
        finally:
            relay.stop()
            base.stop()

    def measure(self, case, relay, base):
        self.once(case, base)  # to warm up
        self.once(case, relay)
        rounds = [(self.once(case, base), self.once(case, relay)) for _ in range(self.rounds)]
        ratios = [of_adit.cost / of_base.cost for of_base, of_adit in rounds]
        ordered = sorted((of_adit for _, of_adit in rounds), key=lambda each: each.cost)
        middle = ordered[len(ordered) // 2]
        return Figure(
            case=case.name,
            title=case.title,
            unit=case.unit,
            adit=median([each.cost for each in ordered]),
            base=median([of_base.cost for of_base, _ in rounds]),
            best=min(ratios),
            worst=max(ratios),
            target_ratio=case.target_ratio,
            target=case.target,
            note="%s, server %.0f %%" % (middle.speed, 100 * middle.front),
        )

    def once(self, case, relay):
        before = [cpu_nanoseconds(pid) for pid in relay.pids]
        units, seconds = case.drive(self, relay)
        time.sleep(0.02)  # what closing costs comes after the last answer
        used = [cpu_nanoseconds(pid) - earlier for pid, earlier in zip(relay.pids, before)]
        relay.check()
        return Once(sum(used) / units / case.divisor, used[0] / sum(used), case.speed(units, seconds))

    def memory(self):
        """What an idle pair occupies and each idle connection adds, from fresh programs."""
        relay, base = self.tcp()
        try:
            for each in (base, relay):
                self.load.run("pingpong", each.port, 64, 1)
            idle, base_idle = self.settled(relay), self.settled(base)
            note = "server %.1f + device %.1f" % (idle[0] / 1024, idle[1] / 1024)
            yield Figure("memory", "memory, idle", "MB", sum(idle) / 1024, sum(base_idle) / 1024, note=note)
            holder, base_holder = self.load.hold(relay.port), self.load.hold(base.port)
            for count in (1000, 5000):
                if 3 * count > descriptors():
                    raise Skip("%d connections need %d file descriptors (ulimit -Hn)" % (count, 3 * count))
                base_holder.grow(count)
                holder.grow(count)
                parts = [(now - before) / count for now, before in zip(self.settled(relay), idle)]
                base_cost = (sum(self.settled(base)) - sum(base_idle)) / count
                note = "server %.1f + device %.1f" % tuple(parts)
                title = "memory, each of %d idle" % count
                yield Figure("memory", title, "KB", sum(parts), base_cost, target=20, note=note)
            self.folder.stop([holder.process, base_holder.process])
        finally:
            relay.stop()
            base.stop()

    def settled(self, relay):
        time.sleep(0.5)
        return [private_kilobytes(pid) for pid in relay.pids]
