# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What `adit doctor nat --json` has to say of a site, from the definition of its types."""

from .language import BLOCK, DEFAULT_BLOCK, KEPT, RANDOM, Behavior, parse
from .observation import KNOWN

MAPPINGS = {"EIM": "endpoint-independent", "ADM": "address-dependent", "APDM": "address-and-port-dependent"}
FILTERINGS = {"EIF": "endpoint-independent", "ADF": "address-dependent", "APDF": "address-and-port-dependent"}
CONES = {"EIF": "full-cone", "ADF": "address-restricted-cone", "APDF": "port-restricted-cone"}
STRICTNESS = ("EIF", "ADF", "APDF")


def compose(inner, outer):
    """Two routers in a row (None: nothing passes): the worse mapping, the stricter filtering, the outer's ports."""
    if inner is None or outer is None:
        return None
    mapping = max(inner.mapping, outer.mapping, key=("EIM", "ADM", "APDM").index)
    filtering = max(inner.filtering, outer.filtering, key=STRICTNESS.index)
    ports = outer if outer.ports != KEPT else inner
    return Behavior(mapping, filtering, ports.ports, ports.step)


class Expectation:
    """Of one site and one kind of server."""

    def __init__(self, lab, text, server):
        self.site, self.server = parse(text), server
        self.outside = lab.wan_address(lab.outermost("A"))
        self.host = lab.host_address("A")
        self.is_web = self.site.home.tcp == "web"

    def behavior(self, protocol):
        """The behaviour of all routers together; None when nothing passes."""
        layers = [self.site.home, self.site.carrier] if self.site.carrier else [self.site.home]
        found = KNOWN.get("public")
        for index, layer in enumerate(layers):
            each = KNOWN.get(layer.type(protocol))
            found = each if index == 0 else compose(found, each)
        return found

    def is_translated(self, protocol):
        return self.site.home.type(protocol) not in ("fw", "public") or self.site.carrier is not None

    def faults(self, report):
        """Every point in which the report is wrong; what a server cannot show may be missing, not wrong."""
        found = []
        udp, tcp = self.behavior("udp"), self.behavior("tcp")
        self.compare(found, "udp_blocked", report["udp_blocked"], udp is None)
        if self.server == "adit":
            # Only Adit's server listens on a port of the web.
            self.compare(found, "web_only", report["web_only"], udp is None and self.is_web)
        for protocol, behavior in (("udp", udp), ("tcp", tcp)):
            self.check_protocol(found, protocol, report[protocol], behavior)
        if udp is None and tcp is None:
            return found
        kinds = {self.site.home.udp, self.site.home.tcp}
        if len(kinds) == 1 and self.server != "coturn with one address":
            # It takes a second address to tell a firewall from an open line.
            is_firewall = kinds == {"fw"}
            # Against a server that cannot answer from elsewhere a firewall does not show.
            if not is_firewall or self.knows_filtering("udp"):
                self.compare(found, "firewall", report["firewall"], is_firewall)
        if self.site.icmp == "pass" and udp is not None:
            # Routers are counted by datagrams that end on the way.
            nats = int(self.is_translated("udp")) + (self.site.carrier is not None)
            self.compare(found, "nats", report["nats"], nats)
            self.compare(found, "carrier_nat", report["carrier_nat"], self.site.carrier is not None)
        if udp is not None and udp.mapping == "EIM" and self.is_translated("udp") and self.site.carrier is None:
            self.compare(found, "hairpin", report["hairpin"], self.site.home.hairpin)
        if self.site.ipv6 != "none" and self.server == "adit":
            self.compare(found, "ipv6 available", report["ipv6"]["available"], True)
            filtering = {"fw": "APDF", "public": "EIF"}[self.site.ipv6]
            self.compare(found, "ipv6 filtering", report["ipv6"]["udp"]["filtering"], FILTERINGS[filtering])
        elif self.site.ipv6 == "none":
            self.compare(found, "ipv6 available", report["ipv6"]["available"], False)
        return found

    def check_protocol(self, found, name, report, behavior):
        web = name == "tcp" and self.is_web
        self.compare(found, f"{name} reachable", bool(report["reachable"]), behavior is not None)
        if behavior is None or web:
            return
        is_translated = self.is_translated(name)
        self.compare(found, f"{name} translated", report["translated"], is_translated)
        self.compare(found, f"{name} mapping", report["mapping"], MAPPINGS[behavior.mapping], self.knows_mapping())
        filtering = FILTERINGS[behavior.filtering]
        self.compare(found, f"{name} filtering", report["filtering"], filtering, self.knows_filtering(name))
        if is_translated:
            classic = CONES[behavior.filtering] if behavior.mapping == "EIM" else "symmetric"
            self.check_allocation(found, name, report["allocation"], behavior)
        else:
            classic = "open" if behavior.filtering == "EIF" else "firewall"
        knows = self.knows_mapping() and (self.knows_filtering(name) or classic == "symmetric")
        self.compare(found, f"{name} classic", report["classic"], classic, knows)
        wanted = self.outside if is_translated else self.host
        if self.site.pool == 1:
            self.compare(found, f"{name} public", report["public"], [wanted])
        else:
            self.compare(found, f"{name} pooling", report["pooling"], "arbitrary")

    def check_allocation(self, found, name, report, behavior):
        if report is None:
            if self.knows_mapping():
                found.append(f"{name} allocation: nothing is said")
            return
        if behavior.ports == KEPT:
            wanted = {"kind": "preserving"}
        elif behavior.ports in (RANDOM, BLOCK):
            low, high = self.site.block or DEFAULT_BLOCK
            if (behavior.ports == BLOCK or self.site.block) and report["kind"] == "block":
                if not low <= report["first"] <= report["last"] <= high:
                    found.append(f"{name} allocation: block {report['first']}-{report['last']}, not in {low}-{high}")
                return
            wanted = {"kind": "block" if behavior.ports == BLOCK else "random"}
        else:
            wanted = {"kind": "sequential", "step": behavior.step}
            if not self.knows_mapping():
                return
        self.compare(found, f"{name} allocation", report, wanted)

    def knows_mapping(self):
        """One address and port tell nothing apart."""
        return self.server != "coturn with one address"

    def knows_filtering(self, protocol):
        """RFC 5780 has no test of TCP filtering; Adit's server connects back."""
        return self.server == "adit" or (self.server == "coturn" and protocol == "udp")

    @staticmethod
    def compare(found, what, value, wanted, is_known=True):
        if value != wanted and (is_known or value is not None):
            found.append(f"{what}: {value}, not {wanted}")

    @staticmethod
    def words(report):
        """The report in a few words."""
        parts = []
        for name in ("udp", "tcp"):
            each = report[name]
            allocation = each["allocation"] or {}
            step = f" {allocation['step']:+d}" if "step" in allocation else ""
            parts.append(f"{name} {each['classic'] or '?'} {allocation.get('kind', '?')}{step}")
        return ", ".join(parts) + f", {report['nats']} NAT"
