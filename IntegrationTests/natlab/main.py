# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The commands of `python3 IntegrationTests/natlab`."""

import argparse
import json
import os
import signal
import sys
import time

from . import language, system, upnp
from . import state as states
from .addresses import SITES, Numbers
from .lab import Lab
from .removal import remove
from .rules import Ruleset, firewall6
from .system import LabError, run


def parser():
    top = argparse.ArgumentParser(
        prog=os.environ.get("NATLAB_PROGRAM", "natlab"),
        description="NATs of every type in network namespaces of this computer.",
        epilog=language.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--prefix", default="lab", help="names this lab and its namespaces (lab)")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="build a lab of two sites, or of three")
    up.add_argument("--a", default="", metavar="SITE", help="site A, in the words below")
    up.add_argument("--b", default="", metavar="SITE", help="site B")
    up.add_argument("--c", metavar="SITE", help="a third site, which is not there otherwise")
    up.add_argument("--shared-cgn", action="store_true", help="both sites behind the carrier NAT of A")
    up.add_argument("--same-lan", action="store_true", help="both sites use 192.168.1.0/24")
    up.add_argument("--routable", action="store_true", help="public-looking numbers instead of documentation prefixes")
    change = commands.add_parser("set", help="change a site in place")
    change.add_argument("site", choices=SITES)
    change.add_argument("text", metavar="SITE")
    rules = commands.add_parser("rules", help="print the ruleset of a site's home router, or the one that SITE yields")
    rules.add_argument("site", choices=SITES)
    rules.add_argument("text", nargs="?", metavar="SITE")
    inside = commands.add_parser("exec", help="run a command in hA hA2 nA hB hB2 nB cA cB s core, or hC hC2 nC cC")
    inside.add_argument("namespace")
    inside.add_argument("arguments", nargs=argparse.REMAINDER, metavar="COMMAND …")
    wire = commands.add_parser("wire", help="delay, jitter and loss for all that crosses core, until it is stopped")
    wire.add_argument("--delay", type=float, default=20, help="milliseconds one way (20)")
    wire.add_argument("--jitter", type=float, default=0, help="further milliseconds at random (0)")
    wire.add_argument("--loss", type=float, default=0, help="per cent one way (0)")
    wire.add_argument("--seed", type=int, help="makes loss and jitter repeat")
    for name, text in (
        ("upnp", "miniupnpd on the home router, until it is stopped"),
        ("renumber", "give it another address"),
    ):
        commands.add_parser(name, help=text).add_argument("site", choices=SITES)
    commands.add_parser("flush", help="forget all mappings and connections")
    commands.add_parser("show", help="what is up").add_argument("--json", action="store_true")
    commands.add_parser("down", help="end and remove everything")
    proofs = commands.add_parser("verify", help="prove every type with packets, in a lab of its own")
    proofs.add_argument("types", nargs="*", metavar="TYPE")
    commands.add_parser("guard")
    return top


def main():
    options = parser().parse_args()
    try:
        return COMMANDS[options.command](options) or 0
    except LabError as error:
        print(f"natlab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def up(options):
    shape = {"shared_carrier": options.shared_cgn, "same_lan": options.same_lan, "routable": options.routable}
    Lab.up(options.prefix, options.a, options.b, options.c, **shape)
    print(f"the lab {options.prefix} is up; server {', '.join(Lab(options.prefix).numbers.servers)}")


def rules(options):
    if options.text is None:
        system.require()
        lab = Lab(options.prefix)
        lab.carrier(options.site)
        print(run(["ip", "netns", "exec", lab.name(f"n{options.site}"), system.tool("nft"), "list", "ruleset"]), end="")
        return
    site, numbers = language.parse(options.text), Numbers()
    ruleset = Ruleset(site, site.home, [numbers.wan(options.site)], [numbers.lan(options.site)])
    print(ruleset.text() + firewall6(site.ipv6), end="")


def execute(options):
    system.require()
    lab = Lab(options.prefix)
    name = lab.name(options.namespace)
    if name not in states.namespaces(options.prefix):
        raise LabError(f"there is no {options.namespace} in this lab")
    if not options.arguments:
        raise LabError("name the command to run")
    become([system.tool("ip"), "netns", "exec", name, *options.arguments])


def become(arguments):
    """This process goes on as another program, with its streams and exit status, and dies with its parent."""
    os.environ["PATH"] = system.PATH
    system.LIBC.prctl(system.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(arguments[0], arguments)


def carry(options):
    from .wire import Wire

    system.require()
    wire = Wire(Lab(options.prefix), options.delay, options.jitter, options.loss, options.seed)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        wire.route()
        print("ready", flush=True)
        wire.carry()
    finally:
        wire.close()


def map_ports(options):
    system.require()
    lab = Lab(options.prefix)
    words = upnp.arguments(lab, options.site)
    become([system.tool("ip"), "netns", "exec", lab.name(f"n{options.site}"), *words])


def show(options):
    lab = Lab(options.prefix)
    if options.json:
        print(json.dumps({"prefix": lab.prefix, **lab.state.values}))
        return
    for site in lab.sites:
        print(f"{site}  {lab.state.values['sites'][site] or 'port'}")
    for name in states.namespaces(options.prefix):
        words = run(["ip", "-n", name, "-o", "addr", "show", "scope", "global"]).splitlines()
        print(f"{name}  " + "  ".join(f"{line.split()[1]} {line.split()[3]}" for line in words))


def down(options):
    states.check_prefix(options.prefix)
    if os.geteuid() != 0:
        raise LabError("the kernel lab needs root: run it with sudo")
    remove(options.prefix)


def verify(options):
    from .verify import verify_all

    return verify_all(options.types)


def guard(options):
    """Waits until the owner of the lab is gone, and takes the lab down if it is still there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdin.buffer.read()
    # A process closes its files a moment before it is gone.
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = states.State(options.prefix).load()
        except LabError:
            return
        if state.is_abandoned:
            return remove(options.prefix)
        time.sleep(0.02)


COMMANDS = {
    "up": up, "rules": rules, "exec": execute, "wire": carry, "upnp": map_ports, "show": show, "down": down,
    "verify": verify, "guard": guard,
    "set": lambda options: (system.require(), Lab(options.prefix).set(options.site, options.text))[1],
    "renumber": lambda options: (system.require(), print(Lab(options.prefix).renumber(options.site)))[1],
    "flush": lambda options: (system.require(), Lab(options.prefix).flush())[1],
}  # fmt: skip
