#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""`adit ping` between two devices behind the NATs of the kernel lab, with `adit server` and `adit up`, against theory.

Without arguments a sample of the scenes; `--matrix` the sixteen pairs over UDP and TCP, `--all` everything, and words choose
scenes by their names (`path_kernel.py --all carrier`). `--json` prints an object for each scene and nothing else.
The environment variable ADIT names the binary. Needs root and network namespaces; says SKIPPED where there are none.
"""

import argparse
import os
import pathlib
import queue
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from natlab import system  # noqa: E402
from natlab.sockets import ProofError  # noqa: E402
from pathlab import outcome, scenes, table  # noqa: E402
from pathlab.world import World  # noqa: E402
from program import ADIT  # noqa: E402


def options():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("names", nargs="*", metavar="WORD", help="scenes whose name has each of these words")
    words.add_argument("--matrix", action="store_true", help="the sixteen pairs of the classic types, UDP and TCP")
    words.add_argument("--all", action="store_true", help="every scene")
    words.add_argument("--udp", action="store_true", help="of the matrix UDP alone")
    words.add_argument("--tcp", action="store_true", help="of the matrix TCP alone")
    words.add_argument("--json", action="store_true", help="one object a line")
    words.add_argument("--labs", type=int, default=4, help="so many at once (4): they mostly wait")
    words.add_argument("--delay", type=float, default=20, help="milliseconds one way through the internet (20)")
    words.add_argument("--steps", action="store_true", help="every step of what fails")
    return words.parse_args()


def chosen(wanted):
    if wanted.matrix:
        groups = {"udp", "tcp"} if wanted.udp == wanted.tcp else {"udp" if wanted.udp else "tcp"}
        found = [scene for scene in scenes.classic() if scene.group in groups]
    else:
        found = [scene for scene in scenes.everything() if scene.is_sample or wanted.all or wanted.names]
    return [scene for scene in found if all(word in str(scene) for word in wanted.names)]


class Run:
    """The scenes, shared out to several labs."""

    def __init__(self, wanted, tasks):
        self.wanted, self.lock, self.failed, self.tasks = wanted, threading.Lock(), 0, queue.Queue()
        self.found = []
        # Those that one lab can play after another come together, first the few that need one of their own.
        for scene in sorted(tasks, key=lambda each: ([not unlike for unlike in each.topology], each.within)):
            self.tasks.put(scene)
        self.count = self.tasks.qsize()

    def work(self, number):
        world = None
        try:
            while True:
                try:
                    scene = self.tasks.get_nowait()
                except queue.Empty:
                    return
                begun = time.monotonic()
                try:
                    if world is None or world.scene.topology != scene.topology:
                        if world:
                            world.close()
                        world = None
                        world = World(f"y{os.getpid()}{'abcdefgh'[number]}", scene, self.wanted.delay).__enter__()
                    found = self.play(world, scene)
                except (ProofError, system.LabError, OSError, subprocess.TimeoutExpired, ValueError) as error:
                    found = outcome.Outcome(scene, faults=[f"{type(error).__name__}: {error}"])
                self.tell(found, time.monotonic() - begun)
        finally:
            if world:
                world.close()

    def play(self, world, scene):
        for _ in range(scene.tries):
            world.set(scene)
            with world.services(scene):
                found = outcome.look(world, scene)
            if not found.faults:
                break
        return found

    def tell(self, found, seconds):
        with self.lock:
            self.failed += bool(found.faults)
            self.found.append(found)
            if self.wanted.json:
                print(found.line(), flush=True)
                return
            print(f"  {'✗' if found.faults else '✓'} {str(found.scene):62s} {seconds:5.1f} s  {found}", flush=True)
            print(f"      {found.reason}", flush=True)
            for fault in found.faults:
                print(f"      ✗ {fault}", flush=True)
            if found.faults and self.wanted.steps:
                for step in found.steps:
                    print(f"        {step}", flush=True)


def main():
    reason = system.obstacle()
    if reason:
        print(f"SKIPPED: {reason}")
        return 0
    if not ADIT:
        print("the environment variable ADIT has to name the binary")
        return 1
    wanted = options()
    run, begun = Run(wanted, chosen(wanted)), time.monotonic()
    count = max(1, min(wanted.labs, 8, run.count))
    threads = [threading.Thread(target=run.work, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    if wanted.matrix and not wanted.json:
        print("\n".join(table.lines(run.found)))
    if not wanted.json:
        verdict = f"FAILED {run.failed}" if run.failed else "OK"
        print(f"{verdict} of {run.count} in {time.monotonic() - begun:.0f} s")
    return 1 if run.failed or not run.count else 0


sys.exit(main())
