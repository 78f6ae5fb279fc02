# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A real ssh client and a real ssh server, with `adit ssh` between them."""

import contextlib
import pathlib
import re
import shutil
import subprocess
import threading

from natlab import system
from natlab.sockets import ProofError
from natlab.system import run

from .arrivals import Arrivals

PORT = 22
# A line every so often.
BEAT = 0.1
# What runs at the other end: it has a terminal, and answers each line that is typed.
ANSWERING = 'stty -echo; echo "on $(tty)"; while read -r line; do echo "got $line"; done; echo end'


def obstacle():
    """Why there can be no session, in one sentence; None when there can."""
    for program, package in (("sshd", "openssh-server"), ("ssh", "openssh-client")):
        if shutil.which(program, path=system.PATH) is None:
            return f"{program} is not installed: apt-get install {package}"
    return None


@contextlib.contextmanager
def server(lab, place, folder):
    """sshd with a key and a configuration of its own; gives the words by which ssh comes in."""
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)])
    (folder / "user.pub").rename(folder / "authorized")
    # Where sshd leaves its privileges; Debian makes it at the start of the service.
    pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    lines = [
        f"ListenAddress 127.0.0.1:{PORT}", f"HostKey {folder}/host", f"AuthorizedKeysFile {folder}/authorized", "UsePAM no",
        "StrictModes no", "PasswordAuthentication no", "PermitRootLogin prohibit-password", "PidFile none", "PrintMotd no",
        "UseDNS no",
    ]  # fmt: skip
    (folder / "configuration").write_text("\n".join(lines) + "\n")
    words = [system.tool("ip"), "netns", "exec", lab.name(place), system.tool("sshd")]
    words += ["-D", "-e", "-f", str(folder / "configuration")]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=system.die_with_parent())
    said = []
    try:
        while not said or "Server listening" not in said[-1]:
            said.append(process.stderr.readline())
            if not said[-1]:
                raise ProofError(f"sshd ended with status {process.wait()}: {''.join(said)}")
        reader = threading.Thread(target=process.stderr.read, daemon=True)
        reader.start()
        options = ["StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={folder}/known", "BatchMode=yes"]
        yield ["-F", "none", "-i", str(folder / "user"), *(word for each in options for word in ("-o", each))]
    finally:
        process.terminate()
        process.wait()
        reader.join()
        process.stderr.close()


class Session:
    """Somebody who types at a terminal, line after line, and reads the answers; for `with`."""

    def __init__(self, words, environment):
        self.process = subprocess.Popen(
            words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            preexec_fn=system.die_with_parent(),
        )  # fmt: skip
        self.arrivals, self.sent, self.greeting, self.errors = Arrivals(), 0, "", b""
        self.is_over, self.is_ready = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self.read, self.complain, self.type)]

    def __enter__(self):
        for each in self.threads:
            each.start()
        if not self.is_ready.wait(30) or self.arrivals.end:
            self.__exit__()
            raise ProofError(f"no shell: {self.arrivals.end} {self.errors.decode(errors='replace')}")
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.process.kill()
        self.process.wait()
        for each in self.threads:
            each.join()
        for each in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError):
                each.close()

    def type(self):
        self.is_ready.wait()
        with contextlib.suppress(OSError):
            while not self.is_over.wait(BEAT):
                self.process.stdin.write(b"%d\n" % self.sent)
                self.process.stdin.flush()
                self.sent += 1

    def read(self):
        for line in self.process.stdout:
            text = line.decode(errors="replace").strip()
            if not self.is_ready.is_set():
                self.greeting = text
                self.is_ready.set()
            elif text == f"got {self.arrivals.count}":
                self.arrivals.note()
            elif text == "end":
                self.arrivals.close("end")
            else:
                self.arrivals.close(f"instead of answer {self.arrivals.count}: {text!r}")
        self.arrivals.close("ssh ended")
        self.is_ready.set()

    def complain(self):
        for line in self.process.stderr:
            self.errors += line

    def go_on(self, seconds, lines=10):
        """Waits until lines that are typed from now on are answered."""
        self.arrivals.wait_for(self.sent + lines, seconds, "the session")

    def finish(self, seconds):
        """Ends the input, as Ctrl-D does; the exit status of ssh."""
        self.is_over.set()
        self.threads[2].join()
        self.process.stdin.write(b"\x04")
        self.process.stdin.flush()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise ProofError("ssh does not end") from None
        self.threads[0].join()
        if status or self.arrivals.end != "end" or self.arrivals.count != self.sent:
            raise ProofError(f"status {status}, {self.arrivals.end}, {self.arrivals.count} answers to {self.sent} lines")


def command(world, name, user, words):
    """`adit ssh` of a device."""
    line = world.inside(world.places[name], name, "ssh", f"{user}@amy", "--", *words, "-tt", ANSWERING)
    return line, {**world.environment(name), "PATH": system.PATH, "TERM": "xterm"}


def terminal(greeting):
    """The name of the terminal that the shell has."""
    found = re.search(r"/dev/pts/\d+", greeting)
    if not found:
        raise ProofError(f"the shell has no terminal: {greeting!r}")
    return found[0]
