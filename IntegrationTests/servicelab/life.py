# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A service of amy's that others use, and the paths that both ends say it has."""

import contextlib
import json
import signal
import time

from natlab.sockets import ProofError
from pathlab.world import Program

from . import streams

# A debug build, several labs on one computer; what the product promises is shorter and is reported.
DIRECT_WITHIN, RELAYED_WITHIN, AGAIN_WITHIN = 30, 15, 100
# How often a status is asked for.
BEAT = 0.1
DIRECT, RELAYED = "direct", "relayed"


class Devices(contextlib.ExitStack):
    """The devices of a world at work: amy offers services, others visit them."""

    def __init__(self, world, visitor="ben", clock=None):
        super().__init__()
        self.world, self.lab, self.visitor = world, world.lab, visitor
        self.clock, self.said = clock, []

    def say(self, words):
        """What is told of it afterwards."""
        self.said.append(words)

    # Programs.

    def expose(self, port, name, *words):
        program = self.enter_context(self.world.program("amy", "expose", str(port), "--name", name, "--json", *words))
        program.wait_for("connected")
        return program

    def connect(self, visitor, service, *words, command="connect"):
        """`adit connect` or `adit play`; the program and its local port."""
        line = [command, f"amy/{service}", "--json", *words]
        inside, environment = self.world.inside(self.world.places[visitor], visitor, *line), self.world.environment(visitor)
        if self.clock:
            self.clock.take_over(inside, environment)
        program = self.enter_context(Program(inside, environment))
        address = program.wait_for("visiting")["address"]
        return program, int(address.rpartition(":")[2])

    def stop(self, program):
        """A process stands still until `go`, as in a computer that sleeps."""
        program.process.send_signal(signal.SIGSTOP)

    def go(self, program):
        program.process.send_signal(signal.SIGCONT)

    # Paths.

    def path(self, name, peer):
        """What `adit status --json` of a device says of its path to another."""
        status = json.loads(self.world.run(self.world.places[name], name, "status", "--json"))
        found = [each for each in status["paths"] if each["peer"] == peer]
        return max(found, key=lambda each: (each.get("endedAt") is None, each["since"]), default={"path": "none"})

    def wait(self, kind, seconds, condition=lambda path: True, visitor=None):
        """Waits until both ends say by what packets go, and why in the same words; returns the visitor's path and the time
        that it took."""
        visitor, begun = visitor or self.visitor, time.monotonic()
        seen = None
        while True:
            path, other = self.path(visitor, "amy"), self.path("amy", visitor)
            took = time.monotonic() - begun
            if seen is None and path["path"] == kind and condition(path):
                seen = took
            if seen is not None and path["path"] == other["path"] == kind and path["reason"] == other["reason"]:
                return path, seen
            if took > seconds:
                # Which end, and what it says instead.
                raise ProofError(f"not {kind} at both ends after {seconds} s; {visitor}: {tell(path)}; amy: {tell(other)}")
            time.sleep(BEAT)

    def direct(self, seconds=DIRECT_WITHIN, **more):
        return self.wait(DIRECT, seconds, **more)

    def relayed(self, seconds=RELAYED_WITHIN, **more):
        return self.wait(RELAYED, seconds, **more)

    def is_connected(self, name):
        status = json.loads(self.world.run(self.world.places[name], name, "status", "--json"))
        return bool(status["processes"]) and all(each["isConnected"] for each in status["processes"])

    def wait_for_sessions(self, seconds):
        begun = time.monotonic()
        while not (self.is_connected("amy") and self.is_connected(self.visitor)):
            if time.monotonic() - begun > seconds:
                raise ProofError(f"no session with the server after {seconds} s")
            time.sleep(BEAT)
        return time.monotonic() - begun


class Life(Devices):
    """amy exposes an echo, ben visits it, and a conversation goes on all the time."""

    def __init__(self, world, expose=(), connect=(), clock=None):
        super().__init__(world, clock=clock)
        self.words = expose, connect

    def __enter__(self):
        super().__enter__()
        try:
            target = self.enter_context(streams.Listener(self.lab, self.world.places["amy"], streams.echo))
            self.exposing = self.expose(target.port, "echo", *self.words[0])
            self.visiting, port = self.connect(self.visitor, "echo", *self.words[1])
            talk = streams.Conversation(self.lab, self.world.places[self.visitor], port)
            self.talk = self.enter_context(talk)
            self.talk.arrivals.wait_for(1, 30, "the conversation")
            self.begun = time.monotonic()
        except BaseException:
            self.close()
            raise
        return self

    def silence(self, since=None):
        return self.talk.arrivals.silence(since)

    def finish(self):
        """The conversation goes on, from its first record on and without a gap."""
        self.talk.go_on(30)
        self.say(f"{self.talk.arrivals.count} records in order, longest silence {self.silence(self.begun):.1f} s")


def tell(path):
    way = path["path"] + (f" {path['transport']}" if path.get("transport") else "")
    return f"{way} ({path.get('reason')}), from {path.get('local')} to {path.get('remote')}"
