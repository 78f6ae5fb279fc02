# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What a tunnel costs: processor time of Adit's server and device together, beside two haproxies in a row."""

import argparse
import os
import pathlib
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from bench import Bench, Skip
from cases import MEMORY, NAMES, TIMED
from programs import Failure, Folder
from report import heading, row, save

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def find_binary():
    candidates = [os.environ.get("ADIT"), ROOT / "dist/adit", ROOT / ".build/release/adit", ROOT / ".build/debug/adit"]
    binary = next((str(each) for each in candidates if each and os.access(each, os.X_OK)), None)
    if binary is None:
        sys.exit("✗ no binary; run `make release` first")
    return os.path.abspath(binary)


def is_debug(binary):
    return "/debug/" in os.path.realpath(binary)


def arguments():
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", help="cases, separated by commas: %s" % ", ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="less of everything, within a minute")
    parser.add_argument("--rounds", type=int, help="how often each case runs")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    parser.add_argument("--profile", metavar="FOLDER", help="one more round of each case under perf, reports to there")
    options = parser.parse_args()
    options.only = options.only.split(",") if options.only else NAMES
    for each in options.only:
        if each not in NAMES:
            parser.error("there is no case %s; the cases are %s" % (each, ", ".join(NAMES)))
    options.rounds = options.rounds or (2 if options.quick else 5)
    return options


def run(bench, only):
    """Figures as they come, and a pair of name and reason for what cannot run."""
    kinds = dict.fromkeys(each.relays for each in TIMED)
    for kind in kinds:
        cases = [each for each in TIMED if each.relays == kind and each.name in only]
        if not cases:
            continue
        try:
            yield from bench.timed(kind, cases)
        except (Skip, Failure) as reason:
            yield cases[0].name, str(reason)
    if MEMORY in only:
        try:
            yield from bench.memory()
        except (Skip, Failure) as reason:
            yield MEMORY, str(reason)


def main():
    options = arguments()
    os.environ["PATH"] += ":/usr/sbin"
    for each in ["haproxy", "wrk", "gcc", "openssl"] + ["perf"] * bool(options.profile):
        if shutil.which(each) is None:
            sys.exit("✗ %s is not installed" % each)
    binary = find_binary()
    if is_debug(binary):
        print("%s is a debug binary: the figures mean little; `make release` first" % binary)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
    version = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout.strip()
    haproxy = subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout.split(" ")[2]
    about = {
        "adit": version,
        "binary": binary,
        "debug": is_debug(binary),
        "haproxy": haproxy,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "rounds": options.rounds,
        "quick": options.quick,
    }
    print("adit %s beside two haproxy %s in a row · %d cores" % (version, haproxy, os.cpu_count()))
    print(heading(), flush=True)
    figures, skipped, begun = [], {}, time.monotonic()
    with tempfile.TemporaryDirectory() as path:
        folder = Folder(path)
        try:
            bench = Bench(folder, binary, options.quick, options.rounds, options.profile)
            for each in run(bench, options.only):
                if isinstance(each, tuple):
                    skipped[each[0]] = each[1]
                    print("%s: %s" % each, flush=True)
                else:
                    figures.append(each)
                    print(row(each), flush=True)
        finally:
            folder.stop_all()
    about["seconds"] = round(time.monotonic() - begun, 1)
    print("%d of %d targets met · %.0f s" % (sum(each.met is True for each in figures),
                                            sum(each.met is not None for each in figures), about["seconds"]))
    if options.json:
        save(options.json, about, figures, skipped)


if __name__ == "__main__":
    main()
