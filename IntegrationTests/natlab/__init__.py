# SPDX-FileCopyrightText: The Adit authors
# SPDX-License-Identifier: Apache-2.0
"""A NAT laboratory of the real kernel, made of network namespaces, veth pairs and nftables.

                      core   a router, "the internet": TTL goes down here; `wire` adds delay, jitter and loss
    203.0.113.1 /      | 198.51.100.1            \\ 192.0.2.1
               s       |                          |
       .10 + .11    [cA carrier NAT 100.64/16]  [cB]          with cgn=; --shared-cgn puts both sites behind cA
                     nA  wan 198.51.100.2        nB  wan 192.0.2.2
                      | lan 192.168.1.1           | lan 192.168.2.1      --same-lan: 192.168.1.1 at both
                  hA .2   hA2 .3              hB .2   hB2 .3

A third site C, like A, is there where `--c` describes it: 198.18.1.0/24 and 192.168.3.0/24.

`python3 IntegrationTests/natlab --help` lists the commands, `language.py` the words that describe a site.
Standard library only; root, `ip`, `nft` and `conntrack` are needed.
"""
