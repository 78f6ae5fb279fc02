# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Where sites are: behind carriers, beside each other, with IPv6, at the end of a bad line."""

import socket
import struct
import time

from .lab import Lab
from .language import Behavior
from .observation import KNOWN
from .proof_options import demand
from .proof_tcp import TCPProof
from .proof_udp import UDPProof
from .sockets import GRACE, ProofError, Sockets, connect, datagram, is_ready

IP_RECVERR, IP_TTL = 11, socket.IP_TTL
ROUNDS = 8


def nested(prefix):
    """Two NATs in a row: the mapping is the worse of the two, the filtering the stricter."""
    chains = {
        ("full", "full"): Behavior("EIM", "EIF", "kept"),
        ("full", "addr"): Behavior("EIM", "ADF", "kept"),
        ("addr", "full"): Behavior("EIM", "ADF", "kept"),
        ("port", "full"): Behavior("EIM", "APDF", "kept"),
        ("full", "port-r"): Behavior("EIM", "APDF", "random"),
        ("full", "sym"): Behavior("APDM", "APDF", "random"),
        ("sym", "full"): Behavior("APDM", "APDF", "random"),
        ("port", "seq"): Behavior("APDM", "APDF", "sequential", 1),
    }
    with Lab.up(prefix, "full,cgn=full", owned=True) as lab:
        for (home, carrier), wanted in chains.items():
            lab.set("A", f"{home},cgn={carrier}")
            with UDPProof(lab) as udp, TCPProof(lab) as tcp:
                faults = udp.observe().faults(home, wanted) + tcp.observe(wanted).faults(home, wanted)
            demand(not faults, f"{home} behind {carrier}: {'; '.join(faults)}")
        lab.set("A", "port,cgn_udp=blocked,cgn_tcp=port")
        with UDPProof(lab) as udp, TCPProof(lab) as tcp:
            demand(not udp.observe().passes, "UDP passes a carrier that blocks it")
            demand(not tcp.observe(KNOWN["port"]).faults("port"), "TCP is not as the carrier of UDP blocked promises")
    return f"{len(chains)} chains, UDP and TCP; UDP blocked by the carrier"


def punch(lab):
    """Whether two sites that tell each other their mappings reach each other over UDP, both ways."""
    with Sockets(lab) as sockets:
        server = sockets.udp("s", lab.numbers.servers[0], 3478)
        ends = [sockets.udp(f"h{site}", lab.host_address(site)) for site in "AB"]
        known = []
        for each in ends:
            each.sendto(b"out", server.getsockname())
            known.append(datagram(server)[1])
        targets, heard = [known[1], known[0]], [False, False]
        for _ in range(ROUNDS):
            for index, each in enumerate(ends):
                each.sendto(b"ack" if heard[index] else b"syn", targets[index])
            deadline = time.monotonic() + 0.02
            for index, each in enumerate(ends):
                while found := datagram(each, max(0, deadline - time.monotonic())):
                    heard[index], targets[index] = True, found[1]
            if all(heard):
                return True
    return False


def matrix(prefix):
    """Plain punching between the four classic types: all but symmetric with symmetric or port-restricted."""
    kinds, worked = ("full", "addr", "port", "sym"), 0
    with Lab.up(prefix, owned=True) as lab:
        for first in kinds:
            for second in kinds:
                lab.set("A", first)
                lab.set("B", second)
                expected = {first, second} not in ({"sym"}, {"sym", "port"})
                result = punch(lab)
                demand(result == expected, f"{first} with {second}: {'a path' if result else 'no path'}")
                worked += result
        for first, second, expected in (
            ("fw", "fw", True),
            ("fw", "port", True),
            ("fw", "sym", False),
            ("public", "sym", True),
        ):
            lab.set("A", first)
            lab.set("B", second)
            demand(punch(lab) == expected, f"{first} with {second}: not as expected")
    return f"{worked} of 16 pairs have a path"


def shared(prefix):
    """Two sites behind one carrier meet if it hairpins; two LANs may have the same numbers."""
    with Lab.up(prefix, "port,cgn=port,hairpin=1", shared_carrier=True, owned=True) as lab:
        for hairpin in (1, 0):
            lab.set("A", f"port,cgn=port,cgn_hairpin={hairpin}")
            demand(punch(lab) == bool(hairpin), f"cgn_hairpin={hairpin}: {'no ' if hairpin else 'a '}path")
    with Lab.up(prefix, "port", "port", same_lan=True, owned=True) as lab:
        demand(lab.host_address("A") == lab.host_address("B"), "the hosts' addresses differ")
        demand(punch(lab), "no path between sites with the same numbers")
    return "same carrier with and without hairpin, same LAN numbers"


def hops(prefix):
    """Each router takes one from TTL and says so."""
    expected = {
        "port": ["192.168.1.1", "198.51.100.1"],
        "port,cgn=port": ["192.168.1.1", "100.64.0.1", "198.51.100.1"],
        "fw": ["192.168.1.1", "198.51.100.1"],
    }
    for text, routers in expected.items():
        with Lab.up(prefix, text, owned=True) as lab, UDPProof(lab) as proof:
            found = [hop(proof, limit) for limit in range(1, len(routers) + 1)]
            demand(found == routers, f"{text}: hops {found}, not {routers}")
            proof.client.setsockopt(socket.IPPROTO_IP, IP_TTL, len(routers) + 1)
            demand(proof.seen(0), f"{text}: TTL {len(routers) + 1} does not reach the server")
    return "home, carrier and core answer"


def hop(proof, limit):
    """The router at which TTL `limit` ends."""
    sock = proof.udp("hA", proof.lab.host_address("A"))
    sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    sock.setsockopt(socket.IPPROTO_IP, IP_TTL, limit)
    sock.sendto(b"hop", proof.endpoints[0])
    if not is_ready(sock, 3):
        raise ProofError(f"no answer to TTL {limit}")
    _, ancillary, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    data = ancillary[0][2]
    # struct sock_extended_err is followed by the sockaddr_in of the router.
    return socket.inet_ntoa(struct.unpack_from("4s", data, 16 + 4)[0])


def ipv6(prefix):
    """No IPv6, IPv6 behind a stateful firewall, open IPv6; also behind a carrier."""
    for text in ("port", "port,cgn=port"):
        with Lab.up(prefix, text, owned=True) as lab:
            for kind in ("none", "fw", "public"):
                lab.set("A", f"{text},v6={kind}")
                ipv6_site(lab, text, kind)
    return "none, fw and public, UDP and TCP"


def ipv6_site(lab, text, kind):
    server_address, host_address = lab.numbers.servers6[0], lab.numbers.lan6("A", 2)
    with Sockets(lab) as sockets:
        try:
            client = sockets.udp("hA", host_address, family=socket.AF_INET6)
        except OSError:
            demand(kind == "none", f"{text},v6={kind}: the host has no IPv6")
            return
        demand(kind != "none", f"{text},v6=none: the host has IPv6")
        server = sockets.udp("s", server_address, 3478, family=socket.AF_INET6)
        stranger = sockets.udp("s", lab.numbers.servers6[1], family=socket.AF_INET6)
        client.sendto(b"out", (server_address, 3478))
        seen = datagram(server)
        demand(seen and seen[1][0] == host_address, f"{text},v6={kind}: seen from {seen and seen[1][0]}")
        stranger.sendto(b"in", seen[1][:2])
        server.sendto(b"after", seen[1][:2])
        first = datagram(client)
        demand(
            first and (first[0] == b"in") == (kind == "public"), f"{text},v6={kind}: {first and first[0]} comes first"
        )
        listener = sockets.tcp("hA", host_address, listen=True, family=socket.AF_INET6)
        probe = sockets.tcp("s", server_address, family=socket.AF_INET6)
        result = connect(probe, listener.getsockname()[:2], 3 if kind == "public" else 4 * GRACE)
        demand(
            result == ("connected" if kind == "public" else "silence"), f"{text},v6={kind}: TCP from outside: {result}"
        )


def wire(prefix):
    """Delay, jitter and loss of the wire, over IPv4 and IPv6."""
    with Lab.up(prefix, "port,v6=fw", owned=True) as lab:
        with lab.wire(delay=20, jitter=10):
            for family, source, target in (
                (socket.AF_INET, lab.host_address("A"), lab.numbers.servers[0]),
                (socket.AF_INET6, lab.numbers.lan6("A", 2), lab.numbers.servers6[0]),
            ):
                with Sockets(lab) as sockets:
                    server, client = sockets.udp("s", target, 3478, family), sockets.udp("hA", source, 0, family)
                    times = []
                    for _ in range(10):
                        begun = time.monotonic()
                        client.sendto(b"out", (target, 3478))
                        server.sendto(b"back", datagram(server)[1])
                        demand(datagram(client), "the wire loses without loss")
                        times.append((time.monotonic() - begun) * 1000)
                demand(min(times) >= 40, f"a round trip of {min(times):.1f} ms through 20 ms each way")
        with lab.wire(delay=0, loss=50, seed=7), Sockets(lab) as sockets:
            target = (lab.numbers.servers[0], 3478)
            server, client = sockets.udp("s", *target), sockets.udp("hA", lab.host_address("A"))
            for _ in range(400):
                client.sendto(b"out", target)
            arrived = 0
            while datagram(server, 4 * GRACE):
                arrived += 1
        demand(140 <= arrived <= 260, f"{arrived} of 400 arrive with 50 % loss")
        with UDPProof(lab) as proof:
            begun = time.monotonic()
            proof.seen(0)
            demand(time.monotonic() - begun < 0.5, "the wire stays after its end")
    return f"round trips from {min(times):.0f} ms with 20 ms each way; {arrived} of 400 with 50 % loss"
