# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""Between which sites a service is used, and what happens meanwhile."""

import dataclasses
import functools
from collections.abc import Callable

from . import faults, frp_files, proofs


@dataclasses.dataclass(frozen=True)
class Scene:
    """A fault, or a proof, and the three sites in which it is played."""

    name: str
    play: Callable
    a: str = "addr"
    b: str = "port"
    c: str = "sym"
    shared_carrier: bool = False
    same_lan: bool = False
    same_router: bool = False
    is_named: bool = False
    # Part of every run of the tests.
    is_sample: bool = False
    # Nothing else is played meanwhile: speed and losses are measured.
    is_alone: bool = False

    @property
    def topology(self):
        """What cannot be changed in a lab that is up."""
        return ("cgn" in self.a, "cgn" in self.b, self.shared_carrier, self.same_lan, self.is_named)

    def __str__(self):
        return self.name


TCP = "udp=blocked,tcp=port"


def everything():
    return [
        Scene("download", proofs.download, is_alone=True),
        Scene("short download", functools.partial(proofs.download, megabytes=40), is_alone=True, is_sample=True),
        Scene("ssh", proofs.shell, is_sample=True),
        Scene("game", proofs.game, is_alone=True),
        Scene("path broken and healed", faults.broken_and_healed),
        Scene("path broken and healed, TCP alone", faults.broken_and_healed, a=TCP, b=TCP),
        Scene("one-way loss", faults.one_way_loss, is_sample=True),
        Scene("large packets vanish", faults.large_packets_vanish),
        Scene("router reboot", faults.router_reboot, a="full-r"),
        Scene("router reboot, strict NATs", faults.router_reboot, a="port-r", b="port-r"),
        Scene("renumbered", faults.renumbered, is_sample=True),
        Scene("Wi-Fi to mobile", faults.another_network),
        Scene("server restart while direct", faults.server_restart, is_sample=True),
        Scene("server dies while relayed", faults.server_dies_while_relayed),
        Scene("relay dies", faults.relay_dies),
        Scene("same NAT", faults.same_router, same_router=True),
        Scene("overlapping private ranges", faults.broken_and_healed, same_lan=True),
        Scene("another VPN's interface", faults.another_vpn),
        Scene("clock step", faults.clock_step),
        Scene("sleep of the visitor", faults.sleeping_visitor),
        Scene("sleep of the host", faults.sleeping_host),
        Scene("direct or not at all", faults.direct_alone),
        Scene("relayed alone", faults.relayed_alone),
        Scene("frp's private proxies", frp_files.private_proxies),
    ]
