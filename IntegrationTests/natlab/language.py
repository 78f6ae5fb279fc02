# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The language that describes a site: its NAT per protocol, its timers and its faults.

A site is a list of words joined by commas. A word is a TYPE, which holds for UDP and TCP, or KEY=VALUE:

  udp= tcp= nat=        TYPE of the home router for that protocol, or for both (port when not given)
  cgn= cgn_udp= cgn_tcp=  TYPE of a carrier NAT in front of it
  unsol=drop|rst|accept what the router does with unsolicited packets: nothing, TCP RST and ICMP port unreachable, or
                        it lets them reach its own stack, which answers and keeps the tuple for itself
  hairpin=0|1           whether hosts inside reach each other through the public address; cgn_hairpin= for the carrier
  udp_to= tcp_to= syn_to= seconds that UDP, established TCP and half open TCP may idle
  block=LOW-HIGH        external ports of symblk, seq and seq2, and of random ports
  pool=N                N public addresses, chosen anew for each flow
  maxflows=N            flows that fit the router's table; further ones are dropped
  mtu=N                 of the access line
  icmp=pass|drop        drop swallows ICMP errors
  pinhole=HOST:PORT[+HOST:PORT]  static forwards, whose external port is PORT
  v6=none|fw|public     global IPv6 addresses, behind a stateful firewall or open

  TYPE      mapping / filtering / ports (RFC 4787)
  full      EIM  / EIF  / kept         full-r, addr-r, port-r: the same with random ports
  addr      EIM  / ADF  / kept         adm     ADM / ADF / random
  port      EIM  / APDF / kept         fw      no NAT, stateful firewall
  sym       APDM / APDF / random       public  no NAT, no filter
  symblk    APDM / APDF / random from a small block
  seq seq2  APDM / APDF / +1, +2       blocked nothing passes; web: only TCP to 80 and 443
"""

import dataclasses

from .system import LabError

KEPT, RANDOM, BLOCK = "kept", "random", "block"


@dataclasses.dataclass(frozen=True)
class Behavior:
    """What a type means in the words of RFC 4787; `step` is that of sequential ports."""

    mapping: str
    filtering: str
    ports: str
    step: int = 0


NAT_TYPES = {
    "full": Behavior("EIM", "EIF", KEPT),
    "addr": Behavior("EIM", "ADF", KEPT),
    "port": Behavior("EIM", "APDF", KEPT),
    "full-r": Behavior("EIM", "EIF", RANDOM),
    "addr-r": Behavior("EIM", "ADF", RANDOM),
    "port-r": Behavior("EIM", "APDF", RANDOM),
    "sym": Behavior("APDM", "APDF", RANDOM),
    "symblk": Behavior("APDM", "APDF", BLOCK),
    "seq": Behavior("APDM", "APDF", "sequential", 1),
    "seq2": Behavior("APDM", "APDF", "sequential", 2),
    "adm": Behavior("ADM", "ADF", RANDOM),
}
TYPES = (*NAT_TYPES, "fw", "public", "blocked", "web")
# Longer names that the simulated lab takes too, and its words for what the kernel cannot do.
ALIASES = {
    "full-cone": "full", "address-restricted": "addr", "restricted": "addr", "port-restricted": "port",
    "symmetric": "sym", "open": "public", "firewall": "fw",
}  # fmt: skip
SIMULATED = ("map", "filter", "alloc", "timer", "refresh")
PROTOCOLS = ("udp", "tcp")
DEFAULT_BLOCK = (20000, 22047)


@dataclasses.dataclass(frozen=True)
class Layer:
    """One router of a site: the home router or the carrier's."""

    udp: str
    tcp: str
    hairpin: bool

    def type(self, protocol):
        return self.udp if protocol == "udp" else self.tcp


@dataclasses.dataclass(frozen=True)
class Site:
    """A parsed description."""

    home: Layer
    carrier: Layer | None
    unsolicited: str
    udp_seconds: int
    tcp_seconds: int
    syn_seconds: int
    block: tuple | None
    pool: int
    flows: int
    mtu: int
    icmp: str
    pinholes: tuple
    ipv6: str

    @property
    def is_public(self):
        """Whether its host has a public address of its own, for one protocol at least."""
        return any(kind in ("fw", "public") for kind in (self.home.udp, self.home.tcp))


DEFAULTS = {
    "udp": "port", "tcp": "port", "unsol": "drop", "hairpin": "0", "udp_to": "30", "tcp_to": "7440", "syn_to": "30",
    "block": "", "pool": "1", "maxflows": "0", "mtu": "1500", "icmp": "pass", "pinhole": "", "v6": "none",
}  # fmt: skip
CHOICES = {
    "unsol": ("drop", "rst", "accept"), "hairpin": ("0", "1"), "cgn_hairpin": ("0", "1"), "icmp": ("pass", "drop"),
    "v6": ("none", "fw", "public"), "udp": TYPES, "tcp": TYPES,
    "cgn_udp": (*NAT_TYPES, "blocked", "web"), "cgn_tcp": (*NAT_TYPES, "blocked", "web"),
}  # fmt: skip
RANGES = {
    "udp_to": (1, 86400), "tcp_to": (1, 864000), "syn_to": (1, 86400), "pool": (1, 16), "maxflows": (0, 65535),
    "mtu": (576, 1500),
}  # fmt: skip
BOTH = {"nat": ("udp", "tcp"), "cgn": ("cgn_udp", "cgn_tcp")}


def parse(text):
    """The site that `text` describes; LabError names the word that is wrong."""
    given = {}
    for word in filter(None, (text or "").split(",")):
        key, equals, value = word.partition("=")
        if not equals:
            key, value = "nat", word
        for name in BOTH.get(key, (key,)):
            if name.removeprefix("cgn_").removeprefix("udp_").removeprefix("tcp_") in SIMULATED:
                raise LabError(f"{word}: only the simulated lab does {name}=, see `adit lab nat`")
            if CHOICES.get(name, ())[: len(NAT_TYPES)] == tuple(NAT_TYPES):
                value = ALIASES.get(value, value)
            if name not in DEFAULTS and name not in CHOICES:
                raise LabError(
                    f"{key} is not a word of a site; the words are {' '.join(sorted({*DEFAULTS, *CHOICES, *BOTH}))}"
                )
            check(name, value, word)
            given[name] = value
    values = {**DEFAULTS, **given}
    home = Layer(values["udp"], values["tcp"], values["hairpin"] == "1")
    carrier = None
    if "cgn_udp" in given or "cgn_tcp" in given:
        hairpin = values.get("cgn_hairpin", values["hairpin"]) == "1"
        carrier = Layer(values.get("cgn_udp", "port"), values.get("cgn_tcp", "port"), hairpin)
    low, _, high = values["block"].partition("-")
    return Site(
        home=home,
        carrier=carrier,
        unsolicited=values["unsol"],
        udp_seconds=int(values["udp_to"]),
        tcp_seconds=int(values["tcp_to"]),
        syn_seconds=int(values["syn_to"]),
        block=(int(low), int(high)) if low else None,
        pool=int(values["pool"]),
        flows=int(values["maxflows"]),
        mtu=int(values["mtu"]),
        icmp=values["icmp"],
        pinholes=tuple(tuple(hole.split(":")) for hole in values["pinhole"].split("+") if hole),
        ipv6=values["v6"],
    )


def check(name, value, word):
    if name in CHOICES and value not in CHOICES[name]:
        raise LabError(f"{word}: {value!r} is not one of {' '.join(CHOICES[name])}")
    if name in RANGES:
        low, high = RANGES[name]
        if not value.isdecimal() or not low <= int(value) <= high:
            raise LabError(f"{word}: a number from {low} to {high} is expected")
    if name == "block":
        ends = value.split("-")
        if (
            len(ends) != 2
            or not all(end.isdecimal() for end in ends)
            or not 1024 <= int(ends[0]) < int(ends[1]) <= 65535
        ):
            raise LabError(f"{word}: two ports from 1024 to 65535 such as block=20000-22047 are expected")
    if name == "pinhole":
        for hole in value.split("+"):
            host, _, port = hole.partition(":")
            octets = host.split(".")
            if len(octets) != 4 or not all(each.isdecimal() and int(each) < 256 for each in octets):
                raise LabError(f"{word}: an inner address and port such as pinhole=192.168.1.2:8080 are expected")
            if not port.isdecimal() or not 0 < int(port) < 65536:
                raise LabError(f"{word}: an inner address and port such as pinhole=192.168.1.2:8080 are expected")
