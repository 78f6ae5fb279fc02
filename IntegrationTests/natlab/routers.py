# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What makes the routers and hosts of a site what its description says; done again whenever that changes."""

from . import system
from .addresses import CARRIER_NETWORK
from .language import Layer
from .rules import Ruleset, firewall6
from .system import run


class Routers:
    """Those of one site."""

    def __init__(self, lab, site):
        self.lab, self.site = lab, site

    def apply(self):
        site = self.site
        parsed, numbers, host = self.lab.site(site), self.lab.numbers, self.lab.name(f"h{site}")
        source = f" src {self.lab.host_address(site)}" if parsed.is_public else ""
        run(["ip", "-n", host, "-batch", "-"], f"route replace default via {numbers.lan(site, 1)}{source}\n")
        inner = [numbers.lan(site)]
        if parsed.is_public:
            inner.append(numbers.public(site, bool(self.lab.carrier(site))))
        self.load(f"n{site}", parsed, parsed.home, inner)
        carrier = self.lab.carrier(site)
        if carrier and carrier[1] == site:
            layer = parsed.carrier or Layer("port", "port", parsed.home.hairpin)
            self.load(carrier, parsed, layer, [CARRIER_NETWORK])
        upper, device = (carrier, f"to{site}") if carrier else ("core", f"w{site}")
        run(["ip", "-n", self.lab.name(f"n{site}"), "link", "set", "dev", "wan", "mtu", str(parsed.mtu)])
        run(["ip", "-n", self.lab.name(upper), "link", "set", "dev", device, "mtu", str(parsed.mtu)])
        self.apply_ipv6(parsed.ipv6)

    def load(self, router, parsed, layer, inner):
        first = self.lab.wan_address(router)
        base = 20 if router[1] == "A" else 40
        external = [first, *(f"{first.rpartition('.')[0]}.{base + index}" for index in range(1, parsed.pool))]
        for address in external[1:]:
            run(["ip", "-n", self.lab.name(router), "addr", "replace", f"{address}/32", "dev", "wan"])
        rules = Ruleset(parsed, layer, external, inner).text()
        run(["ip", "netns", "exec", self.lab.name(router), system.tool("nft"), "-f", "-"], rules)
        timers = {
            "udp_timeout": parsed.udp_seconds,
            # It takes over once packets have gone both ways.
            "udp_timeout_stream": parsed.udp_seconds,
            "tcp_timeout_established": parsed.tcp_seconds,
            "tcp_timeout_syn_sent": parsed.syn_seconds,
        }
        system.write_settings(
            self.lab.name(router), {f"netfilter/nf_conntrack_{name}": value for name, value in timers.items()}
        )
        self.forget(router)

    def apply_ipv6(self, kind):
        site = self.site
        router = self.lab.name(f"n{site}")
        run(["ip", "netns", "exec", router, system.tool("nft"), "-f", "-"], firewall6(kind))
        for number, host in ((2, f"h{site}"), (3, f"h{site}2")):
            off = int(kind == "none")
            system.write_settings(
                self.lab.name(host), {"ipv6/conf/all/disable_ipv6": off, "ipv6/conf/default/disable_ipv6": off}
            )
            if not off:
                commands = (
                    f"addr replace {self.lab.numbers.lan6(site, number)}/64 dev eth0 nodad\n"
                    f"route replace default via {self.lab.numbers.lan6(site, 1)}\n"
                )
                run(["ip", "-n", self.lab.name(host), "-batch", "-"], commands)

    def forget(self, router):
        run(["ip", "netns", "exec", self.lab.name(router), system.tool("conntrack"), "-F"], check=False)
