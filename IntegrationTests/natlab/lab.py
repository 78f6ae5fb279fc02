# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A lab: built, changed in place, asked, and taken down."""

import contextlib
import os
import subprocess
import sys
import threading

from . import state as states
from . import system, upnp
from .addresses import Numbers
from .language import parse
from .removal import remove
from .routers import Routers
from .state import State
from .system import LabError, run
from .topology import Topology

PACKAGE = os.path.dirname(os.path.abspath(__file__))


class Lab:
    """`Lab(prefix)` is one that is up; `Lab.up(…)` makes one."""

    def __init__(self, prefix):
        self.state = State(prefix).load()
        self.prefix, self.guard = prefix, None
        values = self.state.values
        self.numbers = Numbers(values["routable"], values["same_lan"])

    @classmethod
    def up(cls, prefix, a="", b="", c=None, shared_carrier=False, same_lan=False, routable=False, owned=False):
        """Builds one, with a third site where `c` describes it. An `owned` one goes when this process does, however that ends."""
        system.require()
        for dead in states.abandoned():
            remove(dead)
        sites = {"A": a, "B": b} | ({} if c is None else {"C": c})
        parsed = {site: parse(text) for site, text in sites.items()}
        carriers = {site: f"c{site}" if parsed[site].carrier else "" for site in sites}
        if shared_carrier:
            if parsed["B"].carrier:
                raise LabError("with a shared carrier cgn= belongs to site A alone")
            carriers |= {"A": "cA", "B": "cA"}
        owner = [os.getpid(), states.start_time(os.getpid())] if owned else None
        values = {
            "sites": sites,
            "carriers": carriers,
            "same_lan": same_lan,
            "routable": routable,
            "owner": owner,
            "moves": {},
        }
        State(prefix).create(values)
        try:
            lab = cls(prefix)
            if owned:
                lab.start_guard()
            for name in states.namespaces(prefix):
                run(["ip", "netns", "del", name])
            Topology(prefix, lab.numbers, carriers).build()
            for site in sites:
                lab.apply(site)
        except BaseException:
            remove(prefix)
            raise
        return lab

    def start_guard(self):
        """A process in a session of its own that takes the lab down when this one is gone, even by SIGKILL."""
        words = [sys.executable, PACKAGE, "--prefix", self.prefix, "guard"]
        self.guard = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()

    def down(self):
        remove(self.prefix)
        if self.guard:
            self.guard.stdin.close()
            self.guard.wait()

    def name(self, short):
        """The namespace of `hA`, `nA`, `cA`, `s`, `core` …"""
        return f"{self.prefix}-{short}"

    @property
    def sites(self):
        """The letters of those that are there."""
        return tuple(self.state.values["sites"])

    def site(self, site):
        return parse(self.state.values["sites"][site])

    def carrier(self, site):
        if site not in self.sites:
            raise LabError(f"there is no site {site}: describe it at `up`")
        return self.state.values["carriers"][site]

    def outermost(self, site):
        """The router whose address the internet sees."""
        return self.carrier(site) or f"n{site}"

    def host_address(self, site):
        """The address from which host h of a site sends."""
        if self.site(site).is_public:
            return self.numbers.public(site, bool(self.carrier(site)))
        return self.numbers.lan(site, 2)

    def wan_address(self, router):
        """The first address of a router's outer side."""
        site = router[1]
        moved = self.state.values["moves"].get(site) if router[0] == "n" else None
        if router[0] == "n" and self.carrier(site):
            return self.numbers.inner_wan(site, moved)
        return self.numbers.wan(site, moved or 2)

    def set(self, site, text):
        """Changes a site in place; the state of its NAT is forgotten."""
        parsed, carrier = parse(text), self.carrier(site)
        if parsed.carrier and not carrier:
            raise LabError(f"site {site} has no carrier: give cgn= at `up`")
        if parsed.carrier and carrier[1] != site:
            raise LabError("with a shared carrier cgn= belongs to site A alone")
        self.state.values["sites"][site] = text
        self.state.save()
        self.apply(site)

    def apply(self, site):
        """Makes the routers of a site what its description says."""
        Routers(self, site).apply()

    def flush(self):
        """Forgets every mapping and connection of all routers."""
        for site in self.sites:
            self.apply(site)

    def renumber(self, site):
        """Gives the home router another outer address, as a reconnect does; returns it."""
        router, old = f"n{site}", self.wan_address(f"n{site}")
        moves = self.state.values["moves"]
        moves[site] = 60 + (moves.get(site, 59) - 59) % 40 + (100 if self.carrier(site) and site == "B" else 0)
        length = 16 if self.carrier(site) else 24
        new = self.wan_address(router)
        gateway = run(["ip", "-n", self.name(router), "-4", "route", "show", "default"]).split()[2]
        commands = (
            f"addr del {old}/{length} dev wan\naddr add {new}/{length} dev wan\nroute replace default via {gateway}\n"
        )
        run(["ip", "-n", self.name(router), "-batch", "-"], commands)
        upper, public = self.carrier(site) or "core", self.numbers.public(site, bool(self.carrier(site)))
        run(["ip", "-n", self.name(upper), "route", "replace", f"{public}/32", "via", new])
        self.state.save()
        self.apply(site)
        return new

    def start(self, short, arguments, **options):
        """Starts a program in a namespace; it dies with the thread that calls this."""
        return system.start(self.name(short), arguments, **options)

    def wire(self, delay=20, jitter=0, loss=0, seed=None):
        """Delay and jitter in milliseconds one way, loss in per cent, for `with`; it begins when this returns."""
        words = ["wire", "--delay", str(delay), "--jitter", str(jitter), "--loss", str(loss)]
        words += ["--seed", str(seed)] if seed is not None else []
        return self.service([sys.executable, PACKAGE, "--prefix", self.prefix, *words], "ready")

    def upnp(self, site, extra=()):
        """miniupnpd on a home router, for `with`; it answers when this returns."""
        words = upnp.arguments(self, site, extra)
        inside = [system.tool("ip"), "netns", "exec", self.name(f"n{site}"), *words]
        sign = "listening on" if "enable_natpmp=no" in extra else "NAT-PMP/PCP traffic"
        return self.service(inside, sign, stderr=subprocess.STDOUT)

    @contextlib.contextmanager
    def service(self, words, sign, **options):
        """Runs a program from the line that has `sign` to the end of the block."""
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, preexec_fn=system.die_with_parent(), text=True, **options
        )
        reader = threading.Thread(target=process.stdout.read, daemon=True)
        try:
            lines = []
            while not lines or sign not in lines[-1]:
                lines.append(process.stdout.readline())
                if not lines[-1]:
                    raise LabError(f"{words[0]} ended with status {process.wait()}: {''.join(lines).strip()}")
            # A full pipe would stop it.
            reader.start()
            yield process
        finally:
            end(process)
            if reader.ident:
                reader.join()
            process.stdout.close()

    def inside(self, short):
        return system.Inside(self.name(short))


def end(process):
    """Ends a child, by force when it does not listen."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
