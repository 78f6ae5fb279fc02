# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""What other people's tools say of each type: `stun` and `turnutils_natdiscovery`, against coturn on the server."""

import contextlib
import os
import socket
import subprocess
import threading
import time

from . import system
from .lab import Lab
from .language import TYPES, parse
from .observation import KNOWN
from .sockets import PATIENCE, ProofError, Sockets, is_ready

# Both tools wait for answers that never come: several labs keep the computer busy meanwhile.
LABS = 4
MAPPINGS = {"EIM": "Endpoint Independent", "ADM": "Address Dependent", "APDM": "Address and Port Dependent"}
FILTERINGS = {"EIF": "Endpoint Independent", "ADF": "Address Dependent", "APDF": "Address and Port Dependent"}
# In the words of stun-client.
STUN_FILTERS = {"EIF": "Independent Filter", "ADF": "Address Dependent Filter", "APDF": "Port Dependent Filter"}
BINDING_REQUEST = bytes.fromhex("000100002112a442") + bytes(12)


def stun_words(text):
    """What `stun` has to say of a site."""
    kind, hairpin = parse(text).home.udp, parse(text).home.hairpin
    if kind in ("blocked", "web"):
        return "Blocked or could not reach STUN server"
    if kind in ("fw", "public"):
        return {"fw": "Firewall", "public": "Open"}[kind]
    behavior = KNOWN[kind]
    ports = "preserves ports" if behavior.ports == "kept" else "random port"
    end = "will hairpin" if hairpin else "no hairpin"
    if behavior.mapping != "EIM":
        return f"Dependent Mapping, {ports}, {end}"
    return f"Independent Mapping, {STUN_FILTERS[behavior.filtering]}, {ports}, {end}"


def natdiscovery_words(text):
    """What `turnutils_natdiscovery` has to say of it, line by line."""
    kind = parse(text).home.udp
    if kind in ("blocked", "web"):
        return []
    behavior = KNOWN[kind]
    return [f"NAT with {MAPPINGS[behavior.mapping]} Mapping!", f"NAT with {FILTERINGS[behavior.filtering]} Filtering!"]


@contextlib.contextmanager
def coturn(lab, *arguments, addresses=None):
    """coturn on both addresses of the server, as RFC 5780 wants it, or on those given."""
    addresses = addresses or lab.numbers.servers
    listeners = [word for address in addresses for word in ("-L", address)]
    words = [
        "turnserver",
        "-n",
        "-S",
        "--no-tls",
        "--no-dtls",
        "--no-cli",
        "--log-file",
        "stdout",
        *listeners,
        *arguments,
    ]
    process = lab.start("s", words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with Sockets(lab) as sockets:
            client = sockets.udp("s", lab.numbers.servers[0])
            deadline = time.monotonic() + PATIENCE
            for address in addresses:
                while True:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise ProofError("coturn does not answer")
                    client.sendto(BINDING_REQUEST, (address, 3478))
                    if is_ready(client, 0.1):
                        client.recvfrom(2048)
                        break
        yield process
    finally:
        process.terminate()
        process.wait()


def judge(lab, site, text):
    """What is wrong with the tools' words about a site; they have to be running against coturn."""
    server = lab.numbers.servers[0]
    commands = (["stun", server], ["turnutils_natdiscovery", "-m", "-f", server])
    running = [
        lab.start(f"h{site}", words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for words in commands
    ]
    said = []
    for each in running:
        try:
            said.append(each.communicate(timeout=30)[0])
        except subprocess.TimeoutExpired:
            each.kill()
            said.append(each.communicate()[0])
    primary = [line.strip().removeprefix("Primary: ") for line in said[0].splitlines() if line.startswith("Primary: ")]
    lines = [line.strip() for line in said[1].splitlines() if line.startswith("NAT with")]
    faults = []
    if primary != [stun_words(text)]:
        faults.append(f"stun says {primary}, not {stun_words(text)!r}")
    if lines != natdiscovery_words(text):
        faults.append(f"natdiscovery says {lines}, not {natdiscovery_words(text)}")
    return faults


def judge_all(out=print):
    """Asks the tools about every type. 0 when they agree, 1 when not."""
    system.require()
    for name in ("turnserver", "stun", "turnutils_natdiscovery"):
        system.tool(name)
    pending = [*TYPES, "full,hairpin=1", "port-r,hairpin=1", "sym,unsol=rst", "port,unsol=accept"]
    failed, lock = [], threading.Lock()

    def tell(text, faults):
        with lock:
            out(f"  {'✗' if faults else '✓'} {text:17s} {'; '.join(faults) or stun_words(text)}", flush=True)
            failed.extend(faults)

    def work(number):
        prefix = f"j{os.getpid()}{'abcd'[number]}"
        try:
            with Lab.up(prefix, owned=True) as lab, coturn(lab, "--no-auth"):
                while True:
                    with lock:
                        texts = [pending.pop(0) for _ in range(min(2, len(pending)))]
                    if not texts:
                        return
                    # Both sites at once: each has a router of its own.
                    for site, text in zip("AB", texts):
                        lab.set(site, text)
                    faults = {}
                    side = threading.Thread(target=lambda: faults.update(B=judge(lab, "B", texts[1])))
                    if len(texts) > 1:
                        side.start()
                    tell(texts[0], judge(lab, "A", texts[0]))
                    if len(texts) > 1:
                        side.join()
                        tell(texts[1], faults.get("B", ["the judge failed"]))
        except (system.LabError, ProofError, OSError, socket.error) as error:
            tell(prefix, [str(error)])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(LABS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return 1 if failed else 0
