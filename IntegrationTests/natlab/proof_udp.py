# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""UDP: what a site does, seen from the server's four endpoints."""

from .observation import Observation
from .sockets import GRACE, ProofError, Sockets, datagram

PORTS = (3478, 3479)
SILENCE = 0.2


class UDPProof(Sockets):
    """A socket of host h of a site and the server's four."""

    def __init__(self, lab, site="A"):
        super().__init__(lab)
        first, second = lab.numbers.servers
        self.endpoints = [(first, PORTS[0]), (first, PORTS[1]), (second, PORTS[0]), (second, PORTS[1])]
        self.servers = [self.udp("s", *endpoint) for endpoint in self.endpoints]
        self.client = self.udp(f"h{site}", lab.host_address(site))

    def seen(self, index, seconds=None):
        """The source that server endpoint `index` sees; None when nothing comes within `seconds`."""
        self.client.sendto(b"out", self.endpoints[index])
        found = datagram(self.servers[index], seconds) if seconds else datagram(self.servers[index])
        if found is None and seconds is None:
            raise ProofError("a datagram to the server is lost")
        return found and found[1]

    def arrives(self, source, target, known):
        """Whether a datagram from `source` reaches the client at `target`.

        The first server endpoint, which may reach it at `known`, sends after it on the same way: when that has come,
        what was sent before is there or was dropped.
        """
        source.sendto(b"probe", target)
        self.servers[0].sendto(b"after", known)
        reached = False
        while True:
            found = datagram(self.client)
            if found is None:
                raise ProofError("an answer to the client is lost")
            if found[0] == b"after":
                break
            reached = True
        while not reached and (found := datagram(self.client, GRACE)):
            reached = found[0] == b"probe"
        return reached

    def observe(self):
        result = Observation()
        mapped = self.seen(0, SILENCE) or self.seen(0, SILENCE)
        if mapped is None:
            return result
        result.passes = True
        result.kept = mapped[1] == self.client.getsockname()[1]
        first, second = self.lab.numbers.servers
        # Fresh sockets: the site has never sent to them.
        result.from_other_port = self.arrives(self.udp("s", first), mapped, mapped)
        result.from_other_address = self.arrives(self.udp("s", second), mapped, mapped)
        result.to_unmapped_port = self.arrives(self.servers[0], (mapped[0], other_port(mapped[1])), mapped)
        result.is_stable = self.seen(0) == mapped
        seen = [mapped, *(self.seen(index) for index in (1, 2, 3))]
        result.ports = [port for _, port in seen]
        result.addresses = {address for address, _ in seen}
        return result

    def expires(self, wait):
        """Whether a mapping is dead once `wait` has seen its entries vanish."""
        mapped = self.seen(0)
        wait("udp", self.client.getsockname()[1])
        self.servers[0].sendto(b"probe", mapped)
        self.servers[0].sendto(b"after", self.seen(0))
        found = datagram(self.client)
        if found is None:
            raise ProofError("the client does not hear of a new mapping")
        return found[0] == b"after"


def other_port(port):
    """A port that nothing has mapped."""
    return 1024 + (port + 30011) % 64000
