# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to a service that is used, one function each; they raise ProofError when it does not survive."""

import contextlib
import pathlib
import time

from natlab.sockets import ProofError
from natlab.system import run

from . import blocks, streams
from .life import AGAIN_WITHIN, Devices, Life

# Where the server offers TURN and STUN by themselves, besides the session's port.
RELAY_PORTS = (3478, 3479, 5349)
# A session may say nothing for so long before it is known to be dead, and the next one has to come.
SESSION_WITHIN = 120


def broken_and_healed(world, **more):
    """Packets between both sites are dropped, and after a while no longer."""
    with Life(world, **more) as life:
        path, took = life.direct()
        life.say(f"direct {path['transport']} after {took:.1f} s")
        back_and_forth(life, blocks.between(life.lab, "A", "B"))
        life.finish()
    return life.said


def back_and_forth(life, block):
    """Onto the relay, and back when the block is lifted."""
    with block:
        begun = time.monotonic()
        path, took = life.relayed()
        life.talk.go_on(15)
        life.say(f"on the relay ({path['transport']}) after {took:.1f} s, {life.silence(begun):.1f} s without a byte")
    begun = time.monotonic()
    path, took = life.direct(AGAIN_WITHIN)
    life.talk.go_on(15)
    life.say(f"direct again {took:.1f} s after healing, {life.silence(begun):.1f} s without a byte")


def one_way_loss(world):
    """What amy sends directly is lost, what ben sends arrives; then the other way round."""
    with Life(world) as life:
        life.direct()
        for source, target in ("AB", "BA"):
            back_and_forth(life, blocks.one_way(life.lab, source, target))
        life.finish()
    return life.said


def large_packets_vanish(world, megabytes=24):
    """In the middle of a download the way to ben begins to swallow large packets, as tunnels of providers do."""
    size = megabytes * 1_000_000
    with Devices(world) as devices:
        source = streams.Source(size)
        target = devices.enter_context(streams.Listener(devices.lab, world.places["amy"], source.serve))
        devices.expose(target.port, "files")
        _, port = devices.connect("ben", "files")
        with streams.Download(devices.lab, world.places["ben"], port) as load:
            devices.direct()
            source.allow(size // 2)
            load.wait_for(size // 2, 60)
            begun = time.monotonic()
            with blocks.narrow(devices.lab, 1300, "A", "B") as block:
                # A trickle goes on meanwhile: its packets are large by now, or the question is whether they may be.
                while not block.dropped:
                    if time.monotonic() - begun > 30:
                        raise ProofError("no packet was larger than 1300 bytes for 30 s")
                    time.sleep(0.1)
                source.allow(size)
                if load.finish(60) != source.digest:
                    raise ProofError("the hash is another one")
                quiet = load.arrivals.silence(begun)
                path, _ = devices.direct(AGAIN_WITHIN)
                devices.say(f"{quiet:.1f} s without a byte, at the end direct {path['transport']}")
    return devices.said


def router_reboot(world):
    """amy's router is away for some seconds and comes back with an empty table: every flow gets another port."""
    with Life(world) as life:
        before, _ = life.direct()
        with blocks.Block(life.lab, "nA", ['iifname "wan"', 'oifname "wan"']):
            life.talk.arrivals.wait_for_silence(5, 20)
            life.lab.apply("A")
        begun = time.monotonic()
        life.talk.go_on(60)
        took = time.monotonic() - begun
        path, direct = life.direct(AGAIN_WITHIN, condition=lambda path: path["remote"] != before["remote"])
        life.say(f"bytes {took:.1f} s after the router is back, direct after {direct + took:.1f} s")
        life.say(f"amy's port {port(before)} → {port(path)}")
        life.finish()
    return life.said


def port(path):
    return path["remote"].rpartition(":")[2]


def renumbered(world):
    """The router of one side gets another public address, then that of the other."""
    with Life(world) as life:
        life.direct()
        for site, end in (("A", "remote"), ("B", "local")):
            begun, address = time.monotonic(), life.lab.renumber(site)
            life.talk.go_on(60)
            took = time.monotonic() - begun
            _, direct = life.direct(AGAIN_WITHIN, condition=lambda path, at=address, end=end: path[end].startswith(at + ":"))
            silent = life.silence(begun)
            life.say(f"{site}: bytes after {took:.1f} s, direct by {address} after {direct + took:.1f} s, {silent:.1f} s silent")
        life.finish()
    return life.said


def another_network(world):
    """ben leaves its LAN for that of a third site, behind another NAT, and comes back."""
    with Life(world) as life:
        life.direct()
        nets = life.lab.numbers.nets
        with contextlib.ExitStack() as stack:
            for site in ("C", "B"):
                begun = time.monotonic()
                if site == "C":
                    stack.enter_context(blocks.elsewhere(life.lab, life.world.places["ben"], "C"))
                else:
                    stack.close()
                life.talk.go_on(60)
                took = time.monotonic() - begun
                _, direct = life.direct(AGAIN_WITHIN, condition=lambda path, net=nets[site]: path["local"].startswith(net + "."))
                silent = life.silence(begun)
                life.say(f"in site {site}: bytes after {took:.1f} s, direct after {direct + took:.1f} s, {silent:.1f} s silent")
        life.finish()
    return life.said


def server_restart(world):
    """The server is away and comes back while packets go directly: the stream does not notice."""
    with Life(world) as life:
        before, _ = life.direct()
        begun = time.monotonic()
        world.stop_server()
        life.talk.go_on(15, rounds=150)
        world.start_server()
        took = life.wait_for_sessions(SESSION_WITHIN)
        after, _ = life.direct()
        life.say(f"{life.silence(begun):.1f} s without a byte, sessions again {took:.1f} s after the server")
        if (after["local"], after["remote"]) != (before["local"], before["remote"]):
            raise ProofError(f"the path is another one: {before} → {after}")
        # What the new server relays is used as before.
        back_and_forth(life, blocks.between(life.lab, "A", "B"))
        life.finish()
    return life.said


def server_dies_while_relayed(world):
    """Without a direct path and without a server there is no way at all: the stream waits, and goes on with the server."""
    with Life(world) as life, blocks.between(life.lab, "A", "B"):
        life.relayed()
        life.talk.go_on(15)
        world.stop_server()
        life.talk.arrivals.wait_for_silence(5, 30)
        world.start_server()
        begun = time.monotonic()
        life.talk.go_on(SESSION_WITHIN)
        path, _ = life.relayed(60)
        life.say(f"no byte while there was no server, bytes {time.monotonic() - begun:.1f} s after it, by {path['transport']}")
        life.finish()
    return life.said


def relay_dies(world):
    """TURN's ports fall silent: nothing is noticed on a direct path; relayed packets take another way through the server."""
    with Life(world) as life:
        life.direct()
        begun = time.monotonic()
        block = life.enter_context(blocks.relay_port(life.lab, RELAY_PORTS))
        life.talk.go_on(15, rounds=250)
        life.direct()
        life.say(f"while direct: {life.silence(begun):.1f} s without a byte")
        block.lift()
        with blocks.between(life.lab, "A", "B"):
            life.relayed()
            life.talk.go_on(15)
            begun = time.monotonic()
            with blocks.relay_port(life.lab, RELAY_PORTS):
                life.talk.go_on(60)
                path, took = life.relayed(60, condition=lambda path: path.get("transport") != "udp")
                life.say(f"while relayed: by {path['transport']} after {took:.1f} s, {life.silence(begun):.1f} s without a byte")
        _, took = life.direct(AGAIN_WITHIN)
        life.say(f"direct {took:.1f} s after healing")
        life.finish()
    return life.said


def same_router(world):
    """Both are in one LAN, whose packets no router sees."""
    with Life(world) as life:
        numbers = life.lab.numbers
        path, _ = life.direct(condition=lambda path: path["local"].startswith(numbers.lans["A"] + "."))
        life.say(f"direct {path['local']} → {path['remote']}")
        back_and_forth(life, blocks.neighbours(life.lab, numbers.lan("A", 2), numbers.lan("A", 3)))
        life.finish()
    return life.said


def another_vpn(world):
    """A VPN's interface comes at both ends, with addresses like the peer's, and goes again."""
    with Life(world) as life:
        life.direct()
        numbers, begun = life.lab.numbers, time.monotonic()
        with blocks.vpn(life.lab, "hA", "10.8.0.2/24", numbers.lan("B")), blocks.vpn(
            life.lab, "hB", "10.8.0.3/24", numbers.lan("A")
        ):
            life.talk.go_on(30, rounds=250)
            life.direct(AGAIN_WITHIN)
            life.say(f"with it: direct, {life.silence(begun):.1f} s without a byte")
            # A path found from nothing must not be led astray either.
            back_and_forth(life, blocks.between(life.lab, "A", "B"))
        begun = time.monotonic()
        life.talk.go_on(30, rounds=250)
        life.direct(AGAIN_WITHIN)
        life.say(f"without it: direct, {life.silence(begun):.1f} s without a byte")
        life.finish()
    return life.said


class Clock:
    """The wall clock that a process sees; its other clocks are left alone."""

    def __init__(self, world):
        self.library, self.file = world.folder / "other_clock.so", world.folder / "clock"
        source = pathlib.Path(__file__).with_name("other_clock.c")
        run(["cc", "-shared", "-fPIC", "-o", str(self.library), str(source)])
        self.set(0)

    def set(self, seconds):
        beside = self.file.with_suffix(".new")
        beside.write_text(f"{seconds}\n")
        beside.replace(self.file)

    def take_over(self, words, environment):
        """Of the words of `ip netns exec PLACE adit …` adit alone sees this clock."""
        words[4:4] = ["env", f"LD_PRELOAD={self.library}"]
        environment["CLOCK_FILE"] = str(self.file)


def clock_step(world):
    """ben's wall clock jumps by a day ahead, by two back, and home, while the monotonic one goes on."""
    clock = Clock(world)
    with Life(world, clock=clock) as life:
        life.direct()
        for offset in (86400, -86400, 0):
            begun = time.monotonic()
            clock.set(offset)
            life.talk.go_on(15, rounds=150)
            life.direct()
            life.say(f"wall clock {offset:+} s: {life.silence(begun):.1f} s without a byte")
            if offset:
                back_and_forth(life, blocks.between(life.lab, "A", "B"))
        life.finish()
    return life.said


def sleeping_visitor(world):
    """ben's process stands still until amy has given the path up and the server the session, and goes on."""
    return asleep(world, lambda life: life.visiting)


def sleeping_host(world):
    """The same for the process that offers the service."""
    return asleep(world, lambda life: life.exposing)


def asleep(world, which, seconds=45):
    with Life(world) as life:
        life.direct()
        program = which(life)
        life.stop(program)
        try:
            life.talk.arrivals.wait_for_silence(seconds, seconds + 30)
        finally:
            life.go(program)
        begun = time.monotonic()
        life.talk.go_on(60)
        took = time.monotonic() - begun
        _, direct = life.direct(AGAIN_WITHIN)
        life.say(f"after {seconds} s asleep: bytes after {took:.1f} s, direct after {direct + took:.1f} s")
        life.finish()
    return life.said


def direct_alone(world):
    """With --p2p only there is no relay: the stream waits for the direct path, half a minute and more."""
    with Life(world, expose=("--p2p", "only"), connect=("--p2p", "only")) as life:
        life.direct()
        with blocks.between(life.lab, "A", "B"):
            life.talk.arrivals.wait_for_silence(35, 60)
        begun = time.monotonic()
        life.talk.go_on(AGAIN_WITHIN)
        life.say(f"after 35 s without any way bytes came {time.monotonic() - begun:.1f} s after healing")
        life.finish()
    return life.said


def relayed_alone(world):
    """With --p2p off packets go through the server, which is restarted."""
    with Life(world, connect=("--p2p", "off")) as life:
        path, _ = life.relayed()
        life.say(f"by {path['transport']}")
        begun = time.monotonic()
        world.stop_server()
        world.start_server()
        life.talk.go_on(SESSION_WITHIN)
        life.say(f"bytes {time.monotonic() - begun:.1f} s after a restart of the server")
        life.finish()
    return life.said
