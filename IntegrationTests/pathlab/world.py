# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A lab in which `adit server` runs and devices have joined it: amy in site A, ben in site B or in A's LAN, cat in site C."""

import contextlib
import json
import os
import pathlib
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import time

from natlab import system
from natlab.lab import Lab, end
from natlab.sockets import ProofError
from program import ADIT

# Devices that may use only the web's ports must reach it too.
SESSION_PORT = 443
# The server's name where it has one.
NAME = "adit.test"
# For frp's clients, who have no invite.
TOKEN = "a token for clients of frp's kind"
PATIENCE = 30


class World(contextlib.ExitStack):
    """Everything ends with the block."""

    def __init__(self, prefix, scene, delay, adit=None):
        super().__init__()
        self.prefix, self.scene, self.adit = prefix, scene, adit or ADIT
        self.delay = delay

    def __enter__(self):
        super().__enter__()
        try:
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def build(self):
        scene = self.scene
        # Joining is not what is tried: it happens behind routers that let everything pass.
        a, b = ("port,cgn=port" if has_carrier else "port" for has_carrier in scene.topology[:2])
        shape = {"shared_carrier": scene.shared_carrier, "same_lan": scene.same_lan, "routable": True}
        c = "port" if scene.c else None
        self.lab = self.enter_context(Lab.up(self.prefix, a, b, c, owned=True, **shape))
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="adit-paths-")))
        numbers = self.lab.numbers
        addresses = [word for each in (*numbers.servers, *numbers.servers6) for word in ("--stun-address", each)]
        host = self.give_name() if scene.is_named else numbers.servers[0]
        self.server_words = ["server", "--port", str(SESSION_PORT), "--http-port", "8080", "--host", host, *addresses]
        self.server_life = self.enter_context(contextlib.ExitStack())
        self.start_server()
        joining = {"amy": "hA", "ben": "hB"} | ({"cat": "hC"} if scene.c else {})
        self.places = joining | ({"ben": "hA2"} if scene.same_router else {})
        for name, place in joining.items():
            made = self.run("s", "server", "server", "invite")
            invite = re.search(r"adit join (\S+)", made)
            if not invite:
                raise ProofError(f"no invite: {made}")
            self.run(place, name, "join", invite[1], "--name", name)
        if self.delay:
            self.enter_context(self.lab.wire(delay=self.delay))

    def start_server(self):
        inside = self.inside("s", "server", *self.server_words)
        service = self.lab.service(inside, "the server runs", stderr=subprocess.STDOUT, env=self.environment("server"))
        self.server = self.server_life.enter_context(service)

    def stop_server(self):
        self.server_life.close()

    def give_name(self):
        """A name with an address of each family for every device: `ip netns exec` puts the file in the place of /etc/hosts."""
        addresses = (self.lab.numbers.servers6[0], self.lab.numbers.servers[0])
        for place in ("hA", "hA2", "hB", *(["hC"] if self.scene.c else [])):
            folder = pathlib.Path("/etc/netns") / self.lab.name(place)
            folder.mkdir(parents=True)
            self.callback(shutil.rmtree, folder, ignore_errors=True)
            (folder / "hosts").write_text("".join(f"{each} {NAME}\n" for each in addresses))
        return NAME

    def environment(self, name):
        home = self.folder / name
        home.mkdir(mode=0o700, exist_ok=True)
        kept = {key: value for key, value in os.environ.items() if key != "LANG"}
        if name == "server":
            kept["ADIT_TOKEN"] = TOKEN
        return {**kept, "HOME": str(home), "ADIT_HOME": str(home), "LC_ALL": "C.UTF-8"}

    def inside(self, place, name, *words):
        self.environment(name)
        return [system.tool("ip"), "netns", "exec", self.lab.name(place), self.adit, *words]

    def run(self, place, name, *words, status=0, seconds=PATIENCE):
        """What a command prints; ProofError for another status."""
        done = subprocess.run(
            self.inside(place, name, *words), env=self.environment(name), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=seconds, preexec_fn=system.die_with_parent(),
        )  # fmt: skip
        if done.returncode != status:
            raise ProofError(f"adit {' '.join(words)}: status {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def set(self, scene):
        """The sites of a scene of the same topology."""
        self.scene = scene
        self.places["ben"] = "hA2" if scene.same_router else "hB"
        self.lab.set("A", scene.a)
        self.lab.set("B", scene.b)
        if scene.c:
            self.lab.set("C", scene.c)

    @contextlib.contextmanager
    def services(self, scene):
        """The routers that open ports on request."""
        with contextlib.ExitStack() as stack:
            for site in scene.upnp:
                stack.enter_context(self.lab.upnp(site))
            yield

    def program(self, name, *words):
        """A command of a device that runs on and prints JSON lines, for `with`."""
        return Program(self.inside(self.places[name], name, *words), self.environment(name))


class Program:
    """A running adit whose lines are JSON objects, each with when it came."""

    def __init__(self, words, environment):
        self.words = words
        self.process = subprocess.Popen(
            words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=system.die_with_parent(),
        )  # fmt: skip
        self.arrived, self.seen = queue.Queue(), []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with self.process.stdout as output:
            for line in output:
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {"event": "text", "line": line.rstrip()}
                self.arrived.put((time.monotonic(), event))
        self.arrived.put((time.monotonic(), {"event": "closed"}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        end(self.process)
        self.reader.join()

    def events(self, seconds):
        """Those that come within the time; `closed` is the last."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                moment, event = self.arrived.get(timeout=max(0.001, deadline - time.monotonic()))
            except queue.Empty:
                return
            self.seen.append(event)
            yield moment, event
            if event["event"] == "closed":
                return

    def wait_for(self, name, seconds=PATIENCE):
        for _, event in self.events(seconds):
            if event["event"] == name:
                return event
        raise ProofError(f"no {name} from {' '.join(self.words[4:])}: {self.seen[-5:]}")
