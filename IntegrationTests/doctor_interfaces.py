#!/usr/bin/env python3
# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""`adit doctor nat` on a host with two uplinks, and while addresses change, in the kernel lab.

The host's second interface leads through the router of the other site, which is of another type; no rule routes by source,
and the doctor has no rights at all. The environment variable ADIT names the binary. Needs root and network namespaces; says
SKIPPED where there are none.
"""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from natlab import system  # noqa: E402
from natlab.lab import Lab  # noqa: E402
from natlab.sockets import ProofError  # noqa: E402
from program import ADIT  # noqa: E402

CLASSIC = {"full": "full-cone", "port": "port-restricted-cone", "sym": "symmetric"}


def demand(condition, words):
    if not condition:
        raise ProofError(words)


@contextlib.contextmanager
def scene(a, b=""):
    with contextlib.ExitStack() as stack:
        home = stack.enter_context(tempfile.TemporaryDirectory())
        lab = stack.enter_context(Lab.up(f"i{os.getpid()}", a, b, routable=True, owned=True))
        words = [ADIT, "server", "--listen", "0.0.0.0", "--port", "7000", "--http-port", "80"]
        words += [word for each in lab.numbers.servers for word in ("--stun-address", each)]
        environment = {**os.environ, "ADIT_HOME": home, "LC_ALL": "C.UTF-8"}
        inside = [system.tool("ip"), "netns", "exec", lab.name("s"), *words]
        stack.enter_context(lab.service(inside, "the server runs", stderr=subprocess.STDOUT, env=environment))
        lab.home = home
        yield lab


def start(lab, *arguments):
    """The doctor in host A, without any capability."""
    words = [ADIT, "doctor", "nat", "--json", "--stun", lab.numbers.servers[0], *arguments]
    if shutil.which("setpriv"):
        words = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *words]
    environment = {**os.environ, "HOME": lab.home, "ADIT_HOME": lab.home, "LC_ALL": "C.UTF-8"}
    return subprocess.Popen(
        [system.tool("ip"), "netns", "exec", lab.name("hA"), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=system.die_with_parent(),
    )  # fmt: skip


def finish(process, seconds=20):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise ProofError(f"the doctor hangs: no end in {seconds} s") from None
    try:
        return json.loads(out.splitlines()[0])
    except (ValueError, IndexError):
        raise ProofError(f"status {process.returncode}: {out}{err}") from None


def ip(lab, host, *commands):
    system.run(["ip", "-n", lab.name(host), "-batch", "-"], "".join(each + "\n" for each in commands))


def second_uplink(lab):
    """Host A's second interface, in the LAN of site B, with a default route that the first one outranks."""
    near, far = lab.name("hA"), lab.name("nB")
    system.run(["ip", "link", "add", "eth1", "netns", near, "type", "veth", "peer", "name", "p9", "netns", far])
    ip(lab, "nB", "link set dev p9 up master lan")
    address, router = lab.numbers.lan("B", 9), lab.numbers.lan("B", 1)
    ip(
        lab, "hA", "link set dev eth1 up", f"addr add {address}/24 dev eth1",
        f"route add default via {router} dev eth1 metric 200",
    )  # fmt: skip


def two_uplinks(a, b):
    with scene(a, b) as lab:
        second_uplink(lab)
        public = {"eth0": lab.wan_address("nA"), "eth1": lab.wan_address("nB")}
        runs = [([], "eth0", a), (["--interface", "eth1"], "eth1", b), (["--interface", "eth0"], "eth0", a)]
        for arguments, name, kind in runs:
            report = finish(start(lab, *arguments))
            shown = f"{a} and {b}, {' '.join(arguments) or 'no flag'}"
            for protocol in ("udp", "tcp"):
                found = report[protocol]
                demand(found["classic"] == CLASSIC[kind], f"{shown}: {protocol} {found['classic']}, not {CLASSIC[kind]}")
                demand(found["public"] == [public[name]], f"{shown}: {protocol} seen as {found['public']}")
            demand(report["nats"] == 1, f"{shown}: {report['nats']} NATs")
            demand(report["hops"][0]["address"] == lab.numbers.lan("AB"[int(name[-1])], 1), f"{shown}: {report['hops']}")
            demand(not report["changed"], f"{shown}: changed")
            seen = {each["name"]: each for each in report["interfaces"]}
            if arguments:
                demand(set(seen) == {name}, f"{shown}: interfaces {sorted(seen)}")
            else:
                demand(set(seen) == {"eth0", "eth1"}, f"{shown}: interfaces {sorted(seen)}")
                standings = [(seen[each]["standing"], seen[each]["external"]) for each in sorted(seen)]
                wanted = [("main", public["eth0"]), ("reachable", public["eth1"])]
                demand(standings == wanted, f"{shown}: {standings}")
    return "each uplink is named right, and told apart without routing by source"


def router_moves():
    """The router gets another public address at some moment of a run."""
    told, count = 0, 0
    for moment in (0.2, 0.5, 0.9, 1.4):
        with scene("port") as lab, lab.wire(delay=60):
            before = lab.wan_address("nA")
            process = start(lab)
            time.sleep(moment)
            after = lab.renumber("A")
            is_running = process.poll() is None
            report = finish(process)
            seen = set(report["udp"]["public"]) | set(report["tcp"]["public"])
            demand(seen <= {before, after}, f"after {moment} s: seen as {seen}")
            if not is_running:
                continue
            count += 1
            told += report["changed"]
            if after in seen and before in seen:
                demand(report["changed"], f"after {moment} s: two addresses, and no word of a change")
            if not report["changed"]:
                demand(len(seen) == 1, f"after {moment} s: seen as {seen}")
    demand(told > 0, f"no run of {count} says that the address changed")
    return f"{told} of {count} runs say so, the others saw one address; all end"


def host_moves():
    """This computer gets another address: the watch of the network tells at once, and everything is measured again."""
    for arguments in ([], ["--interface", "eth0"]):
        with scene("full") as lab, lab.wire(delay=60):
            process = start(lab, *arguments)
            time.sleep(0.6)
            router = lab.numbers.lan("A", 1)
            ip(
                lab, "hA", f"addr del {lab.numbers.lan('A', 2)}/24 dev eth0", f"addr add {lab.numbers.lan('A', 77)}/24 dev eth0",
                f"route replace default via {router} dev eth0 src {lab.numbers.lan('A', 77)}",
            )  # fmt: skip
            demand(process.poll() is None, "the run was over before the change")
            report = finish(process)
            demand(report["changed"], f"no word of the change: {report['udp']}")
            local = report["udp"]["local"] or ""
            demand(local.startswith(lab.numbers.lan("A", 77)), f"measured from {local}")
            demand(report["udp"]["classic"] == "full-cone", f"{report['udp']['classic']}, not full-cone")
    return "told, measured again from the new address, named right"


def link_goes():
    """The only interface goes down in the middle of a run."""
    with scene("full") as lab, lab.wire(delay=60):
        process = start(lab)
        time.sleep(0.6)
        ip(lab, "hA", "link set dev eth0 down")
        demand(process.poll() is None, "the run was over before the change")
        report = finish(process)
        demand(report["changed"] and report["access"] == "none", f"changed {report['changed']}, {report['access']}")
    return "told, and there is no internet"


PROOFS = [
    ("two uplinks: full and sym", lambda: two_uplinks("full", "sym")),
    ("two uplinks: sym and port", lambda: two_uplinks("sym", "port")),
    ("the router gets another address", router_moves),
    ("this computer gets another address", host_moves),
    ("the link goes down", link_goes),
]


def main():
    reason = system.obstacle()
    if reason:
        print(f"SKIPPED: {reason}")
        return 0
    failed = 0
    for name, proof in PROOFS:
        begun = time.monotonic()
        try:
            sign, words = "✓", proof()
        except (ProofError, system.LabError, OSError) as error:
            sign, words, failed = "✗", str(error), failed + 1
        print(f"  {sign} {name:36s} {time.monotonic() - begun:5.1f} s  {words}", flush=True)
    print(f"FAILED {failed}" if failed else "OK")
    return 1 if failed else 0


sys.exit(main())
