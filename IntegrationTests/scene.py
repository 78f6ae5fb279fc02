# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A server and devices in a folder of their own, for the scripts that attack and load them."""

import hashlib
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time

from program import ADIT, Program, free_ports

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Scene:
    """One server; devices are added by name. Everything ends with `close`."""

    def __init__(self, configuration=""):
        self.folder_owner = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.folder_owner.name)
        self.session_port, self.http_port = free_ports(2)
        self.file = self.folder / "server.toml"
        if "stun" not in configuration:
            configuration = "stun = false\n" + configuration
        self.file.write_text(
            'listen = "127.0.0.1"\nsessionPort = %d\nhttpPort = %d\nlogLevel = "info"\n%s'
            % (self.session_port, self.http_port, configuration)
        )
        self.programs = []
        self.server = self.start_server()

    def environment(self, name):
        home = self.folder / name
        home.mkdir(mode=0o700, exist_ok=True)
        environment = dict(os.environ, ADIT_HOME=str(home), LC_ALL="C.UTF-8")
        environment.pop("LANG", None)
        return environment

    def start_server(self):
        self.server = self.run("server", "server", "-c", str(self.file))
        self.server.wait_for_port(self.session_port)
        self.server.wait_for_port(self.http_port)
        return self.server

    def run(self, name, *arguments, **options):
        """A program that runs until the scene ends."""
        program = Program(*arguments, env=self.environment(name), **options)
        self.programs.append(program)
        return program

    def adit(self, name, *arguments, status=0):
        done = subprocess.run(
            [ADIT, *arguments],
            env=self.environment(name),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != status:
            raise AssertionError("adit %s: %d\n%s" % (" ".join(arguments), done.returncode, done.stdout + done.stderr))
        return done.stdout + done.stderr

    def invite(self):
        return re.search(r"adit join (\S+)", self.adit("server", "server", "invite"))[1]

    def join(self, name, *words):
        return self.adit(name, "join", self.invite(), "--name", name, *words)

    def client(self, name, tunnels, joined=False, file=None):
        """Starts a device with many tunnels, each a table of the configuration; returns a `Client`.

        A second process of a device needs a file of its own."""
        if not joined:
            self.join(name)
        path = self.folder / ((file or name) + ".json")
        path.write_text(json.dumps({"tunnels": tunnels}))
        return Client(self.run(name, "client", "-c", str(path), "--json"), [each["name"] for each in tunnels])

    def status(self):
        return json.loads(self.adit("server", "server", "status", "--json"))

    def close(self):
        for program in self.programs:
            if program.process.poll() is None:
                program.process.kill()
        for program in self.programs:
            program.process.wait()
        self.folder_owner.cleanup()


class Client:
    """A device whose events are read as JSON lines."""

    def __init__(self, program, names):
        self.program = program
        self.names = names
        self.read = 0
        self.opened = {}
        self.connected = 0

    @property
    def pid(self):
        return self.program.process.pid

    def wait_until(self, check, timeout=30):
        """Takes events until the check holds; returns what the check returned."""
        deadline = time.monotonic() + timeout
        with self.program.changed:
            while True:
                self._take()
                found = check(self)
                if found:
                    return found
                left = deadline - time.monotonic()
                if left <= 0 or self.program.ended:
                    raise AssertionError("not in time:\n" + "\n".join(self.program.lines[-15:]))
                self.program.changed.wait(left)

    def wait_open(self, timeout=30):
        """The address of each tunnel by name, once all are open."""
        return self.wait_until(lambda client: len(client.opened) == len(client.names) and dict(client.opened), timeout)

    def _take(self):
        lines = self.program.lines
        while self.read < len(lines):
            line = lines[self.read]
            self.read += 1
            try:
                event = json.loads(line)
            except ValueError:
                continue
            kind = event.get("event")
            if kind == "connected":
                self.connected += 1
            elif kind == "tunnel":
                self.opened[event["tunnel"]] = event["address"]
            elif kind == "waiting":
                self.opened.clear()
            elif kind == "refused":
                raise AssertionError(line)


def port_of(address):
    return int(address.rstrip("/").rsplit(":", 1)[1])


def host_of(address):
    return address.split("://")[-1].rstrip("/")


def facts(pid):
    """Resident bytes and CPU seconds of a process."""
    status = pathlib.Path("/proc/%d/statm" % pid).read_text().split()
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return int(status[1]) * os.sysconf("SC_PAGE_SIZE"), (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


class MemoryWatch:
    """The highest resident memory of some processes, sampled twenty times a second."""

    def __init__(self, **pids):
        self.pids = pids
        self.first = {name: facts(pid)[0] for name, pid in pids.items()}
        self.highest = dict(self.first)
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.done.wait(0.05):
            for name, pid in self.pids.items():
                try:
                    self.highest[name] = max(self.highest[name], facts(pid)[0])
                except (OSError, IndexError):
                    pass

    def stop(self):
        """How many bytes each grew at most."""
        self.done.set()
        self.thread.join()
        return {name: self.highest[name] - self.first[name] for name in self.pids}


class ControlVisitor:
    """A quiet visitor that must never notice what others do: a held connection and fresh ones, several times a second."""

    PATIENCE = 10

    def __init__(self, scene, web, tcp, page):
        self.http_port = scene.http_port
        self.host = host_of(web)
        self.tcp_port = port_of(tcp)
        self.page = page
        self.faults = []
        self.slowest = 0.0
        self.rounds = 0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        held = None
        while not self.done.wait(0.1):
            begun = time.monotonic()
            try:
                if held is None:
                    held = self._connect(self.tcp_port)
                self._echo(held)
                if self.rounds % 4 == 0:
                    with self._connect(self.tcp_port) as fresh:
                        self._echo(fresh)
                    self._get()
            except (OSError, AssertionError) as error:
                self.faults.append("after %d rounds, %.1f s: %r" % (self.rounds, time.monotonic() - begun, error))
                if held is not None:
                    held.close()
                held = None
            self.rounds += 1
            self.slowest = max(self.slowest, time.monotonic() - begun)

    def _connect(self, port):
        # The device's own address, which attackers do not use.
        return socket.create_connection(("127.0.0.1", port), timeout=self.PATIENCE)

    def _echo(self, connection):
        data = b"control visitor %d\n" % self.rounds
        connection.sendall(data)
        received = b""
        while len(received) < len(data):
            part = connection.recv(len(data) - len(received))
            if not part:
                raise AssertionError("the held connection ended")
            received += part
        if received != data:
            raise AssertionError("other bytes came back: %r" % received)

    def _get(self):
        with self._connect(self.http_port) as connection:
            connection.sendall(b"GET /control HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % self.host.encode())
            reply = b""
            while True:
                data = connection.recv(65536)
                if not data:
                    break
                reply += data
        if not reply.startswith(b"HTTP/1.1 200") or not reply.endswith(self.page):
            raise AssertionError("the page did not come: %r" % reply[:200])

    def stop(self):
        self.done.set()
        self.thread.join()


def sha256_stream(connection, count=None):
    """The hash and number of the bytes that arrive until the end."""
    digest, received = hashlib.sha256(), 0
    while count is None or received < count:
        data = connection.recv(1 << 18)
        if not data:
            break
        digest.update(data)
        received += len(data)
    return digest.hexdigest(), received
