// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef ADIT_DATAGRAM_H
#define ADIT_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

// UDP sockets with what the Glibc module does not offer: recvmmsg(2), segmentation offload (udp(7), UDP_SEGMENT and
// UDP_GRO) and the local address of a datagram (ip(7), IP_PKTINFO; RFC 3542). Every function returns a negative errno
// when it fails.

enum {
    // How many datagrams one call receives at most.
    ADIT_DATAGRAM_SLOTS = 32,
    // How large one of the places is into which a datagram, or a run of them, is received.
    ADIT_DATAGRAM_SLOT_SIZE = 65536,
    // How many segments one call sends at most.
    ADIT_DATAGRAM_SEGMENTS = 64,
};

// The other end of a datagram, and the address of this machine that it came to. An IPv4-mapped address is IPv4: its
// number stands in `low`, and `high` is 0.
struct adit_datagram_peer {
    uint64_t high, low;
    uint64_t local_high, local_low;
    uint32_t scope;
    uint16_t port;
    uint8_t family;        // 4 or 6
    uint8_t local_family;  // 4, 6, or 0 when it is not known
};

// One place that was filled.
struct adit_datagram {
    struct adit_datagram_peer peer;
    uint32_t length;
    // The length of each datagram but the last, when the place holds a run of them; else 0.
    uint32_t segment;
};

// Makes a bound socket: `family` 4 or 6 for one address, 0 for every address of both families.
int adit_datagram_bind(int family, uint64_t high, uint64_t low, uint16_t port);

// Makes a socket that is connected to one peer.
int adit_datagram_connect(const struct adit_datagram_peer *peer);

// The port to which a socket is bound.
int adit_datagram_port(int fd);

// How many bytes the next datagram has that can be received, or the next run of them; 0 also when there is none.
int adit_datagram_next_size(int fd);

// Receives what is there into `slab`, which has ADIT_DATAGRAM_SLOTS places; the number of places that were filled.
int adit_datagram_receive(int fd, void *slab, struct adit_datagram *received);

// Sends one datagram, or with `segment` a run of datagrams of that length whose last may be shorter, on a socket of
// family 4 or 6 (every address of both families: 6); `peer` is NULL on a connected socket. Gives 1 when the peer had
// refused an earlier datagram, else 0.
int adit_datagram_send(
    int fd, int family, const struct adit_datagram_peer *peer, const struct iovec *parts, size_t part_count,
    uint16_t segment
);

// How many datagrams the kernel threw away because nobody read them in time.
int64_t adit_datagram_kernel_drops(int fd);

#endif
