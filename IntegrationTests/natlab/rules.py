# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The nftables ruleset of one router.

Every router has the same frame. What makes a type of NAT is in `nat_rules.py`.
"""

from .language import NAT_TYPES, PROTOCOLS
from .nat_rules import NATRules


class Ruleset:
    """Collects the rules of a router by chain."""

    def __init__(self, site, layer, external, inner):
        """`external`: the router's public addresses; `inner`: the prefixes behind it."""
        self.site, self.layer, self.external = site, layer, external
        self.inner = inner[0] if len(inner) == 1 else "{ " + ", ".join(inner) + " }"
        self.declarations = []
        self.chains = {name: [] for name in ("pre", "post", "learn", "input", "forward", "output")}
        self.add_faults()
        self.add_pinholes()
        for protocol in PROTOCOLS:
            self.add_protocol(protocol, layer.type(protocol))
        if any(layer.type(protocol) not in ("fw", "public") for protocol in PROTOCOLS):
            self.chains["post"].append(
                f'oifname "wan" ip saddr {self.inner} meta l4proto icmp snat ip to {external[0]}'
            )
        self.add_unsolicited()

    def add_faults(self):
        if self.site.icmp == "drop":
            for chain in ("forward", "output"):
                self.chains[chain].append("icmp type { destination-unreachable, time-exceeded } drop")
        if self.site.flows:
            # The kernel's own limit, nf_conntrack_max, is one for all namespaces.
            self.chains["forward"].append(f'oifname "wan" ct state new ct count over {self.site.flows} drop')

    def add_pinholes(self):
        for host, port in self.site.pinholes:
            for protocol in PROTOCOLS:
                rule = f'iifname "wan" ip daddr {self.external[0]} {protocol} dport {port} dnat to {host}:{port}'
                self.chains["pre"].append(rule)

    def add_protocol(self, protocol, kind):
        forward = self.chains["forward"]
        if kind in NAT_TYPES:
            NATRules(self, protocol, NAT_TYPES[kind]).add()
        elif kind == "blocked" or (kind == "web" and protocol == "udp"):
            forward.append(f'oifname "wan" meta l4proto {protocol} drop')
        elif kind == "web":
            forward.append(f'oifname "wan" {protocol} dport != {{ 80, 443 }} drop')
            NATRules(self, protocol, NAT_TYPES["port"]).add()
        elif kind == "public":
            forward.append(f"meta l4proto {protocol} accept")
        else:
            forward.append(f'iifname != "wan" meta l4proto {protocol} accept')
            forward.append(f"meta l4proto {protocol} ct state established,related accept")
            if self.site.unsolicited == "rst":
                forward.append(self.refusal(protocol))
            forward.append(f"meta l4proto {protocol} drop")

    def add_unsolicited(self):
        """Dropped and rejected packets leave no trace in the table of connections; accepted ones pin their tuple."""
        if self.site.unsolicited == "rst":
            self.chains["input"] += [self.refusal(protocol) for protocol in PROTOCOLS]
        elif self.site.unsolicited == "accept":
            self.chains["input"].append('iifname "wan" accept')

    @staticmethod
    def refusal(protocol):
        answer = "tcp reset" if protocol == "tcp" else "icmp port-unreachable"
        return f'iifname "wan" meta l4proto {protocol} reject with {answer}'

    def text(self):
        """What `nft -f` takes: it replaces the table in one step."""
        external = "{ " + ", ".join(self.external) + " }"
        fixed_input = [
            'iifname "lo" accept',
            "ct state established,related accept",
            "icmp type echo-request accept",
            # A try to reach the own public address from inside must not find the router's own stack.
            f'iifname "lan" ip daddr {external} drop',
            'iifname "lan" accept',
            "ct state invalid drop",
        ]
        fixed_forward = [
            # Packets that connection tracking calls invalid would be forwarded with their inner address.
            "ct state invalid drop",
            "ct state established,related accept",
            'iifname "lan" accept',
            "ct status dnat accept",
            "meta l4proto icmp ct state related accept",
        ]
        heads = {
            "pre": ("nat hook prerouting priority dstnat; policy accept;", self.chains["pre"]),
            "post": ("nat hook postrouting priority srcnat; policy accept;", self.chains["post"]),
            # Right after srcnat: it sees the port that was chosen, and the very next packet finds what it wrote.
            "learn": ("filter hook postrouting priority srcnat + 10; policy accept;", self.chains["learn"]),
            "input": ("filter hook input priority filter; policy drop;", fixed_input + self.chains["input"]),
            "forward": ("filter hook forward priority filter; policy drop;", self.chains["forward"] + fixed_forward),
            "output": ("filter hook output priority filter; policy accept;", self.chains["output"]),
        }
        lines = [
            "table ip natlab",
            "delete table ip natlab",
            "table ip natlab {",
            *("  " + each for each in self.declarations),
        ]
        for name, (head, rules) in heads.items():
            lines += [f"  chain {name} {{ type {head}", *("    " + rule for rule in rules), "  }"]
        return "\n".join([*lines, "}", ""])


def firewall6(kind):
    """The IPv6 ruleset of a home router."""
    rules = {
        "none": [],
        "fw": ["ct state invalid drop", "ct state established,related accept", 'iifname "lan" accept'],
        "public": ["accept"],
    }[kind]
    # Path MTU discovery is part of IPv6: a firewall must let these pass (RFC 4890).
    if kind == "fw":
        rules.append("icmpv6 type { packet-too-big, destination-unreachable, time-exceeded } ct state related accept")
    head = "  chain forward { type filter hook forward priority filter; policy drop;"
    lines = ["table ip6 natlab", "delete table ip6 natlab", "table ip6 natlab {", head]
    return "\n".join([*lines, *("    " + each for each in rules), "  }", "}", ""])
