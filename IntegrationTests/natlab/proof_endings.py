# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Nothing stays behind, however a lab ends; and mistakes are told in one sentence."""

import json
import os
import signal
import subprocess
import sys
import time

from . import state as states
from .lab import PACKAGE, Lab
from .language import parse
from .proof_options import demand
from .system import LabError, run

OWNER = """
import sys, time
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
from natlab.lab import Lab
lab = Lab.up(sys.argv[2], "port", owned=True)
wire = lab.wire(delay=1)
wire.__enter__()
sleeper = lab.start("hA", ["sleep", "600"])
print(lab.guard.pid, wire.gen.gi_frame.f_locals["process"].pid, sleeper.pid, flush=True)
time.sleep(600)
"""


def vanish(prefix, processes):
    """Waits until neither namespaces, processes nor the file of a lab are there."""
    deadline = time.monotonic() + 10
    while True:
        alive = [each for each in processes if states.start_time(each)]
        left = states.namespaces(prefix)
        if not alive and not left and not states.State(prefix).path.exists():
            return
        demand(time.monotonic() < deadline, f"left behind: {left} and the processes {alive}")
        time.sleep(0.05)


def owner(prefix):
    """A process that has a lab, a wire and a program in it; and the ids of guard, wire and program."""
    words = [sys.executable, "-c", OWNER, os.path.dirname(PACKAGE), prefix]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    if not line:
        process.wait(30)
        raise LabError("the lab of another process does not come up")
    return process, [int(each) for each in line.split()]


def killed(prefix):
    """A killed owner takes everything along."""
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process, children = owner(prefix)
        with process.stdout:
            demand(states.namespaces(prefix) and all(map(states.start_time, children)), "nothing is up")
            process.send_signal(number)
            process.wait(30)
        vanish(prefix, children)
    return "SIGKILL, SIGTERM, SIGINT: namespaces, TUN, processes and files are gone"


def leftovers(prefix):
    """Owner and guard killed at once: the next lab of whatever name cleans up; one that lives is left alone."""
    process, children = owner(prefix)
    with process.stdout:
        os.kill(children[0], signal.SIGKILL)
        process.kill()
        process.wait(30)
    demand(states.namespaces(prefix), "there is nothing to find")
    with Lab.up(prefix + "x", owned=True):
        vanish(prefix, children)
        with Lab.up(prefix, owned=True) as lab:
            demand(states.namespaces(prefix + "x"), "a living lab was removed")
            process = subprocess.Popen(
                [sys.executable, PACKAGE, "--prefix", prefix, "exec", "hA", "sh", "-c", "exit 7"]
            )
            demand(process.wait() == 7, "exec does not pass the exit status on")
            shown = subprocess.run(
                [sys.executable, PACKAGE, "--prefix", prefix, "show", "--json"], stdout=subprocess.PIPE
            )
            demand(json.loads(shown.stdout)["prefix"] == lab.prefix, "show --json does not name the lab")
    vanish(prefix, [])
    vanish(prefix + "x", [])
    return "found and removed by the next lab, which leaves living ones alone"


def mistakes(prefix):
    """Wrong words, a second lab of the name, a lab that is not up."""
    for text in (
        "cone",
        "nat=cone",
        "udp_to=0",
        "pool=99",
        "block=9-1",
        "unsol=maybe",
        "colour=red",
        "pinhole=1",
        "cgn=fw",
    ):
        try:
            parse(text)
        except LabError as error:
            demand("\n" not in str(error) and text.split("=")[0] in str(error), f"{text}: {error}")
        else:
            demand(False, f"{text} is taken")
    commands = {
        "set A port": "is not up",
        "exec hA true": "is not up",
        "--prefix A.B down": "name",
        "rules A cone": "cone",
    }
    for text, sign in commands.items():
        words = text.split()
        done = subprocess.run([sys.executable, PACKAGE, "--prefix", prefix, *words], stderr=subprocess.PIPE, text=True)
        lines = done.stderr.splitlines()
        demand(done.returncode == 1 and len(lines) == 1 and sign in lines[0], f"{words}: {done.stderr}")
    with Lab.up(prefix, owned=True):
        try:
            Lab.up(prefix)
        except LabError as error:
            demand("is up" in str(error), str(error))
        else:
            demand(False, "two labs have one name")
        demand(states.namespaces(prefix), "the first lab is gone")
    demand(not run(["ip", "netns", "list"], check=False).count(prefix + "-"), "namespaces are left")
    return "one sentence each"
