# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What stands between places: rules that drop packets, an interface of another VPN, another network."""

import contextlib
import fcntl
import os
import re
import struct

from natlab import system
from natlab.system import run

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


class Block:
    """Packets that a place drops on their way through, in or out, while the block stands; for `with`, or `lift`."""

    count = 0

    def __init__(self, lab, place, rules, hook="forward"):
        Block.count += 1
        self.inside = ["ip", "netns", "exec", lab.name(place), system.tool("nft")]
        self.table, self.stands = f"blocked{Block.count}", True
        lines = "\n".join(f"    {rule} counter drop" for rule in rules)
        text = f"table inet {self.table} {{\n  chain c {{ type filter hook {hook} priority -10;\n{lines}\n  }}\n}}\n"
        run([*self.inside, "-f", "-"], text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lift()

    @property
    def dropped(self):
        """How many packets it has dropped."""
        listed = run([*self.inside, "list", "table", "inet", self.table])
        return sum(int(count) for count in re.findall(r"counter packets (\d+)", listed))

    def lift(self):
        if self.stands:
            self.stands = False
            # A lab may have gone before.
            run([*self.inside, "delete", "table", "inet", self.table], check=False)


def between(lab, *sites):
    """Nothing passes directly between two sites."""
    a, b = (lab.numbers.nets[site] for site in sites)
    return Block(lab, "core", [f"ip saddr {x}.0/24 ip daddr {y}.0/24" for x, y in ((a, b), (b, a))])


def one_way(lab, source, target):
    """Nothing passes directly from one site to another; the way back is open."""
    nets = lab.numbers.nets
    return Block(lab, "core", [f"ip saddr {nets[source]}.0/24 ip daddr {nets[target]}.0/24"])


@contextlib.contextmanager
def narrow(lab, most, source, target):
    """From one site to another packets have at most so many bytes, and the router's word about larger ones is lost (RFC 2923)."""
    place, net = f"n{source}", f"{lab.numbers.nets[target]}.0/24"
    inside = ["ip", "netns", "exec", lab.name(place), system.tool("ip")]
    way = re.search(r"via \S+ dev \S+", run([*inside, "route", "get", net.removesuffix("0/24") + "2"]))[0].split()
    with Block(lab, place, ["icmp type destination-unreachable"], hook="output") as block:
        run([*inside, "route", "add", net, *way, "mtu", "lock", str(most)])
        try:
            yield block
        finally:
            run([*inside, "route", "delete", net], check=False)


def neighbours(lab, address, other):
    """Nothing passes between two hosts of one LAN, whose frames no router sees."""
    stack = contextlib.ExitStack()
    for place, peer in (("hA", other), ("hA2", address)):
        stack.enter_context(Block(lab, place, [f"ip saddr {peer}"], hook="input"))
    return stack


def relay_port(lab, ports):
    """The server's host drops what comes for these ports, UDP and TCP."""
    some = "{ " + ", ".join(map(str, ports)) + " }"
    return Block(lab, "s", [f"udp dport {some}", f"tcp dport {some}"], hook="input")


@contextlib.contextmanager
def vpn(lab, place, address, *routes):
    """An interface wg0 with an address and routes, from which nothing ever comes back."""
    with contextlib.ExitStack() as stack:
        # It is there as long as somebody holds it open.
        with lab.inside(place):
            device = os.open("/dev/net/tun", os.O_RDWR)
            stack.callback(os.close, device)
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", b"wg0", IFF_TUN | IFF_NO_PI))
        lines = [f"addr add {address} dev wg0", "link set dev wg0 up", *(f"route add {each} dev wg0" for each in routes)]
        run(["ip", "-n", lab.name(place), "-batch", "-"], "\n".join(lines) + "\n")
        yield


@contextlib.contextmanager
def elsewhere(lab, host, site, number=50):
    """A host leaves its LAN and is in that of another site, as a telephone that leaves a Wi-Fi; at the end it is back."""
    router, place = lab.name(f"n{site}"), lab.name(host)
    home = run(["ip", "-n", place, "-4", "route", "show", "default"]).split()[2]
    address = lab.numbers.lan(site, number)
    run(["ip", "link", "add", "mobile", "netns", place, "type", "veth", "peer", "name", f"p{number}", "netns", router])
    try:
        run(["ip", "-n", router, "link", "set", "dev", f"p{number}", "up", "master", "lan"])
        lines = ["link set dev eth0 down", f"addr add {address}/24 dev mobile", "link set dev mobile up"]
        lines += [f"route replace default via {lab.numbers.lan(site, 1)}"]
        run(["ip", "-n", place, "-batch", "-"], "\n".join(lines) + "\n")
        yield address
    finally:
        run(["ip", "-n", place, "link", "del", "mobile"], check=False)
        run(["ip", "-n", place, "link", "set", "dev", "eth0", "up"], check=False)
        run(["ip", "-n", place, "route", "replace", "default", "via", home], check=False)
