# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What the lab needs of the system: its tools, its namespaces, and children that never outlive it."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"
# The Debian package of each program the lab calls.
TOOLS = {"ip": "iproute2", "nft": "nftables", "conntrack": "conntrack"}
PACKAGES = {**TOOLS, "turnserver": "coturn", "turnutils_natdiscovery": "coturn", "stun": "stun-client"}


class LabError(Exception):
    """What is wrong, in one sentence."""


def tool(name):
    """The path of a program; the folders of administrators are searched too."""
    path = shutil.which(name, path=PATH)
    if path is None:
        raise LabError(f"{name} is not installed: apt-get install {PACKAGES.get(name, name)}")
    return path


def obstacle():
    """Why the lab cannot run here, in one sentence; None when it can."""
    if os.geteuid() != 0:
        return "the kernel lab needs root: run it with sudo"
    for name, package in TOOLS.items():
        if shutil.which(name, path=PATH) is None:
            return f"{name} is not installed: apt-get install {package}"
    attempt = subprocess.run([tool("ip"), "netns", "list"], capture_output=True, text=True)
    if attempt.returncode:
        return f"ip netns does not work here: {attempt.stderr.strip()}"
    # `unshare` in a child of its own: this process has to stay where it is. A null ruleset shows that NAT is there.
    program = (
        "import ctypes, os, subprocess, sys\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "if libc.unshare(0x40000000): sys.exit('network namespaces are forbidden here: ' + os.strerror(ctypes.get_errno()))\n"
        "rules = 'table ip t { chain c { type nat hook postrouting priority srcnat; snat ip to 192.0.2.1 fully-random; }\\n}'\n"
        "done = subprocess.run([sys.argv[1], '-f', '-'], input=rules, text=True, capture_output=True)\n"
        "if done.returncode: sys.exit('this kernel has no NAT for nftables: ' + done.stderr.strip().split(chr(10))[0])\n"
    )
    attempt = subprocess.run([sys.executable, "-c", program, tool("nft")], capture_output=True, text=True)
    return attempt.stderr.strip().split("\n")[-1] if attempt.returncode else None


def require():
    """LabError when the lab cannot run here."""
    reason = obstacle()
    if reason:
        raise LabError(reason)


def run(arguments, text=None, check=True):
    """Runs a program and returns its standard output; LabError when it fails."""
    done = subprocess.run([tool(arguments[0]), *arguments[1:]], input=text, capture_output=True, text=True)
    if check and done.returncode:
        shown = " ".join(arguments)
        raise LabError(f"`{shown}` failed with status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def die_with_parent():
    """What a child runs between fork and exec: SIGKILL comes as soon as the thread that started it is gone."""
    parent = os.getpid()

    def bind():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    return bind


def start(namespace, arguments, **options):
    """Starts a program in a namespace; it dies with the thread that calls this."""
    words = [tool("ip"), "netns", "exec", namespace, *arguments]
    environment = {**os.environ, "PATH": PATH}
    return subprocess.Popen(words, preexec_fn=die_with_parent(), env=environment, **options)


class Inside:
    """`with Inside(name):` this thread is in that namespace; sockets made there belong to it for good."""

    def __init__(self, namespace):
        self.namespace = namespace

    def __enter__(self):
        self.before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            self.enter(os.open(f"/run/netns/{self.namespace}", os.O_RDONLY))
        except OSError:
            os.close(self.before)
            raise LabError(f"there is no namespace {self.namespace}") from None
        return self

    def __exit__(self, *_):
        self.enter(self.before)

    @staticmethod
    def enter(descriptor):
        result = LIBC.setns(descriptor, CLONE_NEWNET)
        error = ctypes.get_errno()
        os.close(descriptor)
        if result:
            raise OSError(error, os.strerror(error))


def write_settings(namespace, settings):
    """Writes kernel settings (sysctl) of a namespace; those the kernel does not have are left out."""
    with Inside(namespace):
        for name, value in settings.items():
            path = "/proc/sys/net/" + name
            if os.path.exists(path):
                with open(path, "w", encoding="ascii") as file:
                    file.write(str(value))
