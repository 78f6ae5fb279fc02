# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The rules that make a type of NAT for one protocol.

Linux alone keeps the source port where it can and filters by address and port. What else a type needs comes from maps
that the packets themselves fill: `in` (external port to inner endpoint), `out` (inner endpoint to external port) and
`peer` (the addresses an external port has sent to).
"""

from .language import BLOCK, DEFAULT_BLOCK, KEPT, RANDOM


class NATRules:
    """Adds the rules of one protocol to a ruleset."""

    def __init__(self, ruleset, protocol, behavior):
        self.ruleset, self.protocol, self.behavior = ruleset, protocol, behavior
        self.site, self.chains = ruleset.site, ruleset.chains
        self.external = ruleset.external
        self.outbound = f'oifname "wan" ip saddr {ruleset.inner} meta l4proto {protocol}'

    def add(self):
        self.declare()
        self.add_allocation()
        self.add_learning()
        self.add_filtering()
        if self.ruleset.layer.hairpin and self.behavior.mapping == "EIM":
            self.add_hairpin()

    def declare(self):
        seconds = self.site.udp_seconds if self.protocol == "udp" else self.site.tcp_seconds
        options = f"flags dynamic,timeout; size 65536; timeout {seconds}s;"
        endpoint, address, port = "ipv4_addr . inet_service", "ipv4_addr", "inet_service"
        self.ruleset.declarations += [
            f"map in_{self.protocol} {{ type {port} : {endpoint}; {options} }}",
            f"map out_{self.protocol} {{ type {endpoint} : {port}; {options} }}",
            f"map out_to_{self.protocol} {{ type {endpoint} . {address} : {port}; {options} }}",
            f"set peer_{self.protocol} {{ type {port} . {address}; {options} }}",
        ]

    def add_allocation(self):
        """Which external address and port a new flow gets."""
        post, protocol, first = self.chains["post"], self.protocol, self.external[0]
        low, high = self.site.block or DEFAULT_BLOCK
        if self.behavior.mapping == "EIM" and self.behavior.ports != KEPT:
            post.append(f"{self.outbound} snat ip to {first} : ip saddr . {protocol} sport map @out_{protocol}")
        if self.behavior.mapping == "ADM":
            post.append(
                f"{self.outbound} snat ip to {first} : ip saddr . {protocol} sport . ip daddr map @out_to_{protocol}"
            )
        if self.behavior.ports == KEPT:
            post.append(f"{self.outbound} snat ip to {self.pool()}")
        elif self.behavior.ports == RANDOM and not self.site.block:
            post.append(f"{self.outbound} snat ip to {self.pool()} fully-random")
        elif self.behavior.ports in (RANDOM, BLOCK):
            # Without fully-random a range would be one port for all destinations.
            post.append(f"{self.outbound} snat ip to {self.pool()} : {low}-{high} fully-random")
        else:
            # numgen counts in the order of this machine's bytes and a port is big-endian: a map translates. A range of
            # one port keeps the kernel from using an older mapping again.
            step = self.behavior.step
            count = (high - low) // step + 1
            elements = ", ".join(f"{index} : {low + index * step}" for index in range(count))
            kinds = f"typeof numgen inc mod {count} : {protocol} dport"
            self.ruleset.declarations.append(f"map next_{protocol} {{ {kinds}; elements = {{ {elements} }} }}")
            post.append(f"{self.outbound} snat ip to {first} : numgen inc mod {count} map @next_{protocol}")

    def pool(self):
        """The address, or one drawn for each flow: the arbitrary pooling that RFC 4787 REQ-2 speaks against."""
        if len(self.external) == 1:
            return self.external[0]
        choices = ", ".join(f"{index} : {address}" for index, address in enumerate(self.external))
        return f"numgen random mod {len(self.external)} map {{ {choices} }}"

    def add_learning(self):
        learn, protocol = self.chains["learn"], self.protocol
        sent = f'oifname "wan" meta l4proto {protocol} ct direction original'
        answered = f'oifname "wan" meta l4proto {protocol} ct direction reply'
        inner, outer = "ct original ip saddr . ct original proto-src", "ct reply proto-dst"
        if self.behavior.mapping == "EIM":
            learn.append(f"{sent} update @in_{protocol} {{ {outer} : {inner} }}")
            learn.append(f"{sent} update @out_{protocol} {{ {inner} : {outer} }}")
            # Answers to what came from outside keep the mapping alive too.
            inner, outer = "ct reply ip saddr . ct reply proto-src", "ct original proto-dst"
            learn.append(f"{answered} update @in_{protocol} {{ {outer} : {inner} }}")
            learn.append(f"{answered} update @out_{protocol} {{ {inner} : {outer} }}")
        if self.behavior.mapping == "ADM":
            learn.append(f"{sent} update @out_to_{protocol} {{ {inner} . ip daddr : {outer} }}")
            learn.append(f"{sent} update @in_{protocol} {{ {outer} : {inner} }}")
        if self.behavior.filtering == "ADF":
            learn.append(
                f'oifname "wan" meta l4proto {protocol} update @peer_{protocol} {{ {protocol} sport . ip daddr }}'
            )

    def add_filtering(self):
        """Who may use a mapping from outside. A port that is in no map ends the rule, so it stays closed."""
        pre, protocol = self.chains["pre"], self.protocol
        arrived = 'iifname "wan" ip daddr { ' + ", ".join(self.external) + " }"
        if self.behavior.filtering == "EIF":
            pre.append(f"{arrived} dnat ip to {protocol} dport map @in_{protocol}")
        if self.behavior.filtering == "ADF":
            known = f"{protocol} dport . ip saddr @peer_{protocol}"
            pre.append(f"{arrived} {known} dnat ip to {protocol} dport map @in_{protocol}")

    def add_hairpin(self):
        """Inside to public address to inside, seen with the external source (RFC 4787 REQ-9)."""
        protocol, first = self.protocol, self.external[0]
        turned = f'iifname "lan" oifname "lan" meta l4proto {protocol} ct status dnat snat ip to {first}'
        self.chains["pre"].append(f'iifname "lan" ip daddr {first} dnat ip to {protocol} dport map @in_{protocol}')
        self.chains["post"].append(f"{turned} : ip saddr . {protocol} sport map @out_{protocol}")
        self.chains["post"].append(turned)
