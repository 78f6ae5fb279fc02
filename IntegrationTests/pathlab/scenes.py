# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Between which sites a path is looked for, and what theory says of each."""

import dataclasses

from natlab.language import parse

CLASSIC = ("full", "addr", "port", "sym")
# How long each end may take, in seconds; programs are debug builds, several labs share the computer.
PLAIN, SEARCH, NOTHING = 4.0, 20.0, 25.0
DIRECT_UDP, DIRECT_TCP, RELAYED = "direct udp", "direct tcp", "relayed"


@dataclasses.dataclass(frozen=True)
class Scene:
    """Two sites in the words of the lab, and what has to come of it."""

    group: str
    a: str
    b: str
    # The path that has to be there at the end; several where luck decides, the best first.
    ends: tuple
    within: float = PLAIN
    # The tactics of which one must have found a direct path; none for any.
    tactics: tuple = ()
    # Of these words one has to be in the reason.
    reason: tuple = ()
    shared_carrier: bool = False
    same_lan: bool = False
    # The second device is in the first one's LAN.
    same_router: bool = False
    # Sites whose router has miniupnpd.
    upnp: tuple = ()
    # What happens in the middle, see trouble.py.
    trouble: str = ""
    # The server is known by a name, with addresses of both families.
    is_named: bool = False
    # Further words of `adit ping` and of `adit up`.
    ping: tuple = ()
    up: tuple = ()
    # A third site, where a third device is.
    c: str = ""
    # Part of every run of the tests.
    is_sample: bool = False
    # How often luck may fail.
    tries: int = 1

    @property
    def topology(self):
        """What cannot be changed in a lab that is up."""
        return ("cgn" in self.a, "cgn" in self.b, self.shared_carrier, self.same_lan, self.is_named, bool(self.c))

    @property
    def kinds(self):
        """What of UDP and of TCP each has to say of its own NAT; None where the lab does not know."""
        site_of_ben = self.a if self.same_router else self.b
        return {"amy": kind_of(self.a, "A" in self.upnp), "ben": kind_of(site_of_ben, "B" in self.upnp)}

    def __str__(self):
        place = " same router" if self.same_router else " same carrier" if self.shared_carrier else ""
        more = "".join(f" upnp={site}" for site in self.upnp) + (" " + " ".join(self.ping) if self.ping else "")
        more += f", {self.trouble}" if self.trouble else ""
        return f"{self.group}: {self.a} with {self.b}{place}{more}"


# As `adit ping --json` names them.
KINDS = {
    "full": "fullCone", "addr": "addressRestrictedCone", "port": "portRestrictedCone", "sym": "symmetric", "fw": "firewall",
    "seq": "symmetric", "seq2": "symmetric", "symblk": "symmetric", "public": "open", "blocked": "blocked", "web": "blocked",
}  # fmt: skip


def kind_of(text, opens_ports):
    """The names of a site's NAT over UDP and TCP."""
    site = parse(text)
    if site.carrier or opens_ports or site.unsolicited == "accept":
        return None, None
    return KINDS.get(site.home.udp), KINDS.get(site.home.tcp)


def classic():
    """The sixteen ordered pairs over UDP and over TCP."""
    found = []
    samples = {
        ("udp", "full", "sym"), ("udp", "sym", "port"), ("udp", "sym", "sym"), ("tcp", "addr", "port"), ("tcp", "port", "sym"),
    }  # fmt: skip
    for protocol in ("udp", "tcp"):
        for a in CLASSIC:
            for b in CLASSIC:
                is_sample = (protocol, a, b) in samples
                sites = [each if protocol == "udp" else f"udp=blocked,tcp={each}" for each in (a, b)]
                hard = {a, b} in ({"sym"}, {"sym", "port"})
                if not hard:
                    end = {"ends": (DIRECT_UDP if protocol == "udp" else DIRECT_TCP,)}
                elif a != b and protocol == "udp":
                    # 98 of 100 searches find something.
                    end = {"ends": (DIRECT_UDP,), "within": SEARCH, "tactics": ("birthday",), "tries": 2,
                           "reason": ("at random",)}  # fmt: skip
                elif protocol == "udp":
                    end = {"ends": (RELAYED,), "within": NOTHING, "reason": ("both NATs give each destination",)}
                else:
                    end = {"ends": (RELAYED,), "within": NOTHING, "reason": ("UDP is blocked",)}
                found.append(Scene(protocol, *sites, is_sample=is_sample, **end))
    return found


def around():
    """What else there is in the world."""
    search = {"within": SEARCH, "tries": 2}
    return [
        Scene("carrier NAT", "port,cgn=port", "port", (DIRECT_UDP,), is_sample=True),
        Scene("carrier NAT", "full,cgn=full", "port,cgn=addr", (DIRECT_UDP,)),
        Scene("carrier NAT", "port,cgn=sym", "full", (DIRECT_UDP,)),
        Scene("carrier NAT", "port,cgn=sym", "port", (DIRECT_UDP,), tactics=("birthday",), **search),
        Scene("carrier NAT", "full,cgn=seq", "port", (DIRECT_UDP,), **search),
        Scene("carrier NAT", "udp=blocked,tcp=port,cgn=port", "port", (DIRECT_TCP,)),
        Scene("shared carrier", "port,cgn=port,hairpin=1", "port", (DIRECT_UDP,), shared_carrier=True,
              reason=("share the public address", "same network")),
        Scene("shared carrier", "port,cgn=port,cgn_hairpin=0", "port", (RELAYED,), within=NOTHING, shared_carrier=True,
              reason=("does not turn packets round",), is_sample=True),
        Scene("same network", "port", "port", (DIRECT_UDP,), same_router=True, reason=("same network",), is_sample=True),
        Scene("same network", "udp=blocked,tcp=sym", "port", (DIRECT_UDP, DIRECT_TCP), same_router=True,
              reason=("same network",)),
        Scene("same numbers", "port", "port", (DIRECT_UDP,), same_lan=True),
        Scene("reset", "port,unsol=rst", "port,unsol=rst", (DIRECT_UDP,)),
        Scene("reset", "udp=blocked,tcp=port,unsol=rst", "udp=blocked,tcp=port,unsol=rst", (DIRECT_TCP,), within=8,
              is_sample=True),
        Scene("reset", "udp=blocked,tcp=addr,unsol=rst", "udp=blocked,tcp=sym,unsol=rst", (DIRECT_TCP,), within=8),
        Scene("reset", "sym,unsol=rst", "port,unsol=rst", (DIRECT_UDP,), tactics=("birthday",), **search),
        Scene("pinning", "port,unsol=accept", "port,unsol=accept", (DIRECT_UDP, DIRECT_TCP), within=8, is_sample=True),
        Scene("pinning", "udp=blocked,tcp=port,unsol=accept", "udp=blocked,tcp=port,unsol=accept", (DIRECT_TCP,), within=8),
        Scene("UDP blocked", "udp=blocked,tcp=port", "port", (DIRECT_TCP,), reason=("UDP is blocked",), is_sample=True),
        Scene("UDP blocked", "udp=blocked,tcp=sym", "udp=port,tcp=full", (DIRECT_TCP,)),
        Scene("sequential", "seq", "port", (DIRECT_UDP,), tactics=("prediction",), reason=("one after the other",),
              is_sample=True, **search),
        Scene("sequential", "port", "seq2", (DIRECT_UDP,), tactics=("prediction",), **search),
        Scene("sequential", "seq", "seq2", (DIRECT_UDP,), tactics=("window",), is_sample=True, **search),
        Scene("sequential", "udp=blocked,tcp=seq", "udp=blocked,tcp=port", (DIRECT_TCP, RELAYED), within=NOTHING),
        Scene("sequential", "seq", "sym", (RELAYED,), within=NOTHING),
        Scene("port block", "symblk", "port", (DIRECT_UDP,), **search),
        # A search of two blocks of this size succeeds in about six of ten.
        Scene("port block", "symblk,block=30000-30511", "symblk,block=40000-40511", (DIRECT_UDP,), tactics=("block",),
              reason=("both NATs draw their ports from blocks",), ping=("--port-blocks",), up=("--port-blocks",),
              within=SEARCH, tries=5),
        Scene("web only", "web", "port", (RELAYED,), within=NOTHING, reason=("web", "80"), is_sample=True),
        Scene("web only", "web", "web", (RELAYED,), within=NOTHING),
        # Both families are direct here, and the quicker one is taken.
        Scene("IPv6", "port,v6=fw", "port,v6=fw", (DIRECT_UDP,), reason=("IPv6", "each lets in")),
        Scene("IPv6", "sym,v6=fw", "sym,v6=fw", (DIRECT_UDP,), reason=("IPv6",), is_sample=True),
        Scene("IPv6", "sym,v6=public", "sym", (RELAYED,), within=NOTHING),
        Scene("IPv6", "udp=blocked,tcp=sym,v6=fw", "udp=blocked,tcp=sym,v6=fw", (DIRECT_UDP,), is_named=True,
              reason=("IPv6",)),
        Scene("relay over IPv6", "blocked,v6=fw", "port", (RELAYED,), within=NOTHING, is_named=True, is_sample=True),
        Scene("relay over IPv6", "udp=blocked,tcp=sym,v6=fw", "sym", (RELAYED,), within=NOTHING, is_named=True),
        Scene("reconnect", "sym", "port", (DIRECT_UDP,), tactics=("birthday",), trouble="cut ben", **search),
        Scene("reconnect", "port", "sym", (DIRECT_UDP,), tactics=("birthday",), trouble="cut amy", is_sample=True, **search),
        Scene("network change", "port", "port", (DIRECT_UDP, DIRECT_TCP), trouble="move amy", is_sample=True),
        Scene("network change", "port", "port", (DIRECT_UDP, DIRECT_TCP), trouble="move ben"),
        Scene("network change", "port", "addr", (DIRECT_UDP, DIRECT_TCP), trouble="renumber amy"),
        Scene("firewall", "fw", "fw", (DIRECT_UDP,)),
        Scene("firewall", "fw", "port", (DIRECT_UDP,)),
        Scene("firewall", "public", "sym", (DIRECT_UDP,)),
        Scene("port mapping", "sym", "sym", (DIRECT_UDP,), upnp=("A",), within=SEARCH, reason=("opened port",),
              is_sample=True),
        Scene("port mapping", "udp=blocked,tcp=sym", "udp=blocked,tcp=sym", (DIRECT_TCP,), upnp=("B",), within=SEARCH),
        Scene("relay only", "full", "full", (RELAYED,), ping=("--p2p", "off"), reason=("--p2p off",), is_sample=True),
    ]  # fmt: skip


def everything():
    return classic() + around()
