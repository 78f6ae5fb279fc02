# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""miniupnpd on a home router: a symmetric site becomes reachable by the port it asks for."""

import struct

from .lab import Lab
from .proof_options import demand
from .sockets import Sockets, connect, datagram

UDP, TCP = 1, 2
NAT_PMP = 5351


def ask(sockets, host, router, operation, port):
    """A NAT-PMP request for a port (RFC 6886 section 3.3): the external port that is granted."""
    sock = sockets.udp("hA", host)
    sock.sendto(struct.pack("!BBHHHI", 0, operation, 0, port, port, 60), (router, NAT_PMP))
    answer = datagram(sock)
    demand(answer, "miniupnpd does not answer")
    _, code, result, _, inner, outer, _ = struct.unpack("!BBHIHHI", answer[0])
    demand((code, result, inner) == (128 + operation, 0, port), f"NAT-PMP result {result}")
    return outer


def mapped(prefix):
    """UDP and TCP from outside reach the port, and answers leave from it."""
    with Lab.up(prefix, "sym", routable=True, owned=True) as lab, lab.upnp("A"), Sockets(lab) as sockets:
        host, router = lab.host_address("A"), lab.numbers.lan("A", 1)
        target = (lab.wan_address("nA"), ask(sockets, host, router, UDP, 4000))
        inner = sockets.udp("hA", host, 4000)
        outside = sockets.udp("s", lab.numbers.servers[1])
        outside.sendto(b"in", target)
        arrived = datagram(inner)
        demand(arrived, "UDP does not reach the mapped port")
        inner.sendto(b"back", arrived[1])
        demand(datagram(outside)[1] == target, "the answer leaves from another port")
        target = (target[0], ask(sockets, host, router, TCP, 4001))
        sockets.tcp("hA", host, 4001, listen=True)
        result = connect(sockets.tcp("s", lab.numbers.servers[1]), target)
        demand(result == "connected", f"TCP to the mapped port: {result}")
    return "NAT-PMP by miniupnpd opens UDP and TCP of a symmetric site"
