# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The options of a site, each with packets."""

import errno
import socket

from .lab import Lab
from .language import TYPES
from .observation import KNOWN
from .proof_tcp import TCPProof
from .proof_udp import UDPProof, other_port
from .sockets import GRACE, ProofError, Sockets, connect, datagram, is_ready

IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14


def demand(condition, fault):
    if not condition:
        raise ProofError(fault)


def independence(prefix):
    """UDP and TCP of one router are of different types."""
    pairs = [("full", "sym"), ("sym", "full"), ("seq", "addr"), ("blocked", "port"), ("port", "web"), ("fw", "port")]
    with Lab.up(prefix, owned=True) as lab:
        for udp, tcp in pairs:
            lab.set("A", f"udp={udp},tcp={tcp}")
            with UDPProof(lab) as first, TCPProof(lab) as second:
                faults = first.observe().faults(udp) + second.observe(KNOWN.get(tcp)).faults(tcp)
            demand(not faults, f"udp={udp},tcp={tcp}: {'; '.join(faults)}")
        lab.set("A", "web")
        with TCPProof(lab, ports=(80, 443)) as proof:
            demand(not proof.observe(KNOWN["port"]).faults("port"), "web does not let 80 and 443 pass")
    return f"{len(pairs)} pairs and web to 80 and 443"


def definitions_differ(prefix):
    """The proofs themselves: a site of one type is taken for no other."""
    kinds = [kind for kind in TYPES if kind in KNOWN]
    alike = {frozenset(("port", "fw")), frozenset(("full", "public")), frozenset(("sym", "symblk"))}
    with Lab.up(prefix, owned=True) as lab:
        for kind in kinds:
            lab.set("A", kind)
            with UDPProof(lab) as proof:
                seen = proof.observe()
            for other in kinds:
                taken = not seen.faults(other)
                same = kind == other or frozenset((kind, other)) in alike
                # Sequential ports are those of a symmetric NAT too.
                demand(
                    taken == same or (kind in ("seq", "seq2") and other in ("sym", "symblk")),
                    f"{kind} is taken for {other}",
                )
    return f"{len(kinds)} types are told apart"


def hairpin(prefix):
    """From inside to the public address and back inside, with the external source."""
    with Lab.up(prefix, owned=True) as lab:
        for kind in ("full", "addr", "port", "full-r", "port-r"):
            for on in (1, 0):
                lab.set("A", f"{kind},hairpin={on}")
                udp, tcp = hairpin_udp(lab, on), hairpin_tcp(lab, on)
                demand(udp == bool(on), f"{kind},hairpin={on}: UDP {'arrives' if udp else 'does not arrive'}")
                demand(tcp == bool(on), f"{kind},hairpin={on}: TCP {'arrives' if tcp else 'does not arrive'}")
    return "5 types, UDP and TCP, on and off"


def hairpin_udp(lab, expected):
    with Sockets(lab) as sockets:
        target = (lab.numbers.servers[0], 3478)
        server = sockets.udp("s", *target)
        hosts = [sockets.udp(place, lab.numbers.lan("A", number)) for place, number in (("hA", 2), ("hA2", 3))]
        outer = []
        for host in hosts:
            host.sendto(b"out", target)
            outer.append(datagram(server)[1])
        hosts[1].sendto(b"turn", outer[0])
        found = datagram(hosts[0], 3 if expected else 2 * GRACE)
        demand(found is None or found[1] == outer[1], f"hairpin with the source {found and found[1]}, not {outer[1]}")
        return found is not None


def hairpin_tcp(lab, expected):
    with TCPProof(lab) as proof:
        mapped = proof.seen(0)
        other = proof.tcp("hA2", lab.numbers.lan("A", 3))
        if connect(other, mapped, 3 if expected else 2 * GRACE) != "connected":
            return False
        peer = proof.accept(proof.own)[1]
        demand(peer[0] == mapped[0], f"hairpin with the source {peer[0]}")
        return True


def unsolicited(prefix):
    """What a SYN and a datagram to an unmapped port are answered with."""
    answers = {"drop": "silence", "rst": "refused", "accept": "refused"}
    with Lab.up(prefix, owned=True) as lab:
        for word, expected in answers.items():
            for kind in ("port", "sym") + (("fw",) if word != "accept" else ()):
                lab.set("A", f"{kind},unsol={word}")
                target = (lab.host_address("A") if kind == "fw" else lab.wan_address("nA"), other_port(40000))
                with Sockets(lab) as sockets:
                    tcp = connect(sockets.tcp("s", lab.numbers.servers[0]), target, 0.2 if word == "drop" else 3)
                    udp = sockets.udp("s", lab.numbers.servers[0])
                    udp.connect(target)
                    udp.send(b"probe")
                    is_ready(udp, 0.2 if word == "drop" else 3)
                    error = udp.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                demand(tcp == expected, f"{kind},unsol={word}: a SYN meets {tcp}")
                demand((error == errno.ECONNREFUSED) == (word != "drop"), f"{kind},unsol={word}: UDP error {error}")
        pinned(lab)
    return "drop, rst, accept for port, sym and fw; accept pins the tuple"


def pinned(lab):
    """With accept a stray packet from the peer takes the port away from the host's own later packet; else it does not."""
    for word, kept in (("drop", True), ("rst", True), ("accept", False)):
        lab.set("A", f"port,unsol={word}")
        with UDPProof(lab) as proof:
            port = proof.client.getsockname()[1]
            proof.servers[0].sendto(b"early", (lab.wan_address("nA"), port))
            is_kept = proof.seen(0)[1] == port
            demand(is_kept == kept, f"unsol={word}: an early packet {'does not pin' if is_kept else 'pins'} the port")


def renumber(prefix):
    """Another public address: the old mapping is dead at once, the next packet comes from the new address."""
    for text in ("full", "full,cgn=port"):
        with Lab.up(prefix, text, owned=True) as lab, UDPProof(lab) as proof:
            before = proof.seen(0)
            old, new = lab.wan_address("nA"), lab.renumber("A")
            demand(new != old, "the address is the same")
            proof.servers[0].sendto(b"probe", before)
            after = proof.seen(0)
            proof.servers[0].sendto(b"after", after)
            demand(datagram(proof.client)[0] == b"after", "the old mapping is alive")
            if lab.carrier("A"):
                demand(after[0] == before[0], "the carrier's address changed")
            else:
                demand(after == (new, before[1]), f"seen from {after}, not {new}:{before[1]}")
    return "old mapping dead, same port at the new address; behind a carrier too"


def pool(prefix):
    """Flows leave from several addresses."""
    with Lab.up(prefix, "sym,pool=3", owned=True) as lab, Sockets(lab) as sockets:
        first = lab.numbers.servers[0]
        server, client = sockets.udp("s", first), sockets.udp("hA", lab.host_address("A"))
        del server
        addresses = set()
        for _ in range(24):
            each = sockets.udp("s", first)
            client.sendto(b"out", each.getsockname())
            addresses.add(datagram(each)[1][0])
        demand(1 < len(addresses) <= 3, f"{len(addresses)} addresses with pool=3")
        lab.set("A", "full,pool=3")
        with UDPProof(lab) as proof:
            mapped = proof.seen(0)
            demand(proof.arrives(proof.udp("s", lab.numbers.servers[1]), mapped, mapped), "full with a pool is closed")
    return f"{len(addresses)} addresses, and they let answers in"


def maxflows(prefix):
    """The table holds so many flows and no more."""
    with Lab.up(prefix, "port,maxflows=16", owned=True) as lab, Sockets(lab) as sockets:
        target = (lab.numbers.servers[0], 3478)
        server = sockets.udp("s", *target)
        for _ in range(40):
            sockets.udp("hA", lab.host_address("A")).sendto(b"flow", target)
        arrived = 0
        while datagram(server, 2 * GRACE):
            arrived += 1
        demand(arrived == 16, f"{arrived} of 40 flows arrive with maxflows=16")
    return "16 of 40 flows with maxflows=16"


def mtu(prefix):
    """A smaller access line tells so by ICMP, or swallows what is too long when ICMP is dropped."""
    with Lab.up(prefix, owned=True) as lab:
        for icmp, known in (("pass", 1400), ("drop", 1500)):
            lab.set("A", f"port,mtu=1400,icmp={icmp}")
            with UDPProof(lab) as proof:
                client = proof.udp("hA", lab.host_address("A"))
                client.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
                # A destination of its own: what the kernel learns of a path stays with the host.
                client.connect(proof.endpoints[0 if icmp == "drop" else 2])
                client.send(b"x" * 1472)
                is_ready(client, GRACE * 4)
                seen = client.getsockopt(socket.IPPROTO_IP, IP_MTU)
                demand(seen == known, f"icmp={icmp}: the path's MTU is {seen}")
                demand(datagram(proof.servers[0 if icmp == "drop" else 2], GRACE) is None, "too long, and it passes")
    return "1400 told by ICMP, swallowed with icmp=drop"


def pinhole(prefix):
    """A static forward is open to everybody, whatever the type."""
    with Lab.up(prefix, "sym,pinhole=192.168.1.2:4000", owned=True) as lab, Sockets(lab) as sockets:
        target = (lab.wan_address("nA"), 4000)
        inner = sockets.udp("hA", lab.host_address("A"), 4000)
        sockets.udp("s", lab.numbers.servers[1]).sendto(b"in", target)
        demand(datagram(inner) is not None, "UDP does not reach the forwarded port")
        sockets.tcp("hA", lab.host_address("A"), 4000, listen=True)
        result = connect(sockets.tcp("s", lab.numbers.servers[1]), target)
        demand(result == "connected", f"TCP to the forwarded port: {result}")
    return "UDP and TCP on a symmetric router"
