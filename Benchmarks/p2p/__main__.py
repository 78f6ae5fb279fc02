# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""How long two devices take to a relayed and to a direct path: in virtual time, and in the kernel's NAT lab with `adit server`
and `adit ping`; how long the first byte of a service takes; and what streams between them cost."""

import argparse
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import first_byte  # noqa: E402
import kernel  # noqa: E402
import streams  # noqa: E402
import virtual  # noqa: E402
import ways  # noqa: E402


def binary():
    candidates = [os.environ.get("ADIT"), kernel.ROOT / "dist/adit", kernel.ROOT / ".build/release/adit"]
    found = next((str(each) for each in candidates if each and os.access(each, os.X_OK)), None)
    return os.path.abspath(found) if found else sys.exit("✗ no binary; run `make release` first")


def first_bytes(rounds, wanted):
    print(first_byte.heading())
    return first_byte.measure(binary(), rounds, wanted.delay, lambda figure: print(first_byte.row(figure), flush=True))


def cross_ways(wanted):
    print(ways.heading())
    return ways.measure(binary(), wanted.quick, lambda figure: print(ways.row(figure), flush=True))


def finish(figures, wanted):
    if wanted.json:
        pathlib.Path(wanted.json).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 1 if any(each.get("isMet") is False for each in figures) else 0


def main():
    words = argparse.ArgumentParser(description=__doc__, prog="Benchmarks/p2p")
    words.add_argument("--rounds", type=int, default=9, help="how often each pair is tried (9)")
    words.add_argument("--quick", action="store_true", help="three rounds")
    words.add_argument("--delay", type=float, default=20, help="milliseconds one way through the internet (20)")
    words.add_argument("--json", metavar="FILE", help="the figures as JSON too")
    words.add_argument("--virtual", action="store_true", help="in virtual time alone, which needs no root")
    words.add_argument("--streams", action="store_true", help="what streams cost alone")
    words.add_argument("--ways", action="store_true", help="what a GB costs on each way alone")
    words.add_argument("--first-byte", action="store_true", help="how long a service's first byte takes alone")
    wanted = words.parse_args()
    rounds = 3 if wanted.quick else wanted.rounds
    if wanted.streams or wanted.ways or wanted.first_byte:
        if (wanted.ways or wanted.first_byte) and kernel.obstacle():
            print(f"SKIPPED: {kernel.obstacle()}")
            return 0
        figures = streams.measure(binary(), wanted.quick) if wanted.streams else []
        figures += cross_ways(wanted) if wanted.ways else []
        figures += first_bytes(rounds, wanted) if wanted.first_byte else []
        return finish(figures, wanted)
    print(virtual.heading())
    played = virtual.measure(binary(), rounds)
    for figure in played:
        print(virtual.row(figure))
    reason = "not asked for" if wanted.virtual else kernel.obstacle()
    if reason:
        print(f"SKIPPED in the kernel: {reason}")
        return finish(played, wanted)
    print(kernel.heading())
    figures = kernel.measure(binary(), rounds, wanted.delay, lambda figure: print(kernel.row(figure), flush=True))
    print(f"a round trip is {figures[0]['roundTripMs']:.1f} ms; medians of {rounds} rounds")
    figures += first_bytes(rounds, wanted)
    carried = streams.measure(binary(), wanted.quick)
    return finish(played + figures + carried + cross_ways(wanted), wanted)


sys.exit(main())
