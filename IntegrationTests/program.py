# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The adit binary under test, named by the environment variable ADIT, and free ports for it."""

import os
import random
import socket
import subprocess
import threading
import time

ADIT = os.environ.get("ADIT", "")


def system_ports():
    """The first of the ports that the system gives to who asks for none."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            return int(file.read().split()[0])
    except OSError:
        return 32768


def is_free(port):
    """Whether nothing has the port, of either protocol and at any address."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


given = set()


def free_ports(count):
    """Ports that nothing has, and that the system gives to nobody before they are used: each is given once."""
    ports = []
    while len(ports) < count:
        port = random.randrange(10000, max(system_ports(), 20000))
        if port not in given and is_free(port):
            given.add(port)
            ports.append(port)
    return ports


class Program:
    """A running adit, whose output can be waited for."""

    def __init__(self, *arguments, env=None, stderr=subprocess.STDOUT, user=None):
        self.lines = []
        self.changed = threading.Condition()
        self.ended = False
        self.process = subprocess.Popen(
            [ADIT, *arguments],
            env=env,
            user=user,
            group=user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with self.process.stdout as output:
            for line in output:
                with self.changed:
                    self.lines.append(line.rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def wait_for(self, text, timeout=20):
        with self.changed:
            found = self.changed.wait_for(lambda: self.ended or any(text in line for line in self.lines), timeout)
            if not found or not any(text in line for line in self.lines):
                raise AssertionError("no %r from adit%s" % (text, self._story()))

    def _story(self):
        """How it ended, if it did, and what it said."""
        if not self.ended:
            return ":\n" + "\n".join(self.lines)
        try:
            status = self.process.wait(5)
        except subprocess.TimeoutExpired:
            status = "unknown, its output is closed"
        return ", which ended with status %s:\n%s" % (status, "\n".join(self.lines))

    def wait_for_port(self, port, timeout=20):
        deadline = time.monotonic() + timeout
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if self.ended or time.monotonic() > deadline:
                    raise AssertionError("adit does not listen on %d%s" % (port, self._story()))
                time.sleep(0.02)

    def count(self, text):
        """How many lines so far have the text."""
        with self.changed:
            return sum(text in line for line in self.lines)

    def stop(self, timeout=15):
        """Stops it as a service manager does and returns the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("adit did not stop within %d s:\n%s" % (timeout, "\n".join(self.lines)))
