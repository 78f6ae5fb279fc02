# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""TCP: what a site does, with real connections from one port and real SYNs from outside."""

from .observation import Observation
from .proof_udp import PORTS, SILENCE, other_port
from .sockets import GRACE, ProofError, Sockets, begin_connect, connect, is_ready, outcome


class TCPProof(Sockets):
    """A port of host h of a site, which listens and connects, and the server's four listeners."""

    def __init__(self, lab, site="A", ports=PORTS):
        super().__init__(lab)
        first, second = lab.numbers.servers
        self.place, self.address = f"h{site}", lab.host_address(site)
        self.endpoints = [(first, ports[0]), (first, ports[1]), (second, ports[0]), (second, ports[1])]
        self.listeners = [self.tcp("s", *endpoint, listen=True) for endpoint in self.endpoints]
        self.own = self.tcp(self.place, self.address, listen=True)
        self.port = self.own.getsockname()[1]
        self.client = self.server = None

    def seen(self, index, seconds=None):
        """The source that server endpoint `index` sees; None when the connection fails within `seconds`."""
        client = self.tcp(self.place, self.address, self.port)
        result = connect(client, self.endpoints[index], seconds) if seconds else connect(client, self.endpoints[index])
        if result != "connected":
            if seconds:
                client.close()
                return None
            raise ProofError(f"a connection to the server: {result}")
        server, peer = self.accept(self.listeners[index])
        if self.client is None:
            self.client, self.server = client, server
        return peer

    def attempt(self, source, target, expected):
        """How a connection from `source`, an address of the server, to `target` ends.

        What the server sends afterwards on the first connection tells that the SYN is there or was dropped.
        """
        sock = self.tcp("s", source)
        begin_connect(sock, target)
        self.server.sendall(b".")
        if self.client.recv(1) != b".":
            raise ProofError("the first connection is closed")
        result = outcome(sock, 3 if expected else GRACE)
        if result == "connected":
            self.accept(self.own)
        sock.close()
        return result

    def observe(self, wanted=None):
        """`wanted`: the behaviour expected, which only decides how long a connection is waited for."""
        result = Observation()
        mapped = self.seen(0, SILENCE if wanted is None else None)
        if mapped is None:
            return result
        result.passes = True
        result.kept = mapped[1] == self.port
        first, second = self.lab.numbers.servers
        filtering = wanted.filtering if wanted else ""
        result.from_other_port = self.attempt(first, mapped, filtering in ("EIF", "ADF")) == "connected"
        result.from_other_address = self.attempt(second, mapped, filtering == "EIF") == "connected"
        result.to_unmapped_port = self.attempt(second, (mapped[0], other_port(mapped[1])), False) == "connected"
        # A connection has one destination for good: the port towards another tells whether it is stable.
        seen = [mapped, *(self.seen(index) for index in (1, 2, 3))]
        result.is_stable = self.server.getpeername() == mapped
        result.ports = [port for _, port in seen]
        result.addresses = {address for address, _ in seen}
        return result

    def expires(self, wait):
        """Whether a mapping is dead, for its connection and for new ones, once its entries have vanished."""
        mapped = self.seen(0)
        old, wait_for = self.client, wait
        wait_for("tcp", self.port)
        self.server.sendall(b"probe")
        probe = self.tcp("s", self.lab.numbers.servers[0])
        begin_connect(probe, mapped)
        # A connection from another port shows that the way is open for what may use it.
        fresh = self.tcp(self.place, self.address)
        if connect(fresh, self.endpoints[2]) != "connected":
            raise ProofError("no new connection after the old one expired")
        self.accept(self.listeners[2])[0].sendall(b".")
        if fresh.recv(1) != b".":
            raise ProofError("the new connection is closed")
        return outcome(probe, GRACE) != "connected" and not is_ready(old, 0)
