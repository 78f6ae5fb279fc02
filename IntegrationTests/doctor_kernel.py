#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""`adit doctor nat --json` in every type of the kernel lab, against `adit server` and coturn, also on a bad line.

The environment variable ADIT names the binary. Needs root and network namespaces; says SKIPPED where there are none.
Arguments choose the cases: `doctor_kernel.py sym` runs those whose site begins with `sym`.
"""

import contextlib
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from natlab import judges, system  # noqa: E402
from natlab.expectation import Expectation  # noqa: E402
from natlab.lab import Lab  # noqa: E402
from natlab.language import NAT_TYPES, TYPES  # noqa: E402
from natlab.sockets import ProofError  # noqa: E402
from program import ADIT  # noqa: E402

# They mostly wait for answers that do not come.
LABS = 4
BAD_LINE = {"delay": 20, "jitter": 5, "loss": 5}
OPTIONS = [
    "udp=full,tcp=sym", "udp=sym,tcp=full", "udp=seq,tcp=addr", "udp=blocked,tcp=port", "udp=port,tcp=web",
    "full,hairpin=1", "port-r,hairpin=1", "port,unsol=rst", "port,unsol=accept", "sym,unsol=rst",
    "full,cgn=full", "port,cgn=sym", "sym,cgn=port", "addr,cgn=full", "full,cgn=seq", "port,cgn_udp=blocked,cgn_tcp=port",
    "fw,v6=fw", "port,v6=fw", "port,v6=public", "sym,v6=fw", "sym,pool=3", "port,icmp=drop", "symblk,block=30000-30511",
]  # fmt: skip


def cases(chosen):
    """(site, server, line): every type and option against Adit's server, the types on a bad line and against coturn."""
    both = list(TYPES) + OPTIONS
    found = [(text, "adit", {}) for text in both]
    found += [(text, "adit", BAD_LINE) for text in (*TYPES, "full,cgn=sym", "port,v6=fw", "udp=full,tcp=sym")]
    found += [(text, "coturn", {}) for text in (*TYPES, "port,cgn=sym", "full,hairpin=1")]
    found += [(text, "coturn", BAD_LINE) for text in ("full", "sym", "port", "seq")]
    found += [(text, "coturn with one address", {}) for text in (*NAT_TYPES, "fw", "public", "blocked")]
    return [case for case in found if not chosen or any(case[0].startswith(each) for each in chosen)]


@contextlib.contextmanager
def server(lab, kind, home):
    if kind == "coturn":
        with judges.coturn(lab, "--no-auth"):
            yield
        return
    if kind == "coturn with one address":
        with judges.coturn(lab, "--no-auth", addresses=lab.numbers.servers[:1]):
            yield
        return
    addresses = [word for each in (*lab.numbers.servers, *lab.numbers.servers6) for word in ("--stun-address", each)]
    words = [ADIT, "server", "--listen", "0.0.0.0", "--port", "7000", "--http-port", "80", *addresses]
    environment = {**os.environ, "ADIT_HOME": home, "LC_ALL": "C.UTF-8"}
    inside = [system.tool("ip"), "netns", "exec", lab.name("s"), *words]
    with lab.service(inside, "the server runs", stderr=subprocess.STDOUT, env=environment):
        yield


def diagnose(prefix, text, kind, line):
    """The report of the doctor in host A, and how long it took."""
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        lab = stack.enter_context(Lab.up(prefix, text, routable=True, owned=True))
        stack.enter_context(server(lab, kind, home))
        if line:
            stack.enter_context(lab.wire(**line))
        servers = [lab.numbers.servers[0]]
        if "v6=" in text:
            servers.append(f"[{lab.numbers.servers6[0]}]:3478")
        words = [ADIT, "doctor", "nat", "--json", *(word for each in servers for word in ("--stun", each))]
        environment = {**os.environ, "HOME": home, "ADIT_HOME": home, "LC_ALL": "C.UTF-8"}
        begun = time.monotonic()
        inside = [system.tool("ip"), "netns", "exec", lab.name("hA"), *words]
        done = subprocess.run(
            inside, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=environment,
            preexec_fn=system.die_with_parent(),
        )  # fmt: skip
        seconds = time.monotonic() - begun
        try:
            report = json.loads(done.stdout.splitlines()[0])
        except (ValueError, IndexError):
            raise ProofError(f"status {done.returncode}: {done.stdout}{done.stderr}") from None
        return report, seconds, Expectation(lab, text, kind)


def main(chosen):
    reason = system.obstacle()
    if reason:
        print(f"SKIPPED: {reason}")
        return 0
    begun, failed, lock, tasks = time.monotonic(), [], threading.Lock(), queue.Queue()
    for case in cases(chosen):
        tasks.put(case)
    count = tasks.qsize()

    def work(number):
        while True:
            try:
                text, kind, line = tasks.get_nowait()
            except queue.Empty:
                return
            report, seconds, words = None, 0.0, ""
            try:
                report, seconds, expectation = diagnose(f"d{os.getpid()}{'abcd'[number]}", text, kind, line)
                faults, words = expectation.faults(report), expectation.words(report)
            except (ProofError, system.LabError, OSError, subprocess.TimeoutExpired) as error:
                faults = [str(error)]
            place = kind + (", bad line" if line else "")
            with lock:
                print(f"  {'✗' if faults else '✓'} {text:34s} {place:24s} {seconds:4.1f} s  {words}", flush=True)
                for fault in faults:
                    print(f"      {fault}", flush=True)
                if faults:
                    failed.append((text, place, faults, report))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(LABS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    folder = os.environ.get("ADIT_NAT_REPORTS")
    if folder and failed:
        with open(pathlib.Path(folder) / "nat-doctor.jsonl", "w", encoding="utf-8") as file:
            for text, place, faults, report in failed:
                file.write(json.dumps({"site": text, "server": place, "faults": faults, "report": report}) + "\n")
    print(f"{'FAILED ' + str(len(failed)) if failed else 'OK'} of {count} in {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
