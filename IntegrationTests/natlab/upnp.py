# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""miniupnpd (UPnP IGD, NAT-PMP and PCP) on a home router."""

from . import system
from .state import FOLDER
from .system import LabError, run

# Its nftables backend speaks to family inet alone; its chains run just before those of the lab.
CHAINS = """table inet upnp
delete table inet upnp
table inet upnp {
  chain upnp_forward { }
  chain upnp_pre { }
  chain upnp_post { }
  chain forward { type filter hook forward priority filter - 5; policy accept; jump upnp_forward; }
  chain pre { type nat hook prerouting priority dstnat - 5; policy accept; jump upnp_pre; }
  chain post { type nat hook postrouting priority srcnat - 5; policy accept; jump upnp_post; }
}
"""
CONFIGURATION = """ext_ifname=wan
listening_ip=lan
port=5000
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
uuid=fc4ec57e-b051-11db-88f8-0060085db3f6
min_lifetime=5
upnp_table_name=upnp
upnp_nat_table_name=upnp
upnp_forward_chain=upnp_forward
upnp_nat_chain=upnp_pre
upnp_nat_postrouting_chain=upnp_post
lease_file={leases}
allow 1024-65535 {lan} 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


def arguments(lab, site, extra=()):
    """Prepares the router and returns the command that runs miniupnpd in the foreground.

    `extra`: further lines of its configuration, such as `enable_natpmp=no`; the last of a key counts.
    """
    if not lab.state.values["routable"]:
        raise LabError("miniupnpd refuses documentation addresses: build the lab with `up --routable`")
    program = system.tool("miniupnpd")
    path = FOLDER / f"{lab.prefix}-upnp-{site}.conf"
    text = CONFIGURATION.format(lan=lab.numbers.lan(site), leases=path.with_suffix(".leases"))
    path.write_text(text + "".join(line + "\n" for line in extra), encoding="utf-8")
    run(["ip", "netns", "exec", lab.name(f"n{site}"), system.tool("nft"), "-f", "-"], CHAINS)
    return [program, "-d", "-f", str(path), "-P", str(path.with_suffix(".pid"))]
