# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Namespaces, links, addresses and routes: all that does not depend on the type of a NAT."""

from .addresses import CARRIER_NETWORK, CARRIER_ROUTER
from .system import run, write_settings

ROUTER = {
    "ipv4/ip_forward": 1,
    "ipv6/conf/all/forwarding": 1,
    # A connection that the table does not know is not taken up in its middle.
    "netfilter/nf_conntrack_tcp_loose": 0,
    # Frames between two hosts of a LAN must not pass the rules of NAT.
    "bridge/bridge-nf-call-iptables": 0,
    "bridge/bridge-nf-call-ip6tables": 0,
}
EVERYWHERE = {
    "ipv4/icmp_ratelimit": 0,
    "ipv6/icmp/ratelimit": 0,
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    "ipv6/conf/default/accept_ra": 0,
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/all/accept_dad": 0,
}


class Topology:
    """Collects what `ip` has to do and does it with one call per namespace."""

    def __init__(self, prefix, numbers, carriers):
        """`carriers`: the carrier's namespace of each site; empty where there is none."""
        self.prefix, self.numbers, self.carriers = prefix, numbers, carriers
        self.names, self.links, self.commands = [], [], {}

    def full(self, name):
        return f"{self.prefix}-{name}"

    def build(self):
        self.add("core", "s")
        self.link("s", "eth0", "core", "wS")
        for address in (
            *(f"{each}/24" for each in self.numbers.servers),
            *(f"{each}/64" for each in self.numbers.servers6),
        ):
            self.do("s", f"addr add {address} dev eth0")
        self.do(
            "core", f"addr add {self.numbers.server_net}.1/24 dev wS", f"addr add {self.numbers.server_net6}1/64 dev wS"
        )
        self.do(
            "s",
            f"route add default via {self.numbers.server_net}.1",
            f"route add default via {self.numbers.server_net6}1",
        )
        for name in dict.fromkeys(filter(None, self.carriers.values())):
            self.build_carrier(name)
        for site in self.carriers:
            self.build_site(site)
        run(["ip", "-batch", "-"], "".join(f"netns add {self.full(name)}\n" for name in self.names))
        routers = [name for name in self.names if name[0] in "cn"]
        for name in self.names:
            write_settings(self.full(name), EVERYWHERE | (ROUTER if name in routers else {}))
        run(["ip", "-batch", "-"], "".join(each + "\n" for each in self.links))
        for name in self.names:
            # Links first, then addresses, then the routes that need them.
            commands = sorted(self.commands[name], key=lambda each: ("link", "addr", "route").index(each.split()[0]))
            run(["ip", "-n", self.full(name), "-batch", "-"], "".join(each + "\n" for each in commands))

    def build_carrier(self, name):
        site = name[1]
        numbers = self.numbers
        self.add(name)
        self.bridge(name)
        self.link(name, "wan", "core", f"w{site}")
        length = CARRIER_NETWORK.partition("/")[2]
        self.do(name, f"addr add {CARRIER_ROUTER}/{length} dev lan", f"addr add {numbers.carrier6(site, 1)}/64 dev lan")
        self.uplink(name, site)

    def build_site(self, site):
        numbers, router, carrier = self.numbers, f"n{site}", self.carriers[site]
        hosts = (f"h{site}", f"h{site}2")
        self.add(router, *hosts)
        self.bridge(router)
        self.do(router, f"addr add {numbers.lan(site, 1)}/24 dev lan", f"addr add {numbers.lan6(site, 1)}/64 dev lan")
        if carrier:
            owner, last = carrier[1], numbers.behind_carrier(site)
            self.link(router, "wan", carrier, f"to{site}", in_bridge=True)
            self.do(router, f"addr add {numbers.inner_wan(site)}/16 dev wan", f"route add default via {CARRIER_ROUTER}")
            self.do(router, f"addr add {numbers.carrier6(owner, last)}/64 dev wan")
            self.do(router, f"route add default via {numbers.carrier6(owner, 1)}")
            self.do(carrier, f"route add {numbers.lan6(site)} via {numbers.carrier6(owner, last)}")
            self.do(carrier, f"route add {numbers.public(site, True)}/32 via {numbers.inner_wan(site)}")
            self.do("core", f"route add {numbers.lan6(site)} via {numbers.link6(owner, 2)}")
        else:
            self.link(router, "wan", "core", f"w{site}")
            self.uplink(router, site)
            self.do("core", f"route add {numbers.public(site)}/32 via {numbers.wan(site)}")
            self.do("core", f"route add {numbers.lan6(site)} via {numbers.link6(site, 2)}")
        public = numbers.public(site, bool(carrier))
        self.do(router, f"route add {public}/32 via {numbers.lan(site, 2)}")
        for number, host in enumerate(hosts, 2):
            self.link(host, "eth0", router, f"p{number}", in_bridge=True)
            self.do(
                host,
                f"addr add {numbers.lan(site, number)}/24 dev eth0",
                f"route add default via {numbers.lan(site, 1)}",
            )
        self.do(hosts[0], f"addr add {public}/32 dev lo")

    def uplink(self, router, site):
        """The outermost router of a site and its link to core."""
        numbers = self.numbers
        self.do(router, f"addr add {numbers.wan(site)}/24 dev wan", f"route add default via {numbers.core(site)}")
        self.do(
            router, f"addr add {numbers.link6(site, 2)}/64 dev wan", f"route add default via {numbers.link6(site, 1)}"
        )
        self.do(
            "core", f"addr add {numbers.core(site)}/24 dev w{site}", f"addr add {numbers.link6(site, 1)}/64 dev w{site}"
        )

    def add(self, *names):
        self.names += names
        for name in names:
            self.commands[name] = ["link set dev lo up"]

    def do(self, name, *commands):
        self.commands[name] += commands

    def bridge(self, name):
        self.do(name, "link add lan type bridge forward_delay 0", "link set dev lan up")

    def link(self, near, near_name, far, far_name, in_bridge=False):
        self.links.append(
            f"link add {near_name} netns {self.full(near)} type veth peer name {far_name} netns {self.full(far)}"
        )
        self.do(near, f"link set dev {near_name} up")
        self.do(far, f"link set dev {far_name} up" + (" master lan" if in_bridge else ""))
