# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of the lab."""

# The third is there only where it is asked for.
SITES = ("A", "B", "C")
CARRIER_NETWORK = "100.64.0.0/16"
CARRIER_ROUTER = "100.64.0.1"


class Numbers:
    """Documentation prefixes, or public-looking ones: some software, miniupnpd for one, refuses TEST-NET addresses.

    Nothing of either leaves the namespaces.
    """

    def __init__(self, routable=False, same_lan=False):
        self.server_net, *nets = (
            ("44.10.1", "45.20.1", "46.30.1", "47.40.1")
            if routable
            else ("203.0.113", "198.51.100", "192.0.2", "198.18.1")
        )
        self.nets = dict(zip(SITES, nets))
        self.lans = {"A": "192.168.1", "B": "192.168.1" if same_lan else "192.168.2", "C": "192.168.3"}
        prefix = "2a0e:b107" if routable else "2001:db8"
        self.server_net6 = f"{prefix}:5::"
        self.nets6 = {site: f"{prefix}:{site.lower()}" for site in SITES}

    @property
    def servers(self):
        """The two addresses of the server."""
        return (f"{self.server_net}.10", f"{self.server_net}.11")

    @property
    def servers6(self):
        return (f"{self.server_net6}10", f"{self.server_net6}11")

    def core(self, site):
        return f"{self.nets[site]}.1"

    def wan(self, site, number=2):
        return f"{self.nets[site]}.{number}"

    def inner_wan(self, site, number=None):
        """The address of a home router behind a carrier."""
        return f"100.64.0.{number or self.behind_carrier(site)}"

    @staticmethod
    def behind_carrier(site):
        """The last number of what a site has in its carrier's networks."""
        return 10 + SITES.index(site)

    def public(self, site, behind_carrier=False):
        """The address that host h has where its router does not translate."""
        if behind_carrier:
            return f"100.64.1.{self.behind_carrier(site)}"
        return f"{self.nets[site]}.130"

    def lan(self, site, host=None):
        """The prefix of a LAN, or the address of a host in it: 1 is the router, 2 and 3 are its hosts."""
        return f"{self.lans[site]}.0/24" if host is None else f"{self.lans[site]}.{host}"

    def lan6(self, site, host=None):
        return f"{self.nets6[site]}:1::{host or ''}" + ("" if host else "/64")

    def link6(self, site, end):
        """The link between core and the outermost router: 1 is core, 2 the router."""
        return f"{self.nets6[site]}::{end}"

    def carrier6(self, site, end):
        """The carrier's network: 1 is the carrier, 10 and on are the home routers."""
        return f"{self.nets6[site]}:64::{end}"
