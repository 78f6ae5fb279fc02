# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""How long two devices take to a relayed and to a direct path: in virtual time, and in the kernel's NAT lab with `adit server`
and `adit ping`."""

import argparse
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import kernel  # noqa: E402
import virtual  # noqa: E402


def binary():
    candidates = [os.environ.get("ADIT"), kernel.ROOT / "dist/adit", kernel.ROOT / ".build/release/adit"]
    found = next((str(each) for each in candidates if each and os.access(each, os.X_OK)), None)
    return os.path.abspath(found) if found else sys.exit("✗ no binary; run `make release` first")


def main():
    words = argparse.ArgumentParser(description=__doc__, prog="Benchmarks/p2p")
    words.add_argument("--rounds", type=int, default=9, help="how often each pair is tried (9)")
    words.add_argument("--quick", action="store_true", help="three rounds")
    words.add_argument("--delay", type=float, default=20, help="milliseconds one way through the internet (20)")
    words.add_argument("--json", metavar="FILE", help="the figures as JSON too")
    words.add_argument("--virtual", action="store_true", help="in virtual time alone, which needs no root")
    wanted = words.parse_args()
    rounds = 3 if wanted.quick else wanted.rounds
    print(virtual.heading())
    played = virtual.measure(binary(), rounds)
    for figure in played:
        print(virtual.row(figure))
    reason = "not asked for" if wanted.virtual else kernel.obstacle()
    if reason:
        print(f"SKIPPED in the kernel: {reason}")
        if wanted.json:
            pathlib.Path(wanted.json).write_text(json.dumps(played, indent=1) + "\n", encoding="utf-8")
        return 1 if any(each["isMet"] is False for each in played) else 0
    print(kernel.heading())
    figures = kernel.measure(binary(), rounds, wanted.delay, lambda figure: print(kernel.row(figure), flush=True))
    print(f"a round trip is {figures[0]['roundTripMs']:.1f} ms; medians of {rounds} rounds")
    if wanted.json:
        pathlib.Path(wanted.json).write_text(json.dumps(played + figures, indent=1) + "\n", encoding="utf-8")
    return 1 if any(each["isMet"] is False for each in played + figures) else 0


sys.exit(main())
