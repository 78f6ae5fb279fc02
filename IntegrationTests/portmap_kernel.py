#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""`adit map` behind a router of the kernel lab with miniupnpd on it, tried with packets of others.

Needs root and network namespaces; says SKIPPED where there are none.
"""

import contextlib
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from natlab import judges, state, system  # noqa: E402
from natlab.lab import Lab  # noqa: E402
from natlab.sockets import Sockets, connect, datagram, is_ready  # noqa: E402

PORT = 25565
PATIENCE = 25
PROTOCOLS = {"pcp": "pcp", "natPMP": "natpmp", "upnp": "upnp"}


class Map:
    """A running `adit map` and its events."""

    def __init__(self, lab, place, *words, language="en"):
        environment = ["env", f"LC_ALL={'zh_CN' if language == 'zh' else 'C'}.UTF-8", f"ADIT_HOME=/tmp/{lab.prefix}-adit"]
        self.words = [*environment, os.environ["ADIT"], "map", *words, "--json"]
        self.process = lab.start(place, self.words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.events, self.seen = queue.Queue(), []
        threading.Thread(target=self.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def read(self):
        with self.process.stdout as output:
            for line in output:
                self.events.put(json.loads(line) if line.startswith("{") else {"event": "text", "line": line})
        self.events.put({"event": "closed"})

    def wait_for(self, name, seconds=PATIENCE, **fields):
        """The next event of that name with these fields; others before it are kept in `seen`."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                event = self.events.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                event = {"event": "closed"}
            self.seen.append(event)
            if event["event"] == name and all(event.get(key) == value for key, value in fields.items()):
                return event
            assert event["event"] != "closed", f"no {name} {fields} from {' '.join(self.words)}: {self.seen}"

    def end(self, number=signal.SIGINT):
        """Ends it as a person or the system does; its exit status."""
        self.process.send_signal(number)
        event = self.wait_for("ended")
        assert event.get("unconfirmed") == [], event
        return self.process.wait(PATIENCE)


def port_of(event):
    return int(event["address"].rpartition(":")[2])


def arrives(lab, sender, external, inside, place="hA"):
    """Whether a datagram and a connection of `sender` reach the port of a host."""
    with Sockets(lab) as sockets:
        address = lab.host_address("A") if place == "hA" else lab.numbers.lan("A", 3)
        receiver, source = sockets.udp(place, address, inside), sockets.udp(sender, "0.0.0.0")
        listener, caller = sockets.tcp(place, address, inside, listen=True), sockets.tcp(sender, "0.0.0.0")
        source.sendto(b"hello", (lab.wan_address(lab.outermost("A")), external))
        got = datagram(receiver, 1)
        outcome = connect(caller, (lab.wan_address(lab.outermost("A")), external), 1)
        if outcome == "connected":
            assert is_ready(listener, 1), "connected to somebody else"
        return got is not None and got[0] == b"hello", outcome == "connected"


def rules(lab):
    """What miniupnpd has opened in the kernel."""
    listing = system.run(["ip", "netns", "exec", lab.name("nA"), system.tool("nft"), "list", "table", "inet", "upnp"])
    return [line.strip() for line in listing.splitlines() if "dnat" in line and "type nat" not in line]


def each_protocol(lab, server):
    for extra, names in (
        ((), ("pcp", "natPMP", "upnp")),
        (("enable_upnp=no",), ("natPMP", "pcp")),
        (("enable_natpmp=no",), ("upnp",)),
        (("force_igd_desc_v1=yes", "enable_natpmp=no"), ("upnp",)),
    ):
        with lab.upnp("A", extra):
            for name in names:
                number = signal.SIGTERM if name == "natPMP" else signal.SIGINT
                with Map(lab, "hA", str(PORT), "--by", PROTOCOLS[name], "--stun", server) as client:
                    for transport in ("udp", "tcp"):
                        event = client.wait_for("mapped", transport=transport)
                        assert event["address"] == f"{lab.wan_address('nA')}:{PORT}", event
                        assert event["protocol"] == name, event
                        if transport == "udp":
                            assert event["verified"], event
                            assert event["verifiedBy"].split(":")[0] in lab.numbers.servers, event
                    for sender in ("s", "hB"):
                        assert arrives(lab, sender, PORT, PORT) == (True, True), f"{name}: nothing from {sender}"
                    assert len(rules(lab)) == 2, rules(lab)
                    assert client.end(number) == 0
                assert rules(lab) == [], rules(lab)
                assert arrives(lab, "s", PORT, PORT) == (False, False), f"{name}: still open"
    with lab.upnp("A"), Map(lab, "hA", str(PORT), "--udp", "--stun", server) as client:
        begun = time.monotonic()
        assert client.wait_for("mapped")["protocol"] == "pcp"
        took = time.monotonic() - begun
        assert client.end() == 0
    return f"PCP, NAT-PMP, UPnP (IGD:1, IGD:2) alone and together; first address {took:.2f} s after the start"


def conflict(lab, server):
    ports = []
    for name in ("upnp", "natpmp", "pcp"):
        with lab.upnp("A"), Map(lab, "hA2", str(PORT), "--by", name, "--stun", server) as first:
            assert port_of(first.wait_for("mapped", transport="udp")) == PORT
            first.wait_for("mapped", transport="tcp")
            with Map(lab, "hA", str(PORT), "--by", name, "--stun", server) as second:
                events = [second.wait_for("mapped", transport=transport) for transport in ("udp", "tcp")]
                assert all(port_of(event) != PORT for event in events), events
                assert events[0]["verified"], events
                assert arrives(lab, "s", port_of(events[0]), PORT)[0], events
                assert arrives(lab, "s", PORT, PORT, "hA2") == (True, True)
                ports.append(f"{name} {port_of(events[0])}")
                assert second.end() == 0
            with Map(lab, "hA", str(PORT), "--by", name, "--exact", "--tcp") as exact:
                error = exact.wait_for("ended")["error"]
                assert error["code"] == "ADIT-712", error
            assert first.end() == 0
    return f"port {PORT} is another's: {', '.join(ports)}; --exact is refused"


def renewal(lab, server):
    with contextlib.ExitStack() as stack:
        router = stack.enter_context(contextlib.ExitStack())
        router.enter_context(lab.upnp("A"))
        words = (str(PORT), "--udp", "--lifetime", "10s", "--by", "pcp", "--stun", server)
        client = stack.enter_context(Map(lab, "hA", *words))
        client.wait_for("mapped")
        for count in (1, 2, 3):
            assert client.wait_for("renewed")["renewals"] == count
        assert arrives(lab, "s", PORT, PORT)[0]
        router.close()
        # As after a loss of power: without a disk to remember on.
        for leases in state.FOLDER.glob(f"{lab.prefix}-upnp-A.leases"):
            leases.unlink()
        stack.enter_context(lab.upnp("A"))
        assert rules(lab) == [], "the new miniupnpd knows the port"
        deadline = time.monotonic() + PATIENCE
        while not rules(lab):
            assert time.monotonic() < deadline, client.seen
            time.sleep(0.1)
        assert arrives(lab, "s", PORT, PORT)[0]
        assert client.end() == 0
        assert rules(lab) == []
    return "leases of 10 s renewed three times; made again after the router lost its power"


def own_server(lab, server):
    """An Adit server tries TCP as well, by connecting to the mapped port."""
    listen = [word for address in lab.numbers.servers for word in ("--stun-address", address)]
    with tempfile.TemporaryDirectory() as home:
        words = ["env", f"ADIT_HOME={home}", "LC_ALL=C.UTF-8", os.environ["ADIT"], "server", "--listen", server]
        words += ["--port", "7000", "--http-port", "8080", "--stun-port", "3578", "--stun-alternate-port", "3579", *listen]
        process = lab.start("s", words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            lines = []
            while not lines or "the server runs" not in lines[-1]:
                lines.append(process.stdout.readline())
                assert lines[-1], "".join(lines)
            with lab.upnp("A"), Map(lab, "hA", str(PORT), "--stun", f"{server}:3578") as client:
                for transport in ("udp", "tcp"):
                    event = client.wait_for("mapped", transport=transport)
                    assert event["verified"], event
                    assert event["verifiedBy"].split(":")[0] == lab.numbers.servers[1], event
                assert client.end() == 0
        finally:
            process.terminate()
            process.wait(PATIENCE)
            process.stdout.close()
    return "UDP and TCP tried by an Adit server, from its other address"


def refusals(lab, server):
    with Map(lab, "hA", str(PORT)) as client:
        begun = time.monotonic()
        error = client.wait_for("ended")["error"]
        assert error["code"] == "ADIT-711" and "UPnP" in error["fix"], error
        took = time.monotonic() - begun
        assert client.process.wait(PATIENCE) == 1
    with Map(lab, "hA", str(PORT), language="zh") as client:
        assert "路由器" in client.wait_for("ended")["error"]["what"]
    with lab.upnp("A"), Map(lab, "hA", "80") as client:
        error = client.wait_for("ended", seconds=60)["error"]
        assert error["code"] == "ADIT-712" and error["why"], error
    with Map(lab, "hA", "22") as client:
        assert "ADIT-501" in client.wait_for("text")["line"]
        assert client.process.wait(PATIENCE) == 1
    return f"silence is told after {took:.1f} s; ports below 1024 are refused; SSH needs --public"


def double_nat(lab, server):
    told = []
    # miniupnpd gives no ports at all with a carrier's address outside; one that is told another address does.
    for extra, code in (((), "ADIT-712"), ((f"ext_ip={lab.numbers.wan('A', 77)}",), "ADIT-713")):
        with lab.upnp("A", extra):
            with Map(lab, "hA", str(PORT), "--stun", server) as client:
                error = client.wait_for("ended", seconds=60)["error"]
                assert error["code"] == code, error
                assert client.process.wait(PATIENCE) == 1
            assert rules(lab) == [], rules(lab)
            told += error["why"]
    return "; ".join(told)


def main():
    reason = system.obstacle()
    if reason:
        print(f"SKIPPED: {reason}")
        return 0
    failed = 0
    begun = time.monotonic()
    for site, proofs in (("port", (each_protocol, own_server, conflict, renewal, refusals)), ("port,cgn=port", (double_nat,))):
        with Lab.up(f"pm{os.getpid()}", a=site, b="port", routable=True, owned=True) as lab:
            with judges.coturn(lab, "--no-auth"):
                for proof in proofs:
                    if len(sys.argv) > 1 and proof.__name__ not in sys.argv[1:]:
                        continue
                    try:
                        print(f"  ✓ {proof.__name__.replace('_', ' ')}: {proof(lab, lab.numbers.servers[0])}", flush=True)
                    except (AssertionError, OSError, system.LabError) as error:
                        failed += 1
                        print(f"  ✗ {proof.__name__.replace('_', ' ')}: {type(error).__name__}: {error}", flush=True)
    print(f"{'FAILED' if failed else 'OK'} in {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


sys.exit(main())
