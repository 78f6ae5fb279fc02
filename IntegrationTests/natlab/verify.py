# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Proves every type of NAT and every option with packets."""

import os
import queue
import threading
import time

from . import system
from .lab import Lab
from .language import TYPES
from .observation import KNOWN
from .proof_tcp import TCPProof
from .proof_udp import UDPProof
from .proofs import PROOFS
from .sockets import PATIENCE, ProofError
from .system import LabError

LABS = 2


def verify_all(chosen=(), out=print):
    """Proves the types, or the chosen ones and no options. 0 when all hold, 1 when one does not."""
    system.require()
    unknown = [each for each in chosen if each not in TYPES and each not in PROOFS]
    if unknown:
        raise LabError(f"{unknown[0]} is neither a type nor a proof; those are {' '.join((*TYPES, *PROOFS))}")
    tasks = queue.Queue()
    for name in chosen or (*TYPES, *PROOFS):
        tasks.put(name)
    failed, lock = [], threading.Lock()

    def work(number):
        prefix = f"p{os.getpid()}{'ab'[number]}"
        while True:
            try:
                name = tasks.get_nowait()
            except queue.Empty:
                return
            begun = time.monotonic()
            try:
                words = PROOFS[name](prefix) if name in PROOFS else prove_type(prefix, name)
                faults = []
            except (ProofError, LabError, OSError) as error:
                words, faults = "", [str(error) or type(error).__name__]
            seconds = time.monotonic() - begun
            with lock:
                out(f"  {'✗' if faults else '✓'} {name:13s} {words}{'; '.join(faults)}  {seconds:.1f} s", flush=True)
                if faults:
                    failed.append(name)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(LABS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return 1 if failed else 0


def prove_type(prefix, kind):
    """UDP and TCP against the definition, then the same with timers of one second."""
    with Lab.up(prefix, kind, owned=True) as lab:
        with UDPProof(lab) as udp, TCPProof(lab) as tcp:
            seen_udp, seen_tcp = udp.observe(), tcp.observe(KNOWN.get(kind))
        faults = [f"UDP: {each}" for each in seen_udp.faults(kind)] + [f"TCP: {each}" for each in seen_tcp.faults(kind)]
        if faults:
            raise ProofError("; ".join(faults) + f" (UDP {seen_udp}; TCP {seen_tcp})")
        words = f"UDP {seen_udp}; TCP {seen_tcp}"
        if kind in ("blocked", "web", "public"):
            return words
        lab.set("A", f"{kind},udp_to=1,tcp_to=1")
        for name, proof in (("UDP", UDPProof), ("TCP", TCPProof)):
            with proof(lab) as each:
                if not each.expires(lambda protocol, port: wait_until_forgotten(lab, protocol, port)):
                    raise ProofError(f"{name}: the mapping outlives its timer")
        return words + "; expires"


def wait_until_forgotten(lab, protocol, port):
    """Waits until the home router has neither a connection of the port nor an element of the maps."""
    router, deadline = lab.name("nA"), time.monotonic() + PATIENCE
    inside = ["ip", "netns", "exec", router]
    while True:
        entries = system.run(
            [*inside, system.tool("conntrack"), "-L", "-p", protocol, "--orig-port-src", str(port)], check=False
        )
        rules = "" if entries.strip() else system.run([*inside, system.tool("nft"), "list", "table", "ip", "natlab"])
        if not entries.strip() and "expires" not in rules:
            return
        if time.monotonic() > deadline:
            raise ProofError(f"the {protocol} mapping does not expire:\n{entries}")
        time.sleep(0.05)
