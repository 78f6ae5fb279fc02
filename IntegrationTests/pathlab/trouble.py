# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What happens to a device while a path is looked for, or once it is there."""

import re
import subprocess
import time

from natlab import system
from natlab.sockets import ProofError
from natlab.system import run

# So long a session may say nothing: two pings of its multiplexer.
SILENCE = 22
# A device's other address in its LAN.
ELSEWHERE = 77
SITES = {"amy": "A", "ben": "B"}


class Trouble:
    """`cut NAME` ends the device's session with the server as soon as there is a path, while a better one is looked for;
    `move NAME` gives the device another address, and `renumber NAME` its router, both once the path is direct."""

    def __init__(self, world, words):
        self.world, self.lab = world, world.lab
        self.kind, _, self.name = words.partition(" ")
        self.happened = None

    def notice(self, found):
        """Does it when its time has come; whether it has happened now."""
        if not self.kind or self.happened or found.path == "none":
            return False
        if self.kind != "cut" and not found.path.startswith("direct"):
            return False
        {"cut": self.cut, "move": self.move, "renumber": self.renumber}[self.kind]()
        self.happened = time.monotonic()
        return True

    @property
    def is_lasting(self):
        """Whether the path has to come back."""
        return self.kind in ("move", "renumber")

    def cut(self):
        """The connection ends at the device alone, where the kernel can do so, else with its next packet; the server learns
        nothing of it, and refuses nobody."""
        place = self.lab.name(self.world.places[self.name])
        inside = ["ip", "netns", "exec", place]
        rules = "table inet cut { chain out { type filter hook output priority 0;\n"
        rules += "tcp dport 443 counter reject with tcp reset\n}\n}\n"
        run([*inside, system.tool("nft"), "-f", "-"], rules)
        try:
            subprocess.run([*inside, "ss", "-K", "-tnH", "dport", "=", ":443"], capture_output=True)
            deadline = time.monotonic() + SILENCE
            while time.monotonic() < deadline:
                counted = re.search(r"packets (\d+)", run([*inside, system.tool("nft"), "list", "table", "inet", "cut"]))
                if counted and int(counted[1]):
                    return
                time.sleep(0.02)
            raise ProofError(f"the session of {self.name} sent nothing")
        finally:
            run([*inside, system.tool("nft"), "delete", "table", "inet", "cut"])

    def move(self):
        self.readdress(ELSEWHERE)

    def readdress(self, number):
        site = SITES[self.name]
        gateway, place = self.lab.numbers.lan(site, 1), self.lab.name(self.world.places[self.name])
        lines = ["addr flush dev eth0 scope global", f"addr add {self.lab.numbers.lan(site, number)}/24 dev eth0"]
        run(["ip", "-n", place, "-batch", "-"], "\n".join([*lines, f"route replace default via {gateway}"]) + "\n")

    def renumber(self):
        self.lab.renumber(SITES[self.name])

    def undo(self):
        if self.kind == "move" and self.happened:
            self.readdress(2)
