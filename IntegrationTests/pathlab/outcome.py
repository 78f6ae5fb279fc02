# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What came of a scene, and whether theory agrees."""

import dataclasses
import json
import time

from .trouble import Trouble

# A relayed path is there within this time, whatever the NATs are: a debug build, several labs on one computer.
RELAY_WITHIN = 4.0
# Beyond the time of a scene, for what is no path yet.
SPARE = 6.0
SETTLED = 0.8
# How often the other end is asked what it says.
PATIENCE = 5
# A direct path is there again within this time after everything has changed: consent runs out after 30 s (RFC 7675).
RETURN = 75
# What a reason has that is not the last one.
SEARCHING = ("is being looked for", "search for it goes on")


@dataclasses.dataclass
class Outcome:
    """The path that was found, as `adit ping --json` and the other device's `adit status --json` tell."""

    scene: object
    path: str = "none"
    tactic: str = ""
    reason: str = ""
    # Seconds after the search began.
    first: float | None = None
    relayed: float | None = None
    direct: float | None = None
    # Seconds until the direct path was there again.
    returned: float | None = None
    round_trip: float | None = None
    # Spent on the search, by amy and by ben.
    packets: int = 0
    packets_of_ben: int = 0
    # The names of both NATs over UDP and TCP, by device.
    kinds: dict = dataclasses.field(default_factory=dict)
    steps: list = dataclasses.field(default_factory=list)
    faults: list = dataclasses.field(default_factory=list)

    @property
    def is_settled(self):
        """Whether nothing better is looked for, and nothing about the NATs either."""
        if not self.are_nats_known:
            return False
        if self.path.startswith("direct"):
            return True
        return bool(self.reason) and not any(words in self.reason for words in SEARCHING)

    @property
    def are_nats_known(self):
        """Whether both have a name, over TCP too where no UDP passes; whoever uses the relay only tells none."""
        if "--p2p" in self.scene.ping:
            return True
        return bool(self.kinds) and all(udp and (udp != "blocked" or tcp) for udp, tcp in self.kinds.values())

    def judge_nats(self):
        """Adds what is said of the NATs and is not so."""
        if not self.are_nats_known or "not known" in self.reason:
            self.faults.append(f"a NAT is not known: {self.kinds}")
        for name, wanted in self.scene.kinds.items():
            found = self.kinds.get(name, (None, None))
            for protocol, kind, said in zip(("UDP", "TCP"), wanted, found):
                # TCP is of no interest where UDP passes.
                if kind and said and kind != said and (protocol == "UDP" or found[0] == "blocked"):
                    self.faults.append(f"{name} is said to be behind {said} over {protocol}, not {kind}")

    def judge(self):
        """Adds what theory does not say."""
        scene = self.scene
        if self.path not in scene.ends:
            self.faults.append(f"{self.path}, not {' or '.join(scene.ends)}")
        if self.path.startswith("direct"):
            if scene.tactics and self.tactic not in scene.tactics:
                self.faults.append(f"found by {self.tactic or 'no tactic'}, not by {' or '.join(scene.tactics)}")
            if self.direct is not None and self.direct > scene.within:
                self.faults.append(f"direct after {self.direct:.1f} s, more than {scene.within:.0f} s")
        if self.first is None or self.first > RELAY_WITHIN:
            self.faults.append("no path at first" if self.first is None else f"the first path after {self.first:.1f} s")
        if scene.reason and not any(each in self.reason for each in scene.reason):
            self.faults.append(f"the reason has none of {', '.join(scene.reason)}")
        self.judge_nats()
        return not self.faults

    def __str__(self):
        found = [self.path + (f" by {self.tactic}" if self.tactic else "")]
        if self.relayed is not None:
            found.append(f"relay {self.relayed * 1000:.0f} ms")
        if self.direct is not None:
            found.append(f"direct {self.direct * 1000:.0f} ms")
        if self.returned is not None:
            found.append(f"again after {self.returned:.1f} s")
        return ", ".join([*found, f"{self.spent} packets"])

    @property
    def spent(self):
        return self.packets + self.packets_of_ben

    def line(self):
        """One JSON object, for `adit lab matrix --kernel --json`."""
        scene = self.scene
        return json.dumps(
            {
                "group": scene.group, "a": scene.a, "b": scene.b, "scene": str(scene), "expected": list(scene.ends),
                "path": self.path, "tactic": self.tactic or None, "reason": self.reason, "ok": not self.faults,
                "faults": self.faults, "timeToFirstByteMs": milliseconds(self.first),
                "timeToRelayedMs": milliseconds(self.relayed), "timeToDirectMs": milliseconds(self.direct),
                "roundTripMs": self.round_trip, "packets": self.spent,
            },
            ensure_ascii=False,
        )  # fmt: skip


def milliseconds(seconds):
    return None if seconds is None else round(seconds * 1000, 2)


def look(world, scene):
    """Plays a scene once: ben is up, amy pings ben until the path is what it stays."""
    found, trouble = Outcome(scene), Trouble(world, scene.trouble)
    try:
        with world.program("ben", "up", "--json", *scene.up) as up:
            up.wait_for("connected")
            with world.program("amy", "ping", "ben", "--json", "--trace", "--count", "1000", *scene.ping) as ping:
                watch(found, ping, trouble)
                if scene.trouble == "cut ben":
                    up.wait_for("connected")
                compare(found, world, ping)
    finally:
        trouble.undo()
    found.judge()
    return found


def watch(found, ping, trouble):
    """Takes what amy says until it is the last word."""
    for _, event in ping.events(found.scene.within + SPARE):
        take(found, event)
        if trouble.notice(found) and trouble.is_lasting:
            come_back(found, ping, trouble)
        if found.is_settled:
            break
    # Whatever comes now is the last word: both ends have the reason, and it does not change any more.
    for _, event in ping.events(SETTLED):
        take(found, event)
    if trouble.kind and not trouble.happened:
        found.faults.append(f"there was no time for: {found.scene.trouble}")
    if found.path == "none":
        found.steps += [str(event) for event in ping.seen[-3:] if event["event"] not in ("trace", "path")]


def come_back(found, ping, trouble):
    """Waits for a round trip on a direct path that began after the trouble."""
    for moment, event in ping.events(RETURN):
        take(found, event)
        spent = event.get("tripMs", 0) / 1000 + 0.05
        if event["event"] == "ping" and found.path.startswith("direct") and moment - spent > trouble.happened:
            found.returned = time.monotonic() - trouble.happened
            return
    found.faults.append(f"no direct path within {RETURN} s after: {trouble.kind} {trouble.name}")


def take(found, event):
    kind = event["event"]
    if kind in ("trace", "text", "error"):
        found.steps.append(event.get("text") or event.get("line") or str(event))
    if kind not in ("path", "ping", "result") or "path" not in event:
        return
    found.path = event["path"] + (f" {event.get('transport')}" if event["path"] == "direct" else "")
    found.reason, found.tactic = event.get("reason", ""), event.get("tactic") or ""
    found.packets = event.get("packetsSpent", found.packets)
    for name, side in (("amy", "local"), ("ben", "remote")):
        nat = event.get(side, {})
        found.kinds[name] = nat.get("udp"), nat.get("tcp")
    found.round_trip = event.get("roundTripMs", found.round_trip)
    after = event.get("timeToPathMs")
    if after is not None:
        found.first = after / 1000
        if event["path"] == "relayed" and found.relayed is None:
            found.relayed = found.first
    if event.get("timeToDirectMs") is not None:
        found.direct = event["timeToDirectMs"] / 1000


def compare(found, world, ping):
    """Both ends have to say the same, however what is known of the NATs still grows."""
    if found.path == "none":
        return
    said = None
    for _ in range(PATIENCE):
        status = json.loads(world.run(world.places["ben"], "ben", "status", "--json"))
        path = next((each for each in status.get("paths", []) if each.get("peer") == "amy"), {})
        said, found.packets_of_ben = path.get("reason"), path.get("packetsSpent", 0)
        for _, event in ping.events(0.3):
            take(found, event)
        if said == found.reason:
            return
    found.faults.append(f"ben says: {said}")
