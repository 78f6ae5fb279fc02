# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""frp's private proxies across the NATs of the lab, by frp's own files: amy's client has the proxies, ben's visits them."""

import json
import time

from natlab.sockets import ProofError
from pathlab.world import SESSION_PORT, TOKEN, Program

from . import blocks, streams
from .life import AGAIN_WITHIN, DIRECT_WITHIN, RELAYED_WITHIN

SECRET = "correct horse battery staple"
PATH = "path to a client of user [mei]: "
# The visitors listen here; each device has a loopback of its own.
PORTS = {"xtcp": 16001, "stcp": 16002}


class Client(Program):
    """`adit frpc` with a file, whose log tells of its paths."""

    def __init__(self, world, name, tables):
        head = {"serverAddr": world.lab.numbers.servers[0], "serverPort": SESSION_PORT, "auth.token": TOKEN, "user": "mei"}
        text = lines(head) + "".join(f"\n[[{kind}]]\n{lines(table)}" for kind, table in tables)
        path = world.folder / f"{name}-frpc.toml"
        path.write_text(text)
        home = f"{name}-frpc"
        super().__init__(world.inside(world.places[name], home, "frpc", "-c", str(path)), world.environment(home))

    def wait_for_line(self, words, seconds):
        """Waits for a line with words that has not been waited for yet; how long it took."""
        begun = time.monotonic()
        for moment, event in self.events(seconds):
            if words in event.get("line", ""):
                return moment - begun
        raise ProofError(f"no {words!r} in {seconds} s: {[each.get('line') for each in self.seen[-5:]]}")


def lines(table):
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())


def private_proxies(world):
    """A conversation on an xtcp visitor's connection, and another on an stcp visitor's, through direct → relay → direct."""
    said = []
    place = world.places["amy"]
    with streams.Listener(world.lab, place, streams.echo) as target:
        proxies = [
            ("proxies", {"name": kind, "type": kind, "localPort": target.port, "secretKey": SECRET}) for kind in PORTS
        ]
        visitors = [
            ("visitors", {"name": f"v-{kind}", "type": kind, "serverName": kind, "secretKey": SECRET, "bindPort": port})
            for kind, port in PORTS.items()
        ]
        with Client(world, "amy", proxies) as owner:
            for _ in proxies:
                owner.wait_for_line("start proxy success", 30)
            with Client(world, "ben", visitors) as guest:
                for _ in visitors:
                    guest.wait_for_line("listens at", 30)
                ben = world.places["ben"]
                with (
                    streams.Conversation(world.lab, ben, PORTS["stcp"]) as relayed,
                    streams.Conversation(world.lab, ben, PORTS["xtcp"]) as direct,
                ):
                    talks = relayed, direct
                    said.append(f"direct after {guest.wait_for_line(PATH + 'direct', DIRECT_WITHIN):.1f} s")
                    go_on(talks)
                    with blocks.between(world.lab, "A", "B"):
                        took = guest.wait_for_line(PATH + "through the server", RELAYED_WITHIN)
                        go_on(talks)
                        said.append(f"relayed {took:.1f} s after it broke")
                    took = guest.wait_for_line(PATH + "direct", AGAIN_WITHIN)
                    go_on(talks)
                    said.append(f"direct {took:.1f} s after it was healed")
                    for kind, talk in zip(("stcp", "xtcp"), talks):
                        quiet = talk.arrivals.silence()
                        said.append(f"{kind}: {talk.arrivals.count} records in order, longest silence {quiet:.1f} s")
    return said


def go_on(talks):
    for talk in talks:
        talk.go_on(30)
