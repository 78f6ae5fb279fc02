# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What came of a scene, and whether theory agrees."""

import dataclasses
import json

# A relayed path is there within this time, whatever the NATs are: a debug build, several labs on one computer.
RELAY_WITHIN = 4.0
# Beyond the time of a scene, for what is no path yet.
SPARE = 6.0
SETTLED = 1.5
# How often the other end is asked what it says.
PATIENCE = 5
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
    round_trip: float | None = None
    packets: int = 0
    steps: list = dataclasses.field(default_factory=list)
    faults: list = dataclasses.field(default_factory=list)

    @property
    def is_settled(self):
        """Whether nothing better is looked for."""
        if self.path.startswith("direct"):
            return True
        return bool(self.reason) and not any(words in self.reason for words in SEARCHING)

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
        return not self.faults

    def __str__(self):
        found = [self.path + (f" by {self.tactic}" if self.tactic else "")]
        if self.relayed is not None:
            found.append(f"relay {self.relayed * 1000:.0f} ms")
        if self.direct is not None:
            found.append(f"direct {self.direct * 1000:.0f} ms")
        return ", ".join([*found, f"{self.packets} packets"])

    def line(self):
        """One JSON object, for `adit lab matrix --kernel --json`."""
        scene = self.scene
        return json.dumps(
            {
                "group": scene.group, "a": scene.a, "b": scene.b, "scene": str(scene), "expected": list(scene.ends),
                "path": self.path, "tactic": self.tactic or None, "reason": self.reason, "ok": not self.faults,
                "faults": self.faults, "timeToFirstByteMs": milliseconds(self.first),
                "timeToRelayedMs": milliseconds(self.relayed), "timeToDirectMs": milliseconds(self.direct),
                "roundTripMs": self.round_trip, "packets": self.packets,
            },
            ensure_ascii=False,
        )  # fmt: skip


def milliseconds(seconds):
    return None if seconds is None else round(seconds * 1000, 2)


def look(world, scene):
    """Plays a scene once: ben is up, amy pings ben until the path is what it stays."""
    found = Outcome(scene)
    with world.program("ben", "up", "--json", *scene.up) as up:
        up.wait_for("connected")
        with world.program("amy", "ping", "ben", "--json", "--trace", "--count", "1000", *scene.ping) as ping:
            for _, event in ping.events(scene.within + SPARE):
                take(found, event)
                if found.is_settled:
                    break
            # Whatever comes now is the last word: both ends have the reason, and it does not change any more.
            for _, event in ping.events(SETTLED):
                take(found, event)
            if found.path == "none":
                found.steps += [str(event) for event in ping.seen[-3:] if event["event"] not in ("trace", "path")]
            compare(found, world, ping)
    found.judge()
    return found


def take(found, event):
    kind = event["event"]
    if kind in ("trace", "text", "error"):
        found.steps.append(event.get("text") or event.get("line") or str(event))
    if kind not in ("path", "ping", "result") or "path" not in event:
        return
    found.path = event["path"] + (f" {event.get('transport')}" if event["path"] == "direct" else "")
    found.reason, found.tactic = event.get("reason", ""), event.get("tactic") or ""
    found.packets = event.get("packetsSpent", found.packets)
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
        said = next((each.get("reason") for each in status.get("paths", []) if each.get("peer") == "amy"), None)
        for _, event in ping.events(0.3):
            take(found, event)
        if said == found.reason:
            return
    found.faults.append(f"ben says: {said}")
