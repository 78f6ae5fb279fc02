// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#ifndef ADIT_ADDRESS_H
#define ADIT_ADDRESS_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "datagram.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

// Addresses between the system's structures and the numbers that Swift sees.

static inline uint64_t load64(const uint8_t *bytes) {
    uint64_t number = 0;
    for (int i = 0; i < 8; i++) number = number << 8 | bytes[i];
    return number;
}

static inline void store64(uint8_t *bytes, uint64_t number) {
    for (int i = 7; i >= 0; i--) {
        bytes[i] = (uint8_t)number;
        number >>= 8;
    }
}

// Splits an IPv6 address into numbers; 4 when it is an IPv4-mapped one, else 6.
static inline uint8_t split(const struct in6_addr *address, uint64_t *high, uint64_t *low) {
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        *high = 0;
        *low = load64(address->s6_addr + 8) & 0xFFFFFFFF;
        return 4;
    }
    *high = load64(address->s6_addr);
    *low = load64(address->s6_addr + 8);
    return 6;
}

static inline void join(struct in6_addr *address, uint8_t family, uint64_t high, uint64_t low) {
    store64(address->s6_addr, family == 4 ? 0 : high);
    store64(address->s6_addr + 8, family == 4 ? 0x0000FFFF00000000u | (low & 0xFFFFFFFF) : low);
}

static inline socklen_t fill(struct sockaddr_storage *place, int domain, const struct adit_datagram_peer *peer) {
    memset(place, 0, sizeof(struct sockaddr_in6));
    if (domain == AF_INET) {
        struct sockaddr_in *address = (struct sockaddr_in *)place;
        address->sin_family = AF_INET;
        address->sin_port = htons(peer->port);
        address->sin_addr.s_addr = htonl((uint32_t)peer->low);
        return sizeof(struct sockaddr_in);
    }
    struct sockaddr_in6 *address = (struct sockaddr_in6 *)place;
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(peer->port);
    address->sin6_scope_id = peer->scope;
    join(&address->sin6_addr, peer->family, peer->high, peer->low);
    return sizeof(struct sockaddr_in6);
}

static inline void read_peer(const struct sockaddr_storage *from, struct adit_datagram_peer *peer) {
    memset(peer, 0, sizeof *peer);
    if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)from;
        peer->family = split(&address->sin6_addr, &peer->high, &peer->low);
        peer->port = ntohs(address->sin6_port);
        peer->scope = address->sin6_scope_id;
    } else if (from->ss_family == AF_INET) {
        const struct sockaddr_in *address = (const struct sockaddr_in *)from;
        peer->family = 4;
        peer->low = ntohl(address->sin_addr.s_addr);
        peer->port = ntohs(address->sin_port);
    }
}

// Reads to which address of this machine a datagram came, and of how long ones it is a run.
static inline void read_control(struct msghdr *header, struct adit_datagram *datagram) {
    for (struct cmsghdr *item = CMSG_FIRSTHDR(header); item; item = CMSG_NXTHDR(header, item)) {
        if (item->cmsg_level == IPPROTO_UDP && item->cmsg_type == UDP_GRO) {
            int segment = 0;
            memcpy(&segment, CMSG_DATA(item), sizeof segment);
            if (segment > 0 && (uint32_t)segment < datagram->length) datagram->segment = (uint32_t)segment;
        } else if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(item), sizeof info);
            struct adit_datagram_peer *peer = &datagram->peer;
            peer->local_family = split(&info.ipi6_addr, &peer->local_high, &peer->local_low);
        } else if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(item), sizeof info);
            datagram->peer.local_family = 4;
            datagram->peer.local_high = 0;
            datagram->peer.local_low = ntohl(info.ipi_spec_dst.s_addr);
        }
    }
}

#endif
