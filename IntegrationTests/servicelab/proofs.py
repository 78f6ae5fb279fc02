# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What people do all day, through relay → direct → relay → direct, with figures."""

import time

from natlab.sockets import ProofError

from . import blocks, games, secure_shell, streams
from .life import AGAIN_WITHIN, DIRECT, RELAYED, RELAYED_WITHIN, Devices

GAME_PORT = 25565
# The ways that packets take, one after the other.
PHASES = (RELAYED, DIRECT, RELAYED, DIRECT)
SITES = {"ben": "B", "cat": "C"}


def through_phases(devices, visitors, first, in_phase, silence):
    """Heals and breaks the direct way between amy and visitors.

    `first` are the blocks that stand at the beginning. `in_phase` is what has to go well in each, and says what it saw;
    `silence(since)` is the longest time without a byte since a moment.
    """
    standing, begun = first, time.monotonic()
    for number, kind in enumerate(PHASES):
        limit = AGAIN_WITHIN if kind == DIRECT else RELAYED_WITHIN
        found = [devices.wait(kind, limit, visitor=visitor) for visitor in visitors]
        took = max(took for _, took in found)
        ways = " and ".join(dict.fromkeys(path["transport"] for path, _ in found))
        seen = in_phase(number)
        devices.say(f"{kind} ({ways}) after {took:.1f} s, {silence(begun):.2f} s without a byte{seen}")
        begun = time.monotonic()
        if number + 1 == len(PHASES):
            return
        for block in standing:
            block.lift()
        standing = broken(devices, visitors) if kind == DIRECT else []


def broken(devices, visitors):
    return [devices.enter_context(blocks.between(devices.lab, "A", SITES[visitor])) for visitor in visitors]


def download(world, megabytes=200):
    """A file over `adit connect`; the path changes in the middle of its stream each time."""
    size, quarter = megabytes * 1_000_000, megabytes * 1_000_000 // 4
    with Devices(world) as devices:
        first = broken(devices, ["ben"])
        source = streams.Source(size)
        target = devices.enter_context(streams.Listener(devices.lab, world.places["amy"], source.serve))
        devices.expose(target.port, "files")
        _, port = devices.connect("ben", "files")
        with streams.Download(devices.lab, world.places["ben"], port) as load:

            def in_phase(number):
                # At full speed up to the middle of what this phase has: there the path changes, and what is left goes on.
                begin = load.arrivals.count
                end = size if number == 3 else max(quarter * (number + 1), begin + quarter // 2)
                source.allow(end)
                speed = load.wait_for(end if number == 3 else begin + (end - begin) // 2, 300)
                return f", {speed / 1e6:.1f} MB/s"

            through_phases(devices, ["ben"], first, in_phase, load.arrivals.silence)
            if load.finish(60) != source.digest:
                raise ProofError("the hash is another one")
            devices.say(f"{size} bytes with an equal hash, longest silence {load.arrivals.silence():.2f} s")
    return devices.said


def shell(world):
    """cat, behind a symmetric NAT, types line after line in a shell on amy's computer."""
    reason = secure_shell.obstacle()
    if reason:
        return [f"SKIPPED: {reason}"]
    with Devices(world, visitor="cat") as devices:
        first = broken(devices, ["cat"])
        words = devices.enter_context(secure_shell.server(devices.lab, world.places["amy"], world.folder / "ssh"))
        devices.expose("ssh", "ssh")
        with secure_shell.Session(*secure_shell.command(world, "cat", "root", words)) as session:

            def in_phase(_):
                before = session.sent
                session.go_on(30, lines=30)
                return f", {session.sent - before} lines and more"

            through_phases(devices, ["cat"], first, in_phase, session.arrivals.silence)
            session.finish(30)
            devices.say(
                f"{secure_shell.terminal(session.greeting)}: {session.sent} lines, an answer to each and in order; longest "
                f"silence {session.arrivals.silence():.2f} s"
            )
    return devices.said


def game(world, seconds=6):
    """ben and cat play at amy's: 50 packets a second from each, and to each; beside it a connection, as games have one."""
    with Devices(world) as devices:
        visitors = list(SITES)
        first = broken(devices, visitors)
        place = world.places["amy"]
        server = devices.enter_context(games.Server(devices.lab, place, GAME_PORT))
        target = devices.enter_context(streams.Listener(devices.lab, place, streams.echo, port=GAME_PORT))
        devices.enter_context(world.program("amy", "game", str(target.port), "--json")).wait_for("connected")
        players, talks = {}, {}
        for name in visitors:
            _, port = devices.connect(name, str(GAME_PORT), command="play")
            players[name] = devices.enter_context(games.Player(devices.lab, world.places[name], port, server))
            talks[name] = devices.enter_context(streams.Conversation(devices.lab, world.places[name], port))
        directions = {f"{name} → amy": players[name].out for name in visitors}
        directions |= {f"amy → {name}": players[name].back for name in visitors}

        def silence(since):
            return max(each.arrivals.silence(since) for each in directions.values())

        def in_phase(_):
            before = {name: each.sent for name, each in directions.items()}
            wanted = {name: players[name].wanted(seconds * games.RATE) for name in visitors}
            for name in visitors:
                players[name].wait_for(wanted[name], 30)
                talks[name].go_on(30)
            lost = {name: each.lost(before[name], each.highest) for name, each in directions.items()}
            return f", then {sum(lost.values())} of {sum(each.highest - before[name] for name, each in directions.items())} lost"

        through_phases(devices, visitors, first, in_phase, silence)
        for name in visitors:
            players[name].stop()
        server.silence()
        for name, each in directions.items():
            devices.say(f"{name}: {each}")
            if each.again:
                raise ProofError(f"{name}: {each.again} packets came twice")
        records = sum(talk.arrivals.count for talk in talks.values())
        devices.say(f"on both connections {records} records in order")
    return devices.said
