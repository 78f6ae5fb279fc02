// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef ADIT_PROBE_H
#define ADIT_PROBE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "datagram.h"

// UDP sockets that look at the way to others: a time to live for one datagram, and the ICMP errors that come back
// (ip(7), IP_RECVERR; ipv6(7)). Every function returns a negative errno when it fails.

enum {
    // How many datagrams one call receives at most.
    ADIT_PROBE_SLOTS = 16,
    // The longest datagram that is received alone; what is longer is cut off.
    ADIT_PROBE_SLOT_SIZE = 16 * 1024,
    // The same where the system may put datagrams of one sender together.
    ADIT_PROBE_RUN_SIZE = 64 * 1024,
};

// An ICMP error about a datagram that a socket had sent.
struct adit_probe_refusal {
    struct adit_datagram_peer destination;
    uint64_t reporter_high, reporter_low;
    uint32_t mtu;             // in bytes, when the datagram was too big
    uint8_t reporter_family;  // 4, 6, or 0 when it is not known
    uint8_t family;           // 4 for ICMP, 6 for ICMPv6, 0 when it is not from the network
    uint8_t type, code;
};

// Makes a socket of family 4 or 6 that is bound to one address, or with 0 to all of them. Multicast and link-local
// datagrams leave through the interface of that number, and multicast ones go two hops far.
// All of them leave and come through the interface `device` alone, unless that is 0 or the system does not let it.
int adit_probe_bind(int family, uint64_t high, uint64_t low, uint16_t port, uint32_t interface, uint32_t device);

// Lets the system put datagrams of one sender together (udp(7), UDP_GRO), hold many of them, and never split one that is
// sent (RFC 9000 section 14).
void adit_probe_expect_runs(int fd);

// The socket option that binds a socket to an interface by its number; needs no rights since Linux 5.7.
extern const int adit_probe_device_option;

// 0 when sockets may be bound to the interface.
int adit_probe_may_bind(uint32_t device);

// The address and port to which a socket is bound.
int adit_probe_local(int fd, struct adit_datagram_peer *local);

// Receives what is there into `slab`, which has ADIT_PROBE_SLOTS places of `slot_size` bytes; the number of places that were
// filled.
int adit_probe_receive(int fd, void *slab, size_t slot_size, struct adit_datagram *received);

// Takes the next ICMP error; -EAGAIN when there is none.
int adit_probe_next_refusal(int fd, struct adit_probe_refusal *refusal);

// Sends one datagram, or with `segment` a run of datagrams of that length whose last may be shorter (udp(7), UDP_SEGMENT);
// `time_to_live` is 1 to 255, or 0 for the system's own, which a run has always.
int adit_probe_send(
    int fd, int family, const struct adit_datagram_peer *peer, const void *bytes, size_t count, int time_to_live,
    uint16_t segment
);

#endif
