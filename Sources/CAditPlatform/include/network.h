// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef ADIT_NETWORK_H
#define ADIT_NETWORK_H

#include <stdint.h>

#include "datagram.h"

// The interfaces and routes of this machine (netdevice(7), rtnetlink(7)). Every function returns a negative errno when it
// fails.

// The way that datagrams to a destination take.
struct adit_route {
    uint64_t gateway_high, gateway_low;
    uint64_t source_high, source_low;
    uint32_t interface;
    uint8_t gateway_family;  // 4, 6, or 0 when the destination is on the link
    uint8_t source_family;   // 4, 6, or 0 when it is not known
};

// Asks the kernel for the way to a destination, through the interface of that number unless it is 0; nothing is sent there.
int adit_route_to(const struct adit_datagram_peer *destination, uint32_t interface, struct adit_route *route);

// The largest packet of an interface, in bytes.
int adit_interface_mtu(const char *name);

// A descriptor that can be read when addresses, interfaces or routes have changed.
int adit_network_watch(void);

// Takes what the descriptor has; 1 when there was something, else 0.
int adit_network_changed(int watch);

#endif
