#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Private services between devices at three sites behind different NATs of the kernel lab, while the paths below them change.

Without arguments a sample of the scenes, `--all` everything, and words choose scenes by their names (`service_kernel.py reboot`).
The environment variable ADIT names the binary. Needs root and network namespaces; says SKIPPED where there are none.
"""

import argparse
import contextlib
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
from pathlab.world import World  # noqa: E402
from program import ADIT  # noqa: E402
from servicelab import scenes  # noqa: E402


def options():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("names", nargs="*", metavar="WORD", help="scenes whose name has each of these words")
    words.add_argument("--all", action="store_true", help="every scene")
    words.add_argument("--labs", type=int, default=4, help="so many at once (4): they mostly wait")
    words.add_argument("--delay", type=float, default=10, help="milliseconds one way through the internet (10)")
    return words.parse_args()


class Run:
    """The scenes, shared out to several labs."""

    def __init__(self, wanted, tasks):
        self.wanted, self.lock, self.failed, self.tasks = wanted, threading.Lock(), 0, queue.Queue()
        # Those that one lab can play after another come together.
        for scene in sorted(tasks, key=lambda each: each.topology):
            self.tasks.put(scene)
        self.count = self.tasks.qsize()

    def work(self, number):
        world = None
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    scene = self.tasks.get_nowait()
                except queue.Empty:
                    return
                begun, fault, said = time.monotonic(), None, []
                try:
                    if world is None or world.scene.topology != scene.topology or world.delay != self.delay(scene):
                        world = None
                        stack.close()
                        prefix = f"v{os.getpid()}{'abcdefgh'[number]}"
                        world = stack.enter_context(World(prefix, scene, self.delay(scene)))
                    world.set(scene)
                    said = scene.play(world)
                except (ProofError, system.LabError, OSError, subprocess.SubprocessError, ValueError) as error:
                    fault = f"{type(error).__name__}: {error}"
                    # What the fault left behind is nobody's measure.
                    world = None
                    stack.close()
                self.tell(scene, said, fault, time.monotonic() - begun)

    def delay(self, scene):
        """What is measured alone is not slowed down by the program that delays packets."""
        return 0 if scene.is_alone else self.wanted.delay

    def tell(self, scene, said, fault, seconds):
        with self.lock:
            self.failed += bool(fault)
            print(f"  {'✗' if fault else '✓'} {scene.name:48s} {seconds:6.1f} s", flush=True)
            for line in said:
                print(f"      {line}", flush=True)
            if fault:
                print(f"      ✗ {fault}", flush=True)


def play(wanted, tasks, labs):
    run = Run(wanted, tasks)
    threads = [threading.Thread(target=run.work, args=(number,)) for number in range(max(1, min(labs, 8, run.count)))]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return run.failed


def main():
    reason = system.obstacle()
    if reason:
        print(f"SKIPPED: {reason}")
        return 0
    if not ADIT:
        print("the environment variable ADIT has to name the binary")
        return 1
    wanted, begun = options(), time.monotonic()
    found = [scene for scene in scenes.everything() if scene.is_sample or wanted.all or wanted.names]
    found = [scene for scene in found if all(word in scene.name for word in wanted.names)]
    failed = sum(
        play(wanted, [scene for scene in found if scene.is_alone == is_alone], 1 if is_alone else wanted.labs)
        for is_alone in (True, False)
    )
    print(f"{f'FAILED {failed}' if failed else 'OK'} of {len(found)} in {time.monotonic() - begun:.0f} s")
    return 1 if failed or not found else 0


if __name__ == "__main__":
    sys.exit(main())
